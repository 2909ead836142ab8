"""``explain``: from a name to a verdict with its reasons, on stdout; how far it is, on stderr."""

import json
import re
import time
from dataclasses import replace

import pytest
import yaml

from rollout_verdict.adapters.kubernetes import cluster
from rollout_verdict.cli.explain import Question, Watch, explained
from rollout_verdict.cli.input import InputError
from rollout_verdict.cli.progress import Progress
from rollout_verdict.cli.target import target
from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.core.stage import Stage
from rollout_verdict.core.target import TargetKind
from rollout_verdict.settings import Settings
from tests.adapters.prometheus.server import Tsdb, prometheus
from tests.cli.live import failing, healthy, live
from tests.fakes.gemini.server import FakeGemini
from tests.fakes.kubernetes import scenarios

__all__ = ["live"]


@pytest.mark.parametrize(
    ("named", "kind"),
    [
        ("checkout", TargetKind.ROLLOUT),
        ("rollout/checkout", TargetKind.ROLLOUT),
        ("ro/checkout", TargetKind.ROLLOUT),
        ("rollouts.argoproj.io/checkout", TargetKind.ROLLOUT),
        ("ar/checkout-7d4cc1-3", TargetKind.ANALYSIS_RUN),
        ("analysisrun/checkout-7d4cc1-3", TargetKind.ANALYSIS_RUN),
        ("experiment/checkout", TargetKind.EXPERIMENT),
        ("deployment/checkout", TargetKind.DEPLOYMENT),
        ("deployment.apps/checkout", TargetKind.DEPLOYMENT),
        ("deploy/checkout", TargetKind.DEPLOYMENT),
    ],
)
def test_names_are_read_as_kubectl_reads_them(named, kind):
    """With a kind, short or long, or without one."""
    assert target(named, "shop").kind is kind


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("pod/checkout", "what is 'pod'?"),
        ("rollout/", "'' is no name of an object"),
        ("", "'' is no name of an object"),
        ("../../etc", "what is '../..'?"),
        ("rollout/Checkout", "'Checkout' is no name"),
        ("rollout/check\x1bout", "is no name of an object"),
    ],
)
def test_what_names_nothing_is_refused(named, told):
    """The complaint quotes it and says what is expected."""
    with pytest.raises(InputError) as refused:
        target(named, "shop")
    assert told in str(refused.value)


def test_a_verdict_comes_from_a_name_alone(run, live):
    """No labels, no queries, no namespace: the context's is meant."""
    ran = run("explain", "rollout/checkout", *live(failing).options)
    assert ran.code == 0
    assert "ROLLBACK" in ran.out
    assert "payments" in ran.out
    assert ran.err.startswith("looking at rollout/checkout ...\n")
    assert re.search(r"^sides: 3 stable and 2 canary pods", ran.err, re.MULTILINE)
    assert re.search(r"^logs 5/5", ran.err, re.MULTILINE)


def test_a_credential_plugin_that_hangs_ends_the_command(run, live, tmp_path, monkeypatch):
    """After its deadline, by its name and with what to do; its arguments stay untold."""
    monkeypatch.setattr(cluster, "PLUGIN_S", 0.3)
    served = live()
    command = served.hung(tmp_path)
    ran = run("explain", "checkout", *served.options)
    assert ran.code == 2
    assert f"the credential plugin {command} of the kubeconfig did not answer within 0.3 s" in ran.err
    assert "kubectl get namespaces" in ran.err
    assert "s3cr3t" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("build", "code"),
    [(healthy, 0), (failing, 10), (lambda c, p: healthy(c, p, newest=replace(scenarios.CANARY, pods=0)), 11)],
)
def test_with_exit_code_the_verdict_is_the_code(run, live, build, code):
    """0, 10 and 11; without the option 0."""
    options = live(build).options
    assert run("explain", "checkout", "--exit-code", *options).code == code
    assert run("explain", "checkout", *options).code == 0


