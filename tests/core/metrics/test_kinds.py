"""What sort of quantity a metric is, by unit, direction and name."""

import pytest

from rollout_verdict.core.evidence import Direction
from rollout_verdict.core.metrics.kinds import Kind, quantity
from rollout_verdict.core.metrics.series import infer_meta
from tests.core.metric_evidence import meta

UP, DOWN, NEUTRAL = Direction.HIGHER_IS_WORSE, Direction.LOWER_IS_WORSE, Direction.NEUTRAL

KINDS = [
    ("http_request_duration_p99_seconds", "seconds", UP, Kind.LATENCY, 1.0),
    ("span_duration_p90_ms", "milliseconds", UP, Kind.LATENCY, 1e-3),
    ("container_cpu_usage", "millicores", UP, Kind.CPU, 1e-3),
    ("load", "cores", UP, Kind.CPU, 1.0),
    ("process_cpu_seconds_total", "seconds", UP, Kind.CPU, 1.0),
    ("cpu_percent", "percent", UP, Kind.CPU, 1e-2),
    ("http_5xx_ratio", "ratio", UP, Kind.SHARE, 1.0),
    ("availability_percent", "percent", DOWN, Kind.SHARE, 1e-2),
    ("cache_hit_ratio", "ratio", DOWN, Kind.FRACTION, 1.0),
    ("disk_fill_ratio", "ratio", UP, Kind.FRACTION, 1.0),
    ("heap_used", "MiB", UP, Kind.MEMORY, 1.0),
    ("heap_used", "bytes", UP, Kind.MEMORY, 2.0**-20),
    ("container_restarts_total", "count", UP, Kind.EVENTS, 1.0),
    ("kube_pod_status_ready", "bool", DOWN, Kind.STATE, 1.0),
    ("up", "", DOWN, Kind.STATE, 1.0),
    ("http_errors_total", "count", UP, Kind.FAULTS, 1.0),
    ("jobs_completed_per_second", "jobs_per_second", DOWN, Kind.YIELD, 1.0),
    ("queue_depth", "items", UP, Kind.LEVEL, 1.0),
    ("http_requests_per_second", "requests_per_second", NEUTRAL, Kind.TRAFFIC, 1.0),
    ("requests_sum", "count", NEUTRAL, Kind.TRAFFIC, 1.0),
    ("db_queries_per_second", "queries_per_second", NEUTRAL, Kind.DEMAND, 1.0),
    ("upstream_requests_per_second", "requests_per_second", NEUTRAL, Kind.DEMAND, 1.0),
    ("http_request_duration_seconds_bucket", "seconds", UP, Kind.OTHER, 1.0),
    ("network_bytes", "bytes_per_second", NEUTRAL, Kind.OTHER, 1.0),
]


@pytest.mark.parametrize(("name", "unit", "direction", "kind", "scale"), KINDS)
def test_kind_and_scale(name, unit, direction, kind, scale):
    told = quantity(meta(name, unit, direction))
    assert (told.kind, told.scale) == (kind, scale)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("latency_p50", 0.5), ("latency_p999_seconds", 0.999), ("latency_max_seconds", 0.999), ("latency_average", 0.0),
     ("latency_quantile_95_seconds", 0.95), ("http2_latency", 0.0)],
)  # fmt: skip
def test_quantile_of_the_name(name, expected):
    assert quantity(meta(name, "seconds", UP)).quantile == expected


def test_a_share_of_good_outcomes_is_turned_round():
    told = quantity(meta("request_success_ratio", "ratio", DOWN))
    assert (told.flip, told.worse) == (True, 1)


def test_totals_are_counters_and_so_are_rates():
    assert quantity(infer_meta("http_requests_total")).counter
    assert quantity(infer_meta("http_requests_total")).per_second
    assert not quantity(infer_meta("container_restarts_total")).counter
    assert quantity(infer_meta("http_requests_per_second")).per_second
    assert not quantity(meta("requests_sum", "count", NEUTRAL)).per_second


def test_times_of_other_services_are_elsewhere():
    assert quantity(meta("pod_client_latency_p90_seconds", "seconds", UP)).elsewhere
    assert not quantity(meta("pod_server_latency_p90_seconds", "seconds", UP)).elsewhere
