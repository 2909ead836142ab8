"""Numbers with their unit, as a person reads them."""

from math import floor, isinf

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
_LEAST = 1e-6  # smaller ones are told as such
_BARE = frozenset({"", "count", "number", "none", "short", "bool", "boolean"})


def amount(value: float, unit: str, *, digits: int = 3) -> str:
    """Return a value with its unit, as many digits as matter: ``6.2 %``, ``210 ms``, ``1.5 GiB``, ``12 requests``.

    More ``digits`` tell values apart that are nearly the same.
    """
    if isinf(value):
        return "∞" if value > 0 else "−∞"
    word = unit.lower()
    if word in _PARTS or word in _PERCENT:
        points = value * 100 if word in _PARTS else value
        return f"{number(points, digits if abs(points) >= 1 else digits - 1)} %"
    if word in _SECONDS:
        return _scaled(value * _SECONDS[word], _TIME, digits)
    if word in _BYTES:
        return _scaled(value * _BYTES[word], _SIZE, digits)
    bare = f"{value:,.0f}" if value == int(value) and abs(value) < 1e15 else number(value, digits)
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


def relative(canary: float, stable: float) -> str:
    """Return by how much one level differs from another: ``+9 %``, ``−96 %``, ``× 30``; "" where stable's is none."""
    if not stable > 0.0 or canary < 0.0:
        return ""
    factor = canary / stable
    if factor >= 10.0:
        return f"× {factor:,.0f}"
    return f"{'−' if factor < 1.0 else '+'}{abs(factor - 1.0) * 100:.0f} %"


def times(factor: float) -> str:
    """Return a factor (>= 1) that holds at least, rounded down to one digit that matters: ``3``, ``80``, ``1,000``."""
    power = 10.0 ** max(0, len(f"{factor:.0f}") - 1)
    return f"{max(1.0, floor(factor / power) * power):,.0f}" if factor < 1e6 else "1,000,000"


def count(number_of: int, one: str, many: str = "") -> str:
    """Return a number with its noun: ``1 pod``, ``1,200 lines``."""
    return f"{number_of:,} {one if number_of == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """Return a length of time: ``45 s``, ``10 min``, ``2 h 5 min``."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{size} {unit}" for size, unit in parts if size) or "0 s"


def _scaled(value: float, steps: tuple[tuple[float, str], ...], digits: int) -> str:
    size, unit = steps[0] if value else next(step for step in steps if step[0] == 1.0)
    for larger, name in steps[1:]:
        if abs(value) >= larger:
            size, unit = larger, name
    return f"{number(value / size, digits)} {unit}"


def number(value: float, digits: int = 3) -> str:
    """Return the digits that matter, never as a power of ten: ``1,285``, ``27.8``, ``0.0006``, ``<0.000001``."""
    size = abs(value)
    if size >= 1e15:
        return f"{value:.3g}"  # nothing that was measured
    if size >= 100 or value == 0:
        return f"{value:,.{max(0, digits - 3)}f}"
    if size >= 10:
        return f"{value:.{digits - 2}f}"
    if size >= 0.0001:
        return f"{value:.{digits}g}"
    if size < _LEAST:
        return f"<{_LEAST:f}"
    return f"{value:.{min(9, digits + 4)}f}".rstrip("0")
