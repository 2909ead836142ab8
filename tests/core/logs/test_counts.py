"""Counts, bursts and the habits of pods."""

import math

import pytest

from rollout_verdict.core.logs.counts import (
    Habit,
    bunching,
    burst_size,
    contrast,
    could_differ,
    dispersion,
    pearson,
    ratio_interval,
    regularity,
    typical_spread,
)
from rollout_verdict.core.values import Pair

EVEN = Pair(stable=(1.0, 1.0), canary=(1.0, 1.0))
CHANCE = Habit(spread=0.0, least=1.0)


def counts(stable, canary):
    return Pair(stable=tuple(stable), canary=tuple(canary))


def test_rates_are_per_exposure():
    """A canary with half the work and half the events is no different."""
    one = contrast(counts((100, 100), (50, 50)), Pair(stable=(10.0, 10.0), canary=(5.0, 5.0)), 1.0)
    assert one.rate.stable == one.rate.canary == 10.0
    assert one.ratio == pytest.approx(1.0, abs=0.01)
    assert one.p > 0.9


def test_deflated_counts_weigh_less():
    """Thirty events that come in tens are three."""
    alone = contrast(counts((0, 0), (15, 15)), EVEN, 1.0)
    bursts = contrast(counts((0, 0), (15, 15)), EVEN, 10.0)
    assert alone.p < 1e-8
    assert bursts.p == pytest.approx(0.25)


def test_fixed_workloads_weigh_more():
    """Where nothing varies, three events against none are no chance."""
    assert contrast(counts((0, 0), (3, 0)), EVEN, 0.1).p < 1e-8


def test_interval_holds_the_ratio():
    """The interval surrounds the ratio and follows the exposure."""
    one = contrast(counts((50, 50), (100, 100)), Pair(stable=(2.0, 2.0), canary=(1.0, 1.0)), 1.0)
    interval = ratio_interval(one, 0.95)
    assert interval.low < 4.0 < interval.high
    assert interval.level == 0.95


def test_interval_of_a_new_message_is_open():
    """Nothing on stable: the ratio may be anything upwards, and nothing on the canary anything down to zero."""
    assert ratio_interval(contrast(counts((0, 0), (9, 9)), EVEN, 1.0), 0.95).high == math.inf
    assert ratio_interval(contrast(counts((9, 9), (0, 0)), EVEN, 1.0), 0.95).low == 0.0


@pytest.mark.parametrize(("events", "possible"), [(3, False), (12, True)])
def test_few_events_cannot_differ(events, possible):
    """Three events of two equal sides are never beyond one in a hundred."""
    assert could_differ(events, EVEN, 0.01) is possible


def test_pearson_looks_within_sides_only():
    """A difference between the sides is not dispersion; a side of one pod or without events tells nothing."""
    assert pearson(counts((10, 10), (90, 90)), EVEN)[0] == 0.0
    chi, freedom, mean = pearson(counts((0, 20), (5,)), Pair(stable=(1.0, 1.0), canary=(1.0,)))
    assert (chi, freedom, mean) == (20.0, 1, 10.0)
    assert pearson(counts((0, 0), (5,)), Pair(stable=(1.0, 1.0), canary=(1.0,))) == (0.0, 0, 0.0)


def test_dispersion_of_uneven_pods():
    """Bursts on one pod raise the factor, even pods leave it at 1."""
    assert dispersion(counts((0, 60), (0, 60)), EVEN, CHANCE, 2.0) > 20
    assert dispersion(counts((30, 30), (30, 30)), EVEN, CHANCE, 2.0) == 1.0


def test_dispersion_of_single_pods_follows_habit():
    """Without a second pod only what is usual is known."""
    single = Pair(stable=(1.0,), canary=(1.0,))
    assert dispersion(counts((50,), (50,)), single, Habit(spread=0.1, least=1.0), 2.0) == pytest.approx(6.0)
    assert dispersion(counts((), ()), single, CHANCE, 2.0) == 1.0


def test_typical_spread():
    """The spread is pooled over frequent rows; rare ones and even ones add none."""
    assert typical_spread([counts((100, 200), (10, 10))], EVEN) > 0.05
    assert typical_spread([counts((100, 100), (10, 10))], EVEN) == 0.0
    assert typical_spread([counts((1, 3), (0, 0))], EVEN) == 0.0


def test_regularity_of_a_fixed_workload():
    """Many rare messages that agree to the letter make a fixed workload; few do not, nor do random ones."""
    exact = [counts((2, 2), (0, 0))] * 60
    assert regularity(exact, EVEN, 30) == 0.0
    assert regularity(exact[:20], EVEN, 30) == 1.0
    assert regularity([counts((3, 1), (0, 0)), counts((0, 2), (0, 0))] * 30, EVEN, 30) == 1.0
    assert regularity([counts((1, 1), ())], EVEN, 0) == 1.0
    assert regularity([counts((4,), ())], Pair(stable=(1.0,), canary=()), 0) == 1.0


def test_burst_size():
    """A burst lands on one pod; what happens to all pods at once is none."""
    landed = Pair(stable=((30, 0), (0, 0)), canary=((0, 0),))
    shared = Pair(stable=((30, 0), (30, 0)), canary=((0, 0),))
    single = Pair(stable=(1.0, 1.0), canary=(1.0,))
    assert burst_size(landed, single) == 30.0
    assert burst_size(shared, single) == 1.0
    assert burst_size(Pair(stable=((9,),), canary=((9,),)), Pair(stable=(1.0,), canary=(1.0,))) == 1.0


def test_bunching():
    """All at once is bunched, unless the others did so too."""
    assert bunching((40, 0, 0, 0), (0, 0, 0, 0)) > 30
    assert bunching((40, 0, 0, 0), (400, 0, 0, 0)) < 2
    assert bunching((10, 10, 10, 10), (0, 0, 0, 0)) == 1.0
    assert bunching((5,), (5,)) == 1.0
    assert bunching((0, 0), (1, 1)) == 1.0
