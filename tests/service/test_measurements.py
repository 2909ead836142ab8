"""The plugin's door, with the plugin's own client over real HTTP."""

import json

import httpx2
import pytest

from rollout_verdict.rpc.measurer import Broken, Job, Outcome, Owner, Running, UnavailableError
from rollout_verdict.rpc.pool import Pool
from rollout_verdict.rpc.remote import RemoteMeasurer
from rollout_verdict.rpc.settings import Settings
from tests.service.conftest import TOKENS, bearer, make_services, served

WITHIN = 20.0


def job(name="new-errors", number=1, **config):
    return Job(
        id=f"{number:032x}",
        plugin="acme/verdict",
        metric="verdict",
        namespace="shop",
        analysis_run="run",
        analysis_run_uid="u",
        owner=Owner(kind="Rollout", name=name, uid="r"),
        revision="2",
        template_hash="5d8f",
        arguments=("a",),
        dry_run=False,
        config=config,
    )


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    return make_services(tmp_path_factory.mktemp("door"))


@pytest.fixture(scope="module")
def address(services):
    with served(services) as found:
        yield found


@pytest.fixture
def measurer(address, tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text(TOKENS["run"])
    settings = Settings(service=address, token_file=str(token_file), ca_file="", local=False, problem="")
    found = RemoteMeasurer(settings, Pool(lambda error: None))
    yield found
    for _, connection in found._idle:
        connection.close()


def test_a_measurement_is_started_once_and_ends_in_a_verdict(measurer, services):
    wanted = job(number=1, mode="rules", colour="red")
    assert measurer.get(wanted, within=WITHIN) is None
    first = measurer.start(wanted, within=WITHIN)
    assert measurer.start(wanted, within=WITHIN) == first == measurer.get(wanted, within=WITHIN)
    assert isinstance(first, Outcome)
    assert first.verdict == "rollback"
    assert first.url == f"https://verdict.example/analyses/{wanted.id}"
    assert first.warnings == ('unknown configuration key ignored: "colour"',)
    assert first.digest
    assert "decision table" in first.rationale
    assert [one["modelName"] for one in first.models] == ["rules"]
    request = services.analyses.kept[wanted.id].request
    assert request.config == {"mode": "rules"}
    assert (request.target.kind.value, request.target.name, request.target.run) == ("rollout", "new-errors", "run")
    assert (request.target.hashes.canary, request.revision, request.asked_by) == ("5d8f", "2", "argo")


def test_the_answer_has_the_keys_that_the_docs_tell(address):
    answer = httpx2.get(f"{address}/v1/measurements/{1:032x}", headers=bearer("read")).json()
    told = {
        "verdict", "score", "confidence", "reason", "summary", "analysis", "rootCause", "remediation", "url", "digest",
        "decidedBy", "rationale", "models", "warnings",
    }  # fmt: skip
    assert set(answer) == {"id", "state", "measurement"}
    assert set(answer["measurement"]) == told


def test_a_measurement_that_runs_can_be_cancelled(measurer):
    wanted = job("running", number=2)
    assert measurer.start(wanted, within=WITHIN) == Running()
    measurer.cancel(wanted, within=WITHIN)
    measurer.cancel(wanted, within=WITHIN)
    assert measurer.get(wanted, within=WITHIN) == Broken(reason="cancelled")
    measurer.cancel(job(number=77), within=WITHIN)


def test_a_measurement_that_fails_is_an_error(measurer):
    assert measurer.start(job("gone", number=3), within=WITHIN) == Broken(reason="there is no rollout gone")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"minConfidence": 700}, "minConfidence is 700"),
        ({"bundle": "/etc"}, "upload it instead"),
        ({"prometheus": {"address": "http://169.254.169.254/"}}, "prometheus.address is not among"),
        ({"strict": True, "colour": 1}, "unknown configuration key"),
        ({"extraPrompt": "\ud800"}, "surrogate"),
    ],
)
def test_a_configuration_that_is_wrong_is_an_error_with_words(measurer, config, words):
    found = measurer.start(job(number=4, **config), within=WITHIN)
    assert isinstance(found, Broken)
    assert words in found.reason


def test_what_is_down_is_waited_for(measurer):
    with pytest.raises(UnavailableError):
        measurer.start(job("unavailable", number=5), within=WITHIN)


