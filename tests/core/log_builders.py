"""Reduced logs made by hand: patterns with counts by pod, spread evenly over time unless told otherwise."""

from datetime import UTC, datetime, timedelta

from rollout_verdict.core.evidence import (
    Direction,
    Level,
    LogEvidence,
    LogKind,
    LogPattern,
    MetricEvidence,
    MetricMeta,
    MetricSeries,
    PodLog,
)
from rollout_verdict.core.values import Pair, Window

START = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = Window(start=START, end=START + timedelta(seconds=200))
BUCKETS = 20


def spread(count, buckets=BUCKETS):
    """Deal a count evenly over the buckets."""
    return tuple(count * (n + 1) // buckets - count * n // buckets for n in range(buckets))


def burst(count, at=3, buckets=BUCKETS):
    """Put a count into one bucket."""
    return tuple(count if n == at else 0 for n in range(buckets))


def pattern(template, stable, canary, *, level=Level.INFO, kind=LogKind.MESSAGE, status="", logger="", rows=None):
    """A pattern with these counts by pod; ``rows`` (stable, canary) gives the buckets instead."""
    stable_rows, canary_rows = rows or (tuple(map(spread, stable)), tuple(map(spread, canary)))
    return LogPattern(
        template=template,
        level=level,
        kind=kind,
        status=status,
        logger=logger,
        counts=Pair(stable=tuple(stable), canary=tuple(canary)),
        buckets=Pair(stable=tuple(stable_rows), canary=tuple(canary_rows)),
        samples=Pair(stable=(), canary=()),
    )


def untimed(one):
    """The same pattern of a source without time stamps."""
    none = one.counts.map(lambda pods: tuple(() for _ in pods))
    return LogPattern(
        template=one.template,
        level=one.level,
        kind=one.kind,
        status=one.status,
        logger=one.logger,
        counts=one.counts,
        buckets=none,
        samples=one.samples,
    )


def pod_log(name, events, *, first=WINDOW.start, last=WINDOW.end):
    return PodLog(
        pod=name,
        containers=("app",),
        size_bytes=0,
        lines=events,
        events=events,
        cut_lines=0,
        first=first,
        last=last,
    )


def logs(*patterns, first=WINDOW.start, canary_last=WINDOW.end, canary_first=None, timed=True):
    """The evidence of patterns; the number of pods is that of their counts."""
    some = patterns[0].counts

    def side(counts, name, begin, end):
        return tuple(
            pod_log(
                f"{name}-{n}", sum(c[n] for c in counts), first=begin if timed else None, last=end if timed else None
            )
            for n in range(len(counts[0]))
        )

    assert all(len(p.counts.stable) == len(some.stable) for p in patterns)
    return LogEvidence(
        pods=Pair(
            stable=side([p.counts.stable for p in patterns], "stable", first, WINDOW.end),
            canary=side([p.counts.canary for p in patterns], "canary", canary_first or first, canary_last),
        ),
        patterns=tuple(sorted(patterns, key=lambda p: (p.template, p.status))),
        bucket_edges=(),
    )


def traffic(stable, canary, *, name="http_requests_per_second", unit="requests_per_second", step=10, count=20):
    """A traffic metric: a constant value for each pod, a sample every ``step`` seconds from the start of the window."""

    def side(values, prefix):
        return tuple(
            MetricSeries(
                name=name,
                labels=(),
                pod="" if prefix is None else f"{prefix}-{n}",
                samples=tuple((START.timestamp() + step * (k + 1), float(value)) for k in range(count)),
            )
            for n, value in enumerate(values)
        )

    return MetricEvidence(
        series=Pair(stable=side(stable, "stable"), canary=side(canary, "canary")),
        meta=(MetricMeta(name=name, unit=unit, direction=Direction.NEUTRAL),),
    )
