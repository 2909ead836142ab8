"""The engine holds whatever the model's judge does and whatever well-formed evidence says."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollout_verdict import engine
from rollout_verdict.adapters.bundle import read_bundle, recorded
from rollout_verdict.core.canonical import canonical
from rollout_verdict.core.evidence import (
    Direction,
    Evidence,
    Level,
    LogEvidence,
    LogKind,
    LogPattern,
    MetricEvidence,
    MetricMeta,
    MetricSeries,
    PodLog,
)
from rollout_verdict.core.memory import Memory
from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.core.values import DecidedBy, Decision, Pair, RolloutRef, Side, SourceKind, Window
from tests.core.builders import evidence

HEALTHY = Path(__file__).parent / "bundles" / "healthy"
SECRET = "AIza" + "Sy0123456789abcdefghijklmnopqrstuvw"


class Breaks:
    """A judge with a fault of its own."""

    def __init__(self, error):
        self.error = error

    def judge(self, *_):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [RuntimeError(SECRET), MemoryError(), RecursionError(), ValueError(SECRET), ExceptionGroup(SECRET, [OSError()])],
)
def test_a_judge_that_breaks_is_a_gap_and_the_rules_stand(error, caplog):
    """No exception of the model's judge takes the rules' verdict away, and none shows its text."""
    found = engine.judge(read_bundle(HEALTHY), Policy(), Breaks(error), Redactor())
    assert (found.verdict.decision, found.verdict.decided_by) == (Decision.PROMOTE, DecidedBy.RULES_FALLBACK)
    assert found.verdict.gaps[-1].source is SourceKind.MODEL
    assert type(error).__name__ in found.verdict.gaps[-1].reason
    assert SECRET not in canonical(found, unbounded=True).decode()
    assert SECRET not in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_an_order_to_stop_is_obeyed(error):
    with pytest.raises(type(error)):
        engine.judge(evidence(), Policy(), Breaks(error), Redactor())


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
names = st.sampled_from(
    ["http_error_ratio", "http_requests_total", "requests_per_second", "latency_p99_seconds", "cpu_cores", "queue_depth",
     "memory_bytes", "restarts_total", "pod_ready", "success_ratio", "errors_total", "completed_total", "db_queries", ""]
)  # fmt: skip
units = st.sampled_from(["", "seconds", "ratio", "percent", "count", "bytes", "bool", "requests_per_second", "cores"])
values = st.sampled_from([0.0, -0.0, 5e-324, 1e-300, 0.5, 1.0, 100.0, -1.0, 1e100, -1e100]) | st.floats(-1e100, 1e100)
moments = st.sampled_from([1.7e9 + 15 * n for n in range(20)] + [0.0, 5e-324, -1e12, 1e12])
counts = st.sampled_from([0, 1, 2, 3, 20, 10**6, 2**48]) | st.integers(0, 60)
times = st.none() | st.integers(-400, 400).map(lambda seconds: NOON + timedelta(seconds=seconds))


@st.composite
def metric_evidence(draw):
    one = st.builds(
        MetricSeries,
        name=names,
        labels=st.sampled_from([(), (("route", ""),)]),
        pod=st.sampled_from(["s-1", "s-2", "c-1", ""]),
        samples=st.dictionaries(moments, values, max_size=12).map(lambda found: tuple(sorted(found.items()))),
    )
    sides = Pair(stable=tuple(draw(st.lists(one, max_size=4))), canary=tuple(draw(st.lists(one, max_size=4))))
    known = sorted({found.name for found in (*sides.stable, *sides.canary)})
    meta = tuple(MetricMeta(name=n, unit=draw(units), direction=draw(st.sampled_from(Direction))) for n in known)
    return MetricEvidence(series=sides, meta=meta)


@st.composite
def log_evidence(draw):
    size = Pair(stable=draw(st.integers(0, 3)), canary=draw(st.integers(0, 3)))
    width = draw(st.sampled_from([0, 1, 4]))
    rows = st.lists(counts, min_size=width, max_size=width).map(tuple)

    def of_pods(strategy):
        return size.map(lambda pods: tuple(draw(strategy) for _ in range(pods)))

    patterns = tuple(
        LogPattern(
            template=draw(st.sampled_from(["", "request <*> failed", "served <*>", "deadlock", "\ud800"])),
            level=draw(st.sampled_from(Level)),
            kind=draw(st.sampled_from(LogKind)),
            status=draw(st.sampled_from(["", "2xx", "4xx", "5xx", "4xx,5xx", "grpc:14"])),
            logger="",
            counts=of_pods(counts),
            buckets=of_pods(rows),
            samples=Pair(stable=(), canary=()),
        )
        for _ in range(draw(st.integers(0, 5)))
    )

    def pod(side, index):
        seen = sum(pattern.counts.of(side)[index] for pattern in patterns)
        return PodLog(
            pod=f"{side[0]}-{index}", containers=(), size_bytes=0, lines=seen, events=seen, cut_lines=0,
            first=draw(times), last=draw(times),
        )  # fmt: skip

    pods = Pair(**{side.value: tuple(pod(side, index) for index in range(size.of(side))) for side in Side})
    edges = tuple(NOON + timedelta(seconds=30 * n) for n in range(width + 1)) if width else ()
    return LogEvidence(pods=pods, patterns=patterns, bucket_edges=edges)


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(
    st.none() | log_evidence(),
    st.none() | metric_evidence(),
    st.sampled_from([None, timedelta(microseconds=1), timedelta(minutes=5), timedelta(days=36500)]),
)
def test_any_well_formed_evidence_is_judged_in_numbers(logs, metrics, length):
    """What the reader of recorded evidence lets through breaks no judge, and a promote has evidence of both sides."""
    found = Evidence(
        rollout=RolloutRef(namespace="", name=""),
        window=Window(start=NOON, end=NOON + length) if length else None,
        pods=Pair(stable=("s-1",), canary=("c-1",)),
        logs=logs,
        metrics=metrics,
    )
    recorded.check(found)
    result = engine.judge(found, Policy(mode=Mode.RULES), None, Redactor())
    canonical(result, unbounded=True)
    if result.verdict.decision is Decision.PROMOTE:
        parts = (result.comparison.logs, result.comparison.metrics)
        assert any(part and part.adequate for part in parts)
        assert result.verdict.confidence >= 60


def test_an_empty_memory_does_not_change_the_digest_of_the_evidence():
    """The command line keeps no memory, the service one that may be empty: the same bundle is the same evidence."""
    found = [
        engine.judge(evidence(memory=memory), Policy(mode=Mode.RULES), None, Redactor()) for memory in (None, Memory())
    ]
    assert found[0].verdict == found[1].verdict
