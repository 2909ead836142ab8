"""What the comparison adds to its judges."""

from dataclasses import replace
from datetime import timedelta

from rollout_verdict.core.compare import compare
from rollout_verdict.core.evidence import Level, LogEvidence, MetricEvidence, MetricSeries, PodLog
from rollout_verdict.core.metrics.series import infer_meta
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.values import Pair, Window
from tests.core.builders import NOON, WINDOW, evidence, pattern

NAME = "http_request_latency_p95_seconds"


def latency(pod):
    samples = tuple((NOON.timestamp() + 15 * n, 0.1 + n % 3 / 1000) for n in range(20))
    return MetricSeries(name=NAME, labels=(), pod=pod, samples=samples)


METRICS = MetricEvidence(
    series=Pair(stable=(latency("s-1"), latency("s-2")), canary=(latency("c-1"),)), meta=(infer_meta(NAME),)
)


def test_without_evidence_there_is_nothing_to_compare():
    compared = compare(evidence(), Policy())
    assert (compared.logs, compared.metrics, compared.pods, compared.diff) == (None, None, None, ())


def test_metrics_inside_the_window_are_adequate():
    assert compare(evidence(metrics=METRICS), Policy()).metrics.adequate
    assert compare(replace(evidence(metrics=METRICS), window=None), Policy()).metrics.adequate


def test_metrics_of_another_time_say_nothing_about_this_canary():
    late = Window(start=WINDOW.end + timedelta(days=365), end=WINDOW.end + timedelta(days=366))
    compared = compare(replace(evidence(metrics=METRICS), window=late), Policy()).metrics
    assert (compared.adequate, compared.reason) == (False, "no metric of the canary has a sample inside the window")
    told = replace(METRICS, window=WINDOW)
    assert compare(replace(evidence(metrics=told), window=late), Policy()).metrics.adequate


def pod_log(pod, partial=""):
    return PodLog(
        pod=pod, containers=("app",), size_bytes=900, lines=100, events=100, cut_lines=0, first=None, last=None,
        partial=partial,
    )  # fmt: skip


def test_logs_of_the_canary_that_were_not_read_whole_are_not_adequate():
    """What was not read may hold the harm; logs of stable that end early only make the comparison coarser."""
    seen = pattern("request <*> served", level=Level.INFO, stable=(100,), canary=(100,))
    for stable, canary, adequate in (("", "", True), ("gzip ends early", "", True), ("", "gzip ends early", False)):
        logs = LogEvidence(
            pods=Pair(stable=(pod_log("s-1", stable),), canary=(pod_log("c-1", canary),)),
            patterns=(replace(seen, buckets=Pair(stable=((),), canary=((),))),),
            bucket_edges=(),
        )
        compared = compare(replace(evidence(logs=logs), window=None), Policy()).logs
        assert compared.adequate is adequate, compared.reason
