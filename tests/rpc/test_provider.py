"""The life of a measurement, over a measurer and a clock of the test's own."""

import json

import pytest

from rollout_verdict import __version__
from rollout_verdict.rpc import messages, report
from rollout_verdict.rpc.log import Log
from rollout_verdict.rpc.measurer import Broken, Outcome, Running, UnavailableError
from rollout_verdict.rpc.messages import Time
from rollout_verdict.rpc.provider import Provider, argument_of
from rollout_verdict.wire.gob import Named
from tests.rpc.host import analysis_run, metric

START = Time(1_795_000_000 * 10**9)
SECRET = "s3cr3t-t0ken"
PROMOTE = Outcome(verdict="promote", score=93, confidence=88, reason="all is well")


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    def pass_seconds(self, seconds):
        self.now = self.now.plus(seconds)


class Measurer:
    """Keeps what it is told; ``state`` is what every known measurement is in, or an error to raise."""

    def __init__(self):
        self.jobs = {}
        self.state = Running()
        self.wrong = ""
        self.cancelled, self.forgotten, self.within = [], [], []

    def problem(self):
        return self.wrong

    def answer(self):
        if isinstance(self.state, Exception):
            raise self.state
        return self.state

    def start(self, job, *, within):
        self.within.append(within)
        found = self.answer()
        self.jobs[job.id] = job
        return found

    def get(self, job, *, within):
        self.within.append(within)
        found = self.answer()
        return found if job.id in self.jobs else None

    def cancel(self, job, *, within):
        self.within.append(within)
        if isinstance(self.state, Exception):
            raise self.state
        self.cancelled.append(job.id)

    def forget(self, measurement_ids):
        self.forgotten += measurement_ids

    def about(self, *, within):
        self.within.append(within)
        return {"model": "gemini-2.5-flash", "promptDigest": "sha256:1", "serviceVersion": "9"}


class World:
    """A provider and everything around it."""

    def __init__(self, tmp_path):
        self.log_path = tmp_path / "log"
        self.log_file = self.log_path.open("wb")
        self.clock, self.measurer = Clock(), Measurer()
        self.background = []
        log = Log(self.log_file.fileno(), "debug")
        self.provider = Provider(self.measurer, now=self.clock, submit=self.background.append, log=log)
        self.methods = self.provider.methods()
        self.config, self.args, self.results, self.uid = {}, [], [], "0001"

    def arguments(self, measurement=None):
        arguments = {"AnalysisRun": analysis_run(self.uid, self.results, self.args), "Metric": metric(self.config)}
        return arguments if measurement is None else {**arguments, "Measurement": measurement}

    def call(self, method, arguments):
        return self.methods[f"Plugin.{method}"].call(arguments)

    def run(self, *, started=True):
        found = self.call("Run", self.arguments())
        while started and self.background:
            self.background.pop(0)()
        return found

    def resume(self, measurement):
        return self.call("Resume", self.arguments(measurement))

    def terminate(self, measurement):
        return self.call("Terminate", self.arguments(measurement))

    def log(self):
        return self.log_path.read_text()


@pytest.fixture
def world(tmp_path):
    found = World(tmp_path)
    yield found
    found.log_file.close()


def when(found, key):
    return messages.unmarshal_time(found[key])


# Run


def test_run_answers_at_once_and_starts_in_the_background(world):
    found = world.run(started=False)
    assert found["Phase"] == "Running"
    assert found["Message"] == "measuring"
    assert when(found, "StartedAt") == START
    assert when(found, "ResumeAt") == START.plus(2)
    assert found["FinishedAt"] is None
    assert world.measurer.jobs == {}
    world.background.pop()()
    (job,) = world.measurer.jobs.values()
    assert (job.namespace, job.analysis_run, job.metric, job.plugin) == (
        "shop",
        "shop-canary-2",
        "verdict",
        "acme/verdict",
    )
    assert (job.owner.kind, job.owner.name, job.revision, job.template_hash) == ("Rollout", "shop", "2", "5d8f")
    assert found["Metadata"] == {"verdict.id": job.id}


