"""Spark lines and charts: one scale for both sides, a gap is a gap, nothing is drawn where nothing was measured."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.core.values import Pair, Window
from rollout_verdict.render import svg
from rollout_verdict.render.spark import sparks
from tests.core.builders import NOON, WINDOW

START = NOON.timestamp()


def pair(stable, canary):
    """Make trends of values one minute apart; None is a missing sample."""

    def side(values):
        return tuple((START + 60.0 * n, float(v)) for n, v in enumerate(values) if v is not None)

    return Pair(stable=side(stable), canary=side(canary))


def test_sparks_share_their_scale():
    """The same height means the same value on both sides."""
    lines = sparks(pair([0, 0, 0, 0], [0, 1, 2, 4]), width=4)
    assert lines == Pair(stable="▁▁▁▁", canary="▁▃▅█")


def test_sparks_leave_blanks_and_say_no_data():
    """A missing sample is a blank, a missing side is said."""
    assert sparks(pair([], [1, None, None, 2]), width=4) == Pair(stable="no data", canary="▁  █")
    assert sparks(pair([], [])) == Pair(stable="no data", canary="no data")
    assert sparks(pair([5], [5]), width=3) == Pair(stable="▁  ", canary="▁  ")


def test_a_pause_parts_the_line():
    """Three times the usual step without a sample, and the line stops."""
    chart = svg.chart(pair([1, 1, 1, 1, 1, 1, 1], [1, 2, None, None, None, 3, 4]), "count", WINDOW)
    assert len(chart.lines.stable.stretches) == 1
    assert len(chart.lines.canary.stretches) == 2
    assert len(chart.lines.canary.dots) == 4


def test_a_lone_sample_is_a_dot():
    """One sample is no line, but it is seen."""
    chart = svg.chart(pair([], [3]), "seconds", None)
    assert chart.lines.canary.stretches == ()
    assert len(chart.lines.canary.dots) == 1
    assert chart.lines.stable.dots == ()
    assert chart.shade is None


def test_nothing_is_no_chart():
    """Without samples there is nothing to draw."""
    assert svg.chart(pair([], []), "count", WINDOW) is None
    assert svg.spark(pair([], [])) == Pair(stable=(), canary=())


def test_axes_are_labelled_in_the_unit():
    """Round values with their unit, times in UTC."""
    chart = svg.chart(pair([0.01] * 6, [0.02, 0.05, 0.06, 0.05, 0.06, 0.06]), "ratio", WINDOW)
    assert [tick.label for tick in chart.ys] == ["0 %", "2 %", "4 %", "6 %"]
    assert [tick.label for tick in chart.xs] == ["12:00:00", "12:02:30", "12:05:00"]


def test_days_have_dates_and_absurd_times_are_relative():
    """Long spans show the day; what no calendar holds is counted from the start."""
    day = Pair(stable=(), canary=((START, 1.0), (START + 90_000, 2.0)))
    assert svg.chart(day, "count", None).xs[-1].label == "01-02 13:00"
    absurd = Pair(stable=(), canary=((1e300, 1.0), (2e300, 2.0)))
    assert svg.chart(absurd, "count", WINDOW).xs[-1].label == "+1e+300 s"


@pytest.mark.parametrize(
    ("start", "minutes", "shade"),
    [(0, 5, (62.0, 388.0)), (1, 1, (139.6, 77.6)), (10, 5, None)],
)
def test_the_window_is_shaded_where_it_is_seen(start, minutes, shade):
    """Inside the axes only."""
    begin = NOON + timedelta(minutes=start)
    window = Window(start=begin, end=begin + timedelta(minutes=minutes))
    assert svg.chart(pair([1] * 6, [2] * 6), "count", window).shade == shade


NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32)
TREND = st.lists(st.tuples(st.floats(0, 4e9), NUMBERS), max_size=12).map(lambda points: tuple(sorted(points)))


@given(st.builds(Pair, stable=TREND, canary=TREND))
def test_any_trend_is_drawn_inside_its_box(trend):
    """Whatever the numbers, every point lies inside and every label is text."""
    chart = svg.chart(
        trend, "seconds", Window(start=datetime(2000, 1, 1, tzinfo=UTC), end=datetime(2030, 1, 1, tzinfo=UTC))
    )
    if chart is None:
        return
    for x, y in (*chart.lines.stable.dots, *chart.lines.canary.dots):
        assert chart.left <= x <= chart.right
        assert chart.top <= y <= chart.bottom
    assert all(chart.top <= tick.at <= chart.bottom for tick in chart.ys)
    assert len(sparks(trend, width=7).canary) == 7


def test_labels_of_a_nearly_constant_series_differ():
    """As many digits as it takes: three times the same label would say nothing."""
    chart = svg.chart(pair([1.0001, 1.0002], [1.0003, 1.0004]), "seconds", WINDOW)
    labels = [tick.label for tick in chart.ys]
    assert len(labels) > 2
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("unit", ["cores", "requests_per_second", "long_winded_unit_of_somebody"])
def test_labels_have_the_room_they_take(unit):
    """Long units make room, and too long ones are left to the text above."""
    chart = svg.chart(pair([0.0011, 0.0012], [0.0013, 0.0014]), unit, WINDOW)
    longest = max(len(tick.label) for tick in chart.ys)
    assert 6.0 * longest < chart.left - 6 < 130
    assert all(tick.label[0].isdigit() for tick in chart.ys)


def test_every_dot_says_its_value_and_moment():
    """What a pointer over a dot reads: value with unit, and when."""
    chart = svg.chart(pair([1], [2, 3]), "seconds", WINDOW)
    assert len(chart.lines.canary.labels) == len(chart.lines.canary.dots) == 2
    assert chart.lines.canary.labels[1].startswith("3 s at ")
