"""The shift of a level against the spread between stable pods."""

import random

import pytest
from scipy import stats

from rollout_verdict.core.metrics.shift import Prior, shift
from rollout_verdict.core.values import Pair

PRIOR = Prior(between=0.1, within=0.2, weight=4.0)
FLAT = ((0.0,) * 6,) * 3


def shifted(stable, canary, *, worse=1, noise=1.0, prior=PRIOR, **options):
    return shift(Pair(stable=tuple(stable), canary=tuple(canary)), worse=worse, prior=prior, noise=noise, **options)


def test_no_shift_is_no_shift():
    whole, worst = shifted(FLAT, [(0.0,) * 6])
    assert (whole.value, whole.strength, whole.p) == (0.0, 0.0, 0.5)
    assert worst == whole


def test_p_and_interval_belong_to_student_s_distribution():
    whole, _ = shifted(FLAT, [(0.5,) * 6])
    assert whole.p == pytest.approx(stats.t.sf(whole.value / whole.error, whole.df))
    low, high = whole.interval(0.9)
    assert (low, high) == pytest.approx(stats.t.interval(0.9, whole.df, loc=whole.value, scale=whole.error))


def test_direction_decides_which_tail_counts():
    down = [(-0.8,) * 6]
    assert shifted(FLAT, down, worse=-1)[0].p < 0.01
    assert shifted(FLAT, down, worse=1)[0].p > 0.99


def test_a_fault_that_begins_in_mid_window_is_found_in_its_part():
    whole, worst = shifted(FLAT, [(0.0, 0.0, 0.0, 0.0, 2.0, 2.0)])
    assert (worst.first, worst.count, worst.partial) == (4, 2, True)
    assert worst.p < whole.p
    assert not whole.partial


def test_a_part_needs_samples():
    canary = [(0.0, 0.0, 0.0, 0.0, 2.0, 2.0)]
    assert shifted(FLAT, canary, counts=(1,) * 6, min_samples=3)[1].count >= 3
    assert shifted(FLAT, canary, counts=(5,) * 6, min_samples=3)[1].count == 2


def test_trouble_that_hits_stable_too_is_no_part_of_its_own():
    stable = [(0.0, 0.0, 3.0, 3.0, 0.0, 0.0)] * 3
    _, worst = shifted(stable, [(0.0, 0.0, 4.5, 4.5, 0.0, 0.0)])
    assert worst.count == 6


def test_what_happens_to_everybody_cancels():
    wave = (0.0, 1.0, 2.0, 3.0, 1.0, 0.0)
    assert shifted([wave] * 3, [wave])[0].value == 0.0


def test_spread_between_stable_pods_is_the_yardstick():
    canary = [(0.6,) * 6]
    apart = [(-0.5,) * 6, (0.0,) * 6, (0.5,) * 6]
    assert shifted(FLAT, canary)[0].p < shifted(apart, canary)[0].p


def test_a_quiet_canary_is_noisier():
    canary = [(0.5,) * 6]
    assert shifted(FLAT, canary, noise=5.0)[0].p > shifted(FLAT, canary)[0].p


def test_two_canary_pods_say_more_than_one():
    assert shifted(FLAT, [(0.4,) * 6] * 2)[0].p < shifted(FLAT, [(0.4,) * 6])[0].p


def test_unknown_blocks_are_bridged():
    stable = [(0.0, None, 0.0), (0.0, None, 0.0)]
    whole, worst = shifted(stable, [(1.0, 1.0, None)])
    assert whole.value == worst.value == 1.0


def test_a_pod_of_which_nothing_is_known_does_not_count():
    canary = [(0.5,) * 6]
    assert shifted([*FLAT, (None,) * 6], canary) == shifted(FLAT, canary)


def test_one_stable_pod_is_measured_by_its_own_blocks():
    calm = shifted([(0.0,) * 6], [(0.5,) * 6])[0]
    restless = shifted([(-0.5, 0.5) * 3], [(0.5,) * 6])[0]
    assert calm.p < restless.p


def test_p_is_honest_under_no_difference():
    """Noise as the prior expects it: of 500 fair canaries about one in twenty has p < 0.05."""
    generator = random.Random(8)

    def pod():
        level = generator.gauss(0, 0.1)
        return tuple(generator.gauss(level, 0.2) for _ in range(6))

    hits = sum(shifted([pod() for _ in range(3)], [pod()])[0].p < 0.05 for _ in range(500))
    assert hits <= 40
