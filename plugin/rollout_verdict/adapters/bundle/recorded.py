"""What types cannot say of recorded evidence: the rules that the judges rely on, checked where foreign bytes enter."""

from collections import Counter
from itertools import pairwise

from rollout_verdict.core.evidence import Evidence, LogEvidence, MetricEvidence
from rollout_verdict.core.metrics.series import LARGEST, LATEST
from rollout_verdict.core.values import Side

MOST = 2**48  # log lines of a pod; beyond it arithmetic with floats is no longer exact


def check(value: Evidence) -> None:
    """Check that evidence is such as the sources make it. Raises ValueError that names the key."""
    if both := sorted(set(value.pods.stable) & set(value.pods.canary)):
        raise ValueError(f"pods: expected each pod on one side, {both[0]!r} stands on both")
    if value.metrics:
        _metrics(value.metrics)
    if value.logs:
        _logs(value.logs)


def _metrics(metrics: MetricEvidence) -> None:
    known = {meta.name for meta in metrics.meta}
    for side in Side:
        for index, series in enumerate(metrics.series.of(side)):
            where = f"metrics.series.{side}[{index}]"
            if series.name not in known:
                raise ValueError(f"{where}.name: expected a name that metrics.meta describes, too")
            if any(later[0] <= before[0] for before, later in pairwise(series.samples)):
                raise ValueError(f"{where}.samples: expected times in rising order")
            if any(abs(time) > LATEST or abs(number) > LARGEST for time, number in series.samples):
                raise ValueError(f"{where}.samples: expected times up to {LATEST:g} and values up to {LARGEST:g}")


def _logs(logs: LogEvidence) -> None:
    edges = logs.bucket_edges
    if sorted(set(edges)) != list(edges):
        raise ValueError("logs.bucket_edges: expected times in rising order")
    width = max(len(edges) - 1, 0)
    for side in Side:
        pods, patterns = logs.pods.of(side), logs.patterns
        if twice := [name for name, times in Counter(pod.pod for pod in pods).items() if times > 1]:
            raise ValueError(f"logs.pods.{side}: expected each pod once, {twice[0]!r} stands there twice")
        with_rows = {len(pattern.buckets.of(side)) for pattern in patterns}
        for index, pattern in enumerate(patterns):
            counts, rows = pattern.counts.of(side), pattern.buckets.of(side)
            if len(counts) != len(pods) or not all(0 <= count <= MOST for count in counts):
                raise ValueError(f"logs.patterns[{index}]: expected one count for each of the {len(pods)} {side} pods")
            shaped = len(rows) in {0, len(pods)} and len(with_rows) == 1
            if not shaped or any(len(row) != width or not all(0 <= count <= MOST for count in row) for row in rows):
                raise ValueError(
                    f"logs.patterns[{index}].buckets: expected {width} counts in each row, and a row for each of the "
                    f"{len(pods)} {side} pods in all patterns or in none"
                )
        sums = [sum(column) for column in zip(*(p.counts.of(side) for p in patterns), strict=True)] or [0] * len(pods)
        for index, (pod, events) in enumerate(zip(pods, sums, strict=True)):
            if pod.events != events:
                raise ValueError(f"logs.pods.{side}[{index}].events: expected {events}, as the patterns count")