def test_json_and_yaml_are_exactly_one_document(run, live):
    """Both hold the same; nothing else is on stdout."""
    options = live(failing).options
    tree = json.loads(run("explain", "checkout", "-o", "json", *options).out)
    assert tree["verdict"]["decision"] == "rollback"
    documents = list(yaml.safe_load_all(run("explain", "checkout", "-o", "yaml", *options).out))
    assert [one["verdict"]["decision"] for one in documents] == ["rollback"]
    assert documents[0].keys() == tree.keys()


def test_markdown_and_html(run, live):
    """The forms that ``judge`` has."""
    options = live().options
    assert run("explain", "checkout", "-o", "markdown", *options).out.count("<!-- rollout-verdict") == 1
    assert run("explain", "checkout", "-o", "html", *options).out.lower().startswith("<!doctype html>")


def test_no_colour_and_no_cursor_movement_without_a_terminal(run, live):
    """Neither on stdout nor on stderr."""
    ran = run("explain", "checkout", *live().options)
    assert "\x1b" not in ran.out + ran.err
    assert "\r" not in ran.out + ran.err


def test_a_saved_bundle_gives_the_same_verdict(run, live, tmp_path):
    """``--save-bundle`` and then ``judge``: the same documents to the byte, times of the command apart."""
    live_run = run("explain", "checkout", "--save-bundle", tmp_path / "saved", "-o", "json", *live(failing).options)
    judged = run("judge", tmp_path / "saved", "-o", "json")
    assert without_times(judged.out) == without_times(live_run.out)
    assert json.loads(live_run.out)["verdict"] == json.loads(judged.out)["verdict"]


def without_times(text):
    """Leave out how long things took."""
    tree = json.loads(text)
    tree["usage"].pop("duration_s", None)
    tree["usage"].pop("seconds", None)
    return json.dumps(tree, sort_keys=True)


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_a_saved_bundle_gives_the_same_report(run, live, tmp_path, form):
    """What people read is the same as well."""
    options = live(failing).options
    first = run("explain", "checkout", "--save-bundle", tmp_path / "saved.tar.gz", "-o", form, *options)
    assert run("judge", tmp_path / "saved.tar.gz", "-o", form).out == first.out


def test_an_object_that_does_not_exist_is_wrong_usage(run, live):
    """One line that names it and says how to list those that exist."""
    ran = run("explain", "rollout/nobody", *live().options)
    assert (ran.code, ran.out) == (2, "")
    assert "there is no rollout/nobody in namespace shop: kubectl get rollouts" in ran.err.splitlines()[-1]


def test_a_kubeconfig_that_is_not_there_is_wrong_usage(run, tmp_path):
    """No traceback."""
    ran = run("explain", "checkout", "--kubeconfig", tmp_path / "none")
    assert ran.code == 2
    assert "is no file: name one that exists" in ran.err


@pytest.mark.parametrize(
    ("content", "told"), [("a: [", "it is not YAML"), ("hello", "cannot be read"), ("", "is empty")]
)
def test_a_kubeconfig_that_is_broken_is_told_in_a_line(run, tmp_path, content, told):
    """Without a namespace the file is read for that as well, before the connection."""
    (tmp_path / "config").write_text(content)
    ran = run("explain", "checkout", "--kubeconfig", tmp_path / "config")
    assert (ran.code, told in ran.err.splitlines()[-1]) == (2, True)


@pytest.mark.parametrize("option", ["--window", "--deadline", "--request-timeout", "--interval"])
def test_durations_are_checked(run, option):
    """A number without a unit is refused by the option's name."""
    ran = run("explain", "checkout", option, "soon")
    assert ran.code == 2
    assert option in ran.err
    assert "90s" in ran.err


def test_the_other_kinds_of_objects(run, live):
    """AnalysisRun, Experiment and Deployment lead to sides, too."""

    def build(cluster, place):
        tree = failing(cluster, place)
        scenarios.analysis_run(cluster, place, tree, name="checkout-run")
        scenarios.experiment(cluster, replace(place, app="cart", container="cart"))
        scenarios.deployment(cluster, replace(place, app="till", container="till"))

    options = live(build).options
    for named, hashes in (
        ("ar/checkout-run", ("7d4cc1", "5b8f9c")),
        ("experiment/cart-experiment", ("84bf5d", "6c9d7f")),
        ("deployment/till", ("7d4cc1", "5b8f9c")),
    ):
        ran = run("explain", named, "-o", "json", *options)
        rollout = json.loads(ran.out)["evidence"]["rollout"]
        assert (rollout["canary_hash"], rollout["stable_hash"]) == hashes, named


