"""Whether more of the canary's requests fail than of the stable pods'.

Counts are rebuilt from the share and the request rate, stratified by blocks of time so that trouble which
hits everybody cancels (Mantel & Haenszel 1959), and deflated by how much the stable pods scatter beyond
chance.
"""

import math
from dataclasses import dataclass

from rollout_verdict.core.metric_blocks import Row
from rollout_verdict.core.statistics import fisher_upper, newcombe, normal_cdf
from rollout_verdict.core.values import Pair

Cell = tuple[float, float]  # failures, requests


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareShift:
    """Failure shares of both sides and their difference with its interval; ``p`` is one-sided for more on the canary.

    ``dispersion`` is the factor by which counts were deflated, ``requests`` what the shares stand on.
    """

    share: Pair[float]
    requests: Pair[float]
    difference: float
    low: float
    high: float
    strength: float
    p: float
    dispersion: float


def share_shift(
    shares: Pair[tuple[Row, ...]],
    requests: Pair[tuple[Row, ...]],
    *,
    weight: float,
    level: float,
) -> ShareShift | None:
    """Return the difference in failure share; None when a side has no requests in common blocks.

    ``shares`` are fractions by pod and block, ``requests`` counts in the same places. ``weight`` is the
    number of imaginary stable pods without excess scatter.
    """
    blocks = len(shares.canary[0])
    canary = _cells(shares.canary, requests.canary, blocks)
    stable = _cells(shares.stable, requests.stable, blocks)
    strata = [(c, s) for c, s in zip(canary, stable, strict=True) if c[1] > 0 and s[1] > 0]
    if not strata:
        return None
    total_c = (math.fsum(c[0] for c, _ in strata), math.fsum(c[1] for c, _ in strata))
    total_s = (math.fsum(s[0] for _, s in strata), math.fsum(s[1] for _, s in strata))
    dispersion = _dispersion(shares.stable, requests.stable, blocks, weight)
    p_c, p_s = total_c[0] / total_c[1], total_s[0] / total_s[1]
    deviation, variance = 0.0, 0.0
    for c, s in strata:
        n, failures = c[1] + s[1], c[0] + s[0]
        deviation += c[0] - failures * c[1] / n
        if n > 1:
            variance += c[1] * s[1] * failures * (n - failures) / (n * n * (n - 1))
    variance *= dispersion
    z = (abs(deviation) - 0.5) / math.sqrt(variance) if variance > 0 and abs(deviation) > 0.5 else 0.0
    z = math.copysign(z, deviation)
    few = (total_c[0] + total_s[0]) / dispersion < 20
    if few:  # too few failures for the normal approximation: Fisher's exact test on deflated counts
        p = fisher_upper(
            round(total_c[0] / dispersion), round(total_c[1] / dispersion),
            round(total_s[0] / dispersion), round(total_s[1] / dispersion),
        )  # fmt: skip
    else:
        p = normal_cdf(-z)
    low, high = newcombe(
        total_c[0] / dispersion, total_c[1] / dispersion, total_s[0] / dispersion, total_s[1] / dispersion, level
    )
    return ShareShift(
        share=Pair(stable=p_s, canary=p_c),
        requests=Pair(stable=total_s[1], canary=total_c[1]),
        difference=p_c - p_s,
        low=low,
        high=high,
        strength=z,
        p=p,
        dispersion=dispersion,
    )


def _cells(shares: tuple[Row, ...], requests: tuple[Row, ...], blocks: int) -> list[Cell]:
    cells = []
    for block in range(blocks):
        failures = total = 0.0
        for share, request in zip(shares, requests, strict=True):
            part, count = share[block], request[block]
            if part is not None and count is not None and count > 0:
                failures += min(1.0, max(0.0, part)) * count
                total += count
        cells.append((failures, total))
    return cells


def _dispersion(shares: tuple[Row, ...], requests: tuple[Row, ...], blocks: int, weight: float) -> float:
    """Return Pearson's chi-square over its degrees of freedom between stable pods, steadied towards 1, at least 1."""
    pods = [_cells((share,), (request,), blocks) for share, request in zip(shares, requests, strict=True)]
    statistic, free = 0.0, 0
    failures = math.fsum(cell[0] for pod in pods for cell in pod)
    total = math.fsum(cell[1] for pod in pods for cell in pod)
    pooled = failures / total if total else 0.0
    if not 0 < pooled < 1:
        return 1.0
    for pod in pods:
        count = math.fsum(cell[1] for cell in pod)
        if count > 0:
            statistic += (math.fsum(cell[0] for cell in pod) - pooled * count) ** 2 / (count * pooled * (1 - pooled))
            free += 1
    return max(1.0, (weight + statistic) / (weight + max(0, free - 1)))
