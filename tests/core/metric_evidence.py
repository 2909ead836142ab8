"""Builds metric evidence for tests: values by metric, side and pod, at a fixed step."""

import random

from rollout_verdict.core.evidence import MetricEvidence, MetricMeta, MetricSeries
from rollout_verdict.core.metrics.series import infer_meta, metric_evidence
from rollout_verdict.core.values import Pair

START = 1_700_000_000.0


def series(name, pod, values, *, step=10.0, start=START, labels=()):
    """Values at equal steps; None is a sample that is missing."""
    samples = tuple((start + step * n, float(v)) for n, v in enumerate(values) if v is not None)
    return MetricSeries(name=name, labels=tuple(labels), pod=pod, samples=samples)


def evidence(metrics, *, step=10.0, metas=()) -> MetricEvidence:
    """``metrics`` maps a name to (stable rows, canary rows); pods are s0, s1, ... and c0, c1, ..."""
    sides = Pair(
        stable=tuple(
            series(name, f"s{n}", row, step=step) for name, (rows, _) in metrics.items() for n, row in enumerate(rows)
        ),
        canary=tuple(
            series(name, f"c{n}", row, step=step) for name, (_, rows) in metrics.items() for n, row in enumerate(rows)
        ),
    )
    return metric_evidence(sides, meta=[infer_meta(name) if isinstance(name, str) else name for name in metas])


def meta(name, unit, direction):
    return MetricMeta(name=name, unit=unit, direction=direction)


def noisy(level, count=18, *, spread=0.1, seed=0):
    """A steady level with noise, the same for the same seed."""
    generator = random.Random(f"{level} {seed}")
    return [level * generator.lognormvariate(0, spread) for _ in range(count)]


def sides(level, canary, count=18, *, pods=3, spread=0.1):
    """Three stable rows at one level and a canary row at another."""
    stable = [noisy(level, count, spread=spread, seed=n) for n in range(pods)]
    return stable, [noisy(canary, count, spread=spread, seed=99)]


def traffic(rate=5.0, count=18, *, canary=None, pods=3):
    return [noisy(rate, count, seed=n) for n in range(pods)], [noisy(rate if canary is None else canary, count, seed=9)]
