"""What is to be judged, as a person or a controller names it, and what that turned out to be."""

from dataclasses import dataclass
from enum import StrEnum

from rollout_verdict.core.evidence import PodState, Progress, TemplateDiff
from rollout_verdict.core.values import Gap, Pair, RolloutRef, Window

UNSAID = Pair(stable="", canary="")


class TargetError(Exception):
    """There is nothing to look at: the object does not exist, or does not lead to two sides.

    The text names the object and says what to do; it holds no secret and is safe to show.
    """


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
    when the rollout has moved on since, they say which canary was meant. ``run`` is the AnalysisRun that asks about a
    Rollout: it tells since when the canary has had traffic.
    """

    kind: TargetKind
    namespace: str
    name: str
    selectors: Pair[str] = UNSAID
    hashes: Pair[str] = UNSAID
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The two sides by name: all that a source other than Kubernetes needs in order to ask about them.

    ``services`` are Service names, "" where the rollout has none of its own for a side; ``ingresses`` and ``routers``
    are what the Rollout's ``trafficRouting`` names ("nginx", "istio", ...), in its order. ``addresses`` are pod IPs,
    in the order of ``pods``, "" where a pod has none yet. ``target_groups`` are the ``fullName`` of the two in the
    Rollout's ``status.alb``.
    """

    rollout: RolloutRef
    window: Window
    pods: Pair[tuple[str, ...]]
    addresses: Pair[tuple[str, ...]]
    services: Pair[str] = UNSAID
    ingresses: tuple[str, ...] = ()
    routers: tuple[str, ...] = ()
    target_groups: Pair[str] = UNSAID


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathering:
    """How evidence is gathered. Times are seconds.

    ``include`` names the containers whose logs are read, all but the known sidecars when empty; ``exclude`` takes more
    away. A name in ``include`` is read although it is a known sidecar.
    """

    window_s: float = 600.0  # long enough for a few hundred requests of a small service, short enough to be one load
    warm_up_s: float = 30.0  # caches fill, pools connect, code is compiled: slow and loud on any fresh pod, good or bad
    deadline_s: float = 60.0  # of all sources together
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What a target turned out to be: who is stable, who is canary, and over which time they are compared.

    ``states`` are the pods of ``scope.pods``, in that order, without their events; ``namespace`` is where they are.
    ``gaps`` say what is in the way of a comparison; a side without pods is empty here and has its gap.
    ``idle`` says that the rollout sends the canary no traffic, "" when it sends some or nothing tells: then only
    requests that reached it in another way (a header, a mirror, a test) make it one to be judged.
    """

    scope: Scope
    progress: Progress
    namespace: str
    states: Pair[tuple[PodState, ...]]
    diff: TemplateDiff | None = None
    idle: str = ""
    gaps: tuple[Gap, ...] = ()
