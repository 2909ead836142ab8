"""The metric judge as a whole: what is harm, what is not, and what cannot be told."""

import json
import math
import random
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rollout_verdict.core.comparison import MetricOutcome
from rollout_verdict.core.metrics.judge import MetricPolicy, judge_metrics
from rollout_verdict.core.metrics.series import infer_meta, metric_evidence, parse_metrics
from rollout_verdict.core.values import Pair, Severity
from tests.core.metric_evidence import evidence, noisy, series, sides, traffic

POLICY = MetricPolicy()
LATENCY, P99 = "http_request_duration_p50_seconds", "http_request_duration_p99_seconds"
RATE, ERRORS, SUCCESS = "http_requests_per_second", "http_5xx_ratio", "request_success_ratio"
CPU, MEMORY = "container_cpu_usage_cores", "container_memory_working_set_mib"
READY, RESTARTS = "kube_pod_status_ready", "kube_pod_container_status_restarts_total"


def judge(metrics, **options):
    return judge_metrics(evidence(metrics, **options), POLICY)


def severities(metrics, **options):
    return {check.name: check.severity for check in judge(metrics, **options).checks}


HARM = {
    "latency up by 60 %": (LATENCY, sides(0.02, 0.032)),
    "latency up from the middle of the window": (
        LATENCY,
        ([noisy(0.02, seed=n) for n in range(3)], [noisy(0.02, 9) + noisy(0.2, 9)]),
    ),
    "latency up with three samples, two of them bad": (
        LATENCY,
        ([noisy(0.2, 3, seed=n) for n in range(3)], [[0.2, 1.1, 1.2]]),
    ),
    "errors from nothing to two in a hundred": (ERRORS, ([[0.0] * 18] * 3, [[0.02] * 18])),
    "success lower": (SUCCESS, ([[1.0] * 18] * 3, [[0.9] * 18])),
    "processor use four times as high": (CPU, sides(0.05, 0.2)),
    "memory grows without end": (
        MEMORY,
        ([[100 + 0.1 * n for n in range(18)]] * 3, [[100 + 5 * n for n in range(18)]]),
    ),
    "down half of the time": (READY, ([[1] * 18] * 3, [[0, 1] * 9])),
    "three restarts": (RESTARTS, ([[0] * 18] * 3, [[0] * 6 + [1] * 6 + [3] * 6])),
    "cache no longer hit": ("cache_hit_ratio", sides(0.7, 0.01)),
    "five queries where there was one": ("db_queries_per_second", sides(3.0, 15.0)),
    "half of the work is lost": ("jobs_completed_per_second", sides(5.0, 2.5)),
    "error counter rises": (
        "http_errors_total",
        ([list(range(18))] * 3, [[20 * n for n in range(18)]]),
    ),
}


@pytest.mark.parametrize("case", HARM)
def test_harm_is_a_fail(case):
    name, rows = HARM[case]
    assert severities({name: rows, RATE: traffic()})[name] is Severity.FAIL


