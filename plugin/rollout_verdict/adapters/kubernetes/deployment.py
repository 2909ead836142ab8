"""A plain Deployment into two sides: its two newest revisions. Pure."""

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


def plan_deployment(deployment: Document, replica_sets: Sequence[Document], asked: Pair[str]) -> Plan:
    """Return who is to be compared: the newest revision as canary, the one before it as stable."""
    newest = sorted((one for one in replica_sets if label(one, DEPLOYMENT_HASH)), key=revision_of, reverse=True)[:2]
    found = [label(one, DEPLOYMENT_HASH) for one in newest]
    hashes = Pair(
        stable=asked.stable or (found[1] if len(found) > 1 else ""), canary=asked.canary or (found[0] if found else "")
    )
    situation, obstacle, hint = _situation(deployment, newest)
    return Plan(
        name=name_of(deployment),
        hash_label=DEPLOYMENT_HASH,
        hashes=hashes,
        progress=Progress(
            strategy="deployment",
            situation=situation,
            revision=annotation(deployment, DEPLOYMENT_REVISION),
            message=_message(deployment),
            obstacle=obstacle,
        ),
        gaps=(gap("a new revision that can go on", obstacle, hint, Side.CANARY),) if obstacle else (),
    )


def _situation(deployment: Document, newest: Sequence[Document]) -> tuple[str, str, str]:
    """Return the situation in a word, why nothing can go on in it, and what to do."""
    name = name_of(deployment)
    if number(deployment, "spec", "replicas") == 0:
        return "scaled to zero", f"deployment {name} is scaled to zero", "scale it up"
    if len(newest) < 2:
        reason = f"this is the first revision of deployment {name}: there is no stable side"
        return "first revision", reason, "deploy a change: the next revision has a stable side to be compared with"
    if not number(newest[1], "status", "replicas"):
        reason = f"deployment {name} is rolled out: no pod of the revision before runs"
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
