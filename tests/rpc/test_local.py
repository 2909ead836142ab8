"""Measuring in this process: live rollouts and bundles judged by the engine, what cannot be judged an error."""

import threading
from datetime import UTC, datetime

import pytest

from rollout_verdict.rpc import local
from rollout_verdict.rpc.local import LocalMeasurer
from rollout_verdict.rpc.measurer import Broken, Outcome, Running
from rollout_verdict.rpc.pool import Pool
from rollout_verdict.rpc.settings import Settings
from tests.conftest import ROOT
from tests.fakes.kubernetes import Cluster, Stub, scenarios
from tests.fakes.kubernetes.objects import Place
from tests.rpc.host import DEADLINE_S, until
from tests.rpc.test_remote import job


def measurer(problem="", pool=None):
    settings = Settings(service="", token_file="", ca_file="", local=True, problem=problem)
    return LocalMeasurer(settings, pool or Pool(lambda error: None))


def final(found, asked):
    assert found.start(asked, within=1) in (Running(), found.get(asked, within=1))
    until(lambda: found.get(asked, within=1) != Running(), "it is over")
    return found.get(asked, within=1)


GOOD = str(ROOT / "examples" / "bundles" / "good")


def test_a_bundle_is_judged():
    outcome = final(measurer(), job({"bundle": GOOD, "colour": 1}))
    assert isinstance(outcome, Outcome)
    assert outcome.verdict == "promote"
    assert outcome.reason
    assert outcome.analysis
    assert len(outcome.digest) == 64
    assert outcome.models[0]["modelName"] == "rules"
    assert outcome.warnings == ('unknown configuration key ignored: "colour"',)


def test_who_insists_on_a_model_gets_no_promotion_without_one():
    assert final(measurer(), job({"bundle": GOOD})).verdict == "promote"
    insisting = final(measurer(), job({"bundle": GOOD, "onModelFailure": "inconclusive"}))
    assert (insisting.verdict, insisting.reason[:22]) == ("inconclusive", "no model was asked, an")
    without = {"bundle": GOOD, "onModelFailure": "inconclusive", "mode": "rules"}
    assert final(measurer(), job(without)).verdict == "promote", "a mode without a model needs none"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"requiredSources": ["model"], "bundle": "x"}, "asks for the model"),
        ({"onModelFailure": "error", "bundle": "x"}, "asks no model"),
        ({"namespace": "kube-system"}, "--local reads no other"),
        ({"bundle": "/nowhere/at/all"}, "cannot read the bundle"),
        ({"bundle": "x", "minConfidence": 101}, "minConfidence is 101"),
    ],
)
def test_what_cannot_be_judged_is_an_error_never_a_verdict(config, told):
    state = final(measurer(), job(config))
    assert isinstance(state, Broken)
    assert told in state.reason


@pytest.fixture
def live(monkeypatch, tmp_path):
    """Serve a canary rollout with its AnalysisRun, and make it the cluster that this process finds."""
    cluster, place = Cluster(), Place(now=datetime.now(UTC))
    rollout = scenarios.canary(cluster, place)
    scenarios.analysis_run(cluster, place, rollout, name="run")
    with Stub(cluster) as stub:
        monkeypatch.setenv("KUBECONFIG", str(stub.kubeconfig(tmp_path / "kubeconfig")))
        yield cluster


def live_job(config, run="run"):
    return job(config)._replace(namespace="shop", analysis_run=run, template_hash=scenarios.CANARY.hash)


def test_without_a_bundle_the_rollout_of_the_analysis_is_read_and_judged(live):
    found = measurer()
    outcome = final(found, live_job({}))
    assert isinstance(outcome, Outcome)
    assert outcome.verdict == "promote"
    assert {entry.resource for entry in live.journal} >= {"rollouts.argoproj.io", "pods/log", "events"}


def test_secrets_of_the_operators_own_are_redacted(live, monkeypatch):
    monkeypatch.setenv("ROLLOUT_VERDICT_REDACT", "image-name=registry[.]example")
    outcome = final(measurer(), live_job({}))
    assert "registry.example" not in outcome.analysis
    assert "<image-name:" in outcome.analysis


@pytest.mark.parametrize(
    ("pattern", "told"), [("Odd=x", "ROLLOUT_VERDICT_REDACT: redaction kind 'Odd'"), ("odd", "ROLLOUT_VERDICT_REDACT")]
)
def test_a_redaction_that_cannot_be_used_is_an_error(pattern, told, monkeypatch):
    monkeypatch.setenv("ROLLOUT_VERDICT_REDACT", pattern)
    assert told in final(measurer(), job({"bundle": GOOD})).reason


def test_an_analysis_that_does_not_exist_is_an_error_that_says_so(live):
    state = final(measurer(), live_job({}, run="gone"))
    assert isinstance(state, Broken)
    assert "there is no analysisrun/gone in namespace shop" in state.reason


def test_without_a_way_to_a_cluster_the_error_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    state = final(measurer(), live_job({}))
    assert isinstance(state, Broken)
    assert "no kubeconfig found at" in state.reason


def test_an_engine_that_breaks_is_an_error(monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(LocalMeasurer, "_judge", fail)
    assert final(measurer(), job()) == Broken(reason="the measurement failed: MemoryError")


def test_starting_twice_is_starting_once(monkeypatch):
    count, gate = [], threading.Event()
    monkeypatch.setattr(
        LocalMeasurer, "_judge", lambda *_: (gate.wait(DEADLINE_S), count.append(1), Broken(reason="x"))[2]
    )
    found = measurer()
    assert found.get(job(), within=1) is None
    for _ in range(3):
        assert found.start(job(), within=1) == Running()
    gate.set()
    until(lambda: found.get(job(), within=1) != Running(), "it is over")
    assert found.start(job(), within=1) == Broken(reason="x")
    assert count == [1]


def test_what_is_cancelled_ends_unseen(monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(LocalMeasurer, "_judge", lambda *_: (gate.wait(DEADLINE_S), Broken(reason="x"))[1])
    pool = Pool(lambda error: None)
    found = measurer(pool=pool)
    found.start(job(), within=1)
    found.cancel(job(), within=1)
    gate.set()
    until(lambda: pool._open == 0, "it is over")
    assert found.get(job(), within=1) is None
    found.cancel(job(), within=1)


def test_a_full_pool_is_an_error():
    gate = threading.Event()
    pool = Pool(lambda error: None, threads=1, waiting=0)
    pool.submit(lambda: gate.wait(DEADLINE_S))
    found = measurer(pool=pool)
    found.start(job(), within=1)
    assert "waiting already" in found.get(job(), within=1).reason
    gate.set()


def test_forgetting_and_the_bound_on_what_is_kept(monkeypatch):
    monkeypatch.setattr(LocalMeasurer, "_judge", lambda *_: Broken(reason="x"))
    monkeypatch.setattr(local, "_MAX_KEPT", 3)
    found = measurer()
    for number in range(5):
        final(found, job(number=number))
    known = [found.get(job(number=number), within=1) for number in range(5)]
    assert [state is None for state in known] == [True, True, False, False, False]
    found.forget((job(number=4).id, "never known"))
    assert found.get(job(number=4), within=1) is None


def test_settings_and_self_description():
    assert measurer(problem="odd").problem() == "odd"
    assert measurer().problem() == ""
    assert measurer().about(within=1) == {}
