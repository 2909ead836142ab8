"""Who is to be compared, as the objects that control the pods tell it: hashes, situation, services. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rollout_verdict.adapters.kubernetes.fields import Document, annotation, controller, label, text_of
from rollout_verdict.adapters.kubernetes.window import Floor
from rollout_verdict.core.evidence import Progress
from rollout_verdict.core.target import UNSAID
from rollout_verdict.core.values import Gap, Pair, Side, SourceKind

HASH = "rollouts-pod-template-hash"
DEPLOYMENT_HASH = "pod-template-hash"
REVISION = "rollout.argoproj.io/revision"
DEPLOYMENT_REVISION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The two sides by their pods' labels: ``hash_label`` carries ``hashes``; ``selectors``, where told, win.

    ``floor`` is a time before which the canary took no traffic, None when readiness alone decides. ``idle`` says that
    the rollout sends the canary none at all, "" when it sends some or nothing tells.
    """

    name: str
    progress: Progress
    hashes: Pair[str] = UNSAID
    selectors: Pair[str] = UNSAID
    hash_label: str = HASH
    services: Pair[str] = UNSAID
    ingresses: tuple[str, ...] = ()
    routers: tuple[str, ...] = ()
    target_groups: Pair[str] = UNSAID
    floor: Floor | None = None
    idle: str = ""
    gaps: tuple[Gap, ...] = ()


def gap(what: str, reason: str, hint: str = "", side: Side | None = None) -> Gap:
    """Return a gap in finding the sides."""
    return Gap(source=SourceKind.KUBERNETES, what=what, reason=reason, hint=hint, side=side)


def owned(objects: Iterable[Document], uids: Iterable[str]) -> list[Document]:
    """Return the objects that one of the owners controls."""
    wanted = {uid for uid in uids if uid}
    return [one for one in objects if text_of(controller(one), "uid") in wanted]


def revision_of(replica_set: Document) -> int:
    """Return the number of a ReplicaSet's revision, 0 when it has none."""
    text = annotation(replica_set, REVISION) or annotation(replica_set, DEPLOYMENT_REVISION)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def former(replica_sets: Sequence[Document], canary_hash: str) -> str:
    """Return the hash of the revision before the canary's, "" when there is none."""
    mine = max((revision_of(one) for one in replica_sets if label(one, HASH) == canary_hash), default=0)
    before = [one for one in replica_sets if 0 < revision_of(one) < mine and label(one, HASH)]
    return label(max(before, key=revision_of), HASH) if before else ""