HARMLESS = {
    "2 ms on 20 ms": (LATENCY, sides(0.02, 0.022)),
    "better latency": (LATENCY, sides(0.02, 0.01)),
    "one slow sample in the tail": (P99, ([noisy(0.05, seed=n) for n in range(3)], [[0.05] * 8 + [0.9] + [0.05] * 9])),
    "cold caches in the first 30 seconds": (
        LATENCY,
        ([noisy(0.02, seed=n) for n in range(3)], [[0.3, 0.2, 0.1, *noisy(0.02, 15)]]),
    ),
    "not ready while starting": (READY, ([[1] * 18] * 3, [[0, 0] + [1] * 16])),
    "an outage that hits all": (
        ERRORS,
        ([[0] * 9 + [0.4] * 3 + [0] * 6] * 3, [[0] * 9 + [0.4] * 3 + [0] * 6]),
    ),
    "a fresh pod needs less memory": (MEMORY, sides(500, 200, spread=0.001)),
    "young pods of both sides grow": (MEMORY, ([[50 + n for n in range(18)]] * 3, [[45 + n for n in range(18)]])),
    "memory goes up and down": (MEMORY, (sides(100, 100)[0], [[100, 140] * 9])),
    "one error in hundreds of requests": (ERRORS, ([[0.0] * 18] * 3, [[0.0] * 17 + [0.02]])),
    "an old restart on stable": (RESTARTS, ([[7] * 18] * 3, [[0] * 18])),
    "fewer errors": (ERRORS, ([[0.05] * 18] * 3, [[0.01] * 18])),
    "less processor use": (CPU, sides(0.2, 0.05)),
    "a counter that was reset": ("http_errors_total", ([list(range(18))] * 3, [[*range(9), *range(9)]])),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_is_not_harm_passes(case):
    name, rows = HARMLESS[case]
    assert severities({name: rows, RATE: traffic()})[name] is Severity.INFO


def test_processor_use_that_follows_the_load_is_not_harm():
    busy = {CPU: sides(0.05, 0.2), RATE: traffic(5.0, canary=20.0)}
    assert severities(busy)[CPU] is Severity.INFO


def test_traffic_is_never_harm():
    found = {check.name: check for check in judge({RATE: traffic(5.0, canary=50.0)}).checks}
    assert (found[RATE].severity, found[RATE].outcome) == (Severity.INFO, MetricOutcome.HIGH)


def test_a_noisy_stable_pod_does_not_convict_the_canary():
    stable = [noisy(0.02), noisy(0.02, seed=1), noisy(0.09, seed=2)]
    assert severities({LATENCY: (stable, [noisy(0.02, seed=5)]), RATE: traffic()})[LATENCY] is Severity.INFO


def test_one_stable_series_is_enough_for_a_large_shift():
    rows = ([noisy(0.02)], [noisy(0.2, seed=1)])
    assert severities({LATENCY: rows, RATE: traffic(pods=1)})[LATENCY] is Severity.FAIL


def test_series_of_a_whole_side_are_compared():
    stable = (series(LATENCY, "", noisy(0.02)), series(RATE, "", noisy(5.0)))
    canary = (series(LATENCY, "", noisy(0.2, seed=1)), series(RATE, "", noisy(5.0, seed=1)))
    found = judge_metrics(metric_evidence(Pair(stable=stable, canary=canary)), POLICY)
    assert found.checks[0].name == LATENCY
    assert found.checks[0].severity is Severity.FAIL


def test_a_family_warns_once():
    """The quantiles of one latency are no independent witnesses."""
    outside = {f"{other}_request_duration_p50_seconds": sides(0.02, 0.2) for other in ("upstream", "db")}
    checks = judge({**outside, RATE: traffic()}).checks
    assert [check.severity for check in checks[:2]] == [Severity.WARN, Severity.INFO]
    assert "no sign of its own beside" in checks[1].reason


def test_calls_to_others_only_warn():
    name = "upstream_request_duration_p50_seconds"
    assert severities({name: sides(0.02, 0.2), RATE: traffic()})[name] is Severity.WARN


def test_checks_are_numbered_by_importance():
    checks = judge({LATENCY: sides(0.02, 0.2), CPU: sides(0.1, 0.1), RATE: traffic()}).checks
    assert [check.id for check in checks] == ["m1", "m2", "m3"]
    assert checks[0].name == LATENCY


def test_label_sets_are_compared_one_by_one_and_named():
    def rows(level, route, seed):
        return [
            series(LATENCY, f"{route}{n}", noisy(level, seed=seed + n), labels=[("route", route)]) for n in range(3)
        ]

    stable = (*rows(0.02, "/a", 0), *rows(0.02, "/b", 5))
    canary = (rows(0.02, "/a", 10)[0], rows(0.2, "/b", 15)[0])
    first, second = judge_metrics(metric_evidence(Pair(stable=stable, canary=canary)), POLICY).checks
    assert (first.labels, first.severity) == ((("route", "/b"),), Severity.FAIL)
    assert first.reason.startswith(f"{LATENCY}{{route=/b}}: ")
    assert second.severity is Severity.INFO


def test_every_check_carries_its_numbers_and_words():
    check = judge({LATENCY: sides(0.02, 0.032), RATE: traffic()}).checks[0]
    assert (check.outcome, check.method) == (MetricOutcome.HIGH, "paired shift of the logarithm")
    assert check.summary.stable.pods == 3
    assert check.summary.canary.n == 18
    assert check.interval.low < check.effect < check.interval.high
    assert 0.4 < check.relative < 0.8
    assert check.strength > 3
    assert check.p < 0.01
    assert len(check.trend.canary) == 18
    assert "on the canary" in check.reason
    assert "seconds" in check.reason


def test_many_metrics_do_not_fail_by_chance():
    """40 canaries of 12 metrics that differ from stable by nothing but noise."""
    failed = 0
    for trial in range(40):
        metrics = {
            f"quantity_{n}_latency_seconds": (
                [noisy(0.1, 6, spread=0.3, seed=f"{trial} {n} {pod}") for pod in range(3)],
                [noisy(0.1, 6, spread=0.3, seed=f"{trial} {n} canary")],
            )
            for n in range(12)
        }
        failed += Severity.FAIL in severities(metrics, step=60.0).values()
    assert failed <= 1


INADEQUATE = {
    "no metrics at all": ({}, "no metric samples on the canary side"),
    "no canary": ({LATENCY: (sides(1, 1)[0], [])}, "no metric samples on the canary side"),
    "no stable": ({LATENCY: ([], sides(1, 1)[1])}, "no metric samples on the stable side"),
    "one scrape": ({LATENCY: (sides(1, 1)[0], [[1.0]])}, "too few samples"),
    "only traffic": ({RATE: traffic()}, "no metric with samples on both sides tells good from bad"),
    "no traffic": ({LATENCY: sides(1, 1), RATE: traffic(5.0, canary=0.0)}, "too little traffic on the canary side"),
    "no traffic series": ({LATENCY: sides(1, 1), RATE: (traffic()[0], [])}, "too little traffic on the canary side"),
    "no traffic anywhere": ({LATENCY: sides(1, 1), RATE: traffic(0.0)}, "too little traffic"),
    "idle stable": ({LATENCY: sides(1, 1), RATE: traffic(0.0, canary=5.0)}, "too little traffic on the stable side"),
    "short-lived": ({LATENCY: (sides(1, 1)[0], [[1.0] * 4]), RATE: (traffic()[0], [[9.0] * 4])}, "lived too short"),
    "both failing": ({ERRORS: ([[0.9] * 18] * 3, [[0.95] * 18]), RATE: traffic()}, "both sides are failing"),
    "both without success": ({SUCCESS: ([[0.1] * 18] * 3, [[0.1] * 18]), RATE: traffic()}, "both sides are failing"),
}


@pytest.mark.parametrize("case", INADEQUATE)
def test_too_little_to_judge_is_said(case):
    metrics, reason = INADEQUATE[case]
    found = judge(metrics)
    assert not found.adequate
    assert found.reason.startswith(reason) or reason in found.reason


ONE_SIDED = [replace(infer_meta(name), acquits=False) for name in (CPU, MEMORY, READY)]


@pytest.mark.parametrize(
    ("metrics", "adequate"),
    [
        ({CPU: sides(1, 1), READY: ([[1] * 18] * 3, [[1] * 18])}, False),
        ({CPU: sides(1, 1), RATE: traffic()}, False),
        ({CPU: sides(1, 1), LATENCY: sides(1, 1)}, True),
        ({CPU: sides(1, 1), LATENCY: ([[1.0] * 18], [])}, False),
        ({CPU: sides(1, 8)}, True),
    ],
    ids=["as on stable", "with traffic", "with latency", "with latency of one side", "worse"],
)
def test_what_pods_use_convicts_and_never_acquits(metrics, adequate):
    """Healthy, idle pods are no sign of a healthy version; a canary that burns eight times the processor time is harm."""
    found = judge(metrics, metas=ONE_SIDED)
    assert found.adequate is adequate
    assert adequate or found.reason.startswith("the metrics tell what pods use and how they fare (")
    assert (found.checks[0].severity is Severity.FAIL) is (metrics[CPU][1][0][0] > 4)


def test_pods_that_keep_restarting_need_no_traffic_to_be_judged():
    found = judge({RESTARTS: ([[0] * 18] * 3, [[0] * 9 + [5] * 9]), RATE: traffic(5.0, canary=0.0)})
    assert found.adequate
    assert found.checks[0].severity is Severity.FAIL


def test_missing_and_scarce_samples_are_outcomes_of_their_own():
    found = judge({LATENCY: sides(1, 1), P99: ([[1.0] * 18], []), CPU: (sides(1, 1)[0], [[1.0, 1.0]]), RATE: traffic()})
    outcomes = {check.name: check.outcome for check in found.checks}
    assert (outcomes[P99], outcomes[CPU]) == (MetricOutcome.NO_DATA, MetricOutcome.TOO_FEW)
    assert found.adequate


def test_the_order_of_the_evidence_does_not_matter():
    metrics = {
        LATENCY: sides(0.02, 0.03),
        ERRORS: ([[0.01] * 18] * 3, [[0.03] * 18]),
        RATE: traffic(),
        CPU: sides(1, 1),
    }
    given = evidence(metrics)
    generator = random.Random(3)
    for _ in range(5):
        shuffled = given.series.map(lambda side: tuple(generator.sample(side, len(side))))
        assert judge_metrics(metric_evidence(shuffled), POLICY) == judge_metrics(given, POLICY)


NAMES = (LATENCY, P99, RATE, ERRORS, SUCCESS, CPU, MEMORY, READY, RESTARTS, "cache_hit_ratio", "queue_depth",
         "db_queries_per_second", "jobs_completed_per_second", "http_errors_total", "errors_per_second")  # fmt: skip
VALUE = st.sampled_from([0.0, 1.0, -1.0, 1e-300, 1e100, -1e100]) | st.floats(-1e6, 1e6)
ROW = st.lists(st.none() | VALUE, max_size=20)


@settings(deadline=None)
@example({MEMORY: ([[1e-300] * 18], [[1e-300] * 9 + [1e100] * 9, [1e100] * 9 + [1e-300] * 9])})
@given(
    st.dictionaries(st.sampled_from(NAMES), st.tuples(st.lists(ROW, max_size=3), st.lists(ROW, max_size=2)), max_size=4)
)
def test_any_numbers_are_judged(metrics):
    """Whatever the samples are, there is an answer, and every number in it is one."""
    found = judge(metrics)
    assert found.adequate is (found.reason == "")
    for check in found.checks:
        numbers = [check.effect, check.relative, check.strength, check.p]
        numbers += [check.interval.low, check.interval.high] if check.interval else []
        assert all(math.isfinite(number) for number in numbers if number is not None)
        assert check.p is None or 0 <= check.p <= 1


def test_the_labelled_cases_parse_and_are_judged(shared):
    """A sample of recorded evidence goes through whole, whatever its verdict."""
    for path in sorted(shared.glob("canary-cases/*/metrics.json"))[::20]:
        found = judge_metrics(parse_metrics(json.loads(path.read_text())), POLICY)
        assert found.adequate is (found.reason == "")
        assert all(check.reason.startswith(check.name) for check in found.checks)
