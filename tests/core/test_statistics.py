"""The shared statistics, held against scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import contingency

from rollout_verdict.core import statistics as ours

COUNTS = [(0, 1), (0, 50), (1, 3), (3, 10), (25, 50), (50, 50), (999, 1000), (40, 100_000), (60_000, 100_000)]


@pytest.mark.parametrize("z", [-40.0, -8.0, -1.96, 0.0, 0.3, 5.0])
def test_normal_tail_matches_scipy(z):
    assert ours.normal_cdf(z) == pytest.approx(stats.norm.cdf(z), rel=1e-12, abs=0)


def test_normal_quantile_matches_scipy():
    assert ours.normal_quantile(0.975) == pytest.approx(stats.norm.ppf(0.975), rel=1e-12)


@given(st.floats(0.01, 5000), st.floats(0.01, 5000), st.floats(0, 1))
def test_incomplete_beta_matches_scipy(a, b, x):
    assert ours.incomplete_beta(a, b, x) == pytest.approx(stats.beta.cdf(x, a, b), rel=1e-8, abs=1e-12)


@given(st.floats(0.5, 500), st.floats(0.5, 500), st.floats(0.001, 0.999))
def test_beta_quantile_matches_scipy(a, b, p):
    assert ours.beta_quantile(a, b, p) == pytest.approx(stats.beta.ppf(p, a, b), rel=1e-7, abs=1e-12)


@pytest.mark.parametrize("p", [0.0, 1e-4, 0.03, 0.5, 0.97, 1.0])
@pytest.mark.parametrize(("k", "n"), [*COUNTS, (-1, 5), (6, 5)])
def test_binomial_tails_match_scipy(k, n, p):
    assert ours.binomial_upper(k, n, p) == pytest.approx(stats.binom.sf(k - 1, n, p), rel=1e-8, abs=1e-300)
    assert ours.binomial_lower(k, n, p) == pytest.approx(stats.binom.cdf(k, n, p), rel=1e-8, abs=1e-300)


def test_two_sided_binomial_is_twice_the_smaller_tail():
    assert ours.binomial_two_sided(9, 10, 0.5) == pytest.approx(2 * 11 / 1024)
    assert ours.binomial_two_sided(5, 10, 0.5) == 1.0


@pytest.mark.parametrize(("k", "n"), COUNTS)
def test_clopper_pearson_matches_scipy(k, n):
    expected = stats.binomtest(k, n).proportion_ci(0.95, "exact")
    assert ours.clopper_pearson(k, n, 0.95) == pytest.approx((expected.low, expected.high), rel=1e-7, abs=1e-12)


@pytest.mark.parametrize(("k", "n"), COUNTS)
def test_wilson_matches_scipy(k, n):
    expected = stats.binomtest(k, n).proportion_ci(0.99, "wilson")
    assert ours.wilson(k, n, 0.99) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-12)


def test_no_trials_say_nothing_about_a_proportion():
    assert ours.wilson(0, 0, 0.95) == (0.0, 1.0)
    assert ours.clopper_pearson(0, 0, 0.95) == (0.0, 1.0)
    assert ours.newcombe(0, 0, 1, 5, 0.95) == (-1.0, 1.0)
    assert ours.newcombe(1, 5, 0, 0, 0.95) == (-1.0, 1.0)


@pytest.mark.parametrize("n", [5e-324, 1e-200, 1e-160, 1e-9])
def test_next_to_no_trials_say_next_to_nothing_about_a_proportion(n):
    """Counts deflated to next to nothing divide by no square that has become 0."""
    low, high = ours.wilson(n, n, 0.95)
    assert (low, high) == (pytest.approx(0.0, abs=1e-3), pytest.approx(1.0, abs=1e-3))
    assert ours.newcombe(n, n, n, n, 0.95) == (pytest.approx(-1.0, abs=1e-3), pytest.approx(1.0, abs=1e-3))


def test_newcombe_matches_the_published_example():
    """Newcombe 1998, table II, method 10: 56/70 - 48/80 is 0.0524 .. 0.3339."""
    low, high = ours.newcombe(56, 70, 48, 80, 0.95)
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


@pytest.mark.parametrize("table", [(3, 10, 1, 12), (0, 5, 3, 9), (7, 7, 0, 8), (50, 1000, 20, 900), (2, 4, 4, 4)])
def test_fisher_matches_scipy(table):
    k1, n1, k2, n2 = table
    expected = stats.fisher_exact([[k1, n1 - k1], [k2, n2 - k2]], alternative="greater").pvalue
    assert ours.fisher_upper(*table) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("df", [1, 2.5, 10, 1000])
@pytest.mark.parametrize("t", [-50.0, -2.0, 0.0, 0.7, 12.0])
def test_student_matches_scipy(t, df):
    assert ours.student_cdf(t, df) == pytest.approx(stats.t.cdf(t, df), rel=1e-9)


@pytest.mark.parametrize("df", [1, 2.5, 10, 1000])
@pytest.mark.parametrize("p", [0.001, 0.2, 0.5, 0.975, 0.99995])
def test_student_quantile_matches_scipy(p, df):
    assert ours.student_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-6)


@given(st.lists(st.floats(0, 1), max_size=30))
def test_benjamini_hochberg_matches_scipy(p_values):
    expected = stats.false_discovery_control(p_values, method="bh") if p_values else []
    assert ours.benjamini_hochberg(p_values) == pytest.approx(tuple(expected))


def test_holm_matches_a_worked_example():
    assert ours.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert ours.holm([0.9, 0.8]) == (1.0, 1.0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.floats(0, 1))
def test_quantiles_match_numpy(values, q):
    assert ours.quantile(values, q) == pytest.approx(float(np.quantile(values, q)), rel=1e-9, abs=1e-6)
    assert ours.median(values) == pytest.approx(float(np.median(values)), rel=1e-9, abs=1e-6)


def test_deviation_of_nothing_is_zero():
    assert ours.rank_sum_deviation([1.0], []) == 0.0


def test_hodges_lehmann_is_the_median_difference():
    assert ours.hodges_lehmann([10, 20, 30, 40], [1, 2, 3, 4]) == 22.5


def test_newcombe_covers_the_difference_of_odds_scipy_estimates():
    """Where the odds ratio's exact interval excludes 1, so does the difference exclude 0 (same 2x2 table)."""
    low, _ = ours.newcombe(30, 100, 5, 100, 0.95)
    odds = contingency.odds_ratio([[30, 70], [5, 95]]).confidence_interval(0.95)
    assert low > 0
    assert odds.low > 1
