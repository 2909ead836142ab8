"""Evidence into comparison: every judge of one source, side against side."""

from dataclasses import replace

from rollout_verdict.core.comparison import Comparison, DiffItem, MetricComparison
from rollout_verdict.core.evidence import Evidence, MetricEvidence
from rollout_verdict.core.logs.judge import judge_logs
from rollout_verdict.core.metrics.judge import judge_metrics
from rollout_verdict.core.pods import judge_pods
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.recall import with_memory
from rollout_verdict.core.values import Window


def compare(evidence: Evidence, policy: Policy) -> Comparison:
    """Hold the two sides of every source against each other; a missing source stays None."""
    changes = evidence.diff.changes if evidence.diff else ()
    tested = evidence.progress is not None and evidence.progress.tested
    held = Comparison(
        logs=judge_logs(evidence.logs, evidence.metrics, evidence.window, policy.logs, tested=tested)
        if evidence.logs
        else None,
        metrics=_compare_metrics(evidence.metrics, evidence.window, policy) if evidence.metrics else None,
        pods=judge_pods(evidence.kubernetes, evidence.window, policy.pods) if evidence.kubernetes else None,
        diff=tuple(DiffItem(id=f"d{n}", change=change) for n, change in enumerate(changes, 1)),
    )
    return with_memory(held, evidence)


def _compare_metrics(metrics: MetricEvidence, window: Window | None, policy: Policy) -> MetricComparison:
    """Judge the metrics; those of another time than the window say nothing about the canary that is judged."""
    found = judge_metrics(metrics, policy.metrics)
    meant = metrics.window or window
    if meant is None or not found.adequate:
        return found
    start, end = meant.start.timestamp(), meant.end.timestamp()
    if any(start <= time <= end for series in metrics.series.canary for time, _ in series.samples):
        return found
    return replace(found, adequate=False, reason="no metric of the canary has a sample inside the window")
