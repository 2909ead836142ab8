"""Whether a canary that its rollout sends no traffic was visited all the same: by a header, a mirror or a test."""

from rollout_verdict.core.evidence import LogEvidence, LogKind, MetricEvidence
from rollout_verdict.core.metrics.traffic import traffic_of
from rollout_verdict.core.values import Side, Window

# A minute and pod: two probes every four seconds, which applications count and log as any other request. Kubernetes
# itself probes every ten.
PROBES = 30.0


def visited(metrics: MetricEvidence | None, logs: LogEvidence | None, window: Window, pods: int) -> bool:
    """Tell whether more requests reached the canary in the window than probes make, by metrics or by access logs.

    ``pods`` is the number of canary pods.
    """
    counted = max((one.total(Side.CANARY) for one in traffic_of(metrics)), default=0.0) if metrics else 0.0
    logged = sum(sum(one.counts.canary) for one in logs.patterns if one.kind is LogKind.ACCESS) if logs else 0
    return max(counted, logged) > PROBES * window.seconds / 60.0 * pods
