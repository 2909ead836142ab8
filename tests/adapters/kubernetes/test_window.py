"""The window: from when the canary took traffic, its warm-up left out, never empty, never too long."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.adapters.kubernetes.window import Floor, choose
from rollout_verdict.core.target import Gathering

END = datetime(2026, 1, 31, 10, tzinfo=UTC)
USUAL = Gathering(window_s=600, warm_up_s=30)


def ago(seconds):
    return END - timedelta(seconds=seconds)


def chosen(*ready, floor=None, started=()):
    return choose(END, USUAL, [None if one is None else ago(one) for one in ready], [ago(s) for s in started], floor)


@pytest.mark.parametrize(
    ("ready", "floor", "seconds", "told"),
    [
        ((5000,), None, 600, "has taken traffic since 08:36:40 UTC (its youngest pod became ready)"),
        ((5000, 200), None, 170, "from 30 s of warm-up after the canary took traffic (its youngest pod became ready)"),
        ((5000, 200, None), None, 170, "its youngest pod became ready"),
        ((5000,), Floor(since=ago(100), reason="switched"), 70, "(switched)"),
        ((200,), Floor(since=ago(5000), reason="switched"), 170, "its youngest pod became ready"),
    ],
)
def test_the_window_begins_when_the_canary_had_warmed_up(ready, floor, seconds, told):
    found = chosen(*ready, floor=floor)
    assert (found.window.end, found.window.seconds, found.obstacle) == (END, seconds, "")
    assert told in found.basis


@pytest.mark.parametrize(("ready", "seconds"), [(30, 30), (10, 10), (0.2, 1), (-5, 1)])
def test_a_canary_that_is_warming_up_is_in_the_way(ready, seconds):
    found = chosen(5000, ready)
    assert found.window.seconds == seconds
    assert "still warming up: its youngest pod became ready" in found.obstacle


@pytest.mark.parametrize(
    ("ready", "told", "hint"),
    [
        (
            -200,
            "the analysis was over before the canary of now took traffic: its youngest pod became ready at 10:03:20",
            "replaced",
        ),
        (0, "the analysis was over before the canary of now took traffic", "replaced"),
        (
            10,
            "the canary was still warming up: its youngest pod became ready 10 s before the end of the",
            "initialDelay",
        ),
    ],
)
def test_an_analysis_that_was_over_before_its_canary_had_warmed_up_says_so(ready, told, hint):
    """Its pods of now may be others than those that it looked at."""
    found = choose(END, USUAL, [ago(5000), ago(ready)], [], None, over=True)
    assert told in found.obstacle
    assert hint in found.hint
    assert found.window.end == END


def test_a_canary_that_was_never_ready_is_seen_from_its_start():
    found = chosen(None, None, started=(120, 90))
    assert (found.window.seconds, found.obstacle) == (120, "")
    assert "no canary pod has been ready yet" in found.basis
    assert chosen(None, started=(9000,)).window.seconds == 600
    assert chosen(None, started=(0,)).window.seconds == 1
    assert chosen().window.seconds == 600
    assert "no canary pod is known" in chosen().basis


@given(
    st.lists(st.none() | st.integers(-1000, 10_000)),
    st.none() | st.integers(-1000, 10_000),
    st.floats(0.1, 10_000),
    st.floats(0.1, 1_000),
)
def test_any_window_is_bounded_and_begins_after_the_youngest_pod_was_ready(ready, floor, window_s, warm_up_s):
    times = [None if one is None else ago(one) for one in ready]
    gathering = Gathering(window_s=window_s, warm_up_s=warm_up_s)
    found = choose(END, gathering, times, times, Floor(since=ago(floor), reason="x") if floor is not None else None)
    assert found.window.end == END
    assert 1 <= found.window.seconds <= max(1, window_s) + 1e-6
    known = [time for time in times if time]
    if known and found.window.seconds > 1:
        assert found.window.start >= max(known)
    if known and not found.obstacle:
        assert found.window.start >= max(known) + timedelta(seconds=warm_up_s) - timedelta(microseconds=1)
