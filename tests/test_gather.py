"""Gathering: the sources side by side, each under the deadline; what fails, hangs or breaks is a gap."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rollout_verdict import gather as module
from rollout_verdict.adapters.bundle import read_bundle, write_bundle
from rollout_verdict.core.canonical import canonical
from rollout_verdict.core.evidence import (
    Direction,
    KubernetesEvidence,
    Level,
    LogEvidence,
    LogKind,
    LogPattern,
    MetricEvidence,
    MetricMeta,
    MetricSeries,
    PodState,
    Progress,
    TemplateChange,
    TemplateDiff,
)
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.core.target import Gathering, Scope, Sides, Target, TargetError, TargetKind
from rollout_verdict.core.values import Decision, Gap, Pair, RolloutRef, Side, SourceKind, Window
from rollout_verdict.engine import judge
from rollout_verdict.gather import gather

TARGET = Target(kind=TargetKind.ROLLOUT, namespace="shop", name="cart")
END = datetime(2026, 1, 31, 10, tzinfo=UTC)
WINDOW = Window(start=END - timedelta(minutes=10), end=END)


def state(name):
    return PodState(name=name, phase="Running", start_time=None, containers=(), conditions=(), events=())


SIDES = Sides(
    scope=Scope(
        rollout=RolloutRef(namespace="shop", name="cart", stable_hash="a", canary_hash="b"),
        window=WINDOW,
        pods=Pair(stable=("cart-a-2", "cart-a-1"), canary=("cart-b-1",)),
        addresses=Pair(stable=("", ""), canary=("",)),
    ),
    progress=Progress(
        strategy="canary", situation="paused", step=1, steps=4, weight=20, window_basis="the last 10 min"
    ),
    namespace="shop",
    states=Pair(stable=(state("cart-a-2"), state("cart-a-1")), canary=(state("cart-b-1"),)),
    diff=TemplateDiff(changes=(TemplateChange(path="containers/cart/image", stable="cart:1", canary="cart:2"),)),
    gaps=(Gap(source=SourceKind.KUBERNETES, what="z", reason="found while looking"),),
)
LOGS = LogEvidence(pods=Pair(stable=(), canary=()), patterns=(), bucket_edges=())
PODS = KubernetesEvidence(pods=Pair(stable=(state("cart-a-1"), state("cart-a-2")), canary=(state("cart-b-1"),)))
SERIES = MetricSeries(name="errors", labels=(), pod="", samples=((1.0, 0.1),))
METRICS = MetricEvidence(
    series=Pair(stable=(SERIES,), canary=(SERIES,)),
    meta=(MetricMeta(name="errors", unit="ratio", direction=Direction.HIGHER_IS_WORSE),),
)
FAILED = Gap(source=SourceKind.LOGS, what="logs of a pod", reason="gone", side=Side.CANARY)


class Source:
    """A cluster and a source of metrics that answer as a test says; a callable is called."""

    def __init__(self, sides=SIDES, pods=(PODS, ()), logs=(LOGS, (FAILED,)), metrics=(METRICS, ())):
        self.answers = {"sides": sides, "pods": pods, "logs": logs, "metrics": metrics}
        self.asked = {}

    def _answer(self, name, **asked):
        self.asked[name] = asked
        answer = self.answers[name]
        return answer() if callable(answer) else answer

    def find(self, target, gathering, *, deadline_s):
        return self._answer("sides", target=target, gathering=gathering, deadline_s=deadline_s)

    def pods(self, sides, *, deadline_s):
        return self._answer("pods", sides=sides, deadline_s=deadline_s)

    def logs(self, sides, gathering, *, deadline_s, on_done):
        on_done(0, 3)
        on_done(3, 3)
        return self._answer("logs", sides=sides, gathering=gathering, deadline_s=deadline_s)

    def collect(self, scope, *, deadline_s, on_done):
        on_done(1, 1)
        return self._answer("metrics", scope=scope, deadline_s=deadline_s)


def gathered(source, gathering=None, **more):
    return gather(TARGET, source, source, gathering or Gathering(), **more)


def test_everything_that_is_found_becomes_sorted_evidence():
    evidence = gathered(Source())
    assert (evidence.rollout, evidence.window, evidence.progress) == (SIDES.scope.rollout, WINDOW, SIDES.progress)
    assert evidence.pods == Pair(stable=("cart-a-1", "cart-a-2"), canary=("cart-b-1",))
    assert (evidence.logs, evidence.metrics, evidence.kubernetes, evidence.diff) == (LOGS, METRICS, PODS, SIDES.diff)
    assert evidence.gaps == (*SIDES.gaps, FAILED)


def test_without_a_source_of_metrics_there_is_a_gap_that_says_how_to_have_one():
    evidence = gather(TARGET, Source(), None, Gathering())
    assert evidence.metrics is None
    (gap,) = [gap for gap in evidence.gaps if gap.source is SourceKind.METRICS]
    assert all(way in gap.hint for way in ("ROLLOUT_VERDICT_PROMETHEUS", "prometheus.address", "--prometheus"))
    assert "prometheus.address" in gap.hint


@pytest.mark.parametrize("broken", ["pods", "logs", "metrics"])
def test_a_source_that_breaks_is_a_gap_and_takes_nothing_from_the_others(broken):
    def fail():
        raise RuntimeError("s3cr3t")

    evidence = gathered(Source(**{broken: fail}))
    found = {"pods": evidence.kubernetes, "logs": evidence.logs, "metrics": evidence.metrics}
    assert [name for name, value in found.items() if value is None] == [broken]
    (gap,) = [gap for gap in evidence.gaps if "broke" in gap.reason]
    assert gap.reason == "gathering it broke (RuntimeError)"
    assert "s3cr3t" not in repr(evidence)


def test_a_source_that_hangs_is_left_behind_after_its_deadline(monkeypatch):
    monkeypatch.setattr(module, "GRACE_S", 0.05)
    for_ever = threading.Event()
    evidence = gathered(Source(logs=for_ever.wait), Gathering(deadline_s=0.05))
    for_ever.set()
    assert (evidence.logs, evidence.metrics) == (None, METRICS)
    assert any("did not answer before its deadline" in gap.reason for gap in evidence.gaps)


def test_a_search_that_hangs_ends_with_the_deadline(monkeypatch):
    """A credential plugin or a look-up of a name that never returns: an error that says what to look at."""
    monkeypatch.setattr(module, "GRACE_S", 0.05)
    for_ever = threading.Event()
    source = Source(sides=for_ever.wait)
    with pytest.raises(TargetError, match=r"did not say within 0\.05 s what rollout/cart is: .*credential plugin"):
        gather(TARGET, source, source, Gathering(deadline_s=0.05))
    for_ever.set()


def test_the_sources_get_what_is_left_of_the_time():
    times = iter([0.0, 20.0, *[21.0] * 10])
    source = Source()
    gathered(source, Gathering(deadline_s=60.0), clock=lambda: next(times))
    assert source.asked["sides"]["deadline_s"] == 60.0
    assert {source.asked[name]["deadline_s"] for name in ("pods", "logs", "metrics")} == {40.0}


def test_the_sources_run_side_by_side():
    together = threading.Barrier(3)

    def meet(answer):
        def wait():
            together.wait(10)
            return answer

        return wait

    evidence = gathered(Source(pods=meet((PODS, ())), logs=meet((LOGS, ())), metrics=meet((METRICS, ()))))
    assert evidence.gaps == SIDES.gaps


def test_progress_is_told_by_stages():
    told = []
    gathered(Source(pods=(None, (FAILED,))), on_stage=told.append)
    first, second = told[:2]
    assert (first.name, first.done) == ("sides", 0)
    assert second.note == "2 stable and 1 canary pods, paused"
    last = {stage.name: stage for stage in told}
    assert {name: (stage.done, stage.total) for name, stage in last.items()} == {
        "sides": (1, 1),
        "logs": (3, 3),
        "kubernetes": (1, 1),
        "metrics": (1, 1),
    }
    assert last["kubernetes"].note == "gone"


def test_a_target_that_does_not_exist_is_raised():
    def gone():
        raise TargetError("there is no rollout/cart")

    with pytest.raises(TargetError, match="no rollout/cart"):
        gathered(Source(sides=gone))


def test_evidence_survives_a_bundle_byte_for_byte(tmp_path):
    evidence = gathered(Source())
    write_bundle(tmp_path / "saved", evidence)
    again = read_bundle(tmp_path / "saved")
    assert again == evidence
    assert canonical(again) == canonical(evidence)


def test_an_obstacle_survives_a_bundle_and_is_never_promoted(tmp_path):
    aborted = replace(SIDES, progress=replace(SIDES.progress, situation="aborted", obstacle="rollout cart was aborted"))
    evidence = gathered(Source(sides=aborted))
    write_bundle(tmp_path / "saved.tar.gz", evidence)
    again = read_bundle(tmp_path / "saved.tar.gz")
    assert again.progress == aborted.progress
    verdict = judge(again, Policy(), None, Redactor()).verdict
    assert (verdict.decision, verdict.reason) == (
        Decision.INCONCLUSIVE,
        "nothing can be promoted: rollout cart was aborted",
    )


ACCESS = LogPattern(
    template="GET /pay",
    level=Level.INFO,
    kind=LogKind.ACCESS,
    status="2xx",
    logger="",
    counts=Pair(stable=(900, 900), canary=(900,)),
    buckets=Pair(stable=((), ()), canary=((),)),
    samples=Pair(stable=(), canary=()),
)
IDLE = replace(SIDES, idle="rollout cart sends its canary no traffic (weight 0)")


def test_a_canary_that_nobody_visits_is_not_promoted():
    """What it did without requests is no sign of health, however much of it there is."""
    chatter = replace(LOGS, patterns=(replace(ACCESS, kind=LogKind.MESSAGE),))
    evidence = gathered(Source(sides=IDLE, logs=(chatter, ())))
    verdict = judge(evidence, Policy(), None, Redactor()).verdict
    assert verdict.decision is Decision.INCONCLUSIVE
    assert verdict.reason == (
        "nothing can be promoted: rollout cart sends its canary no traffic (weight 0), and no more requests than probes "
        "make reached it otherwise"
    )


def test_a_canary_that_is_visited_without_a_weight_is_judged():
    """By a header, a mirror or a test: its access logs tell."""
    evidence = gathered(Source(sides=IDLE, logs=(replace(LOGS, patterns=(ACCESS,)), ())))
    assert evidence.progress == replace(SIDES.progress, tested=True)


def test_another_obstacle_stays():
    """It says more than that nobody visits."""
    aborted = replace(IDLE, progress=replace(SIDES.progress, obstacle="rollout cart was aborted"))
    assert gathered(Source(sides=aborted)).progress.obstacle == "rollout cart was aborted"