def test_about(measurer):
    told = measurer.about(within=WITHIN)
    assert (told["model"], told["promptDigest"]) == ("gemini-test", "sha256:0f1e")


def test_the_agent_address_is_not_kept(measurer, services):
    measurer.start(job("healthy", number=6, agentUrl="http://elsewhere.example"), within=WITHIN)
    assert services.analyses.kept[f"{6:032x}"].request.config == {}


def test_an_experiment_and_a_run_of_nobody(measurer, services):
    measurer.start(job("x", number=7)._replace(owner=Owner(kind="Experiment", name="exp", uid="")), within=WITHIN)
    measurer.start(job("x", number=8)._replace(owner=Owner()), within=WITHIN)
    kinds = [services.analyses.kept[f"{n:032x}"].request.target for n in (7, 8)]
    assert [(one.kind.value, one.name) for one in kinds] == [("experiment", "exp"), ("analysisrun", "run")]


def test_a_poll_reads_one_row(address, services):
    before = services.analyses.gets
    httpx2.get(f"{address}/v1/measurements/{2:032x}", headers=bearer("read"))
    assert services.analyses.gets == before + 1


def test_the_same_id_for_another_rollout_is_a_conflict(measurer):
    found = measurer.start(job("healthy", number=1, mode="rules"), within=WITHIN)
    told = "another measurement has this id, with another name: start it as it was, or under another id"
    assert found == Broken(reason=told)


LONG = {
    "window": "10m",
    "prometheus": {"address": "", "presets": ["auto"], "minimumRequests": 50},
    "secondOpinions": 2,
    "githubUrl": "https://robot:hunter2secret@git.example/shop",
    "extraPrompt": "password=hunter2secret matters",
    "thresholds": {"logs": {}, "metrics": {}},
}


@pytest.mark.parametrize(
    "again",
    [
        LONG,
        dict(reversed(LONG.items())),
        {**LONG, "prometheus": dict(reversed(LONG["prometheus"].items()))},
        {**LONG, "colour": "red", "agentUrl": "http://elsewhere.example", "mode": None},
        {**LONG, "window": 600, "mode": "auto", "onUnavailable": "inconclusive", "secondOpinions": ["", ""]},
    ],
    ids=["as it was", "order", "order within", "keys that are not kept", "defaults and other spellings"],
)
def test_the_same_configuration_is_never_another_one(measurer, services, again):
    """A controller that restarts has its plugin start what runs: that must find the verdict, however it is written."""
    before = measurer.start(job("healthy", number=20, **LONG), within=WITHIN)
    assert isinstance(before, Outcome)
    assert measurer.start(job("healthy", number=20, **again), within=WITHIN) == before
    assert "hunter2secret" not in str(services.analyses.kept[f"{20:032x}"].request.config)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"window": "5m"}, "config.window"),
        ({"mode": "rules"}, "config.mode"),
        ({"prometheus": {"minimumRequests": 51}}, "config.prometheus"),
        ({"extraPrompt": "be kind"}, "config.extraPrompt"),
        ({"minConfidence": 71, "memory": 0}, "config.minConfidence, config.memory"),
    ],
)
def test_the_same_id_with_another_configuration_is_a_conflict(measurer, changed, told):
    """The verdict by one configuration is none by another; what differs is told by name, not by value."""
    measurer.start(job("healthy", number=21, **LONG), within=WITHIN)
    found = measurer.start(job("healthy", number=21, **{**LONG, **changed}), within=WITHIN)
    assert isinstance(found, Broken)
    assert found.reason.startswith(f"another measurement has this id, with another {told}:")
    assert len(found.reason) <= 200, "the plugin shows no more"


def test_the_same_id_for_another_canary_is_a_conflict(measurer):
    measurer.start(job("healthy", number=22), within=WITHIN)
    found = measurer.start(job("healthy", number=22)._replace(template_hash="6e9a"), within=WITHIN)
    assert isinstance(found, Broken)
    assert "with another hashes:" in found.reason


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", '{"id": 1}', json.dumps({"id": "a" * 65}), "[" * 100_000, '{"id": "x", "config": NaN}'],
)
def test_what_is_no_measurement_is_refused(address, body):
    headers = {**bearer("run"), "content-type": "application/json"}
    answer = httpx2.post(f"{address}/v1/measurements", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.json().keys() == {"message"}
