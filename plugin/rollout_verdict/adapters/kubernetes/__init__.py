"""Evidence from a Kubernetes cluster: who stable and canary are, how their pods fare, what they log, what changed.

Reads only. What is asked for is told by the Access values of each module; nothing is ever written to a cluster.
"""

from rollout_verdict.adapters.kubernetes.client import Patience
from rollout_verdict.adapters.kubernetes.cluster import ConnectionSettingsError, KubernetesCluster, connect

__all__ = ["ConnectionSettingsError", "KubernetesCluster", "Patience", "connect"]
