"""Levels: what the unit tests of the whole judge do not reach."""

import pytest

from rollout_verdict.core.comparison import MetricOutcome
from rollout_verdict.core.metrics.judge import MetricPolicy, judge_metrics
from rollout_verdict.core.values import Severity
from tests.core.metric_evidence import evidence, noisy, sides

RATE = "http_requests_per_second"
LATENCY = "request_latency_seconds"


def check(metrics, name):
    return next(one for one in judge_metrics(evidence(metrics), MetricPolicy()).checks if one.name == name)


def test_processor_use_is_judged_without_a_traffic_metric():
    assert check({"cpu_usage_cores": sides(0.05, 0.3)}, "cpu_usage_cores").severity is Severity.FAIL


def test_calls_to_others_are_only_shown_without_a_traffic_metric():
    found = check({"db_queries_per_second": sides(3.0, 30.0)}, "db_queries_per_second")
    assert (found.severity, found.outcome) == (Severity.INFO, MetricOutcome.HIGH)


def test_less_work_only_warns_without_a_traffic_metric():
    found = check({"jobs_completed_per_second": sides(5.0, 1.0)}, "jobs_completed_per_second")
    assert found.severity is Severity.WARN


def test_requests_known_at_another_time_do_not_help():
    ends, middle = [5.0, 5.0, *[None] * 14, 5.0, 5.0], [*[None] * 6, *[5.0] * 6, *[None] * 6]
    metrics = {"db_queries_per_second": ([ends] * 2, [ends]), RATE: ([middle] * 2, [middle])}
    assert check(metrics, "db_queries_per_second").outcome is MetricOutcome.TOO_FEW


def test_an_infinite_factor_stays_a_number():
    found = check({"queue_depth": ([[0.0] * 18] * 3, [[1e300] * 18])}, "queue_depth")
    assert found.relative > 1e80


def test_the_part_of_the_window_is_named():
    rows = ([noisy(0.02, seed=n) for n in range(3)], [noisy(0.02, 15) + noisy(2.0, 3)])
    assert "of the window" in check({"request_latency_seconds": rows}, "request_latency_seconds").reason


def test_units_are_the_metric_s_own():
    found = check({"span_duration_p50_ms": sides(20.0, 60.0)}, "span_duration_p50_ms")
    assert 30 < found.effect < 50
    assert found.interval.low > 10
    assert " ms on the canary, " in found.reason
    assert 50 < found.levels.canary < 70


def test_a_change_for_the_better_is_called_harmless_without_a_chance():
    """The test asked for the worse side only: its p-value would read as doubt about what is plain to see."""
    found = check({LATENCY: sides(0.2, 0.02)}, LATENCY)
    assert found.reason.endswith("lower, not harmful")
    assert " ms on the canary, " in found.reason


def test_a_change_for_the_worse_leads_with_both_levels_and_ends_with_the_chance():
    found = check({LATENCY: sides(0.02, 0.2)}, LATENCY)
    assert found.reason.startswith(f"{LATENCY}: ")
    assert found.reason.endswith("; p < 0.001")
    assert "e-" not in found.reason.removeprefix(LATENCY)


def test_per_request_is_told_in_the_metric_s_own_unit():
    """Values are brought to stable's rate of requests, so they stay cores."""
    found = check({"cpu_usage_cores": sides(0.2, 0.6), RATE: sides(50.0, 50.0)}, "cpu_usage_cores")
    assert "counted at stable's request rate" in found.reason
    assert "per request" not in found.reason


def test_traffic_that_collapses_within_the_window_is_a_warning():
    rows = ([noisy(50.0, seed=n) for n in range(3)], [noisy(50.0, 9) + noisy(0.5, 9)])
    found = check({RATE: rows}, RATE)
    assert (found.severity, found.outcome) == (Severity.WARN, MetricOutcome.LOW)
    assert "fell to" in found.reason


def test_traffic_that_falls_on_both_sides_is_no_sign():
    falling = noisy(50.0, 9) + noisy(0.5, 9)
    assert check({RATE: ([falling] * 3, [falling])}, RATE).severity is Severity.INFO


def test_traffic_of_two_samples_a_row_has_no_trend():
    short = [50.0, 50.0, None, None]
    assert check({RATE: ([short] * 3, [[50.0, 50.0, 50.0]])}, RATE).severity is Severity.INFO


NEUTRAL = "workers_active"


@pytest.mark.parametrize("level", [50.0, 50.3])
@pytest.mark.parametrize("name", [NEUTRAL, RATE])
def test_alike_where_neither_direction_is_worse_is_no_difference(name, level):
    """A two-sided chance near 1 is no sign that the other direction is sure."""
    for seed in range(6):
        rows = ([noisy(50.0, seed=seed + n) for n in range(3)], [noisy(level, seed=seed + 3)])
        assert check({name: rows}, name).outcome is MetricOutcome.PASS


def test_far_apart_where_neither_direction_is_worse_is_a_difference():
    assert check({NEUTRAL: sides(50.0, 500.0)}, NEUTRAL).outcome is MetricOutcome.HIGH
    assert check({NEUTRAL: sides(50.0, 5.0)}, NEUTRAL).outcome is MetricOutcome.LOW
