"""The samples of two sides brought onto one time grid.

Rates and quantiles over a sliding window are correlated from one sample to the next; the means of a few
blocks of time are nearly independent and still show when something began. Every pod becomes a row of block
means.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rollout_verdict.core.evidence import MetricSeries
from rollout_verdict.core.values import Pair

Row = tuple[float | None, ...]
Sample = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Block means by side and pod; None where a pod has no sample. ``edges`` are unix seconds, one more than
    blocks.

    ``samples`` counts what the blocks hold. ``seconds`` is the time they cover on the canary side.
    """

    rows: Pair[tuple[Row, ...]]
    edges: tuple[float, ...]
    samples: Pair[int]
    seconds: float

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return len(self.edges) - 1


def span(samples: Sequence[Sample]) -> tuple[float, float]:
    """Return first and last time."""
    return samples[0][0], samples[-1][0]


def step(samples: Sequence[Sample]) -> float:
    """Return the usual time between two samples, 0 when there are fewer than two."""
    gaps = sorted(b[0] - a[0] for a, b in zip(samples, samples[1:], strict=False))
    return gaps[len(gaps) // 2] if gaps else 0.0


def settled(samples: Sequence[Sample], *, warm_up: float, keep: int) -> tuple[Sample, ...]:
    """Return the samples after the warm-up, all of them when fewer than ``keep`` would be left."""
    if not samples:
        return ()
    later = tuple(sample for sample in samples if sample[0] >= samples[0][0] + warm_up)
    return later if len(later) >= keep else tuple(samples)


def grid(sides: Pair[tuple[tuple[Sample, ...], ...]], *, blocks: int) -> Grid | None:
    """Return both sides on the canary's time, in at most ``blocks`` blocks; None when a side has no sample.

    Stable samples outside the canary's time are left out, unless the two do not overlap at all: then stable
    rows are laid over the canary's time by their own beginning.
    """
    canary = [one for one in sides.canary if one]
    stable = [one for one in sides.stable if one]
    if not canary or not stable:
        return None
    start = min(one[0][0] for one in canary)
    end = max(one[-1][0] for one in canary)
    width = max([step(one) for one in canary] + [step(one) for one in stable])
    inside = [tuple(sample for sample in one if start - width / 2 <= sample[0] <= end + width / 2) for one in stable]
    if not any(inside):
        inside = [tuple((time - one[0][0] + start, value) for time, value in one) for one in stable]
        inside = [tuple(sample for sample in one if sample[0] <= end + width / 2) for one in inside]
    times = {time for one in canary for time, _ in one}
    count = max(1, min(blocks, len(times)))
    low, high = start - width / 2, end + width / 2
    edges = tuple(low + (high - low) * index / count for index in range(count + 1))
    rows = Pair(
        stable=tuple(_row(one, edges) for one in inside if one), canary=tuple(_row(one, edges) for one in canary)
    )
    return Grid(
        rows=rows,
        edges=edges,
        samples=Pair(stable=sum(map(len, inside)), canary=sum(map(len, canary))),
        seconds=high - low,
    )


def _row(samples: Sequence[Sample], edges: Sequence[float]) -> Row:
    count = len(edges) - 1
    width = (edges[-1] - edges[0]) / count
    bins: list[list[float]] = [[] for _ in range(count)]
    for time, value in samples:
        place = int((time - edges[0]) / width) if width > 0 else 0
        bins[min(max(place, 0), count - 1)].append(value)
    return tuple(math.fsum(values) / len(values) if values else None for values in bins)


def series_samples(series: MetricSeries, *, scale: float, flip: bool) -> tuple[Sample, ...]:
    """Return a series in its base unit; ``flip`` turns a share of good outcomes into one of bad ones."""
    return tuple((time, 1.0 - value * scale if flip else value * scale) for time, value in series.samples)
