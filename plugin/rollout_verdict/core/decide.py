"""The decision table: the rules' assessment and the model's opinion into one verdict.

The rows are numbered as in the README's table; the first that applies wins. Evidence and model text never reach a
branch here: only decisions, confidences and what code checked do.
"""

from dataclasses import dataclass

from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.core.rules import Assessment
from rollout_verdict.core.values import DecidedBy, Decision, Gap, Opinion, Severity, SourceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A model's opinion and what code established about its citations.

    ``holds``: every citation resolves and the decision is cited. ``answers``: every rule finding that speaks against
    the canary is answered by a citation.
    """

    opinion: Opinion
    holds: bool
    answers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """The outcome of the table: ``row`` 1..9 says which row applied."""

    decision: Decision
    decided_by: DecidedBy
    row: int
    confidence: int


def decide(  # noqa: PLR0911 - one return a row is the table itself
    rules: Assessment, model: Checked | Gap | None, policy: Policy
) -> Ruling:
    """Apply the table. ``model`` is None when none was asked, a Gap when it gave no usable reply."""
    said = rules.opinion
    if any(finding.severity is Severity.VETO for finding in said.findings):
        return _ruling(1, Decision.ROLLBACK, DecidedBy.RULES, said.confidence)
    usable = _usable(model) if policy.mode is Mode.AUTO else None
    short = bool(rules.shortfalls) or (usable is None and SourceKind.MODEL in policy.required_sources)
    if short and not (usable and usable.decision is Decision.ROLLBACK):
        return _ruling(2, Decision.INCONCLUSIVE, DecidedBy.RULES, said.confidence)
    if usable is None:
        by = DecidedBy.RULES_FALLBACK if policy.mode is Mode.AUTO and model is not None else DecidedBy.RULES
        return _ruling(3, said.decision, by, said.confidence)
    sure = usable.confidence >= policy.min_confidence
    match said.decision, usable.decision:
        case Decision.PROMOTE, Decision.PROMOTE:
            return _ruling(4, Decision.PROMOTE, DecidedBy.BOTH, max(said.confidence, usable.confidence))
        case Decision.ROLLBACK, Decision.ROLLBACK:
            return _ruling(5, Decision.ROLLBACK, DecidedBy.BOTH, max(said.confidence, usable.confidence))
        case Decision.PROMOTE, Decision.ROLLBACK if sure:
            return _ruling(6, Decision.ROLLBACK, DecidedBy.MODEL, usable.confidence)
        case Decision.ROLLBACK, Decision.PROMOTE if _overrides(model, policy):
            if policy.model_may_override:
                return _ruling(7, Decision.PROMOTE, DecidedBy.MODEL, usable.confidence)
            return _ruling(7, Decision.INCONCLUSIVE, DecidedBy.BOTH, min(said.confidence, usable.confidence))
        case Decision.INCONCLUSIVE, Decision.PROMOTE | Decision.ROLLBACK if sure:
            return _ruling(8, usable.decision, DecidedBy.MODEL, usable.confidence)
        case _:
            return _ruling(9, Decision.INCONCLUSIVE, DecidedBy.BOTH, min(said.confidence, usable.confidence))


def _ruling(row: int, decision: Decision, decided_by: DecidedBy, confidence: int) -> Ruling:
    return Ruling(decision=decision, decided_by=decided_by, row=row, confidence=confidence)


def _usable(model: Checked | Gap | None) -> Opinion | None:
    """Return the opinion if it may count: cited, and not a promote without any confidence."""
    if not isinstance(model, Checked) or not model.holds:
        return None
    if model.opinion.decision is Decision.PROMOTE and model.opinion.confidence == 0:
        return None
    return model.opinion


def _overrides(model: Checked | Gap | None, policy: Policy) -> bool:
    return isinstance(model, Checked) and model.answers and model.opinion.confidence >= policy.override_confidence
