"""Live evidence as the tests ask for it: by the reader's token, from the real API server."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rollout_verdict.adapters.kubernetes import KubernetesCluster, connect
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.target import Gathering, Target, TargetKind
from rollout_verdict.core.values import Pair
from rollout_verdict.gather import gather
from tests.e2e.cluster import Cluster
from tests.e2e.manifests import NAME
from tests.e2e.traffic import HASH

GATHERING = Gathering(window_s=300.0, warm_up_s=0.1, deadline_s=30.0)


def look(
    kubeconfig: Path, namespace: str, kind: TargetKind = TargetKind.ROLLOUT, name: str = NAME, **narrowed: Pair[str]
) -> Evidence:
    """Gather the evidence of a target with that kubeconfig."""
    source = KubernetesCluster(connect(str(kubeconfig)))
    try:
        return gather(Target(kind=kind, namespace=namespace, name=name, **narrowed), source, None, GATHERING)
    finally:
        source.close()


def status(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """Return the Rollout's status."""
    found: dict[str, Any] = cluster.get("rollouts", namespace, NAME).get("status", {})
    return found


def first_revision(cluster: Cluster, namespace: str) -> str:
    """Wait until the Rollout's first revision serves, and return its hash."""

    def serves() -> str:
        found = status(cluster, namespace)
        return found.get("stableRS", "") if found.get("phase") == "Healthy" else ""

    found: str = cluster.wait("first revision", serves)
    return found


def update(cluster: Cluster, namespace: str, template: Mapping[str, Any]) -> None:
    """Give the Rollout another pod template."""
    cluster.patch("rollouts", namespace, NAME, {"spec": {"template": dict(template)}})


def paused(cluster: Cluster, namespace: str) -> str:
    """Wait until the Rollout's controller pauses it and its canary has warmed up, and return the canary's hash."""
    cluster.wait("pause", lambda: status(cluster, namespace).get("phase") == "Paused", timeout_s=180.0)
    found: str = status(cluster, namespace)["currentPodHash"]
    cluster.wait("warm canary", lambda: all(map(_warm, cluster.pods(namespace, f"{HASH}={found}"))))
    return found


def _warm(pod: Any) -> bool:
    """Tell whether a pod has been ready for a while. Kubernetes' times are whole seconds."""
    ready = [one.last_transition_time for one in pod.status.conditions if (one.type, one.status) == ("Ready", "True")]
    return bool(ready) and datetime.now(UTC) - ready[0] > timedelta(seconds=2.5)


def hashes(cluster: Cluster, evidence: Evidence, label: str = HASH) -> Pair[set[str]]:
    """Return the template hashes that the pods of each side really have."""
    pods = {pod.metadata.name: pod.metadata.labels.get(label, "") for pod in cluster.pods(evidence.rollout.namespace)}
    return evidence.pods.map(lambda side: {pods[name] for name in side})
