"""Numbers with their unit, as a person reads them."""

from math import isinf

from rollout_verdict.core.comparison import Interval
from rollout_verdict.core.quote import visible

# As sources name them (Prometheus, OpenTelemetry and OpenMetrics write units out or by UCUM letters).
_PARTS = frozenset({"ratio", "fraction", "share", "1"})
_PERCENT = frozenset({"percent", "%"})
_SECONDS = {
    "seconds": 1.0, "second": 1.0, "s": 1.0, "milliseconds": 1e-3, "ms": 1e-3, "microseconds": 1e-6, "us": 1e-6,
    "nanoseconds": 1e-9, "ns": 1e-9,
}  # fmt: skip
_BYTES = {"bytes": 1.0, "byte": 1.0, "by": 1.0, "kib": 1024.0, "mib": 1024.0**2, "kilobytes": 1e3, "megabytes": 1e6}
_BARE = frozenset({"", "count", "number", "none", "short", "bool", "boolean"})


def amount(value: float, unit: str) -> str:
    """Return a value with its unit, three digits of it: ``6.2 %``, ``210 ms``, ``1.5 GiB``, ``12 requests``."""
    if isinf(value):
        return "∞" if value > 0 else "−∞"
    word = unit.lower()
    if word in _PARTS or word in _PERCENT:
        return f"{_digits(value * 100 if word in _PARTS else value)} %"
    if word in _SECONDS:
        return _scaled(value * _SECONDS[word], _TIME)
    if word in _BYTES:
        return _scaled(value * _BYTES[word], _SIZE)
    bare = f"{value:,.0f}" if value == int(value) and abs(value) < 1e15 else _digits(value)
    # a unit that is none of ours was written by others
    return bare if word in _BARE else f"{bare} {visible(unit.replace('_per_second', '/s').replace('_', ' '), limit=24)}"


_TIME = ((1e-6, "µs"), (1e-3, "ms"), (1.0, "s"))
_SIZE = ((1.0, "B"), (1024.0, "KiB"), (1024.0**2, "MiB"), (1024.0**3, "GiB"))


def change(value: float, unit: str) -> str:
    """Return a shift with its sign; the shift of a share is in percentage points."""
    text = amount(abs(value), unit).removesuffix(" %")
    points = " pp" if unit.lower() in _PARTS or unit.lower() in _PERCENT else ""
    return f"{'−' if value < 0 else '+'}{text}{points}"


def span(interval: Interval, unit: str) -> str:
    """Return an interval with its level, the unit once where it is the same: ``95 %: +2.0 to +9.1 ms``."""
    low, high = change(interval.low, unit), change(interval.high, unit)
    if low.partition(" ")[2] == high.partition(" ")[2]:
        low = low.partition(" ")[0]
    return f"{interval.level * 100:.3g} %: {low} to {high}"


def chance(p: float) -> str:
    """Return a p-value: ``p = 0.013``, ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def count(number_of: int, one: str, many: str = "") -> str:
    """Return a number with its noun: ``1 pod``, ``1,200 lines``."""
    return f"{number_of:,} {one if number_of == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """Return a length of time: ``45 s``, ``10 min``, ``2 h 5 min``."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{size} {unit}" for size, unit in parts if size) or "0 s"


def _scaled(value: float, steps: tuple[tuple[float, str], ...]) -> str:
    size, unit = steps[0] if value else next(step for step in steps if step[0] == 1.0)
    for larger, name in steps[1:]:
        if abs(value) >= larger:
            size, unit = larger, name
    return f"{_digits(value / size)} {unit}"


def _digits(value: float) -> str:
    """Return the digits that matter: two behind the point at most, three in all below one."""
    if abs(value) >= 1e15:
        return f"{value:.3g}"
    if abs(value) >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
