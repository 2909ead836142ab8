"""What the counts of a log are divided by: requests served, else a pod's time or what every pod does every day.

Two sides are compared per unit of work, because a canary with a tenth of the traffic logs a tenth of the lines.
"""

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate

from rollout_verdict.core.evidence import Level, LogEvidence, MetricEvidence, PodLog
from rollout_verdict.core.logs.counts import pearson, regularity
from rollout_verdict.core.logs.policy import LogPolicy
from rollout_verdict.core.metrics.blocks import Sample, step
from rollout_verdict.core.metrics.traffic import Traffic, traffic_of
from rollout_verdict.core.values import Pair, Side, Window


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
    logs: LogEvidence, metrics: MetricEvidence | None, window: Window | None, policy: LogPolicy, *, pods: Pair[int]
) -> Exposure:
    """Return the exposure of every pod, by the best measure at hand. ``pods`` is how many share a side's requests.

    Requests where a traffic metric covers the time of the logs. Else pod-seconds where all pods run one fixed workload,
    the whole time alike: a run that stops early has done less. Else the events that every pod logs every day, when by
    them the traffic is split unevenly; else pod-seconds; and, without any times, all events.
    """
    span = window or _logged(logs)
    served = _served(logs, metrics, span, policy, pods) if metrics and span else None
    requests = sum(served.canary) if served else None
    if served and sum(served.stable) > 0 and sum(served.canary) > 0:
        return Exposure(unit="requests", pods=served.map(_positive), requests=requests)
    if span and fixed_workload(logs, policy):
        seconds = span.seconds
        whole = logs.pods.map(lambda pods: tuple(seconds for _ in pods))
        return Exposure(unit="pod-seconds", pods=whole, requests=requests)
    everyday = _everyday(logs, policy)
    lived = logs.pods.map(lambda pods: tuple(_seconds(pod, span) if span else 1.0 for pod in pods)).map(_positive)
    if everyday:
        busy = everyday.map(sum)
        split = (busy.canary / sum(lived.canary)) / (busy.stable / sum(lived.stable))
        if not 1.0 / policy.load_ratio <= split <= policy.load_ratio:
            return Exposure(unit="events", pods=everyday.map(_positive), requests=requests)
    if span:
        return Exposure(unit="pod-seconds", pods=lived, requests=requests)
    events = logs.pods.map(lambda pods: tuple(float(pod.events) for pod in pods))
    return Exposure(unit="events", pods=events.map(_positive), requests=requests)


def fixed_workload(logs: LogEvidence, policy: LogPolicy) -> bool:
    """Tell whether the stable pods log the same rare everyday messages to the letter, as runs of one workload do."""
    alike = logs.pods.map(lambda pods: tuple(1.0 for _ in pods))
    return (
        regularity([p.counts for p in logs.patterns if p.level < Level.WARN], alike, policy.min_regular)
        <= policy.max_regularity
    )


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
    logs: LogEvidence, metrics: MetricEvidence, span: Window, policy: LogPolicy, listed: Pair[int]
) -> Pair[tuple[float, ...]] | None:
    """Return the requests served by each pod in the span.

    Of several traffic metrics that cover the span, the one by which the stable pods' logs are most alike.
    """
    best: tuple[float, Pair[tuple[float, ...]]] | None = None
    for traffic in traffic_of(metrics):
        known = [samples for side in Side for _, samples in traffic.series.of(side)]
        coverage = max((_coverage(samples, span) for samples in known), default=0.0)
        if not traffic.series.stable or not traffic.series.canary or coverage < policy.min_traffic_coverage:
            continue
        works = Pair(
            stable=_work(traffic, Side.STABLE, logs.pods.stable, span, listed),
            canary=_work(traffic, Side.CANARY, logs.pods.canary, span, listed),
        )
        events = Pair(stable=tuple(pod.events for pod in logs.pods.stable), canary=())
        unlike, _, _ = pearson(events, works.map(_positive))
        if best is None or unlike < best[0]:
            best = unlike, works
    return best[1] if best else None


def _work(traffic: Traffic, side: Side, pods: tuple[PodLog, ...], span: Window, listed: Pair[int]) -> tuple[float, ...]:
    """Return the requests of every pod in the span; those of a side as a whole are shared out evenly."""
    known = dict(traffic.series.of(side))
    whole = _requests(known.get("", ()), span) / max(1, listed.of(side))
    return tuple(_requests(known[pod.pod], span) if pod.pod in known else whole for pod in pods)


def _requests(samples: tuple[Sample, ...], span: Window) -> float:
    """Return the requests in the span by samples of a rate, each of which stands for the step that ends with it."""
    width = step(samples) or span.seconds
    return sum(value for _, value in _inside(samples, span)) * width


def _coverage(samples: tuple[Sample, ...], span: Window) -> float:
    """Return the share of the span that the samples stand for, 0..1."""
    width = step(samples) or span.seconds
    return min(1.0, len(_inside(samples, span)) * width / span.seconds)


def _inside(samples: tuple[Sample, ...], span: Window) -> list[Sample]:
    half = (step(samples) or 0.0) / 2
    start, end = span.start.timestamp(), span.end.timestamp()
    return [(time, value) for time, value in samples if start < time <= end + half]


def _everyday(logs: LogEvidence, policy: LogPolicy) -> Pair[tuple[float, ...]] | None:
    """Return how often each pod did what all pods do: INFO and below, seen on every pod, risen or fallen on none.

    None when there is too little of it. A chatty new message or a lost one does not count, so neither moves the scale.
    """
    common = [
        p
        for p in logs.patterns
        if p.level < Level.WARN
        and not _BAD & set(p.status.split(","))
        and all(p.counts.stable)
        and all(p.counts.canary)
    ]
    if not common:
        return None
    ratios = [
        (sum(p.counts.canary) / sum(p.counts.stable), sum(p.counts.canary) + sum(p.counts.stable)) for p in common
    ]
    middle = _weighted_median(ratios)
    kept = [p for p, (ratio, _) in zip(common, ratios, strict=True) if _LIKE[0] <= ratio / middle <= _LIKE[1]]
    sums = Pair(
        stable=tuple(float(sum(column)) for column in zip(*(p.counts.stable for p in kept), strict=True)),
        canary=tuple(float(sum(column)) for column in zip(*(p.counts.canary for p in kept), strict=True)),
    )
    return sums if min(sum(sums.stable), sum(sums.canary)) >= policy.min_everyday_events else None


_BAD = frozenset(("4xx", "5xx"))
_LIKE = (1 / 1.5, 1.5)  # what rose or fell more than this against the rest says nothing about the amount of work


def _weighted_median(pairs: list[tuple[float, int]]) -> float:
    ordered = sorted(pairs)
    sums = list(accumulate(weight for _, weight in ordered))
    return ordered[bisect_left(sums, sums[-1] / 2)][0]
