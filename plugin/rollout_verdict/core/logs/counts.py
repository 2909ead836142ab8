"""Counts of one kind of event on both sides, and how unlikely their difference is by chance.

Log events come in bursts and pods differ, so the binomial test is made on counts divided by the dispersion between pods
of the same side. On identical, bursty sides the plain test alarms in more than half of all comparisons.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rollout_verdict.core.comparison import Interval
from rollout_verdict.core.statistics import binomial_lower, binomial_two_sided, binomial_upper, clopper_pearson
from rollout_verdict.core.values import Pair, Side

Counts = Pair[tuple[int, ...]]
Amounts = Pair[tuple[float, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One kind of event compared. ``rate`` is per unit of exposure, ``ratio`` canary / stable, shrunken.

    ``scale`` is stable's exposure over the canary's. ``dispersion`` is the factor the counts were divided by, ``p``
    the two-sided p-value of the deflated counts.
    """

    events: Pair[int]
    rate: Pair[float]
    ratio: float
    scale: float
    dispersion: float
    p: float


def contrast(counts: Counts, exposure: Amounts, dispersion: float) -> Contrast:
    """Compare the rates of the two sides on counts divided by ``dispersion``."""
    events, worked = counts.map(sum), exposure.map(sum)
    stable, canary = (math.floor(events.of(side) / dispersion + _ROUNDING) for side in (Side.STABLE, Side.CANARY))
    return Contrast(
        events=events,
        rate=Pair(stable=events.stable / worked.stable, canary=events.canary / worked.canary),
        ratio=(events.canary + 0.5) / (events.stable + 0.5) * worked.stable / worked.canary,
        scale=worked.stable / worked.canary,
        dispersion=dispersion,
        p=binomial_two_sided(canary, canary + stable, worked.canary / (worked.canary + worked.stable)),
    )


_ROUNDING = 1e-9  # 3 / 0.1 is 30, not 29


def ratio_interval(one: Contrast, level: float) -> Interval:
    """Return the interval of the rate ratio canary / stable that belongs to the test (Clopper-Pearson on the split)."""
    events = one.events
    low, high = clopper_pearson(events.canary / one.dispersion, (events.canary + events.stable) / one.dispersion, level)
    return Interval(low=_odds(low) * one.scale, high=_odds(high) * one.scale, level=level)


def _odds(share: float) -> float:
    return share / (1.0 - share) if share < 1.0 else math.inf


def could_differ(events: float, exposure: Amounts, alpha: float) -> bool:
    """Tell whether so many events, all on the side that makes it most unlikely, could be significant at all.

    Tests that never can be would only use up the error budget of the others (Tarone 1990).
    """
    worked = exposure.map(sum)
    share = worked.canary / (worked.canary + worked.stable)
    n = math.floor(events)
    return 2.0 * min(binomial_upper(n, n, share), binomial_lower(0, n, share)) <= alpha


def pearson(counts: Counts, exposure: Amounts) -> tuple[float, int, float]:
    """Return chi-square of the pods' counts within their sides, its degrees of freedom and the mean expected count."""
    chi, freedom, expected_sum, cells = 0.0, 0, 0.0, 0
    for seen, worked in ((counts.stable, exposure.stable), (counts.canary, exposure.canary)):
        total = sum(seen)
        if len(seen) < 2 or total == 0:
            continue
        for count, amount in zip(seen, worked, strict=True):
            expected = total * amount / sum(worked)
            chi += (count - expected) ** 2 / expected
            expected_sum += expected
            cells += 1
        freedom += len(seen) - 1
    return chi, freedom, expected_sum / cells if cells else 0.0


