"""Geometry of the charts. The template draws it; here are numbers only, and labels of our own making."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from math import floor, log10
from statistics import median

from rollout_verdict.core.explanation.amounts import amount
from rollout_verdict.core.values import Pair, Window

Point = tuple[float, float]
Trend = tuple[Point, ...]

WIDTH, HEIGHT = 460, 190  # user units; a phone shows them nearly one to one, so that labels stay readable
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 10, 10, 24
_LETTER, _MARGIN = 6.5, 12.0  # width of a letter of a label, and of the air around it
_WIDEST = 124.0  # of the place for labels; longer ones go without their unit, which the text above the chart tells
_MOST_DIGITS = 10  # more is beyond what a float of seconds or bytes can tell
_TICKS = 4
_GAP = 3.0  # a pause of so many usual steps is a gap in the data, not a line
_LATEST = 250_000_000_000.0  # the last second that datetime can write, nearly


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One side: stretches of connected points as ``points`` attributes, and every point as a dot with its label."""

    stretches: tuple[str, ...]
    dots: tuple[Point, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Both sides on one pair of axes. ``shade`` is the analysis window as (x, width), None when it is not known."""

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    lines: Pair[Line]
    xs: tuple[Tick, ...]
    ys: tuple[Tick, ...]
    shade: Point | None


def chart(trend: Pair[Trend], unit: str, window: Window | None) -> Chart | None:
    """Return the chart of a metric, None when neither side has a sample."""
    points = (*trend.stable, *trend.canary)
    if not points:
        return None
    first, last = min(t for t, _ in points), max(t for t, _ in points)
    times = (first, last) if last > first else (first - 1.0, last + 1.0)
    values = _bounds([v for _, v in points])
    ticks = _steps(values)
    labels = _labels(ticks, unit)
    room = min(_WIDEST, max(_LEFT, _MARGIN + _LETTER * max(map(len, labels), default=0)))
    left, right, top, bottom = float(room), float(WIDTH - _RIGHT), float(_TOP), float(HEIGHT - _BOTTOM)

    def x(time: float) -> float:
        return round(left + (time - times[0]) / (times[1] - times[0]) * (right - left), 1)

    def y(value: float) -> float:
        return round(bottom - (value - values[0]) / (values[1] - values[0]) * (bottom - top), 1)

    def label(point: Point) -> str:
        return f"{amount(point[1], unit)} at {_moment(point[0], times)}"

    def line(side: Trend) -> Line:
        stretches = [[(x(t), y(v)) for t, v in stretch] for stretch in _stretches(side)]
        return Line(
            stretches=tuple(_attribute(stretch) for stretch in stretches if len(stretch) > 1),
            dots=tuple(point for stretch in stretches for point in stretch),
            labels=tuple(map(label, side)),
        )

    return Chart(
        width=WIDTH,
        height=HEIGHT,
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        lines=trend.map(line),
        xs=tuple(Tick(at=x(time), label=label) for time, label in _times(times)),
        ys=tuple(Tick(at=y(value), label=label) for value, label in zip(ticks, labels, strict=True)),
        shade=_shade(window, times, x(times[0]), x(times[1])),
    )


def spark(trend: Pair[Trend], width: int = 120, height: int = 26) -> Pair[tuple[str, ...]]:
    """Return both sides as ``points`` attributes in a small box, on one scale; () for a side without samples."""
    points = (*trend.stable, *trend.canary)
    if not points:
        return Pair(stable=(), canary=())
    first, last = min(t for t, _ in points), max(t for t, _ in points)
    low, high = min(v for _, v in points), max(v for _, v in points)

    def at(point: Point) -> Point:
        x = (point[0] - first) / (last - first) if last > first else 0.5
        y = (point[1] - low) / (high - low) if high > low else 0.0
        return round(2 + x * (width - 4), 1), round(height - 3 - y * (height - 6), 1)

    return trend.map(lambda side: tuple(_attribute([at(p) for p in stretch]) for stretch in _stretches(side)))


def _stretches(side: Trend) -> list[Trend]:
    """Cut a side where it pauses."""
    pauses = [later[0] - earlier[0] for earlier, later in pairwise(side)]
    longest = _GAP * median(pauses) if pauses else 0.0
    cuts = [0, *(index + 1 for index, pause in enumerate(pauses) if pause > longest), len(side)]
    return [side[start:end] for start, end in pairwise(cuts) if end > start]


def _attribute(points: Sequence[Point]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _bounds(values: Sequence[float]) -> Point:
    """Return the ends of the value axis: from zero where that leaves the lines readable, with room above."""
    low, high = min(values), max(values)
    if 0 <= low <= high / 2:
        low = 0.0
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return (low if low == 0 else low - room), high + room


def _steps(bounds: Point) -> list[float]:
    """Return round values inside the bounds, about ``_TICKS`` of them."""
    rough = (bounds[1] - bounds[0]) / _TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if power * factor >= rough)
    start = floor(bounds[0] / step)
    ticks = (step * (start + index) for index in range(_TICKS + 3))
    return [tick for tick in ticks if bounds[0] <= tick <= bounds[1]]


def _labels(ticks: Sequence[float], unit: str) -> list[str]:
    """Return the labels of a value axis with as many digits as keep them apart, without the unit where it is long."""
    labels = [amount(tick, unit) for tick in ticks]
    for digits in range(3, _MOST_DIGITS):
        labels = [amount(tick, unit, digits=digits) for tick in ticks]
        if len(set(labels)) == len(labels):
            break
    long = max(map(len, labels), default=0) * _LETTER + _MARGIN > _WIDEST
    return [label.partition(" ")[0] for label in labels] if long else labels


def _times(times: Point) -> list[tuple[float, str]]:
    """Return three moments with their labels."""
    moments = [times[0], (times[0] + times[1]) / 2, times[1]]
    return [(moment, _moment(moment, times)) for moment in moments]


def _moment(moment: float, times: Point) -> str:
    """Return a label: UTC, or seconds from the start for times that no calendar has."""
    if not 0 <= times[0] <= times[1] < _LATEST:
        return f"+{moment - times[0]:.4g} s"
    form = "%H:%M:%S" if times[1] - times[0] < 3600 else "%m-%d %H:%M"
    return f"{datetime.fromtimestamp(moment, UTC):{form}}"


def _shade(window: Window | None, times: Point, left: float, right: float) -> Point | None:
    if window is None:
        return None
    start, end = (min(max(edge.timestamp(), times[0]), times[1]) for edge in (window.start, window.end))
    if end <= start:
        return None
    scale = (right - left) / (times[1] - times[0])
    return round(left + (start - times[0]) * scale, 1), round((end - start) * scale, 1)
