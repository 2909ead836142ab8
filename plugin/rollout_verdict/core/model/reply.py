"""The model's reply as a value, and what must be true of it before it may become an opinion.

The shape is checked at the edge (the adapter that received the bytes); here is what a shape cannot say.
"""

from collections.abc import Collection
from dataclasses import dataclass

from rollout_verdict.core.model.neutral import plain
from rollout_verdict.core.values import Citation, Decision, Finding, Opinion, Severity, SourceKind

SUMMARY_LENGTH = 600
LINE_LENGTH = 300
STEPS = 5
CITATIONS = 20
SUM_TOLERANCE = 0.05  # models round probabilities to one or two digits; more than this is not a distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply. ``probabilities`` are fractions for each decision, ``suspicious`` are item ids.

    ``requests`` are ids of items of which the model would see more; from outside, as all of it.
    """

    decision: Decision
    probabilities: tuple[tuple[Decision, float], ...]
    summary: str
    root_cause: str
    next_steps: tuple[str, ...]
    citations: tuple[Citation, ...]
    suspicious: tuple[str, ...]
    requests: tuple[str, ...] = ()


def contradiction(reply: Reply) -> str:
    """Return why the reply contradicts itself, "" when it does not.

    The probabilities must add up to 1 within ``SUM_TOLERANCE``, and none may exceed that of the decision.
    """
    chances = dict(reply.probabilities)
    total = sum(chances.values())
    if abs(total - 1.0) > SUM_TOLERANCE:
        return f"probabilities add up to {total:.3g}"
    if chances[reply.decision] < max(chances.values()):
        return f"{reply.decision.value} is not the most probable decision by its own figures"
    return ""


def opinion(reply: Reply, judge: str, shown: Collection[str]) -> Opinion:
    """Return the opinion of ``judge``: its texts bounded, without links and hidden characters.

    ``shown`` are the ids of the items that the judge was shown; suspicions about others are dropped.
    Confidence is the stated probability of the decision: asked for all three, models are less overconfident
    than when asked for one number.
    """
    chances = dict(reply.probabilities)
    share = chances[reply.decision] / max(1.0, sum(chances.values()))
    return Opinion(
        judge=judge,
        decision=reply.decision,
        confidence=round(100 * share),
        findings=_suspicions(reply, shown),
        rationale=plain(reply.summary, SUMMARY_LENGTH),
        citations=tuple(
            Citation(
                evidence_id=plain(cited.evidence_id, 20),
                claim=plain(cited.claim, LINE_LENGTH),
                quote=plain(cited.quote, LINE_LENGTH),
            )
            for cited in reply.citations[:CITATIONS]
        ),
        root_cause=plain(reply.root_cause, LINE_LENGTH),
        next_steps=tuple(filter(None, (plain(step, LINE_LENGTH) for step in reply.next_steps[:STEPS]))),
    )


def _suspicions(reply: Reply, shown: Collection[str]) -> tuple[Finding, ...]:
    ids = tuple(cited for cited in dict.fromkeys(reply.suspicious) if cited in shown)
    if not ids:
        return ()
    return (
        Finding(
            code="addresses-the-model",
            severity=Severity.WARN,
            source=SourceKind.MODEL,
            summary="the model reports evidence text that reads like instructions to it",
            evidence=ids,
        ),
    )
