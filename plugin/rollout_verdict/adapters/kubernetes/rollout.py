"""A Rollout's own account of itself into a plan: which hash is stable, which is the canary, and what is going on.

Fields are those of argo-rollouts ``pkg/apis/rollouts/v1alpha1/types.go``: ``status.stableRS`` moves to the new hash
when it is fully promoted, in blue-green after the post-promotion analysis; until then ``status.currentPodHash`` is
another.
"""

from collections.abc import Sequence

from rollout_verdict.adapters.kubernetes.fields import (
    Document,
    annotation,
    at,
    label,
    mapping,
    moment,
    name_of,
    number,
    objects,
    text_of,
)
from rollout_verdict.adapters.kubernetes.plan import REVISION, Plan, former, gap
from rollout_verdict.adapters.kubernetes.window import Floor
from rollout_verdict.core.evidence import Progress
from rollout_verdict.core.target import UNSAID
from rollout_verdict.core.values import Gap, Pair, Side

STEPS = 1_000  # of a canary; a real one has a dozen
_TIMED = frozenset({"setWeight", "pause", "analysis", "experiment"})  # steps of a weight, or of time under the last one
_NO_ROUTERS = frozenset({"managedRoutes", "maxTrafficWeight", "plugins"})


def plan_rollout(
    rollout: Document, replica_sets: Sequence[Document], asked: Pair[str], run: Document | None = None
) -> Plan:
    """Return who is to be compared. ``asked`` are hashes that the caller names; ``run`` is the AnalysisRun, if any."""
    status, name = mapping(rollout, "status"), name_of(rollout)
    stable, current = text_of(status, "stableRS"), text_of(status, "currentPodHash")
    canary = asked.canary or current
    situation, obstacle = _situation(rollout, canary)
    if asked.stable:
        stable = asked.stable
    elif canary and canary == stable:
        # Fully promoted. Who asks for this canary by its hash means its change, so the revision before it is stable;
        # who asks for the rollout meets no canary at all.
        stable, canary = (former(replica_sets, canary), canary) if asked.canary else (stable, "")
    blue_green = isinstance(at(rollout, "spec", "strategy", "blueGreen"), dict)
    steps = objects(rollout, "spec", "strategy", "canary", "steps")[:STEPS]
    weight = None if blue_green else _weight(rollout, steps)
    message = text_of(status, "message")
    # Without a router a pod that is ready takes its share, whatever the weight that the steps ask for.
    idle = f"rollout {name} sends its canary no traffic (weight 0)" if weight == 0 and _routers(rollout) else ""
    return Plan(
        name=name,
        hashes=Pair(stable=stable, canary=canary),
        progress=Progress(
            strategy="blueGreen" if blue_green else "canary",
            situation=situation,
            step=None if blue_green else number(status, "currentStepIndex"),
            steps=None if blue_green else len(steps),
            weight=weight,
            revision=annotation(rollout, REVISION),
            message=message,
            obstacle=obstacle,
        ),
        services=_services(rollout, canary),
        ingresses=_ingresses(rollout),
        routers=_routers(rollout),
        target_groups=_target_groups(status),
        floor=_floor(rollout, steps, run),
        idle=idle,
        gaps=tuple(_gaps(rollout, situation, obstacle, idle)),
    )


def _situation(rollout: Document, canary: str) -> tuple[str, str]:
    """Return the situation in a word, and why nothing can be promoted in it, "" when something could be."""
    status, name = mapping(rollout, "status"), name_of(rollout)
    stable, current = text_of(status, "stableRS"), text_of(status, "currentPodHash")
    in_the_way = (
        (number(rollout, "spec", "replicas") == 0, "scaled to zero", f"rollout {name} is scaled to zero"),
        (not current, "new", f"rollout {name} has not been seen by its controller yet"),
        (canary != current, "superseded", f"rollout {name} has moved on from {canary} to {current}"),
        (not stable, "first revision", f"this is the first revision of rollout {name}: there is no stable side"),
        (status.get("abort") is True, "aborted", f"rollout {name} was aborted"),
        (stable == current, "promoted", f"rollout {name} is fully promoted: {current} is stable"),
    )
    for holds, situation, obstacle in in_the_way:
        if holds:
            return situation, obstacle
    if at(rollout, "spec", "paused") is True or objects(status, "pauseConditions"):
        return "paused", ""
    return "degraded" if text_of(status, "phase") == "Degraded" else "progressing", ""


