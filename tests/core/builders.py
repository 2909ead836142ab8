"""Short ways to build the values of the tests: a pod, a finding, a comparison."""

from datetime import UTC, datetime, timedelta

from rollout_verdict.core.comparison import (
    Comparison,
    Interval,
    LogChange,
    LogComparison,
    LogOutcome,
    MetricCheck,
    MetricComparison,
    MetricOutcome,
    PodComparison,
    Summary,
)
from rollout_verdict.core.evidence import (
    ContainerState,
    ContainerStatus,
    Direction,
    Evidence,
    Level,
    LogKind,
    LogPattern,
    PodEvent,
    PodState,
)
from rollout_verdict.core.values import Pair, RolloutRef, Severity, Window

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WINDOW = Window(start=NOON, end=NOON + timedelta(minutes=5))
RUNNING = ContainerStatus(status="running", started=NOON)
NOTHING = ContainerStatus(status="")


def container(name="app", *, state=RUNNING, last=NOTHING, restarts=0, ready=True, limits=()):
    return ContainerState(
        name=name,
        image="app:1",
        ready=ready,
        restart_count=restarts,
        state=state,
        last_state=last,
        limits=limits,
    )


def pod(name, *containers, phase="Running", ready=True, start=NOON, events=(), conditions=()):
    return PodState(
        name=name,
        phase=phase,
        start_time=start,
        containers=containers or (container(),),
        conditions=(("Ready", "True" if ready else "False"), *conditions),
        events=events,
    )


def event(reason, *, type="Warning", count=5, message="it happened"):
    return PodEvent(type=type, reason=reason, message=message, count=count)


def check(
    name="http_error_ratio",
    *,
    id="m1",
    outcome=MetricOutcome.PASS,
    severity=Severity.INFO,
    stable=0.01,
    canary=0.01,
    reason="as on stable",
):
    def summary(level):
        return (
            None if level is None else Summary(n=10, pods=2, mean=level, median=level, p95=level, low=level, high=level)
        )

    return MetricCheck(
        id=id,
        name=name,
        labels=(),
        unit="ratio",
        direction=Direction.HIGHER_IS_WORSE,
        outcome=outcome,
        severity=severity,
        summary=Pair(stable=summary(stable), canary=summary(canary)),
        effect=None,
        interval=Interval(low=0, high=0, level=0.95),
        relative=None,
        strength=None,
        p=None,
        method="test",
        reason=reason,
        trend=Pair(stable=(), canary=()),
    )


def pattern(template="request <*> failed", *, level=Level.ERROR, stable=(0,), canary=(9,)):
    return LogPattern(
        template=template,
        level=level,
        kind=LogKind.MESSAGE,
        status="",
        logger="",
        counts=Pair(stable=stable, canary=canary),
        buckets=Pair(stable=(), canary=()),
        samples=Pair(stable=(), canary=()),
    )


def change(
    template="request <*> failed",
    *,
    id="l1",
    outcome=LogOutcome.UNCHANGED,
    severity=Severity.INFO,
    reason="same",
):
    return LogChange(
        id=id,
        pattern=pattern(template),
        outcome=outcome,
        severity=severity,
        events=Pair(stable=0, canary=9),
        pods_seen=Pair(stable=0, canary=1),
        rate=Pair(stable=0.0, canary=0.1),
        ratio=None,
        interval=None,
        q=None,
        significant=outcome is not LogOutcome.UNCHANGED,
        reason=reason,
    )


def metrics(*checks, adequate=True, reason=""):
    return MetricComparison(checks=checks, adequate=adequate, reason=reason)


def logs(*changes, adequate=True, reason=""):
    return LogComparison(
        changes=changes,
        events=Pair(stable=100, canary=100),
        exposure=Pair(stable=1.0, canary=1.0),
        exposure_unit="events",
        dispersion=1.0,
        adequate=adequate,
        reason=reason,
    )


def pods(*facts, total=(2, 1), ready=(2, 1)):
    return PodComparison(
        facts=facts,
        total=Pair(stable=total[0], canary=total[1]),
        ready=Pair(stable=ready[0], canary=ready[1]),
    )


def comparison(*, logs=None, metrics=None, pods=None, diff=()):
    return Comparison(logs=logs, metrics=metrics, pods=pods, diff=diff)


def evidence(*, stable=("s-1", "s-2"), canary=("c-1",), **parts):
    return Evidence(
        rollout=RolloutRef(namespace="shop", name="checkout"),
        window=WINDOW,
        pods=Pair(stable=stable, canary=canary),
        **parts,
    )
