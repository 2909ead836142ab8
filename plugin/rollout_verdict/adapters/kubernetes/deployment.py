"""A plain Deployment into two sides: its newest revision, and the one that served before it. Pure."""

from collections.abc import Sequence

from rollout_verdict.adapters.kubernetes.fields import (
    Document,
    annotation,
    at,
    label,
    name_of,
    number,
    objects,
    text_of,
)
from rollout_verdict.adapters.kubernetes.plan import (
    DEPLOYMENT_HASH,
    DEPLOYMENT_REVISION,
    Plan,
    gap,
    revision_of,
)
from rollout_verdict.core.evidence import Progress
from rollout_verdict.core.values import Pair, Side


def plan_deployment(deployment: Document, replica_sets: Sequence[Document] | None, asked: Pair[str]) -> Plan:
    """Return who is to be compared: the newest revision as canary, and as stable the newest older one that serves.

    A revision between the two that never served, or serves no more, is nothing to be held against. ``replica_sets`` is
    None when they could not be read: nothing else tells the revisions.
    """
    sets = sorted((one for one in replica_sets or () if label(one, DEPLOYMENT_HASH)), key=revision_of, reverse=True)
    older = sets[1:]
    running = [one for one in older if number(one, "status", "replicas")]
    serving = [one for one in running if number(one, "status", "readyReplicas")]
    stable = next(iter([*serving, *running, *older]), None)
    situation, obstacle, hint = _situation(deployment, bool(older), bool(running))
    if replica_sets is None:
        situation, obstacle = "unknown", f"the ReplicaSets of deployment {name_of(deployment)} could not be read"
        hint = "see the gap of the ReplicaSets: they alone tell a Deployment's revisions"
    return Plan(
        name=name_of(deployment),
        hash_label=DEPLOYMENT_HASH,
        hashes=Pair(
            stable=asked.stable or label(stable, DEPLOYMENT_HASH),
            canary=asked.canary or label(next(iter(sets), None), DEPLOYMENT_HASH),
        ),
        progress=Progress(
            strategy="deployment",
            situation=situation,
            revision=annotation(deployment, DEPLOYMENT_REVISION),
            message=_message(deployment),
            obstacle=obstacle,
        ),
        gaps=(gap("a new revision that can go on", obstacle, hint, Side.CANARY),) if obstacle else (),
    )


def _situation(deployment: Document, has_older: bool, older_runs: bool) -> tuple[str, str, str]:
    """Return the situation in a word, why nothing can go on in it, and what to do."""
    name = name_of(deployment)
    if number(deployment, "spec", "replicas") == 0:
        return "scaled to zero", f"deployment {name} is scaled to zero", "scale it up"
    if not has_older:
        reason = f"this is the first revision of deployment {name}: there is no stable side"
        return "first revision", reason, "deploy a change: the next revision has a stable side to be compared with"
    if not older_runs:
        reason = f"deployment {name} is rolled out: no pod of an older revision runs"
        return "promoted", reason, "ask again while the next revision rolls out; pause it for more time to compare"
    return "paused" if at(deployment, "spec", "paused") is True else "progressing", "", ""


def _message(deployment: Document) -> str:
    """Return why the Deployment does not go on, as its controller tells it."""
    conditions = objects(deployment, "status", "conditions")
    stuck = [
        one
        for one in conditions
        if (one.get("type"), one.get("status")) in (("Progressing", "False"), ("ReplicaFailure", "True"))
    ]
    return "; ".join(text_of(one, "message") for one in stuck)