def test_the_same_run_again_is_the_same_measurement(world):
    assert world.run()["Metadata"] == world.run()["Metadata"]
    assert len(world.measurer.jobs) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"uid": "0002"},
        {"results": [{"Name": "verdict", "Count": 1}]},
        {"results": [{"Name": "verdict", "Error": 1}]},
        {"results": [{"Name": "verdict", "Count": 11, "Error": 2, "Measurements": []}]},
    ],
)
def test_another_run_or_ordinal_is_another_measurement(world, change):
    before = world.run()["Metadata"]
    for name, value in change.items():
        setattr(world, name, value)
    assert world.run()["Metadata"] != before


def test_other_metrics_do_not_change_the_ordinal(world):
    before = world.run()["Metadata"]
    world.results = [{"Name": "other", "Count": 5}]
    assert world.run()["Metadata"] == before


def test_the_id_is_the_same_in_every_process(world):
    """Changing this would orphan every measurement in flight during an upgrade."""
    assert world.run()["Metadata"] == {"verdict.id": "767a5bbc9f53c6c129c2587b38fb835e"}


def test_a_start_that_fails_in_the_background_is_logged_and_made_up_for(world):
    world.measurer.state = UnavailableError("connection refused")
    found = world.run()
    assert "connection refused" in world.log()
    world.measurer.state = Running()
    assert world.resume(found)["Phase"] == "Running"
    assert len(world.measurer.jobs) == 1


def test_only_names_of_arguments_are_passed_on(world):
    world.args = [
        {"Name": "token", "Value": SECRET, "ValueFrom": {"SecretKeyRef": {"Name": "s"}}},
        {"Name": "plain", "Value": "v"},
    ]
    world.run()
    (job,) = world.measurer.jobs.values()
    assert job.arguments == ("token", "plain")


def test_without_an_analysis_run_there_is_nothing_to_judge(world):
    found = world.call("Run", {"Metric": metric()})
    assert found["Phase"] == "Error"
    assert "no AnalysisRun" in found["Message"]
    assert when(found, "FinishedAt") == START


@pytest.mark.parametrize("method", ["Run", "Resume"])
def test_a_wrong_configuration_is_an_error_that_says_what_is_wrong(world, method):
    world.config = {"minConfidence": "high"}
    found = world.call(method, world.arguments({"Phase": "Running"}))
    assert found["Phase"] == "Error"
    assert found["Message"] == 'minConfidence is "high"; expected a whole number 0..100'
    assert world.background == []


def test_a_problem_at_the_start_is_kept_and_reported_by_every_run(world):
    world.measurer.wrong = "cannot read /etc/token: No such file"
    assert world.call("InitPlugin", {}) == {"ErrorString": "cannot read /etc/token: No such file"}
    for _ in range(2):
        found = world.run()
        assert (found["Phase"], found["Message"]) == ("Error", "cannot read /etc/token: No such file")
    assert world.resume({"Phase": "Running"})["Phase"] == "Error"
    assert world.terminate({"Phase": "Running"})["Phase"] == "Inconclusive"


def test_a_good_start_is_an_empty_error(world):
    assert world.call("InitPlugin", {}) == {"ErrorString": ""}


def test_type_has_a_name(world):
    assert world.call("Type", {}) == "RolloutVerdict"


# Resume


def test_polling_backs_off_from_two_to_fifteen_seconds(world):
    found = world.run()
    waits = []
    for _ in range(9):
        resume_at = when(found, "ResumeAt")
        waits.append(resume_at.since(world.clock.now))
        world.clock.now = resume_at
        found = world.resume(found)
        assert when(found, "StartedAt") == START
    assert waits[0] == 2
    assert waits == sorted(waits)
    assert waits[-1] == 15


