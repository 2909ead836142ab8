"""A target's two sides: their pods, the window over which they are compared, and what changed between them."""

from dataclasses import replace
from datetime import timedelta

from rollout_verdict.adapters.kubernetes.changes import template_diff
from rollout_verdict.adapters.kubernetes.client import Api
from rollout_verdict.adapters.kubernetes.fields import (
    Document,
    label,
    mapping,
    moment,
    name_of,
    number,
    objects,
    text_of,
)
from rollout_verdict.adapters.kubernetes.plan import Plan, gap, owned
from rollout_verdict.adapters.kubernetes.pods import address, digests, pod_state, present, ready_since
from rollout_verdict.adapters.kubernetes.search import Search
from rollout_verdict.adapters.kubernetes.trouble import Access, ApiError, Resource
from rollout_verdict.adapters.kubernetes.window import Chosen, choose
from rollout_verdict.core.evidence import Progress, TemplateDiff
from rollout_verdict.core.target import Gathering, Scope, Sides, Target
from rollout_verdict.core.values import Gap, Pair, RolloutRef, Side, SourceKind

PODS = Resource(plural="pods")
SKEW_S = 5.0  # the Date header is good to a second; less than this moves no window by more than a scrape interval
POD_COUNT = 1_000  # of a side; the rest are left out, and said so


def find_sides(api: Api, target: Target, gathering: Gathering, *, end: float) -> Sides:
    """Return the two sides of a target. Raises TargetError when there is no such object.

    Whatever else fails is a gap, and the side that it hides is empty. ``end`` is a time of the clock.
    """
    search = Search(api, target, end)
    plan = search.plan()
    stable, stable_gaps = _pods(search, plan, Side.STABLE)
    canary, canary_gaps = _pods(search, plan, Side.CANARY)
    stable, shared_gaps = _apart(stable, canary)
    pods = Pair(stable=stable, canary=canary)
    plan = _of_these(plan, pods)
    chosen = _window(search, plan, gathering, canary)
    diff, diff_gaps = _diff(search, plan, pods)
    states = pods.map(lambda side: tuple(pod_state(pod) for pod in side))
    return Sides(
        scope=Scope(
            rollout=RolloutRef(
                namespace=target.namespace,
                name=plan.name,
                stable_hash=plan.hashes.stable,
                canary_hash=plan.hashes.canary,
            ),
            window=chosen.window,
            pods=states.map(lambda side: tuple(state.name for state in side)),
            addresses=pods.map(lambda side: tuple(address(pod) for pod in side)),
            services=plan.services,
            ingresses=plan.ingresses,
            routers=plan.routers,
            target_groups=plan.target_groups,
        ),
        progress=_progress(plan, chosen),
        namespace=target.namespace,
        states=states,
        idle=plan.idle,
        diff=diff,
        gaps=(
            *plan.gaps,
            *stable_gaps,
            *canary_gaps,
            *shared_gaps,
            *_early(plan, chosen, canary),
            *_skewed(api),
            *diff_gaps,
        ),
    )


def _pods(search: Search, plan: Plan, side: Side) -> tuple[list[Document], list[Gap]]:
    """Return the pods of a side, and why there are none or not all."""
    hash_, chosen, namespace = plan.hashes.of(side), plan.selectors.of(side), search.target.namespace
    selector = chosen or (f"{plan.hash_label}={hash_}" if hash_ else "")
    if not selector:
        return [], []  # the plan has said why
    access = Access(resource=PODS, namespace=namespace)
    try:
        listed, whole = search.api.listed(access, [("labelSelector", selector)], end=search.end)
    except ApiError as error:
        return [], [error.gap(SourceKind.KUBERNETES, f"{side} pods", side)]
    mine = [one for one in search.replica_sets or [] if label(one, plan.hash_label) == hash_]
    if search.replica_sets and not chosen:  # another workload may carry the same hash
        listed = owned(listed, [text_of(one, "metadata", "uid") for one in mine])
    pods = present(listed)
    if not pods:
        hint = "" if plan.progress.obstacle else f"kubectl get pods -n {namespace} -l '{selector}'"
        return [], [gap(f"{side} pods", _why_none(mine, selector, namespace), hint, side)]
    if whole and len(pods) <= POD_COUNT:
        return pods, []
    reason = f"there are more than {len(pods[:POD_COUNT])}, the rest were not looked at"
    return pods[:POD_COUNT], [gap(f"some {side} pods", reason, side=side)]