def typical_spread(rows: Sequence[Counts], exposure: Amounts) -> float:
    """Return the squared coefficient of variation between pods of one side beyond Poisson, pooled over ``rows``.

    Method of moments of the negative binomial (variance = mean + spread * mean^2), weighted by degrees of freedom;
    rows with fewer than five expected events a pod tell more of chance than of pods.
    """
    weighted, weights = 0.0, 0
    for counts in rows:
        chi, freedom, mean = pearson(counts, exposure)
        if freedom and mean >= 5:
            weighted += freedom * min(1.0, max(-1.0, (chi / freedom - 1.0) / mean))
            weights += freedom
    return max(0.0, weighted / weights) if weights else 0.0


def regularity(rows: Sequence[Counts], exposure: Amounts, least_rows: int) -> float:
    """Return how far rare events vary less between stable pods than chance would have it: 1 = chance, 0 = not at all.

    Pods that run one fixed workload log the same rare messages to the letter; there, a message that comes once more or
    once less is no chance. It is the index of dispersion pooled over rows of up to five expected events a pod, at the
    upper end of its 98 % interval (chi-square quantile by Wilson & Hilferty 1931), and 1 for fewer than ``least_rows``
    rows, so that few rows prove nothing.
    """
    chi, freedom, used = 0.0, 0, 0
    for counts in rows:
        if 0 < sum(counts.stable) <= 5 * len(counts.stable):
            alone: Counts = Pair(stable=counts.stable, canary=())
            one, df, _ = pearson(alone, exposure)
            chi += one
            freedom += df
            used += 1
    if not freedom or used < least_rows:
        return 1.0
    spread = 2.0 / (9.0 * freedom)
    least = freedom * max(0.0, 1.0 - spread - 2.326 * math.sqrt(spread)) ** 3
    return min(1.0, chi / least) if least > 0 else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """How pods of one side usually differ.

    ``spread`` is the variation beyond chance (``typical_spread``), ``least`` the lower bound of the dispersion:
    1 = chance, less where the workload is fixed (``regularity``).
    """

    spread: float
    least: float


def dispersion(counts: Counts, exposure: Amounts, habit: Habit, prior: float) -> float:
    """Return the factor to divide counts by: Pearson's chi-square per degree of freedom between pods of one side.

    With two or three pods that estimate is mostly chance, so it is averaged with what the habits of these pods let
    expect; ``prior`` is the weight of the latter in degrees of freedom.
    """
    chi, freedom, mean = pearson(counts, exposure)
    if not freedom:
        pods = len(counts.stable) + len(counts.canary)
        mean = (sum(counts.stable) + sum(counts.canary)) / max(1, pods)
    usual = habit.least * (1.0 + habit.spread * mean)
    return max(habit.least, (chi + prior * usual) / (freedom + prior))


def burst_size(buckets: Pair[tuple[tuple[int, ...], ...]], exposure: Amounts) -> float:
    """Return how many events come at once, >= 1: Pearson's chi-square between pods of one side within each time bucket.

    A burst lands on one pod; what happens to all pods at a time, an outage, does not count as one.
    """
    chi, freedom = 0.0, 0
    for rows, worked in ((buckets.stable, exposure.stable), (buckets.canary, exposure.canary)):
        if len(rows) < 2:
            continue
        everyone = sum(worked)
        for column in zip(*rows, strict=True):
            seen = sum(column)
            if seen:
                expected = [seen * amount / everyone for amount in worked]
                chi += sum((x - e) ** 2 / e for x, e in zip(column, expected, strict=True))
                freedom += len(rows) - 1
    return max(1.0, chi / freedom) if freedom else 1.0


def bunching(pod: Sequence[int], others: Sequence[int]) -> float:
    """Return how bunched one pod's events are over time buckets, >= 1: chi-square per degree of freedom.

    Expected is the share of each bucket on the ``others``, smoothed by one event a bucket: what happens to all pods at
    one time is no bunch, and where the others say nothing every bucket is alike.
    """
    total, known = sum(pod), sum(others) + len(others)
    if len(pod) < 2 or total == 0:
        return 1.0
    expected = [total * (other + 1) / known for other in others]
    return max(1.0, sum((x - e) ** 2 / e for x, e in zip(pod, expected, strict=True)) / (len(pod) - 1))