@pytest.mark.parametrize(
    ("verdict", "phase"), [("promote", "Successful"), ("rollback", "Failed"), ("inconclusive", "Inconclusive")]
)
def test_a_verdict_becomes_a_phase(world, verdict, phase):
    found = world.run()
    world.clock.pass_seconds(3)
    world.measurer.state = Outcome(verdict=verdict, score=50, confidence=70, reason="because")
    found = world.resume(found)
    assert (found["Phase"], found["Message"]) == (phase, "because")
    assert json.loads(found["Value"]) == {"verdict": verdict, "score": 50, "confidence": 70}
    assert (when(found, "StartedAt"), when(found, "FinishedAt")) == (START, START.plus(3))
    assert found["ResumeAt"] is None


def test_a_word_that_is_no_verdict_never_becomes_a_phase(world):
    found = world.run()
    world.measurer.state = Outcome(verdict="pass", score=100, confidence=100, reason="")
    with pytest.raises(KeyError):
        world.resume(found)


def test_inconclusive_may_be_a_failure_but_never_a_pass(world):
    world.config = {"onInconclusive": "fail"}
    found = world.run()
    world.measurer.state = Outcome(verdict="inconclusive", score=50, confidence=1, reason="too little")
    assert world.resume(found)["Phase"] == "Failed"


@pytest.mark.parametrize(("verdict", "value"), [("promote", "0.88"), ("rollback", "0"), ("inconclusive", "0")])
def test_the_go_plugins_number(world, verdict, value):
    world.config = {"valueFormat": "number"}
    found = world.run()
    world.measurer.state = Outcome(verdict=verdict, score=1, confidence=88, reason="r")
    assert world.resume(found)["Value"] == value


def test_a_measurement_that_cannot_be_made_is_an_error(world):
    found = world.run()
    world.measurer.state = Broken(reason="no pods match role=canary")
    found = world.resume(found)
    assert (found["Phase"], found["Message"], found["Value"]) == ("Error", "no pods match role=canary", "")


def test_metadata_is_carried_over(world):
    found = world.run()
    found = world.resume({**found, "Metadata": {**found["Metadata"], "theirs": "x"}})
    world.measurer.state = PROMOTE
    found = world.resume(found)
    assert found["Metadata"]["theirs"] == "x"
    assert found["Metadata"]["confidence"] == "88"


def test_a_measurement_nobody_knows_is_started_again_under_its_id(world):
    found = world.run()
    world.measurer.jobs.clear()
    world.results = [{"Name": "verdict", "Count": 7}]
    found = world.resume(found)
    assert found["Phase"] == "Running"
    assert list(world.measurer.jobs) == [found["Metadata"]["verdict.id"]]
    assert "starting it again" in world.log()


def test_a_restarted_service_that_is_done_at_once_is_listened_to(world):
    found = world.run(started=False)
    world.measurer.state = PROMOTE
    assert world.resume(found)["Phase"] == "Successful"


@pytest.mark.parametrize("known", ["", "not-an-id", "A" * 32, "../../etc/passwd"])
def test_an_id_that_is_none_is_derived_anew(world, known):
    wanted = world.run()["Metadata"]
    found = world.resume({"Phase": "Running", "Metadata": {"verdict.id": known}})
    assert found["Metadata"] == wanted


def test_a_measurement_without_a_start_gets_one(world):
    world.run()
    assert when(world.resume({"Phase": "Running"}), "StartedAt") == START


def test_a_measurement_has_a_deadline(world):
    world.config = {"deadline": "5m"}
    found = world.run()
    world.clock.pass_seconds(301)
    found = world.resume(found)
    assert (found["Phase"], found["Message"]) == ("Inconclusive", "no verdict within 300 s")
    world.background.pop()()
    assert world.measurer.cancelled == [found["Metadata"]["verdict.id"]]


def test_cancelling_after_the_deadline_may_fail(world):
    found = world.run()
    world.clock.pass_seconds(601)
    assert world.resume(found)["Phase"] == "Inconclusive"
    world.measurer.state = UnavailableError("gone")
    world.background.pop()()
    assert "could not cancel" in world.log()


def test_a_verdict_after_the_deadline_still_counts(world):
    found = world.run()
    world.clock.pass_seconds(100_000)
    world.measurer.state = PROMOTE
    assert world.resume(found)["Phase"] == "Successful"