def _gaps(rollout: Document, situation: str, obstacle: str, idle: str) -> list[Gap]:
    found = []
    hints = {
        "scaled to zero": "scale it up: there is nothing to compare without pods",
        "superseded": "look at the analysis of the new revision instead",
        "first revision": "deploy a change: the next revision has a stable side to be compared with",
        "aborted": "retry it, or undo the change: kubectl argo rollouts retry rollout, or undo",
        "promoted": "nothing is in progress; ask again during the next rollout",
        "new": "see that the argo-rollouts controller runs",
    }
    if obstacle:
        found.append(gap("a canary that can be promoted", obstacle, hints[situation], Side.CANARY))
    if idle and not obstacle:
        hint = "analyse after a setWeight above 0, or send it requests by setMirrorRoute, setHeaderRoute or a test"
        found.append(gap("traffic of the canary", idle, hint, Side.CANARY))
    switched = text_of(rollout, "status", "blueGreen", "activeSelector") == text_of(rollout, "status", "currentPodHash")
    if mapping(rollout, "spec", "strategy", "blueGreen") and switched and not obstacle:
        reason = "since the switch the old pods take none, so that there is little to compare with in the same window"
        hint = "judge before the switch (prePromotionAnalysis with test traffic), or by a canary"
        found.append(gap("traffic of the stable side", reason, hint, Side.STABLE))
    generation = text_of(rollout, "status", "observedGeneration")
    newest = number(rollout, "metadata", "generation")
    if generation.isascii() and generation.isdigit() and len(generation) < 10 and newest and newest > int(generation):
        reason = f"its controller has seen generation {generation} of {newest}"
        found.append(gap("the newest change of the rollout", reason, "ask again in a moment"))
    if situation == "paused" and at(rollout, "spec", "paused") is True:
        found.append(gap("progress", "a person paused the rollout (spec.paused)", "resume it to go on"))
    return found


def _weight(rollout: Document, steps: Sequence[Document]) -> int | None:
    """Return the canary's share of the traffic in percent: as the router was told, else as the steps before now say."""
    routed = number(rollout, "status", "canary", "weights", "canary", "weight")
    if routed is not None:
        return routed
    index = number(rollout, "status", "currentStepIndex")
    if index is None or not steps:
        return None
    if index >= len(steps):
        return 100
    set_ = [found for step in steps[: index + 1] if (found := number(step, "setWeight")) is not None]
    return set_[-1] if set_ else 0


def _services(rollout: Document, canary: str) -> Pair[str]:
    """Return the Services of the sides. After the switch of blue-green both point at the new pods."""
    blue_green = mapping(rollout, "spec", "strategy", "blueGreen")
    if blue_green:
        active, preview = text_of(blue_green, "activeService"), text_of(blue_green, "previewService")
        if text_of(rollout, "status", "blueGreen", "activeSelector") == canary:
            return Pair(stable="", canary=active)
        return Pair(stable=active, canary=preview)
    strategy = mapping(rollout, "spec", "strategy", "canary")
    ping, pong = text_of(strategy, "pingPong", "pingService"), text_of(strategy, "pingPong", "pongService")
    if ping and pong:
        pong_is_stable = text_of(rollout, "status", "canary", "stablePingPong") == "pong"
        return Pair(stable=pong, canary=ping) if pong_is_stable else Pair(stable=ping, canary=pong)
    return Pair(stable=text_of(strategy, "stableService"), canary=text_of(strategy, "canaryService"))


def _ingresses(rollout: Document) -> tuple[str, ...]:
    routing = mapping(rollout, "spec", "strategy", "canary", "trafficRouting")
    found: list[str] = []
    for router in ("nginx", "alb"):
        told = mapping(routing, router)
        several = told.get("stableIngresses") or told.get("ingresses")
        names = several if isinstance(several, list) else []
        names = [text_of(told, "stableIngress") or text_of(told, "ingress"), *names]
        found += [name for name in names if isinstance(name, str) and name]
    return tuple(dict.fromkeys(found))


def _routers(rollout: Document) -> tuple[str, ...]:
    """Return the traffic routers in the order of the Rollout; a plugin goes by its own name."""
    routing = mapping(rollout, "spec", "strategy", "canary", "trafficRouting")
    return (*(key for key in routing if key not in _NO_ROUTERS), *mapping(routing, "plugins"))


def _target_groups(status: Document) -> Pair[str]:
    """Return the target groups of the AWS load balancer by their full names; of several, those of the first."""
    told = mapping(status, "alb") or next(iter(objects(status, "albs")), {})
    names = (text_of(told, f"{side}TargetGroup", "fullName") for side in ("stable", "canary"))
    return Pair(stable=next(names), canary=next(names)) if told else UNSAID


def _floor(rollout: Document, steps: Sequence[Document], run: Document | None) -> Floor | None:
    """Return since when the canary can have taken traffic, where readiness does not tell."""
    started = moment(run, "metadata", "creationTimestamp")
    if started and label(run, "rollout-type") == "PostPromotion":
        return Floor(since=started, reason="the active service was switched to it")
    index = number(rollout, "status", "currentStepIndex")
    if not mapping(rollout, "spec", "strategy", "canary", "trafficRouting") or index is None or index >= len(steps):
        return None
    paused = min(
        (time for one in objects(rollout, "status", "pauseConditions") if (time := moment(one, "startTime"))),
        default=None,
    )
    weights = [number(step, "setWeight") or 0 for step in steps[:index] if _TIMED.intersection(step)]
    # Without a router readiness brings traffic; with one, the first weight above 0 does. It was set just before this
    # pause or analysis began when no step that takes time stands between.
    if not (weights and weights[-1] > 0) or any(weights[:-1]):
        return None
    inline = label(run, "rollout-type") == "Step" and label(run, "step-index") == str(index)
    since = paused if "pause" in steps[index] else started if inline else None
    return Floor(since=since, reason="its first traffic was sent to it") if since else None
