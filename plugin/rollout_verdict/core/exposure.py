"""What the counts of a log are divided by: requests served, else pod-seconds, else everyday events.

Two sides are compared per unit of work, because a canary with a tenth of the traffic logs a tenth of the lines.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

from rollout_verdict.core.evidence import (
    Direction,
    Level,
    LogEvidence,
    MetricEvidence,
    MetricMeta,
    MetricSeries,
    PodLog,
)
from rollout_verdict.core.log_policy import LogPolicy
from rollout_verdict.core.statistics import median
from rollout_verdict.core.values import Pair, Window

# Work that comes in, by the naming habits of exporters (Prometheus: unit last, "_total" for counters).
_WORK = re.compile(
    r"(request|job|message|task|order|call|span|connection|transaction|event|quer|op)s?_?(\w*_)?"
    r"(rate|per_second|per_sec|persecond|count|received|served|total)\b|^(rps|qps|throughput|hits)$"
)
# Work that goes out, fails, or is only a part: how much of it there is may be the very thing that changed.
_NOT_INCOMING = re.compile(
    r"upstream|client|outgoing|outbound|egress|caller|downstream|db_|sql|cache|quer|pool|gc|syscall"
    r"|complet|finish|success|succeed|fail|error|retr|reject|drop|timeout|[1-5]xx|restart|event_?loop"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """``pods`` holds one positive number for each pod of ``LogEvidence.pods``; ``unit`` says of what.

    ``requests`` is the canary's work by the traffic metric, None when there is no such metric.
    """

    unit: str
    pods: Pair[tuple[float, ...]]
    requests: float | None

    @property
    def total(self) -> Pair[float]:
        """Sum over the pods of each side."""
        return self.pods.map(sum)


def derive_exposure(
    logs: LogEvidence, metrics: MetricEvidence | None, window: Window | None, policy: LogPolicy
) -> Exposure:
    """Return the exposure of every pod, by the best measure at hand."""
    span = window or _logged(logs)
    served = _served(logs, metrics, span, policy) if metrics and span else None
    requests = sum(served.canary) if served else None
    if served and sum(served.stable) > 0 and sum(served.canary) > 0:
        return Exposure(unit="requests", pods=served.map(_positive), requests=requests)
    everyday = _everyday(logs, policy)
    if everyday:
        return Exposure(unit="events", pods=everyday.map(_positive), requests=requests)
    if span and all(pod.first for pod in (*logs.pods.stable, *logs.pods.canary) if pod.events):
        seconds = logs.pods.map(lambda pods: tuple(_seconds(pod, span) for pod in pods))
        return Exposure(unit="pod-seconds", pods=seconds.map(_positive), requests=requests)
    events = logs.pods.map(lambda pods: tuple(float(pod.events) for pod in pods))
    return Exposure(unit="events", pods=events.map(_positive), requests=requests)


def _positive(amounts: tuple[float, ...]) -> tuple[float, ...]:
    """Give a pod that did nothing the least share that keeps its expectation above zero."""
    least = max(1e-3, 1e-6 * sum(amounts))
    return tuple(max(least, amount) for amount in amounts)


def _logged(logs: LogEvidence) -> Window | None:
    """Return the span that the logs themselves cover."""
    times = [t for pod in (*logs.pods.stable, *logs.pods.canary) for t in (pod.first, pod.last) if t]
    return Window(start=min(times), end=max(times)) if times and min(times) < max(times) else None


def _seconds(pod: PodLog, span: Window) -> float:
    """Return for how much of the span the pod was there: from its first line to the end.

    Not to its last line: a pod that falls silent was there all the same.
    """
    if pod.first is None:
        return 0.0
    return max(0.0, (span.end - max(pod.first, span.start)).total_seconds())


def _served(
    logs: LogEvidence, metrics: MetricEvidence, span: Window, policy: LogPolicy
) -> Pair[tuple[float, ...]] | None:
    """Return the requests served by each pod in the span by the traffic metric that covers it best."""
    best: tuple[float, Pair[tuple[float, ...]]] | None = None
    for meta in metrics.meta:
        if not is_traffic(meta):
            continue
        stable = _work(meta, metrics.series.stable, logs.pods.stable, span)
        canary = _work(meta, metrics.series.canary, logs.pods.canary, span)
        if stable is None or canary is None:
            continue
        coverage = max(stable[1], canary[1])  # a pod that was not there has no samples and did no work
        if coverage >= policy.min_traffic_coverage and (best is None or coverage > best[0] + _CLEARLY):
            works = Pair(stable=stable[0], canary=canary[0])
            best = coverage, works
    return best[1] if best else None


_CLEARLY = 0.05  # of the span: a metric named earlier gives way only to one that covers clearly more


def is_traffic(meta: MetricMeta) -> bool:
    """Tell whether a metric counts work that comes in, by its name, unit and direction."""
    if meta.direction is not Direction.NEUTRAL or _NOT_INCOMING.search(meta.name.lower()):
        return False
    return bool(_WORK.search(meta.name.lower())) and not re.search("second(s)?$|byte|percent|ratio", meta.unit)


def _work(
    meta: MetricMeta, series: tuple[MetricSeries, ...], pods: tuple[PodLog, ...], span: Window
) -> tuple[tuple[float, ...], float] | None:
    """Return the work of every pod and the share of the span that samples cover, None without any series."""
    mine = [one for one in series if one.name == meta.name]
    if not mine or not pods:
        return None
    amounts = [(one.pod, *_integral(one, meta, span)) for one in mine]
    coverage = max(share for _, _, share in amounts)
    whole = sum(amount for pod, amount, _ in amounts if not pod) / len(pods)
    return tuple(whole + sum(amount for name, amount, _ in amounts if name == pod.pod) for pod in pods), coverage


def _integral(one: MetricSeries, meta: MetricMeta, span: Window) -> tuple[float, float]:
    """Return the work that one series tells of in the span, and the share of the span its samples stand for.

    A sample stands for the step that ends with it, as a rate over the last interval or a count in it does.
    """
    start, end = span.start.timestamp(), span.end.timestamp()
    times = [time for time, _ in one.samples]
    step = median([later - earlier for earlier, later in pairwise(times)]) if len(times) > 1 else span.seconds
    inside = [value for time, value in one.samples if start < time <= end + step / 2]
    rate = _RATE.search(f"{meta.name} {meta.unit}") is not None
    return sum(inside) * (step if rate else 1.0), min(1.0, len(inside) * step / span.seconds)


_RATE = re.compile(r"per_sec|persec|/s\b|rate|\brps\b|\bqps\b|throughput")


def _everyday(logs: LogEvidence, policy: LogPolicy) -> Pair[tuple[float, ...]] | None:
    """Return how often each pod did what all pods do: INFO and below, seen on every pod, risen or fallen on none.

    None when there is too little of it. A chatty new message or a lost one does not count, so neither moves the scale.
    """
    common = [
        p
        for p in logs.patterns
        if p.level < Level.WARN
        and p.status not in _BAD
        and min(p.counts.stable, default=0) > 0
        and min(p.counts.canary, default=0) > 0
    ]
    if not common:
        return None
    ratios = [
        (sum(p.counts.canary) / sum(p.counts.stable), sum(p.counts.canary) + sum(p.counts.stable)) for p in common
    ]
    middle = _weighted_median(ratios)
    kept = [p for p, (ratio, _) in zip(common, ratios, strict=True) if 1 / 1.5 <= ratio / middle <= 1.5]
    sums = Pair(
        stable=tuple(float(sum(column)) for column in zip(*(p.counts.stable for p in kept), strict=True)),
        canary=tuple(float(sum(column)) for column in zip(*(p.counts.canary for p in kept), strict=True)),
    )
    return sums if min(sum(sums.stable), sum(sums.canary)) >= policy.min_everyday_events else None


_BAD = ("4xx", "5xx")


def _weighted_median(pairs: list[tuple[float, int]]) -> float:
    half, seen = sum(weight for _, weight in pairs) / 2, 0
    for value, weight in sorted(pairs):
        seen += weight
        if seen >= half:
            return value
    return max(pairs)[0]
