"""Evidence into comparison: every judge of one source, side against side."""

from rollout_verdict.core.comparison import Comparison, DiffItem
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.logs.judge import judge_logs
from rollout_verdict.core.metrics.judge import judge_metrics
from rollout_verdict.core.pods import judge_pods
from rollout_verdict.core.policy import Policy


def compare(evidence: Evidence, policy: Policy) -> Comparison:
    """Hold the two sides of every source against each other; a missing source stays None."""
    changes = evidence.diff.changes if evidence.diff else ()
    return Comparison(
        logs=judge_logs(evidence.logs, evidence.metrics, evidence.window, policy.logs) if evidence.logs else None,
        metrics=judge_metrics(evidence.metrics, policy.metrics) if evidence.metrics else None,
        pods=judge_pods(evidence.kubernetes, evidence.window, policy.pods) if evidence.kubernetes else None,
        diff=tuple(DiffItem(id=f"d{n}", change=change) for n, change in enumerate(changes, 1)),
    )