def test_selectors_name_the_sides_outright(run, live):
    """For those who label their pods in a way of their own."""
    selectors = ["--stable-selector", "rollouts-pod-template-hash=7d4cc1"]
    selectors += ["--canary-selector", "rollouts-pod-template-hash=5b8f9c"]
    tree = json.loads(run("explain", "checkout", *selectors, "-o", "json", *live().options).out)
    assert len(tree["evidence"]["pods"]["canary"]) == 3


def test_the_model_is_asked_where_there_is_a_key(run, live, monkeypatch):
    """As ``judge`` asks it; what it says is in the report."""
    with FakeGemini() as model:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", model.url)
        options = live(failing).options
        monkeypatch.setenv("GEMINI_API_KEY", "a" * 39)
        ran = run("explain", "checkout", "-o", "json", *options)
        assert json.loads(ran.out)["usage"]["attempts"] == 1
        assert "asking the model" in ran.err
        assert run("explain", "checkout", "--mode", "rules", *options).code == 0
    assert len(model.journal) == 1


def test_metrics_come_from_the_prometheus_that_is_named(run, live, tmp_path):
    """On both sides, by what the presets find."""
    served, tsdb, now = live(failing), Tsdb(), time.time()
    for pod in served.cluster.of("", "pods"):
        name = pod["metadata"]["name"]
        for status, rate in (("200", 2.0), ("500", 0.4 if "7d4cc1" in name else 0.0)):
            labels = {"namespace": "shop", "pod": name, "status": status}
            tsdb.add("http_requests_total", labels, [(now - 900 + 15 * step, 15 * step * rate) for step in range(61)])
    with prometheus(tmp_path, tsdb=tsdb.write(tmp_path)) as address:
        ran = run("explain", "checkout", "--prometheus", address, "-o", "json", *served.options)
    tree = json.loads(ran.out)
    assert tree["verdict"]["decision"] == "rollback"
    metrics = [one for one in tree["evidence"]["metrics"]["series"]["canary"] if "error" in one["name"]]
    assert metrics
    assert re.search(r"^metrics", ran.err, re.MULTILINE)


def test_a_prometheus_that_is_not_there_is_a_gap(run, live):
    """The rest is judged."""
    ran = run("explain", "checkout", "--prometheus", "http://127.0.0.1:9", "-o", "json", *live(failing).options)
    tree = json.loads(ran.out)
    assert tree["verdict"]["decision"] == "rollback"
    gaps = [gap for gap in tree["verdict"]["gaps"] if gap["source"] == "metrics"]
    assert "connection failed" in gaps[0]["reason"]
    assert gaps[0]["hint"]


class Clock:
    """Time that passes only while somebody waits. ``during`` happens in each wait."""

    def __init__(self, during=lambda number: None):
        self.now, self.waits, self.during = 0.0, 0, during

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.waits += 1
        self.during(self.waits)


def watched(capsys, served, clock, *, output="text", name="checkout", save=None, **limits):
    """Watch a rollout; returns exit code, what was written, and stderr."""
    written = []
    question = Question(name=name, kubeconfig=str(served.kubeconfig))
    with Progress("looking at checkout") as progress:
        code, note = explained(
            question,
            Policy(mode=Mode.RULES),
            Settings(),
            output=output,
            progress=progress,
            save=save,
            watch=Watch(**limits),
            write=written.append,
            clock=clock,
            sleep=clock.sleep,
        )
    return code, written, capsys.readouterr().err + note


def ended(cluster):
    """Have the rollout be aborted."""

    def edit(tree):
        tree["status"] |= {"abort": True, "phase": "Degraded", "message": "RolloutAborted"}

    cluster.change("argoproj.io", "rollouts", "shop", "checkout", edit)