def _why_none(replica_sets: list[Document], selector: str, namespace: str) -> str:
    reason = f"no pod in namespace {namespace} has the labels {selector}"
    for one in replica_sets:
        for condition in objects(one, "status", "conditions"):
            if (condition.get("type"), condition.get("status")) == ("ReplicaFailure", "True"):
                return f"{reason}; its ReplicaSet cannot make any: {text_of(condition, 'message')[:500]}"
        if number(one, "spec", "replicas") == 0:
            return f"{reason}; its ReplicaSet {name_of(one)} is scaled to zero"
    return reason


def _apart(stable: list[Document], canary: list[Document]) -> tuple[list[Document], list[Gap]]:
    """Return the stable pods that are not canary pods as well, as two label selectors may have it."""
    both = {name_of(pod) for pod in stable} & {name_of(pod) for pod in canary}
    if not both:
        return stable, []
    reason = f"{min(both)} belongs to both sides and counts as canary"
    hint = "make stableLabel and canaryLabel exclude each other"
    return [pod for pod in stable if name_of(pod) not in both], [gap("two sides apart", reason, hint)]


def _of_these(plan: Plan, pods: Pair[list[Document]]) -> Plan:
    """Return the plan without what holds for other pods than those that a label selector named.

    Metrics then go by the pods alone: the Rollout's hash, Service and Ingress would bring in those of its own side.
    """

    def is_its_own(side: Side) -> bool:
        hash_, found = plan.hashes.of(side), pods.of(side)
        own = bool(hash_ and found) and all(label(pod, plan.hash_label) == hash_ for pod in found)
        return own or not plan.selectors.of(side)

    own = Pair(stable=is_its_own(Side.STABLE), canary=is_its_own(Side.CANARY))

    def kept(told: Pair[str]) -> Pair[str]:
        return Pair(stable=told.stable if own.stable else "", canary=told.canary if own.canary else "")

    return replace(
        plan,
        hashes=kept(plan.hashes),
        services=kept(plan.services),
        target_groups=kept(plan.target_groups),
        ingresses=plan.ingresses if own.stable and own.canary else (),
    )


def _window(search: Search, plan: Plan, gathering: Gathering, canary: list[Document]) -> Chosen:
    """Choose the window by the API server's clock. One of an analysis that is over ends with it."""
    api = search.api
    end = api.now() + (timedelta(seconds=api.skew_s) if abs(api.skew_s) > SKEW_S else timedelta())
    completed = moment(search.run, "status", "completedAt")
    over = completed is not None and completed < end
    started = [moment(pod, "status", "startTime") for pod in canary]
    ready = [ready_since(pod) for pod in canary]
    return choose(completed if completed and over else end, gathering, ready, started, plan.floor, over=over)


def _progress(plan: Plan, chosen: Chosen) -> Progress:
    obstacle = plan.progress.obstacle or chosen.obstacle
    return replace(plan.progress, window_basis=chosen.basis, obstacle=obstacle)


def _early(plan: Plan, chosen: Chosen, canary: list[Document]) -> list[Gap]:
    if not chosen.obstacle or not canary or plan.progress.obstacle:
        return []
    return [gap("time of the canary under traffic", chosen.obstacle, chosen.hint, Side.CANARY)]


def _skewed(api: Api) -> list[Gap]:
    if abs(api.skew_s) <= SKEW_S:
        return []
    ahead = "ahead of" if api.skew_s > 0 else "behind"
    reason = f"the API server's clock is {abs(api.skew_s):.0f} s {ahead} ours; the window follows the API server's"
    return [gap("one clock", reason, "set the clocks by NTP: metrics may be of another time than the logs")]


def _diff(search: Search, plan: Plan, pods: Pair[list[Document]]) -> tuple[TemplateDiff | None, list[Gap]]:
    """Return what changed between the templates of the sides' ReplicaSets."""
    sets = {label(one, plan.hash_label): one for one in search.replica_sets or []}
    stable, canary = sets.get(plan.hashes.stable), sets.get(plan.hashes.canary)
    if stable is not None and canary is not None:
        templates = Pair(stable=mapping(stable, "spec", "template"), canary=mapping(canary, "spec", "template"))
        return template_diff(templates, pods.map(digests)), []
    reason = "the ReplicaSets of both sides are needed, and not both are known"
    hint = search.unlisted.hint if search.unlisted else ""
    return None, [Gap(source=SourceKind.DIFF, what="difference of the pod templates", reason=reason, hint=hint)]
