"""Samples of two sides on one time grid."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.core.metrics.blocks import covered, grid, row_of, settled, step
from rollout_verdict.core.values import Pair


def at(*values, start=0.0, every=10.0):
    return tuple((start + every * n, float(value)) for n, value in enumerate(values))


def test_step_is_the_usual_gap():
    assert step(((0, 1), (10, 1), (20, 1), (50, 1))) == 10
    assert step(((0, 1),)) == 1.0


def test_covered_ends_one_step_after_the_last_sample():
    assert covered(at(1, 2, 3)) == 30


def test_warm_up_is_left_out_when_enough_remains():
    samples = at(*range(12))
    assert settled(samples, warm_up=30, keep=8) == samples[3:]
    assert settled(samples, warm_up=30, keep=10) == samples


def test_stable_is_cut_to_the_time_of_the_canary():
    found = grid(Pair(stable=(("s", at(*range(10))),), canary=(("c", at(7, 8, start=40)),)), blocks=6)
    assert found.rows == Pair(stable=((4.0, 5.0),), canary=((7.0, 8.0),))
    assert (found.edges, found.seconds, found.counts) == ((35.0, 45.0, 55.0), 10.0, (1, 1))


def test_a_stable_pod_without_samples_in_that_time_is_left_out():
    found = grid(Pair(stable=(("old", at(1)), ("s", at(5, start=40))), canary=(("c", at(7, start=40)),)), blocks=6)
    assert found.pods.stable == ("s",)


def test_stable_of_another_time_is_laid_over_the_canary():
    found = grid(Pair(stable=(("s", at(1, 2, 3)),), canary=(("c", at(4, 5, start=1000)),)), blocks=6)
    assert found.rows == Pair(stable=((1.0, 2.0),), canary=((4.0, 5.0),))


def test_long_series_become_few_blocks():
    found = grid(Pair(stable=(("s", at(*range(12))),), canary=(("c", at(*range(12))),)), blocks=6)
    assert found.rows.canary == ((0.5, 2.5, 4.5, 6.5, 8.5, 10.5),)
    assert found.counts == (2,) * 6


def test_blocks_without_samples_are_unknown():
    assert row_of(at(1, 2), (0.0, 5.0, 8.0)) == (1.0, None)


@given(
    st.lists(st.floats(0, 1000), min_size=1, max_size=30, unique=True),
    st.lists(st.floats(0, 1000), min_size=1, max_size=30, unique=True),
    st.integers(1, 8),
)
def test_every_canary_sample_is_in_a_block(stable, canary, blocks):
    sides = Pair(
        stable=(("s", tuple((time, 1.0) for time in sorted(stable))),),
        canary=(("c", tuple((time, 2.0) for time in sorted(canary))),),
    )
    found = grid(sides, blocks=blocks)
    assert sum(found.counts) == len(canary)
    assert 1 <= len(found.counts) <= blocks
    assert {value for row in found.rows.canary for value in row} <= {2.0, None}
    assert found.rows.stable
    assert found.seconds == pytest.approx((found.edges[-1] - found.edges[0]) / len(found.counts))
