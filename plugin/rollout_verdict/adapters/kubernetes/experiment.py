"""An Experiment's templates into two sides. Pure.

Argo Rollouts makes an Experiment of a canary step with the names that the step gives its templates, each made from the
stable or from the canary ReplicaSet (``specRef``); the Experiment itself no longer says which.
"""

from collections.abc import Sequence

from rollout_verdict.adapters.kubernetes.fields import Document, annotation, at, label, name_of, objects, text_of
from rollout_verdict.adapters.kubernetes.plan import HASH, REVISION, Plan, gap
from rollout_verdict.core.evidence import Progress
from rollout_verdict.core.values import Pair, Side

_STABLE = frozenset({"baseline", "stable", "control", "old"})
_CANARY = frozenset({"canary", "candidate", "experiment", "treatment", "preview", "new"})
_TEMPLATE = "experiment.argoproj.io/template-name"
_OVER = frozenset({"Successful", "Failed", "Error", "Inconclusive"})


def plan_experiment(experiment: Document, replica_sets: Sequence[Document], rollout: Document | None) -> Plan:
    """Return who is to be compared. ``rollout`` is the owner, whose stable pods stand in for a missing baseline."""
    names = [text_of(one, "name") for one in objects(experiment, "spec", "templates")]
    sides, gaps = _sides(names, rollout), []
    statuses = {text_of(one, "name"): one for one in objects(experiment, "status", "templateStatuses")}
    hashes = {name: _hash(name, experiment, statuses.get(name, {}), replica_sets) for name in names}
    stable = hashes.get(sides.stable, "")
    if not sides.stable and rollout is not None:
        stable = text_of(rollout, "status", "stableRS")
    for side in Side:
        if not (sides.of(side) or (side is Side.STABLE and stable)):
            reason = f"of its templates ({', '.join(names) or 'none'}) none is known to be the {side}"
            hint = "call the templates baseline and canary, or name the sides by stableLabel and canaryLabel"
            gaps.append(gap(f"the {side} side of experiment {name_of(experiment)}", reason, hint, side))
    phase = text_of(experiment, "status", "phase")
    obstacle = _obstacle(experiment, phase)
    if obstacle:
        gaps.append(gap("an experiment that runs", obstacle, "its pods are gone or about to go", Side.CANARY))
    services = Pair(
        stable=text_of(statuses.get(sides.stable), "serviceName"),
        canary=text_of(statuses.get(sides.canary), "serviceName"),
    )
    return Plan(
        name=name_of(rollout) if rollout is not None else name_of(experiment),
        hashes=Pair(stable=stable, canary=hashes.get(sides.canary, "")),
        progress=Progress(
            strategy="experiment",
            situation="over" if phase in _OVER else phase.lower() or "new",
            revision=annotation(rollout, REVISION) if rollout is not None else "",
            message=text_of(experiment, "status", "message"),
            obstacle=obstacle,
        ),
        services=services,
        gaps=tuple(gaps),
    )


def _sides(names: Sequence[str], rollout: Document | None) -> Pair[str]:
    """Return which template is which side: as the Rollout's step made it, else by its name; "" when not known.

    A name that two steps make from different sides is not known.
    """
    refs: dict[str, set[str]] = {}
    for step in objects(rollout, "spec", "strategy", "canary", "steps"):
        for template in objects(step, "experiment", "templates"):
            refs.setdefault(text_of(template, "name"), set()).add(text_of(template, "specRef"))
    stable = [name for name in names if refs.get(name) == {"stable"} or (name not in refs and name.lower() in _STABLE)]
    canary = [name for name in names if refs.get(name) == {"canary"} or (name not in refs and name.lower() in _CANARY)]
    if len(stable) > 1 or len(canary) > 1:  # several of a kind: names decide
        stable = [name for name in stable if name.lower() in _STABLE] or stable
        canary = [name for name in canary if name.lower() in _CANARY] or canary
    rest = [name for name in names if name not in (*stable, *canary, *refs)]
    if len(rest) == 1 and len(names) == 2:  # the one of two that is not the other
        stable, canary = stable or (rest if canary else []), canary or (rest if stable else [])
    return Pair(stable=stable[0] if stable else "", canary=canary[0] if canary else "")


def _hash(template: str, experiment: Document, status: Document, replica_sets: Sequence[Document]) -> str:
    """Return the hash of a template's pods, as the status or the template's ReplicaSet tells it."""
    for one in replica_sets:
        named = annotation(one, _TEMPLATE) or label(one, _TEMPLATE)
        if named == template or (not named and name_of(one) == f"{name_of(experiment)}-{template}"):
            return label(one, HASH)
    return text_of(status, "podTemplateHash")


def _obstacle(experiment: Document, phase: str) -> str:
    name = name_of(experiment)
    if at(experiment, "spec", "terminate") is True and phase not in _OVER:
        return f"experiment {name} is being ended"
    return f"experiment {name} is over ({phase})" if phase in _OVER else ""