def test_warnings_of_the_configuration_reach_the_result(world):
    world.config = {"colour": "red"}
    found = world.run()
    world.measurer.state = PROMOTE
    assert world.resume(found)["Metadata"]["verdict.warnings"] == 'unknown configuration key ignored: "colour"'


def test_every_answer_has_less_than_a_second(world):
    found = world.run(started=False)
    world.measurer.jobs.clear()
    world.resume(found)
    world.terminate(found)
    world.call("GetMetadata", {"Metric": metric()})
    assert all(within < 1 for within in world.measurer.within)
    assert world.measurer.within[0] + world.measurer.within[1] < 2


# Nobody answers


def test_trouble_is_absorbed_for_a_while_then_inconclusive(world):
    found = world.run()
    world.measurer.state = UnavailableError("cannot reach the service: Connection refused")
    for _ in range(6):
        found = world.resume(found)
        assert found["Phase"] == "Running"
        assert found["Message"] == "waiting: cannot reach the service: Connection refused"
        assert when(found, "ResumeAt").since(world.clock.now) == 2
        world.clock.pass_seconds(10)
    found = world.resume(found)
    assert found["Phase"] == "Inconclusive"
    assert found["Message"] == "no verdict, 60 s without the service: cannot reach the service: Connection refused"
    assert found["Value"] == ""


@pytest.mark.parametrize(
    ("config", "phase"),
    [({"onUnavailable": "error"}, "Error"), ({"onInconclusive": "fail"}, "Failed"), ({}, "Inconclusive")],
)
def test_what_unavailable_becomes_is_a_setting(world, config, phase):
    world.config = {"unavailableGrace": "10s", **config}
    found = world.run()
    world.measurer.state = UnavailableError("refused")
    found = world.resume(found)
    world.clock.pass_seconds(10)
    assert world.resume(found)["Phase"] == phase


def test_trouble_that_ends_is_forgotten(world):
    found = world.run()
    for _ in range(5):
        world.measurer.state = UnavailableError("refused")
        found = world.resume(found)
        assert "verdict.unavailableSince" in found["Metadata"]
        world.clock.pass_seconds(50)
        world.measurer.state = Running()
        found = world.resume(found)
        assert "verdict.unavailableSince" not in found["Metadata"]
        world.clock.pass_seconds(50)
    assert found["Phase"] == "Running"


def test_trouble_does_not_outlast_the_deadline(world):
    world.config = {"deadline": "100s", "unavailableGrace": "1h"}
    found = world.run()
    world.clock.pass_seconds(101)
    world.measurer.state = UnavailableError("refused")
    assert world.resume(found)["Phase"] == "Inconclusive"


def test_a_mark_that_is_no_time_starts_the_wait_anew(world):
    found = world.run()
    world.measurer.state = UnavailableError("refused")
    found = world.resume({**found, "Metadata": {**found["Metadata"], "verdict.unavailableSince": "never"}})
    assert found["Phase"] == "Running"


@pytest.mark.parametrize("secret", ["2026", "T", "verdict", "0", "-11-"])
def test_the_wait_ends_whatever_the_secrets_are(world, secret):
    world.args = [{"Name": "pin", "Value": secret, "ValueFrom": {"SecretKeyRef": {"Name": "s", "Key": "k"}}}]
    found = world.run()
    world.measurer.state = UnavailableError("refused")
    found = world.resume(found)
    world.clock.pass_seconds(60)
    assert world.resume(found)["Phase"] == "Inconclusive"


# A clock that jumps


def test_a_clock_set_back_does_not_put_the_ends_off(world):
    found = world.run()
    world.measurer.state = UnavailableError("refused")
    found = world.resume(found)
    world.clock.pass_seconds(-86_400)
    found = world.resume(found)
    assert found["Phase"] == "Running"
    world.clock.pass_seconds(60)
    assert world.resume(found)["Phase"] == "Inconclusive"


def test_a_clock_set_back_does_not_put_the_deadline_off(world):
    found = world.run()
    world.clock.pass_seconds(-86_400)
    found = world.resume(found)
    world.clock.pass_seconds(601)
    assert world.resume(found)["Phase"] == "Inconclusive"


