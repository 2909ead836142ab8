"""Spark lines: the course of a metric in a few characters, both sides on one scale."""

from collections.abc import Sequence

from rollout_verdict.core.values import Pair

Trend = Sequence[tuple[float, float]]
_BARS = "▁▂▃▄▅▆▇█"
NONE = "no data"


def sparks(trend: Pair[Trend] | Pair[tuple[tuple[float, float], ...]], width: int = 12) -> Pair[str]:
    """Return a line of ``width`` characters for each side, "no data" for a side without samples.

    Both share the time axis and the scale, so that the same height means the same value. A stretch of time without a
    sample is a blank.
    """
    points = [point for side in (trend.stable, trend.canary) for point in side]
    if not points:
        return Pair(stable=NONE, canary=NONE)
    first, last = min(time for time, _ in points), max(time for time, _ in points)
    low, high = min(value for _, value in points), max(value for _, value in points)

    def line(side: Trend) -> str:
        if not side:
            return NONE
        bins: list[list[float]] = [[] for _ in range(width)]
        for time, value in side:
            place = (time - first) / (last - first) if last > first else 0.0
            bins[min(width - 1, int(place * width))].append(value)
        return "".join(_bar(sum(values) / len(values), low, high) if values else " " for values in bins)

    return Pair(stable=line(trend.stable), canary=line(trend.canary))


def _bar(value: float, low: float, high: float) -> str:
    if high <= low:
        return _BARS[0]
    return _BARS[min(len(_BARS) - 1, int((value - low) / (high - low) * len(_BARS)))]
