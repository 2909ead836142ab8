"""What the metrics stand on: how many requests each pod served, and whether that is enough to judge by."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rollout_verdict.core.comparison import MetricCheck, MetricOutcome
from rollout_verdict.core.evidence import MetricEvidence, MetricMeta, MetricSeries
from rollout_verdict.core.metrics.blocks import Sample, covered, step
from rollout_verdict.core.metrics.kinds import Kind, Quantity, quantity
from rollout_verdict.core.metrics.policy import MetricPolicy
from rollout_verdict.core.values import Pair, Severity, Side

PodRates = tuple[tuple[str, tuple[Sample, ...]], ...]  # requests a second, by pod


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Request rates by pod of each side. ``name`` is the metric they come from, "" when there is none."""

    name: str
    series: Pair[PodRates]

    def rates(self, side: Side, pod: str) -> tuple[Sample, ...]:
        """Return the request rate of one pod, or of the side when the metrics do not name pods."""
        known = dict(self.series.of(side))
        return known.get(pod) or known.get("", ())

    def total(self, side: Side) -> float:
        """Return how many requests a side served."""
        return math.fsum(requests(samples) for _, samples in self.series.of(side))


NO_TRAFFIC = Traffic(name="", series=Pair(stable=(), canary=()))


def requests(samples: Sequence[Sample]) -> float:
    """Return the number of requests behind samples of a rate: mean rate times the time covered."""
    return math.fsum(value for _, value in samples) / len(samples) * covered(samples)


def traffic_of(evidence: MetricEvidence) -> tuple[Traffic, ...]:
    """Return the traffic metrics, the best first: known for most pods of both sides, then the busiest."""
    found = []
    for meta in evidence.meta:
        told = quantity(meta)
        if told.kind is Kind.TRAFFIC:
            stable, canary = (_rates(evidence.series.of(side), meta.name, told) for side in Side)
            found.append(Traffic(name=meta.name, series=Pair(stable=stable, canary=canary)))
    return tuple(sorted(found, key=_usefulness))


def _usefulness(traffic: Traffic) -> tuple[int, float, str]:
    known = min(len(traffic.series.stable), len(traffic.series.canary))
    return -known, -traffic.total(Side.STABLE) - traffic.total(Side.CANARY), traffic.name


def _rates(series: tuple[MetricSeries, ...], name: str, told: Quantity) -> PodRates:
    """Return a traffic metric by pod, label sets added up, counts in an interval divided by its length."""
    pods: dict[str, dict[float, float]] = {}
    for one in series:
        samples = base_samples(one, told) if one.name == name else ()
        width = 1.0 if told.per_second else step(samples)
        for time, value in samples:
            at = pods.setdefault(one.pod, {})
            at[time] = at.get(time, 0.0) + max(0.0, value) / width
    return tuple((pod, tuple(sorted(at.items()))) for pod, at in sorted(pods.items()))


def shortfall(evidence: MetricEvidence, checks: Sequence[MetricCheck], policy: MetricPolicy) -> str:
    """Return why the metrics do not suffice to judge by, "" when they do."""
    for side in (Side.CANARY, Side.STABLE):
        if not any(one.summary.of(side) for one in checks):
            return f"no metric samples on the {side.value} side"
    judged = [one for one in checks if one.outcome not in (MetricOutcome.NO_DATA, MetricOutcome.TOO_FEW)]
    if not judged:
        return f"too few samples: no metric has {policy.min_samples} a pod on both sides"
    telling = [one for one in judged if _told(one).kind not in (Kind.TRAFFIC, Kind.OTHER)]
    if not telling:
        return f"no metric with samples on both sides tells good from bad: {judged[0].name} is only shown"
    acquitting = {meta.name for meta in evidence.meta if meta.acquits}
    if not any(one.name in acquitting or one.severity is Severity.FAIL for one in telling):
        return f"the metrics tell what pods use and how they fare ({telling[0].name}), not how requests were answered"
    return _short_lived(evidence, policy) or _idle(evidence, policy) or _both_failing(checks, policy)


def _told(check: MetricCheck) -> Quantity:
    return quantity(MetricMeta(name=check.name, unit=check.unit, direction=check.direction))


def _short_lived(evidence: MetricEvidence, policy: MetricPolicy) -> str:
    stable, canary = (max(covered(one.samples) for one in evidence.series.of(side) if one.samples) for side in Side)
    if canary >= policy.min_coverage * stable:
        return ""
    return f"the canary's metrics cover {canary:.0f} s, those of stable {stable:.0f} s: it lived too short to be judged"


def _idle(evidence: MetricEvidence, policy: MetricPolicy) -> str:
    """Return why the traffic does not suffice: by all traffic metrics, a side served next to nothing."""
    known = traffic_of(evidence)
    if not known:
        return ""
    for side in (Side.CANARY, Side.STABLE):
        name, served = max(((one.name, one.total(side)) for one in known), key=lambda one: (one[1], one[0]))
        if served < policy.min_requests:
            return (
                f"too little traffic on the {side.value} side: {name} tells of {served:.0f} requests, "
                f"{policy.min_requests:.0f} are needed"
            )
    return ""


def _both_failing(checks: Sequence[MetricCheck], policy: MetricPolicy) -> str:
    for check in checks:
        told = _told(check)
        stable, canary = check.summary.stable, check.summary.canary
        if told.kind is Kind.SHARE and stable and canary:
            failing = [1 - one.mean * told.scale if told.flip else one.mean * told.scale for one in (stable, canary)]
            if min(failing) >= policy.both_failing_share:
                return (
                    f"both sides are failing: {check.name} is {stable.mean:.3g} {check.unit} on stable and "
                    f"{canary.mean:.3g} on the canary, so there is nothing healthy to compare with"
                )
    return ""


def base_samples(series: MetricSeries, told: Quantity) -> tuple[Sample, ...]:
    """Return a series in its base unit.

    A share of good outcomes becomes one of bad ones. A counter becomes a rate; where it was reset, what it shows is
    the increase (Prometheus, ``rate``).
    """
    if not told.counter:
        return tuple(
            (time, 1.0 - value * told.scale if told.flip else value * told.scale) for time, value in series.samples
        )
    return tuple(
        (later[0], (later[1] - before[1] if later[1] >= before[1] else later[1]) * told.scale / (later[0] - before[0]))
        for before, later in pairwise(series.samples)
    )
