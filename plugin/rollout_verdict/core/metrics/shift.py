"""Whether the canary is further from stable than stable pods are from each other.

Block by block the canary is held against the mean of the stable pods, so that what happens to everybody at
the same time cancels. The yardstick is the spread between stable pods and between their blocks, each steadied
by a prior since two or three pods say little about a spread (moderated t, Smyth 2004, "Linear models and
empirical Bayes methods"). Tested are the whole window and every run of at least two blocks, as a fault may
begin or end in mid-window; the number of runs is paid for (Bonferroni).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rollout_verdict.core.metrics.blocks import Row
from rollout_verdict.core.statistics import median, student_cdf, student_quantile
from rollout_verdict.core.values import Pair

_TROUBLE = 3.0  # deviations of a block that the mean of stable pods does not leave by chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What is expected before any data: deviations between pods and between blocks of one pod, and their weight.

    ``weight`` is in degrees of freedom: with 4, the prior counts as much as five stable pods.
    """

    between: float
    within: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A shift canary - stable on the scale of the rows.

    ``error`` is its standard error on ``df`` degrees of freedom. ``p`` is one-sided towards the worse side. ``first``
    and ``count`` say which blocks it was found in, of ``blocks``.
    """

    value: float
    error: float
    df: float
    p: float
    first: int
    count: int
    blocks: int

    @property
    def partial(self) -> bool:
        """Whether it was found in a part of the window only."""
        return self.count < self.blocks

    @property
    def strength(self) -> float:
        """The shift in standard errors."""
        return self.value / self.error

    def interval(self, level: float) -> tuple[float, float]:
        """Return the bounds of the shift at a confidence level."""
        half = student_quantile(0.5 + level / 2, self.df) * self.error
        return self.value - half, self.value + half


def shift(
    rows: Pair[tuple[Row, ...]],
    *,
    worse: int,
    prior: Prior,
    noise: float,
    counts: Sequence[int] = (),
    min_samples: int = 0,
) -> tuple[Shift, Shift]:
    """Return the shift over the whole window and in its worst run of blocks; either side has a known block.

    ``worse`` is +1 or -1. ``noise`` (>= 1) multiplies the canary's variance, as when it served fewer requests. A run
    holds at least ``min_samples`` of the canary's samples, which ``counts`` gives by block.
    """
    rows = rows.map(lambda side: tuple(row for row in side if any(value is not None for value in row)))
    blocks = len(rows.canary[0])
    canary = [_mean(row[block] for row in rows.canary) for block in range(blocks)]
    stable = [_mean(row[block] for row in rows.stable) for block in range(blocks)]
    overall = _mean(stable) or 0.0
    differences = [
        None if c is None else c - (overall if s is None else s) for c, s in zip(canary, stable, strict=True)
    ]
    kept = sum(value is not None for value in differences)
    pods, canaries = len(rows.stable), len(rows.canary)
    between, within, df_between, df_within = _spread(rows.stable, prior)
    pod_variance = max(between, within / kept)
    persistent = max(prior.between**2, pod_variance - within / kept)

    def judged(first: int, count: int, tests: int) -> Shift:
        chosen = [value for value in differences[first : first + count] if value is not None]
        if len(chosen) == kept:
            variance, df = pod_variance * (1 / pods + noise / canaries), df_between
        else:
            variance = persistent * (1 / pods + 1 / canaries) + within * (1 / pods + noise / canaries) / len(chosen)
            df = df_within
        value, error = math.fsum(chosen) / len(chosen), math.sqrt(variance)
        p = min(1.0, tests * student_cdf(-worse * value / error, df))
        return Shift(value=value, error=error, df=df, p=p, first=first, count=count, blocks=blocks)

    whole = judged(0, blocks, 1)
    calm = _calm(stable, math.sqrt(within))
    runs = [
        (first, count)
        for count in range(2, blocks)
        for first in range(blocks - count + 1)
        if differences[first] is not None
        and differences[first + count - 1] is not None
        and sum(value is not None for value in differences[first : first + count]) > 1
        and all(calm[first : first + count])
        and sum(counts[first : first + count]) >= min_samples
    ]
    partial = [judged(first, count, len(runs)) for first, count in runs]
    return whole, min([whole, *partial], key=lambda one: (one.p, -one.count, one.first))


def _calm(stable: Sequence[float | None], deviation: float) -> list[bool]:
    """Return which blocks are free of trouble that hit stable, too: there a fault of the canary alone shows."""
    usual = median([value for value in stable if value is not None] or [0.0])
    return [value is None or abs(value - usual) <= _TROUBLE * deviation for value in stable]


def _spread(rows: Sequence[Row], prior: Prior) -> tuple[float, float, float, float]:
    """Return the variance of a pod's mean, that of a block, and the degrees of freedom behind each."""
    blocks = len(rows[0])
    residuals: list[list[float]] = []
    for index, row in enumerate(rows):
        others = [other for place, other in enumerate(rows) if place != index]
        reference = [_mean(other[block] for other in others) for block in range(blocks)]
        own = _mean(row) or 0.0
        # A row less the mean of the others varies 1 + 1/(others) times as much as the row itself.
        scale = math.sqrt(1.0 + 1.0 / len(others)) if others else 1.0
        residuals.append(
            [
                (value - (own if other is None else other)) / scale
                for value, other in zip(row, reference, strict=True)
                if value is not None
            ]
        )
    means = [math.fsum(values) / len(values) for values in residuals]
    squares = math.fsum((value - mean) ** 2 for values, mean in zip(residuals, means, strict=True) for value in values)
    free = sum(len(values) - 1 for values in residuals)
    df_within = prior.weight + free
    within = (prior.weight * prior.within**2 + squares) / df_within
    kept = max(1.0, sum(len(values) for values in residuals) / len(residuals))
    expected = prior.between**2 + within / kept
    # The residual means of m pods sum to zero on average: their squares estimate the variance with m - 1
    # degrees.
    pods = len(rows) - 1
    observed = math.fsum(mean**2 for mean in means) * pods / len(rows)
    df_between = prior.weight + pods
    between = (prior.weight * expected + observed) / df_between
    return between, within, df_between, df_within


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None
