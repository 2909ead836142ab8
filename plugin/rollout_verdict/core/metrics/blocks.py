"""The samples of two sides brought onto one time grid.

Rates and quantiles over a sliding window are correlated from one sample to the next; the means of a few blocks of
time are nearly independent and still show when something began. Every pod becomes a row of block means.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rollout_verdict.core.values import Pair

Row = tuple[float | None, ...]
Sample = tuple[float, float]
PodSamples = tuple[str, tuple[Sample, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Block means by side and pod; None where a pod has no sample in a block.

    ``edges`` are unix seconds, one more than blocks. ``counts`` are the canary's samples in each block.
    """

    pods: Pair[tuple[str, ...]]
    rows: Pair[tuple[Row, ...]]
    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def seconds(self) -> float:
        """Length of a block."""
        return self.edges[1] - self.edges[0]


def step(samples: Sequence[Sample]) -> float:
    """Return the usual time between two samples, 1 second when there are fewer than two."""
    gaps = sorted(b[0] - a[0] for a, b in pairwise(samples))
    return gaps[len(gaps) // 2] if gaps else 1.0


def covered(samples: Sequence[Sample]) -> float:
    """Return the seconds that samples speak for: from the first to one step after the last."""
    return samples[-1][0] - samples[0][0] + step(samples)


def settled(samples: tuple[Sample, ...], *, warm_up: float, keep: int) -> tuple[Sample, ...]:
    """Return the samples after the warm-up, all of them when fewer than ``keep`` would be left."""
    later = tuple(sample for sample in samples if sample[0] >= samples[0][0] + warm_up)
    return later if len(later) >= keep else samples


def grid(sides: Pair[tuple[PodSamples, ...]], *, blocks: int) -> Grid:
    """Return both sides on the canary's time, in at most ``blocks`` blocks; every pod has a sample.

    Stable samples outside the canary's time are left out, unless none is inside: then the stable rows are laid over
    the canary's time by their own beginning.
    """
    start = min(samples[0][0] for _, samples in sides.canary)
    end = max(samples[-1][0] for _, samples in sides.canary)
    half = max(step(samples) for side in (sides.stable, sides.canary) for _, samples in side) / 2
    low, high = start - half, end + half
    stable = _inside(sides.stable, low, high)
    if not stable:
        moved = tuple((pod, tuple((t - samples[0][0] + start, v) for t, v in samples)) for pod, samples in sides.stable)
        stable = _inside(moved, low, high)
    count = min(blocks, len({time for _, samples in sides.canary for time, _ in samples}))
    edges = tuple(low + (high - low) * index / count for index in range(count + 1))
    counts = [0] * count
    for _, samples in sides.canary:
        for time, _ in samples:
            counts[_place(time, edges)] += 1
    return Grid(
        pods=Pair(stable=tuple(pod for pod, _ in stable), canary=tuple(pod for pod, _ in sides.canary)),
        rows=Pair(
            stable=tuple(row_of(samples, edges) for _, samples in stable),
            canary=tuple(row_of(samples, edges) for _, samples in sides.canary),
        ),
        edges=edges,
        counts=tuple(counts),
    )


def row_of(samples: Sequence[Sample], edges: Sequence[float]) -> Row:
    """Return the mean of each block; samples outside the grid are left out."""
    bins: list[list[float]] = [[] for _ in edges[1:]]
    for time, value in samples:
        if edges[0] <= time <= edges[-1]:
            bins[_place(time, edges)].append(value)
    return tuple(math.fsum(values) / len(values) if values else None for values in bins)


def _inside(side: tuple[PodSamples, ...], low: float, high: float) -> tuple[PodSamples, ...]:
    kept = ((pod, tuple(sample for sample in samples if low <= sample[0] <= high)) for pod, samples in side)
    return tuple((pod, samples) for pod, samples in kept if samples)


def _place(time: float, edges: Sequence[float]) -> int:
    return min(int((time - edges[0]) / (edges[1] - edges[0])), len(edges) - 2)
