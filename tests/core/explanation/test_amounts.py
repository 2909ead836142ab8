"""Numbers with their unit."""

import pytest

from rollout_verdict.core.comparison import Interval
from rollout_verdict.core.explanation.amounts import (
    amount,
    chance,
    change,
    count,
    duration,
    number,
    relative,
    span,
    times,
)

INF = float("inf")


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.062, "ratio", "6.2 %"),
        (62, "percent", "62.0 %"),
        (0, "ratio", "0 %"),
        (0.21, "seconds", "210 ms"),
        (2.5, "s", "2.5 s"),
        (0, "ms", "0 s"),
        (0, "bytes", "0 B"),
        (0.0000005, "seconds", "0.5 µs"),
        (12, "milliseconds", "12.0 ms"),
        (1536, "bytes", "1.5 KiB"),
        (3 * 1024**3, "bytes", "3 GiB"),
        (7, "count", "7"),
        (7.126, "", "7.13"),
        (1_234_567, "count", "1,234,567"),
        (1234.5, "", "1,234"),
        (1e300, "", "1e+300"),
        (0.00005, "cores", "0.00005 cores"),
        (1e-84, "ratio", "<0.000001 %"),
        (0.000951, "seconds", "951 µs"),
        (2.227, "queries_per_second", "2.23 queries/s"),
        (INF, "ratio", "∞"),
        (-INF, "s", "−∞"),
        (1, "x\x1b[2J" + "y" * 99, "1 x\\x1b[2J" + "y" * 19 + "… (+80 characters)"),
    ],
)
def test_amounts_read_well(value, unit, shown):
    """Three digits that matter and a unit a person uses; a foreign unit is bounded and harmless."""
    assert amount(value, unit) == shown


def test_more_digits_tell_near_values_apart():
    """As on the axis of a nearly constant series."""
    assert [amount(value, "s", digits=6) for value in (1.00011, 1.00012)] == ["1.00011 s", "1.00012 s"]
    assert [amount(value, "x", digits=5) for value in (12.3456, 1234.56)] == ["12.346 x", "1,234.56 x"]
    assert number(-0.000012345, 4) == "-0.00001234"


def test_levels_are_compared_in_words():
    """Percent up to ten times, then a factor; nothing where stable has no level to compare with."""
    assert relative(1.09, 1.0) == "+9 %"
    assert relative(0.04, 1.0) == "−96 %"
    assert relative(1300.0, 1.0) == "× 1,300"
    assert (relative(1.0, 0.0), relative(-1.0, 1.0), relative(1.0, float("nan"))) == ("", "", "")


def test_factors_are_rounded_down_to_what_holds():
    """An interval's end is a bound: at least so many times."""
    assert [times(one) for one in (1.0, 1.9, 83.7, 107.0, 9999.0, 1e9, INF)] == [
        *("1", "1", "80", "100", "9,000", "1,000,000", "1,000,000")
    ]


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(0.058, "ratio", "+5.8 pp"), (-0.01, "s", "−10.0 ms"), (0, "count", "+0"), (INF, "percent", "+∞ pp")],
)
def test_shifts_carry_a_sign(value, unit, shown):
    """The shift of a share is in percentage points."""
    assert change(value, unit) == shown


@pytest.mark.parametrize(
    ("low", "high", "unit", "shown"),
    [
        (0.002, 0.009, "s", "95 %: +2 to +9 ms"),
        (-0.0005, 0.002, "s", "95 %: −500 µs to +2 ms"),
        (-1.0, INF, "count", "95 %: −1 to +∞"),
    ],
)
def test_intervals_name_their_level(low, high, unit, shown):
    """The unit stands once where it is the same."""
    assert span(Interval(low=low, high=high, level=0.95), unit) == shown


def test_the_rest():
    """Chances, counts and lengths of time."""
    assert [chance(0.0004), chance(0.0123)] == ["p < 0.001", "p = 0.012"]
    assert [count(1, "pod"), count(1200, "line"), count(2, "match", "matches")] == ["1 pod", "1,200 lines", "2 matches"]
    assert [duration(s) for s in (0, 45, 600, 7505)] == ["0 s", "45 s", "10 min", "2 h 5 min 5 s"]
