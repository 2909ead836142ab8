"""Failures, growth, restarts and readiness where the unit tests of the whole judge do not reach."""

from rollout_verdict.core.comparison import MetricOutcome
from rollout_verdict.core.evidence import Direction
from rollout_verdict.core.metrics.judge import MetricPolicy, judge_metrics
from rollout_verdict.core.metrics.series import metric_evidence
from rollout_verdict.core.values import Pair, Severity
from tests.core.metric_evidence import START, evidence, meta, series, sides, traffic

RATE = "http_requests_per_second"


def check(metrics, name, **options):
    return next(one for one in judge_metrics(evidence(metrics, **options), MetricPolicy()).checks if one.name == name)


def test_a_share_without_requests_is_judged_by_its_level():
    rows = ([[0.0] * 18] * 3, [[0.4] * 18])
    found = check({"http_5xx_ratio": rows}, "http_5xx_ratio")
    assert (found.severity, found.method) == (Severity.FAIL, "paired shift")


def test_a_share_of_successes_without_requests_goes_down():
    found = check({"availability_percent": ([[100.0] * 18] * 3, [[60.0] * 18])}, "availability_percent")
    assert (found.severity, found.outcome) == (Severity.FAIL, MetricOutcome.LOW)
    assert found.effect < 0


def test_errors_a_second_without_requests_are_a_level():
    found = check({"errors_per_second": ([[0.0] * 18] * 3, [[5.0] * 18])}, "errors_per_second")
    assert (found.severity, found.outcome) == (Severity.FAIL, MetricOutcome.HIGH)


def test_error_counts_without_requests_are_a_level():
    given = metric_evidence(
        Pair(
            stable=tuple(series("errors", f"s{n}", [0.0] * 18) for n in range(3)),
            canary=(series("errors", "c0", [90.0] * 18),),
        ),
        meta=[meta("errors", "count", Direction.HIGHER_IS_WORSE)],
    )
    assert judge_metrics(given, MetricPolicy()).checks[0].severity is Severity.FAIL


def test_client_errors_need_more_than_server_errors():
    rows = ([[0.0] * 18] * 3, [[0.012] * 18])
    client = check({"http_4xx_ratio": rows, RATE: traffic(50.0)}, "http_4xx_ratio")
    server = check({"http_5xx_ratio": rows, RATE: traffic(50.0)}, "http_5xx_ratio")
    assert (client.severity, server.severity) == (Severity.WARN, Severity.FAIL)


def test_a_share_of_no_requests_is_not_judged():
    rows = ([[0.0] * 18] * 3, [[0.5] * 18])
    assert check({"http_5xx_ratio": rows, RATE: traffic(canary=0.0)}, "http_5xx_ratio").outcome is MetricOutcome.TOO_FEW
    rows = ([[0.0] * 18] * 3, [[5.0] * 18])
    found = check({"errors_per_second": rows, RATE: traffic(canary=0.0)}, "errors_per_second")
    assert found.outcome is MetricOutcome.TOO_FEW


def test_blocks_without_a_rate_do_not_count():
    rows = ([[0.0] * 12 + [None] * 6] * 3, [[0.2] * 12 + [None] * 6])
    assert check({"errors_per_second": rows, RATE: traffic()}, "errors_per_second").severity is Severity.FAIL


def test_growth_needs_three_blocks():
    def memory(stable):
        return metric_evidence(
            Pair(
                stable=(series("heap_used_mib", "s0", [100.0, 100.0, 100.0], **stable),),
                canary=(series("heap_used_mib", "c0", [100.0, 200.0, 300.0], step=20.0),),
            )
        )

    grown = judge_metrics(memory({"step": 20.0}), MetricPolicy()).checks[0]
    assert (grown.outcome, grown.severity) == (MetricOutcome.HIGH, Severity.FAIL)
    early = judge_metrics(memory({"step": 10.0, "start": START - 15.0}), MetricPolicy()).checks[0]
    assert early.outcome is MetricOutcome.TOO_FEW


def test_memory_of_nothing_does_not_grow():
    assert check({"heap_used_mib": ([[0.0] * 18] * 3, [[0.0] * 18])}, "heap_used_mib").outcome is MetricOutcome.PASS


def test_slow_growth_is_a_warning():
    rows = ([[100.0] * 18] * 3, [[100.0 + 1.25 * n for n in range(18)]])
    assert check({"heap_used_mib": rows}, "heap_used_mib").severity is not Severity.FAIL


def test_one_restart_is_a_warning():
    rows = ([[0] * 18] * 3, [[0] * 9 + [1] * 9])
    assert check({"container_restarts_total": rows}, "container_restarts_total").severity is Severity.WARN


def test_a_state_that_is_bad_when_high():
    given = metric_evidence(
        Pair(
            stable=(series("throttled", "s0", [0] * 18),),
            canary=(series("throttled", "c0", [0, 0, 0] + [1] * 15),),
        ),
        meta=[meta("throttled", "bool", Direction.HIGHER_IS_WORSE)],
    )
    found = judge_metrics(given, MetricPolicy()).checks[0]
    assert (found.severity, found.outcome, found.effect) == (Severity.FAIL, MetricOutcome.HIGH, 1.0)


def test_a_state_seen_only_while_starting_is_not_judged():
    rows = ([[1] * 18] * 3, [[0, 0, 0, 1]])
    assert check({"kube_pod_status_ready": rows}, "kube_pod_status_ready").outcome is MetricOutcome.TOO_FEW


def test_a_short_time_down_is_a_warning():
    rows = ([[1] * 18] * 3, [[1] * 16 + [0, 1]])
    assert check({"kube_pod_status_ready": rows}, "kube_pod_status_ready").severity is Severity.WARN


def test_pods_without_samples_are_passed_over():
    metrics = {
        "kube_pod_status_ready": ([[1] * 18, [None] * 18], [[1] * 18]),
        "container_restarts_total": ([[0] * 18, [None] * 18], [[0] * 18, [None] * 18]),
        "http_5xx_ratio": sides(0.1, 0.1),
        RATE: traffic(),
    }
    assert check(metrics, "kube_pod_status_ready").outcome is MetricOutcome.PASS
    assert check(metrics, "container_restarts_total").outcome is MetricOutcome.PASS
