"""Second opinions: when more than one model is asked, and how what they say becomes one opinion.

The opinion that counts is that of the most confident voter on the winning side, never surer than that voter was. So
whatever the decision table makes of a vote for promote, it would have made of this one voter as well.
"""

from collections.abc import Sequence
from dataclasses import replace

from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.core.values import Decision, Gap, Opinion, Verdict, Vote

RATIONALE_LENGTH = 600  # of the rationale: what fits the measurement's metadata


def doubt(rules: Opinion, first: Opinion, policy: Policy) -> str:
    """Return why the first model's opinion is to be checked by another, "" when there is no doubt.

    Only where models decide: an advisory model may say what it likes, and one that gave no usable opinion is no voter.
    A rollback that rules and model agree on is not doubted: others could only weaken it.
    """
    if policy.mode is not Mode.AUTO or not policy.second_opinions or not usable(first):
        return ""
    if first.decision is not rules.decision:
        return f"the rules say {rules.decision.value}, {first.judge} says {first.decision.value}"
    if first.confidence < policy.min_confidence and first.decision is not Decision.ROLLBACK:
        return f"{first.judge} is not sure of its {first.decision.value} ({first.confidence})"
    return ""


def usable(opinion: Opinion) -> bool:
    """Tell whether an opinion may be counted at all: a promote without any confidence is none."""
    return opinion.decision is not Decision.PROMOTE or opinion.confidence > 0


def count(opinions: Sequence[Opinion], failed: Sequence[Gap], why: str, policy: Policy) -> tuple[Opinion, Vote]:
    """Return the opinion that counts and how it came about. ``opinions`` are usable ones, the first model's first.

    Each voice weighs its confidence; the heavier decision wins. A promote does not win against a voter who is sure of a
    rollback, and nothing wins against an equal weight: both come to inconclusive. The confidence is the mean over the
    voters, of which those of other decisions lend none; for a promote those who failed count as voters, too, so that a
    model that could not answer never makes a promote easier.
    """
    weights = {one: sum(said.confidence for said in opinions if said.decision is one) for one in Decision}
    winner = max(Decision, key=lambda one: (weights[one], one is Decision.INCONCLUSIVE))
    tied = sum(weight == weights[winner] for weight in weights.values()) > 1
    objection = next(
        (o for o in opinions if o.decision is Decision.ROLLBACK and o.confidence >= policy.min_confidence), None
    )
    outcome = "" if not tied else "; an equal weight decides nothing"
    if tied:
        winner = Decision.INCONCLUSIVE
    elif winner is Decision.PROMOTE and objection is not None:
        winner, outcome = (
            Decision.INCONCLUSIVE,
            f"; {objection.judge} is sure of a rollback, which no majority waves away",
        )
    lead = max((o for o in opinions if o.decision is winner), key=lambda o: o.confidence, default=None)
    voters = len(opinions) + (len(failed) if winner is Decision.PROMOTE else 0)
    confidence = round(weights[winner] / voters)
    rationale = _rationale(opinions, failed, weights, winner, outcome)
    judge = f"vote of {', '.join(dict.fromkeys(o.judge for o in opinions))}" if len(opinions) > 1 else opinions[0].judge
    vote = Vote(why=why, rationale=rationale, opinions=tuple(opinions), failed=tuple(failed))
    if lead is None:
        said = Opinion(judge=judge, decision=winner, confidence=confidence, rationale=rationale)
    else:
        said = replace(lead, judge=judge, confidence=min(confidence, lead.confidence))
    return said, vote


def voices(verdict: Verdict) -> tuple[Opinion, ...]:
    """Return what each judge said for itself: the rules and, where several models were asked, each of them."""
    rules, *counted = verdict.opinions
    return (rules, *(verdict.vote.opinions if verdict.vote else counted))


def _rationale(
    opinions: Sequence[Opinion], failed: Sequence[Gap], weights: dict[Decision, int], winner: Decision, outcome: str
) -> str:
    voices = [f"{said.judge} {said.decision.value} {said.confidence}" for said in opinions]
    voices += [f"{gap.what} missing" for gap in failed]
    sums = ", ".join(f"{one.value} {weights[one]}" for one in Decision if weights[one])
    text = f"{'; '.join(voices)}. By confidence: {sums or 'nothing'}, hence {winner.value}{outcome}"
    return text if len(text) <= RATIONALE_LENGTH else text[: RATIONALE_LENGTH - 1] + "…"
