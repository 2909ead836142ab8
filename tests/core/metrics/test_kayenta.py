"""The reference classifiers against the facts of their source and against scipy."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rollout_verdict.core.comparison import MetricOutcome
from rollout_verdict.core.metrics.kayenta import (
    RankSumOptions,
    Sense,
    classify_means,
    classify_rank_sum,
    mean_ratio,
    rank_sum_interval,
    score_facts,
)

LOW, HIGH = [1.0, 2.2, 1.1, 2.5, 3.0], [20.0, 22.0, 21.0, 25.0, 30.0]
VALUES = st.lists(st.integers(-50, 50).map(float), min_size=2, max_size=12)


@pytest.mark.parametrize(("name", "count"), [("cases.json", 18), ("intervals.json", 2)])
def test_every_fact_of_the_source_is_reproduced(shared, name, count):
    results = score_facts(json.loads((shared / "metric-judge" / name).read_text()))
    assert [one for one in results if not one.correct] == []
    assert len(results) == count


def test_interval_of_the_published_example():
    interval, estimate = rank_sum_interval([10, 20, 30, 40], [1, 2, 3, 4], 0.95)
    assert (interval.low, interval.high, estimate) == (6.0, 39.0, 22.5)


@given(VALUES, VALUES)
def test_interval_holds_its_estimate(x, y):
    interval, estimate = rank_sum_interval(x, y, 0.95)
    assert interval.low <= estimate <= interval.high


@given(VALUES, VALUES)
def test_interval_excludes_only_shifts_that_the_test_rejects(x, y):
    """A shift just outside the interval is rejected by the continuity-corrected rank-sum test, scipy agreeing."""
    interval, _ = rank_sum_interval(x, y, 0.90)
    for outside in (interval.low - 0.25, interval.high + 0.25):
        moved = [value - outside for value in x]
        if min(moved) > max(y) or max(moved) < min(y):
            continue  # beyond the last pairwise difference the interval ends whatever the test says
        assert stats.mannwhitneyu(moved, y, method="asymptotic").pvalue <= 0.10 + 1e-9


@given(VALUES, VALUES, st.integers(-20, 20))
def test_interval_moves_with_the_data(x, y, shift):
    plain, estimate = rank_sum_interval(x, y, 0.95)
    moved, moved_estimate = rank_sum_interval([value + shift for value in x], y, 0.95)
    assert (moved.low, moved.high) == (plain.low + shift, plain.high + shift)
    assert moved_estimate == estimate + shift


@pytest.mark.parametrize(
    ("sense", "outcome"),
    [(Sense.EITHER, MetricOutcome.HIGH), (Sense.INCREASE, MetricOutcome.HIGH), (Sense.DECREASE, MetricOutcome.PASS)],
)
def test_sense_decides_which_changes_count(sense, outcome):
    assert classify_rank_sum(LOW, HIGH, RankSumOptions(sense=sense)).outcome is outcome
    assert classify_means(LOW, HIGH, sense).outcome is outcome


def test_a_fall_is_low_unless_only_increases_count():
    assert classify_rank_sum(HIGH, LOW, RankSumOptions()).outcome is MetricOutcome.LOW
    assert classify_rank_sum(HIGH, LOW, RankSumOptions(sense=Sense.INCREASE)).outcome is MetricOutcome.PASS
    assert classify_means(HIGH, LOW, Sense.EITHER).outcome is MetricOutcome.LOW
    assert classify_means(HIGH, LOW, Sense.INCREASE).outcome is MetricOutcome.PASS


def test_no_data_is_an_outcome_of_its_own():
    for control, experiment in (([], HIGH), (LOW, [])):
        assert classify_rank_sum(control, experiment, RankSumOptions()).outcome is MetricOutcome.NO_DATA
        assert classify_means(control, experiment, Sense.EITHER).outcome is MetricOutcome.NO_DATA


def test_equal_means_pass():
    assert classify_means([1, 3], [2, 2], Sense.EITHER).outcome is MetricOutcome.PASS


def test_critical_needs_the_critical_effect_size():
    sizes = {"effect_sizes": (1.0, 5.0), "critical": True}
    assert classify_rank_sum(LOW, HIGH, RankSumOptions(critical_sizes=(1.0, 12.0), **sizes)).critical
    assert not classify_rank_sum(LOW, HIGH, RankSumOptions(critical_sizes=(1.0, 13.0), **sizes)).critical


def test_ratio_of_means_survives_zeros():
    assert mean_ratio([0, 0], [0, 0]) == 1.0
    assert mean_ratio([0, 0], [1, 1]) == math.inf
    assert mean_ratio([0, 0], [-1, -1]) == -math.inf
    assert mean_ratio([2, 2], [1, 1]) == 0.5


def fact(**changes):
    case = {
        "id": "a",
        "judge": "mean-inequality",
        "options": {"direction": "either"},
        "control": [1, None],
        "experiment": [2],
        "expected": {"classification": "high"},
    }
    return {"cases": [{**case, **changes}]}


def test_missing_samples_are_left_out():
    assert score_facts(fact())[0].correct
    assert score_facts(fact(control=[None], expected={"classification": "nodata"}))[0].correct


def test_a_wrong_expectation_is_scored_wrong():
    result = score_facts(fact(expected={"classification": "low"}))[0]
    assert (result.expected, result.got, result.correct) == ("low", "high", False)
    wrong = {"x": [2], "y": [1], "confidence_level": 0.9, "name": "n"}
    wrong["expected"] = {"interval_low": 0, "interval_high": 1, "estimate": 1}
    assert not score_facts({"cases": [wrong]})[0].correct


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], 'expected {"cases"'),
        ({"cases": {}}, 'expected {"cases"'),
        (fact(judge="coin"), r"cases\[0\].*judge: expected"),
        (fact(options={}), r"cases\[0\].*direction"),
        (fact(control=None), r"cases\[0\]"),
        ({"cases": [7]}, r"cases\[0\]"),
        (fact(control=[{}]), r"cases\[0\]"),
    ],
)
def test_a_wrong_shape_names_its_place(document, message):
    with pytest.raises(ValueError, match=message):
        score_facts(document)
