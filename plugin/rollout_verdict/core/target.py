"""What is to be judged, as a person or a controller names it, and what that turned out to be."""

from dataclasses import dataclass
from enum import StrEnum

from rollout_verdict.core.values import Pair, RolloutRef, Window

UNSAID = Pair(stable="", canary="")


class TargetKind(StrEnum):
    """The kinds of object that an analysis may start from."""

    ROLLOUT = "rollout"
    ANALYSIS_RUN = "analysisrun"
    EXPERIMENT = "experiment"
    DEPLOYMENT = "deployment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What to look at. Everything but the first three narrows what would be found without it.

    ``selectors`` are Kubernetes label selectors that name the pods of a side outright, "" for "find out".
    ``hashes`` are the ``rollouts-pod-template-hash`` values that the caller was told (an AnalysisRun's arguments):
    when the rollout has moved on since, they say which canary was meant.
    """

    kind: TargetKind
    namespace: str
    name: str
    selectors: Pair[str] = UNSAID
    hashes: Pair[str] = UNSAID


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The two sides by name: all that a source other than Kubernetes needs in order to ask about them.

    ``services`` are Service names, "" where the rollout has none of its own for a side; ``ingresses`` and ``routers``
    are what the Rollout's ``trafficRouting`` names ("nginx", "istio", ...), in its order. ``addresses`` are pod IPs,
    in the order of ``pods``, "" where a pod has none yet.
    """

    rollout: RolloutRef
    window: Window
    pods: Pair[tuple[str, ...]]
    addresses: Pair[tuple[str, ...]]
    services: Pair[str] = UNSAID
    ingresses: tuple[str, ...] = ()
    routers: tuple[str, ...] = ()
