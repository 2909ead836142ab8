"""Comparing shares of failures."""

import math
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rollout_verdict.core.metrics.share import share_shift
from rollout_verdict.core.values import Pair


def compared(stable, canary, requests=100.0, weight=4.0):
    return share_shift(
        Pair(stable=tuple(map(tuple, stable)), canary=tuple(map(tuple, canary))),
        Pair(
            stable=tuple((requests,) * len(row) for row in stable),
            canary=tuple((requests,) * len(row) for row in canary),
        ),
        weight=weight,
        level=0.95,
    )


def test_sparse_errors_that_stable_never_has_are_found():
    found = compared([[0.0] * 6] * 3, [[0.02] * 6])
    assert found.p < 1e-5
    assert (found.share.canary, found.share.stable) == (pytest.approx(0.02), 0.0)
    assert found.low > 0
    assert found.requests == Pair(stable=1800.0, canary=600.0)


def test_one_error_is_chance():
    assert compared([[0.0] * 6] * 3, [[0.01, 0, 0, 0, 0, 0]]).p > 0.1


def test_many_failures_use_the_stratified_test():
    worse = compared([[0.2] * 6] * 3, [[0.3] * 6])
    assert worse.p < 1e-4
    assert worse.strength > 3
    assert compared([[0.3] * 6] * 3, [[0.2] * 6]).p > 0.999


def test_an_outage_of_all_cancels():
    outage = [0.0, 0.0, 0.5, 0.5, 0.0, 0.0]
    assert compared([outage] * 3, [outage]).p > 0.1


def test_an_outage_of_all_does_not_hide_the_canary_s_own_failures():
    found = compared([[0, 0, 0.5, 0.4, 0, 0], [0, 0, 0.4, 0.5, 0, 0]], [[0.03, 0.03, 0.4, 0.4, 0.03, 0.03]])
    assert found.calm
    assert found.p < 0.001
    assert found.share.stable == 0.0


def test_scatter_between_stable_pods_takes_the_edge_off():
    even = compared([[0.10] * 6, [0.10] * 6, [0.10] * 6], [[0.14] * 6])
    uneven = compared([[0.02] * 6, [0.18] * 6, [0.10] * 6], [[0.14] * 6])
    assert even.p < 0.01 < uneven.p


def test_nothing_to_divide_by_is_none():
    assert compared([[0.1]], [[0.1]], requests=0.0) is None
    unknown = Pair(stable=((None,),), canary=((0.1,),))
    assert share_shift(unknown, Pair(stable=((9.0,),), canary=((9.0,),)), weight=4, level=0.95) is None


def test_p_is_honest_under_no_difference():
    """Of 400 fair pairs, no more than about one in twenty has p < 0.05."""
    generator = random.Random(4)

    def failing():
        return sum(generator.random() < 0.05 for _ in range(100)) / 100

    hits = 0
    for _ in range(400):
        rows = [[failing() for _ in range(4)] for _ in range(4)]
        hits += compared(rows[:3], rows[3:]).p < 0.05
    assert hits <= 30


amounts = st.sampled_from([0.0, 5e-324, 1e-170, 1e-6, 0.5, 1.0, 300.0, 1e9, 1e15, 1e100]) | st.floats(0.0, 1e101)
shares = st.sampled_from([0.0, 5e-324, 1e-18, 0.01, 1.0, 7.0, -1.0]) | st.floats(-1e100, 1e100)


@st.composite
def any_shares(draw):
    """Return shares and requests of up to three pods a side over two blocks, of any finite size."""

    def side(values):
        row = st.tuples(st.none() | values, st.none() | values)
        return Pair(stable=tuple(draw(row) for _ in range(3)), canary=tuple(draw(row) for _ in range(2)))

    return side(shares), side(amounts)


HAIR = (  # whose interval ended at -1.0000000000000002
    Pair(stable=((1.0, None), (1.0, None), (None, None)), canary=((0.0, None), (None, None))),
    Pair(stable=((300.0, None), (300.0, None), (None, None)), canary=((1e-6, None), (None, None))),
)


@settings(deadline=None, max_examples=300)
@example(HAIR)
@given(any_shares())
def test_any_numbers_give_an_answer_in_numbers(given_):
    """Tiny and huge request counts divide by nothing that is 0 and leave nothing that is no number."""
    found = share_shift(*given_, weight=4.0, level=0.95)
    if found:
        assert 0.0 <= found.p <= 1.0
        assert -1.0 <= found.low <= found.high <= 1.0
        assert all(map(math.isfinite, (found.difference, found.strength, found.share.stable, found.share.canary)))
