"""Requests behind the metrics."""

import pytest

from rollout_verdict.core.evidence import Direction
from rollout_verdict.core.metrics.kinds import quantity
from rollout_verdict.core.metrics.series import infer_meta, metric_evidence
from rollout_verdict.core.metrics.traffic import NO_TRAFFIC, base_samples, traffic_of
from rollout_verdict.core.values import Pair, Side
from tests.core.metric_evidence import evidence, meta, series


def test_a_rate_times_its_time_is_a_number_of_requests():
    found = traffic_of(evidence({"http_requests_per_second": ([[5.0] * 6], [[2.0] * 6])}))[0]
    assert (found.total(Side.STABLE), found.total(Side.CANARY)) == (300.0, 120.0)


def test_counts_in_an_interval_add_up_to_themselves():
    given = metric_evidence(
        Pair(stable=(series("requests_sum", "s0", [100, 200], step=300),), canary=()),
        meta=[meta("requests_sum", "count", Direction.NEUTRAL)],
    )
    assert traffic_of(given)[0].total(Side.STABLE) == pytest.approx(300)


def test_label_sets_of_a_pod_are_added_up():
    rows = tuple(series("http_requests_per_second", "s0", [1.0] * 3, labels=[("route", r)]) for r in "ab")
    found = traffic_of(metric_evidence(Pair(stable=rows, canary=())))[0]
    assert found.rates(Side.STABLE, "s0") == tuple((time, 2.0) for time, _ in rows[0].samples)


def test_the_metric_known_for_most_pods_comes_first():
    given = evidence(
        {
            "a_requests_per_second": ([[9.0] * 3] * 2, []),
            "b_requests_per_second": ([[1.0] * 3] * 2, [[1.0] * 3]),
            "c_requests_per_second": ([[2.0] * 3] * 2, [[1.0] * 3]),
        }
    )
    assert [one.name[0] for one in traffic_of(given)] == ["c", "b", "a"]


def test_a_side_without_pods_serves_for_each():
    found = traffic_of(metric_evidence(Pair(stable=(series("http_requests_per_second", "", [1, 1]),), canary=())))[0]
    assert found.rates(Side.STABLE, "any")
    assert found.rates(Side.CANARY, "any") == ()
    assert NO_TRAFFIC.rates(Side.STABLE, "any") == ()


def test_counters_become_rates_and_resets_are_seen():
    told = quantity(infer_meta("http_requests_total"))
    samples = base_samples(series("http_requests_total", "p", [100, 150, 30]), told)
    assert [value for _, value in samples] == [5.0, 3.0]


def test_good_shares_become_bad_ones_in_fractions():
    told = quantity(infer_meta("availability_percent"))
    assert base_samples(series("availability_percent", "p", [99.0]), told)[0][1] == pytest.approx(0.01)
