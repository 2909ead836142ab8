"""What counts are divided by."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollout_verdict.core.evidence import Level, MetricEvidence
from rollout_verdict.core.logs.exposure import derive_exposure, fixed_workload
from rollout_verdict.core.logs.policy import LogPolicy
from rollout_verdict.core.values import Pair
from tests.core.log_builders import WINDOW, logs, pattern, pod_log, traffic

POLICY = LogPolicy()
SIDES = logs(pattern("served", (100, 100), (100,)))


def derive(evidence=SIDES, metrics=None, window=WINDOW):
    return derive_exposure(evidence, metrics, window, POLICY, pods=evidence.pods.map(len))


def test_requests_are_best():
    """Rate times time, by pod."""
    exposure = derive(metrics=traffic((5, 5), (2,)))
    assert exposure.unit == "requests"
    assert exposure.total == Pair(stable=2000.0, canary=400.0)
    assert exposure.requests == 400.0


def test_requests_of_a_side_as_a_whole():
    """A series without a pod is shared out between the pods of its side."""
    metrics = traffic((4,), (2,))
    metrics = replace(metrics, series=metrics.series.map(lambda side: tuple(replace(one, pod="") for one in side)))
    assert derive(metrics=metrics).pods == Pair(stable=(400.0, 400.0), canary=(400.0,))


def test_the_metric_that_fits_the_logs():
    """Of two traffic metrics the one by which the stable pods log alike is taken."""
    uneven = logs(pattern("served", (100, 300), (100,)))
    first, second = (
        traffic((5, 5), (5,), name="http_requests_per_second"),
        traffic((5, 15), (10,), name="server_requests_per_second"),
    )
    for a, b in ((first, second), (second, first)):
        both = MetricEvidence(
            series=Pair(stable=a.series.stable + b.series.stable, canary=a.series.canary + b.series.canary),
            meta=tuple(sorted(a.meta + b.meta, key=lambda meta: meta.name)),
        )
        assert derive(uneven, both).total.canary == 2000.0


def test_other_times_are_no_measure():
    """A metric that covers a small part of the logs' time is not divided by."""
    assert derive(metrics=traffic((5, 5), (5,), count=3)).unit == "pod-seconds"


def test_one_side_alone_is_no_measure():
    """Traffic of stable alone says nothing of the canary."""
    assert derive(metrics=traffic((5, 5), ())).unit == "pod-seconds"


def test_no_requests_at_all():
    """A canary without requests is compared by time, and the zero is told."""
    exposure = derive(metrics=traffic((5, 5), (0,)))
    assert exposure.unit == "pod-seconds"
    assert exposure.requests == 0.0


def test_an_idle_pod_keeps_a_tiny_share():
    """Nothing is divided by zero."""
    exposure = derive(metrics=traffic((5, 0), (5,)))
    assert 0 < exposure.pods.stable[1] < 1


def test_pod_seconds_from_the_first_line():
    """A pod counts from its first line to the end of the window, not to its last line."""
    late = logs(
        pattern("served", (100, 100), (100,)),
        canary_first=WINDOW.start + timedelta(seconds=50),
        canary_last=WINDOW.start + timedelta(seconds=60),
    )
    assert derive(late).pods == Pair(stable=(200.0, 200.0), canary=(150.0,))


def test_the_logs_tell_their_own_span():
    """Without a window the first and the last line make it."""
    assert derive(window=None).pods.stable == (200.0, 200.0)


def test_a_pod_without_lines():
    """A pod that never logged was not there."""
    silent = replace(
        SIDES, pods=Pair(stable=(*SIDES.pods.stable[:1], pod_log("x", 0, first=None)), canary=SIDES.pods.canary)
    )
    assert derive(silent).pods.stable[1] < 1


def test_uneven_traffic_shows_in_everyday_events():
    """A canary with a tenth of everything has a tenth of the traffic; what moved on its own does not count."""
    uneven = logs(
        pattern("served", (400, 400), (40,)),
        pattern("cached", (200, 200), (20,)),
        pattern("retried", (50, 50), (90,)),
        pattern("client went away", (50, 50), (5,), status="4xx"),
        pattern("slow", (50, 50), (5,), level=Level.WARN),
    )
    exposure = derive(uneven)
    assert exposure.unit == "events"
    assert exposure.pods == Pair(stable=(600.0, 600.0), canary=(60.0,))


@pytest.mark.parametrize("count", [(20, 20), (0, 40)])
def test_too_little_in_common(count):
    """Few common events, or a pod that lacks them, scale nothing."""
    assert derive(logs(pattern("served", count, (2,)), pattern("more", (500, 500), (0,)))).unit == "pod-seconds"


def test_nothing_but_events():
    """Without times, window and metrics only the events remain."""
    bare = derive(logs(pattern("served", (100, 50), (25,)), timed=False), window=None)
    assert (bare.unit, bare.pods) == ("events", Pair(stable=(100.0, 50.0), canary=(25.0,)))


def test_uneven_events_without_times():
    """Pods count alike where nothing tells how long they were there."""
    bare = derive(logs(pattern("served", (400, 400), (40,)), timed=False), window=None)
    assert (bare.unit, bare.total.canary) == ("events", 40.0)


def test_a_fixed_workload():
    """Runs of one workload count alike, whatever they logged."""
    same = logs(*(pattern(f"step {chr(97 + n % 26)}{chr(97 + n // 26)}", (2, 2), (0,)) for n in range(60)))
    assert fixed_workload(same, POLICY)
    assert derive(same).pods == Pair(stable=(200.0, 200.0), canary=(200.0,))
    assert not fixed_workload(SIDES, POLICY)