def test_a_clock_set_back_during_an_answer_does_not_make_it_wait(world):
    found = world.run()
    world.measurer.jobs.clear()
    get = world.measurer.get

    def slow_get(job, *, within):
        world.clock.pass_seconds(-3600)
        return get(job, within=within)

    world.measurer.get = slow_get
    world.resume(found)
    assert world.measurer.within[-1] < 1


# Terminate, GarbageCollect, GetMetadata


def test_terminate_cancels_and_is_inconclusive(world):
    found = world.run()
    world.clock.pass_seconds(4)
    over = world.terminate(found)
    assert (over["Phase"], over["Message"]) == ("Inconclusive", "stopped before there was a verdict")
    assert world.measurer.cancelled == [found["Metadata"]["verdict.id"]]
    assert (when(over, "StartedAt"), when(over, "FinishedAt"), over["ResumeAt"]) == (START, START.plus(4), None)
    assert over["Metadata"] == found["Metadata"]


def test_terminate_never_fails(world):
    found = world.run()
    world.measurer.state = UnavailableError("refused")
    assert world.terminate(found)["Phase"] == "Inconclusive"
    world.config = {"mode": "odd"}
    assert world.terminate(found)["Phase"] == "Inconclusive"
    assert world.call("Terminate", {})["Phase"] == "Inconclusive"


def test_terminating_twice_is_terminating_once(world):
    found = world.run()
    assert world.terminate(found) == world.terminate(found)


@pytest.mark.parametrize(
    ("limit", "forgotten"), [(1, ["a", "b"]), (0, ["a", "b", "c"]), (-5, ["a", "b", "c"]), (3, []), (4, []), (9, [])]
)
def test_garbage_collection_forgets_all_but_the_last(world, limit, forgotten):
    old = [{"Metadata": {"verdict.id": "a"}}, {}, {"Metadata": {"verdict.id": "b"}}, {"Metadata": {"verdict.id": "c"}}]
    world.results = [{"Name": "verdict", "Measurements": [m for m in old if m]}, {"Name": "other", "Measurements": old}]
    assert world.call("GarbageCollect", {**world.arguments(), "Limit": limit}) == {"ErrorString": ""}
    assert world.measurer.forgotten == forgotten


def test_garbage_collection_without_anything_is_no_error(world):
    assert world.call("GarbageCollect", {}) == {"ErrorString": ""}
    world.results = [{"Name": "verdict", "Measurements": [{}, {}]}]
    assert world.call("GarbageCollect", {**world.arguments(), "Limit": 1}) == {"ErrorString": ""}
    assert world.measurer.forgotten == []


def test_metadata_of_the_metric_echoes_no_configuration(world):
    config = {"mode": "rules", "model": SECRET, "agentUrl": f"http://{SECRET}", "extraPrompt": SECRET}
    found = world.call("GetMetadata", {"Metric": metric(config)})
    assert found == {
        "pluginVersion": __version__,
        "mode": "rules",
        "model": "gemini-2.5-flash",
        "promptDigest": "sha256:1",
        "serviceVersion": "9",
    }
    assert "error" not in found, "Argo takes that key for a failure"


def test_metadata_of_an_invalid_metric_says_so(world):
    assert world.call("GetMetadata", {"Metric": metric({"mode": SECRET})})["mode"] == "invalid configuration"
    world.measurer.about = lambda *, within: {}
    assert world.call("GetMetadata", {}) == {"pluginVersion": __version__, "mode": "invalid configuration"}


# Secrets


SECRET_ARG = {"Name": "token", "Value": SECRET, "ValueFrom": {"SecretKeyRef": {"Name": "s", "Key": "k"}}}


def everything(found, world):
    return json.dumps({key: value for key, value in found.items() if isinstance(value, str | dict)}) + world.log()