def test_watching_ends_when_the_rollout_is_over(capsys, live):
    """A report for each new verdict, and none for the same one again."""
    served = live(failing)
    clock = Clock(lambda number: ended(served.cluster) if number == 3 else None)
    code, written, err = watched(capsys, served, clock, every_s=30.0)
    assert clock.waits == 3
    assert [text.count("ROLLBACK") for text in written] == [1, 0]
    assert code == 11
    assert "looking again in 30 s" in err


def test_an_object_that_goes_away_ends_watching_with_the_last_verdict(capsys, live, tmp_path):
    """What was seen of it is told and kept."""
    served = live(failing)

    def gone(number):
        if number == 2:
            served.cluster.remove("argoproj.io", "rollouts", "shop", "checkout")

    code, written, err = watched(capsys, served, Clock(gone), output="json", save=tmp_path / "saved")
    assert code == 10
    assert json.loads("".join(written))["verdict"]["decision"] == "rollback"
    assert (tmp_path / "saved").is_dir()
    assert "there is no rollout/checkout in namespace shop" in err
    assert "the last verdict stands" in err


def test_an_object_that_was_never_there_is_wrong_usage_also_when_watched(capsys, live):
    """There is no verdict that could stand."""
    with pytest.raises(InputError, match="there is no rollout/nobody"):
        watched(capsys, live(failing), Clock(), name="rollout/nobody")


def test_watching_a_superseded_canary_ends(capsys, live):
    """It never comes back."""

    def build(cluster, place):
        tree = failing(cluster, place)
        run = scenarios.analysis_run(cluster, place, tree, name="old")
        run["metadata"]["labels"]["rollouts-pod-template-hash"] = "0ld"
        cluster.add(run)

    clock = Clock()
    code, written, _ = watched(capsys, live(build), clock, name="ar/old", most_s=100.0)
    assert (code, clock.waits, len(written)) == (11, 0, 1)


def test_watching_has_an_end(capsys, live):
    """However long the rollout takes."""
    clock = Clock()
    code, written, _ = watched(capsys, live(failing), clock, every_s=30.0, most_s=100.0)
    assert (code, clock.waits, len(written)) == (10, 3, 1)


def test_watching_as_json_gives_one_document(capsys, live):
    """The last one."""
    served = live(failing)
    clock = Clock(lambda number: ended(served.cluster) if number == 2 else None)
    _, written, _ = watched(capsys, served, clock, output="json")
    assert json.loads("".join(written))["verdict"]["decision"] == "inconclusive"


def test_an_interrupt_ends_watching_with_the_last_verdict(capsys, live):
    """^C is how people stop watching: it is no failure."""

    def interrupt(number):
        raise KeyboardInterrupt

    code, written, _ = watched(capsys, live(failing), Clock(interrupt), output="json")
    assert code == 10
    assert json.loads("".join(written))["verdict"]["decision"] == "rollback"


class Terminal:
    """A stream that is a terminal."""

    def __init__(self):
        self.written = ""

    def isatty(self):
        return True

    def write(self, text):
        self.written += text

    def flush(self):
        pass


def test_on_a_terminal_there_is_one_line_and_it_goes_away(monkeypatch):
    """It is redrawn in place, and nothing is left of it."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with Progress("looking at checkout", stream=stream) as progress:
        progress.stage(Stage(name="logs", done=2, total=5))
        progress.stage(Stage(name="metrics", done=7, total=7))
        assert re.fullmatch(r"\S logs 2/5 · metrics 7/7 · 00:0\d", progress.line(0))
    assert "\n" not in stream.written
    assert stream.written.endswith("\r\x1b[K")


def test_a_note_cannot_move_the_cursor(capsys):
    """Names come from a cluster, where anybody may have made them."""
    with Progress("looking") as progress:
        progress.stage(Stage(name="sides", done=1, total=1, note="\x1b[2J pods"))
    assert "\x1b" not in capsys.readouterr().err
