"""Steps that go together, and steps that every pod takes."""

import pytest

from rollout_verdict.core.logs.policy import LogPolicy
from rollout_verdict.core.logs.steps import Step, broken_steps, in_step, missing_steps, poisson_upper
from rollout_verdict.core.values import Pair

POLICY = LogPolicy()
FLOW = (5, 3, 4, 6, 2, 5, 4, 3, 6, 5)


def step(name, stable, canary):
    return Step(name=name, cells=Pair(stable=tuple(stable), canary=tuple(canary)))


def test_begin_and_end_go_together():
    """Equal counts in every cell are in step; the same total at other times is not."""
    assert in_step(step(0, FLOW, ()), step(1, FLOW, ()), POLICY)
    assert not in_step(step(0, FLOW, ()), step(1, reversed([9, 0, 8, 0, 7, 0, 9, 0, 7, 3]), ()), POLICY)


def test_few_cells_prove_nothing():
    """Two cells that agree may be chance."""
    assert not in_step(step(0, (20, 20), ()), step(1, (20, 20), ()), POLICY)


def test_a_lossy_pair_is_none():
    """What is often left open on stable is no pair."""
    assert not in_step(step(0, FLOW, ()), step(1, [n - 1 for n in FLOW], ()), POLICY)


def test_work_begun_and_not_ended():
    """Half of the orders are never shipped: the end is lost, not the begin."""
    found = broken_steps([step(0, FLOW * 4, FLOW * 4), step(1, FLOW * 4, [n // 2 for n in FLOW * 4])], POLICY)
    assert [(one.lost, one.begun) for one in found] == [(1, 0)]
    assert found[0].kept.stable == 1.0
    assert found[0].kept.canary < 0.6


def test_small_losses_stay_untold():
    """One of forty open is the edge of the window."""
    assert not broken_steps([step(0, FLOW, FLOW), step(1, FLOW, (*FLOW[:-1], FLOW[-1] - 1))], POLICY)


def test_hardly_begun_is_not_judged():
    """Too little work on either side tells nothing."""
    assert not broken_steps([step(0, FLOW, (3, 3)), step(1, FLOW, (0, 0))], POLICY)
    assert not broken_steps([step(0, (1,) * 10, FLOW), step(1, (1,) * 10, (0,) * 10)], POLICY)


def test_the_telling_partner_is_named():
    """Of two partners the one with more evidence is named, whatever the order."""
    more = [n + 1 for n in FLOW * 2]
    steps = [step(0, FLOW * 2, FLOW * 2), step(1, FLOW * 2, (0,) * 20), step(2, FLOW * 2, more)]
    assert [one.begun for one in broken_steps(steps, POLICY) if one.lost == 1] == [2]
    assert broken_steps(steps, POLICY) == broken_steps(steps[::-1], POLICY)


def test_the_first_of_equal_partners_is_named():
    """Partners that tell the same: the one that comes first in the comparison."""
    steps = [step(0, FLOW, FLOW), step(1, FLOW, FLOW), step(2, FLOW, (0,) * 10)]
    assert [one.begun for one in broken_steps(steps, POLICY)] == [0]


def test_missing_steps_against_chance():
    """Ten steps that should have come five times each are missed; rare ones are not."""
    often = missing_steps([(n, 5.0, 0) for n in range(10)])
    rare = missing_steps([(n, 0.1, 0) for n in range(10)])
    assert often.names == tuple(range(10))
    assert often.p < 1e-10
    assert rare.p > 0.3
    assert missing_steps([(0, 5.0, 3)]).p == 1.0


@pytest.mark.parametrize(("k", "mean", "p"), [(0, 2.0, 1.0), (1, 2.0, 0.8646647), (5, 2.0, 0.0526530)])
def test_poisson_upper(k, mean, p):
    """Values of scipy.stats.poisson.sf(k - 1, mean)."""
    assert poisson_upper(k, mean) == pytest.approx(p)
