"""Whether more of the canary's requests fail than of the stable pods'.

Counts are rebuilt from the share and the request rate, stratified by blocks of time so that trouble which hits all
pods cancels (Mantel & Haenszel 1959), and deflated by how much the stable pods scatter beyond chance. An outage of
all still drowns a small share of the canary's own: the blocks that were calm on stable are tested by themselves, too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rollout_verdict.core.metrics.blocks import Row
from rollout_verdict.core.statistics import fisher_upper, median, newcombe, normal_cdf
from rollout_verdict.core.values import Pair

Cell = tuple[float, float]  # failures, requests
_CALM_RATIO, _CALM_MORE = 2.0, 0.01  # calm is a share of at most twice the usual one, or a point above it
_LEAST, _MOST = 1e-6, 1e12  # requests of a pod in a block: fewer are none, more are no count, and both break arithmetic
_FEW_FAILURES = 20.0  # fewer, and the normal approximation of Mantel and Haenszel gives way to the exact test


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareShift:
    """Failure shares of both sides and their difference with its interval; ``p`` is one-sided for more on the canary.

    ``requests`` is what the shares stand on, ``calm`` whether only the time without trouble on stable counted.
    """

    share: Pair[float]
    requests: Pair[float]
    difference: float
    low: float
    high: float
    strength: float
    p: float
    calm: bool


def share_shift(
    shares: Pair[tuple[Row, ...]], requests: Pair[tuple[Row, ...]], *, weight: float, level: float
) -> ShareShift | None:
    """Return the difference in failure share; None when no block has requests on both sides.

    ``shares`` are fractions by pod and block, ``requests`` counts in the same places. ``weight`` is the number of
    imaginary stable pods without excess scatter; ``level`` that of the interval.
    """
    canary = [_cells(*row) for row in zip(shares.canary, requests.canary, strict=True)]
    stable = [_cells(*row) for row in zip(shares.stable, requests.stable, strict=True)]
    blocks = [
        block for block in range(len(canary[0])) if _total(canary, [block])[1] > 0 and _total(stable, [block])[1] > 0
    ]
    if not blocks:
        return None
    usual = {block: _ratio(_total(stable, [block])) for block in blocks}
    limit = max(_CALM_RATIO * median([*usual.values()]), median([*usual.values()]) + _CALM_MORE)
    calm = [block for block in blocks if usual[block] <= limit]
    whole = _compared(canary, stable, blocks, weight=weight, level=level)
    if calm == blocks:
        return whole
    part = replace(_compared(canary, stable, calm, weight=weight, level=level), calm=True)
    better = min(whole, part, key=lambda one: (one.p, one.calm))
    return replace(better, p=min(1.0, 2.0 * better.p))


def _compared(
    canary: list[list[Cell]], stable: list[list[Cell]], blocks: Sequence[int], *, weight: float, level: float
) -> ShareShift:
    """Compare both sides over some blocks, all of which have requests on both sides."""
    dispersion = _dispersion([_total([pod], blocks) for pod in stable], weight)
    deviation = variance = 0.0
    for block in blocks:
        (failed, served), (others_failed, others_served) = _total(canary, [block]), _total(stable, [block])
        n, failures = served + others_served, failed + others_failed
        deviation += failed - failures * served / n
        variance += served / n * (others_served / n) * failures * ((n - failures) / max(1.0, n - 1.0))
    z = max(0.0, abs(deviation) - 0.5) / math.sqrt(max(variance * dispersion, 0.25))
    z = math.copysign(z, deviation)
    ours, theirs = _total(canary, blocks), _total(stable, blocks)
    deflated = [part / dispersion for part in (*ours, *theirs)]
    low, high = newcombe(deflated[0], deflated[1], deflated[2], deflated[3], level)
    if deflated[0] + deflated[2] < _FEW_FAILURES:
        k1, n1, k2, n2 = (round(part) for part in deflated)
        p = fisher_upper(k1, n1, k2, n2)
    else:
        p = normal_cdf(-z)
    return ShareShift(
        share=Pair(stable=_ratio(theirs), canary=_ratio(ours)),
        requests=Pair(stable=theirs[1], canary=ours[1]),
        difference=_ratio(ours) - _ratio(theirs),
        low=low,
        high=high,
        strength=z,
        p=p,
        calm=False,
    )


def _cells(shares: Row, requests: Row) -> list[Cell]:
    """Return failures and requests of one pod by block, nothing where one of them is not known."""
    return [
        (0.0, 0.0) if share is None or count is None or count < _LEAST else _cell(share, min(count, _MOST))
        for share, count in zip(shares, requests, strict=True)
    ]


def _cell(share: float, count: float) -> Cell:
    return min(1.0, max(0.0, share)) * count, count


def _total(pods: list[list[Cell]], blocks: Sequence[int]) -> Cell:
    cells = [pod[block] for pod in pods for block in blocks]
    return math.fsum(failed for failed, _ in cells), math.fsum(served for _, served in cells)


def _ratio(cell: Cell) -> float:
    return cell[0] / cell[1]


def _dispersion(pods: list[Cell], weight: float) -> float:
    """Return Pearson's chi-square between pods over its degrees of freedom, steadied towards 1, at least 1."""
    served = [pod for pod in pods if pod[1] > 0]
    failures, total = math.fsum(pod[0] for pod in served), math.fsum(pod[1] for pod in served)
    expected = failures / total
    if not 0 < expected < 1:
        return 1.0
    statistic = math.fsum((f / n - expected) ** 2 * n / expected for f, n in served) / (1 - expected)
    return max(1.0, (weight + statistic) / (weight + len(served) - 1))