@pytest.mark.parametrize("secret", [SECRET, 'quo"ted\\secret', "with spaces & ümläut", "line\nbreak"])
def test_secrets_never_leave_in_a_measurement_or_the_log(world, secret):
    world.args = [{**SECRET_ARG, "Value": secret}]
    world.config = {"prometheus": {"address": f"http://u:{secret}@p"}, "extraPrompt": secret}
    found = world.run()
    told = f"we used {secret} and {json.dumps(secret)}"
    world.measurer.state = Outcome(
        verdict="rollback",
        score=1,
        confidence=1,
        reason=told,
        summary=told,
        analysis=told,
        root_cause=told,
        remediation=told,
        url=f"http://x/{secret}",
        digest=told,
        decided_by=told,
        rationale=told,
        models=({"modelName": told},),
        warnings=(told,),
    )
    for answer in (found, world.resume(found)):
        assert json.dumps(secret)[1:-1] not in everything(answer, world)
        assert secret not in "".join(answer["Metadata"].values()) + answer["Message"] + answer["Value"]
    analysis = json.loads(answer["Metadata"]["analysisJSON"])["text"]
    assert analysis.startswith("we used [redacted] and ")
    assert json.dumps(secret)[1:-1] not in analysis, "not even quoted twice"


def test_a_secret_at_the_place_where_a_text_is_cut_leaves_no_part_of_it(world):
    world.args = [SECRET_ARG]
    found = world.run()
    world.measurer.state = Outcome(
        verdict="rollback",
        score=1,
        confidence=1,
        reason="x" * 195 + SECRET,
        analysis="x" * 2393 + SECRET,
        rationale="x" * 590 + SECRET,
    )
    assert SECRET[:6] not in everything(world.resume(found), world)


def test_secrets_never_leave_in_errors(world):
    world.args = [SECRET_ARG]
    found = world.run()
    for state in (Broken(reason=f"bad token {SECRET}"), UnavailableError(f"cannot reach http://{SECRET}")):
        world.measurer.state = state
        assert SECRET not in everything(world.resume(found), world)
        assert SECRET not in everything(world.terminate(found), world)
        world.run()
        assert SECRET not in world.log()


@pytest.mark.parametrize(
    "config", [{"mode": SECRET}, {"minConfidence": SECRET}, {SECRET: 1, "strict": True}, {SECRET: 1}]
)
def test_secrets_never_leave_through_a_wrong_configuration(world, config):
    world.args = [SECRET_ARG]
    world.config = config
    found = world.run()
    assert SECRET not in everything(found, world)
    world.measurer.state = PROMOTE
    assert SECRET not in everything(world.resume(found), world)


def test_plain_arguments_are_no_secrets(world):
    world.args = [{"Name": "host", "Value": "well"}]
    found = world.run()
    world.measurer.state = PROMOTE
    assert world.resume(found)["Message"] == "all is well"


# Bounds


def test_a_measurement_stays_within_its_bounds(world):
    big = "ä" * 50_000 + "\n\x1b[31m"
    world.measurer.state = Outcome(
        verdict="rollback",
        score=1,
        confidence=1,
        reason=big,
        summary=big,
        analysis=big,
        root_cause=big,
        remediation=big,
        url=big,
        digest=big,
        decided_by=big,
        rationale=big,
        models=tuple({"modelName": big} for _ in range(5)),
        warnings=(big,) * 5,
    )
    found = world.run()
    found = world.resume({**found, "Metadata": {**found["Metadata"], "theirs": big}})
    assert len(found["Message"]) <= 200
    assert found["Message"].isprintable()
    assert sum(len(k.encode()) + len(v.encode()) for k, v in found["Metadata"].items()) <= report.MAX_METADATA
    assert found["Metadata"]["verdict.id"]


# Arguments


def test_arguments_must_be_of_their_type(world):
    run = world.methods["Plugin.Run"]
    assert argument_of(run, Named("RunArgs", {"a": 1})) == {"a": 1}
    assert argument_of(run, Named("GetMetadataArgs", {})) == "invalid args GetMetadataArgs, expected RunArgs"
    assert argument_of(run, Named("RunArgs", 5)) == "invalid args RunArgs, expected RunArgs"
    assert argument_of(run, None) == "invalid args NoneType, expected RunArgs"
    assert argument_of(world.methods["Plugin.Type"], None) == {}
