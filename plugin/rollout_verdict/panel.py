"""Several models as one judge: the first is asked always, others in doubt, and a vote makes one opinion of it."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from rollout_verdict.core import vote
from rollout_verdict.core.comparison import Comparison
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.model import citations
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.ports import Judge, Judgement
from rollout_verdict.core.result import Exchange
from rollout_verdict.core.values import Gap, Opinion, SourceKind, Usage

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A judge made of judges: ``named`` gives the one by a model's name, with a deadline in seconds.

    ``Policy.second_opinions`` says whom to ask. They are asked one after the other, each within its own deadline.
    """

    first: Judge
    named: Callable[[str, float], Judge]

    def judge(self, evidence: Evidence, comparison: Comparison, rules: Opinion, policy: Policy) -> Judgement:
        """Return the first model's judgement or, in doubt, what the vote makes of all. Raises what the first raises."""
        told = self.first.judge(evidence, comparison, rules, policy)
        first = told.opinion
        if isinstance(first, Gap) or not (why := vote.doubt(rules, first, policy)):
            return told
        opinions, failed, others, usage = [first], list[Gap](), list[Exchange](), told.usage
        labels = Counter([first.judge])
        for name in policy.second_opinions:
            labels[name or first.judge] += 1
            label = _label(name or first.judge, labels)
            ask = partial(self._ask, name or first.judge, evidence, comparison, rules, policy)
            second = _second(label, ask, evidence, comparison)
            usage = _sum(usage, second.usage)
            if second.prompt:
                prompt = "" if second.prompt == told.prompt else second.prompt
                others.append(Exchange(judge=label, prompt=prompt, reply=second.reply))
            if isinstance(second.opinion, Gap):
                failed.append(second.opinion)
            else:
                opinions.append(second.opinion)
        counted, ballot = vote.count(opinions, failed, why, policy)
        return replace(told, opinion=counted, usage=usage, others=tuple(others), vote=ballot)

    def _ask(self, model: str, evidence: Evidence, comparison: Comparison, rules: Opinion, policy: Policy) -> Judgement:
        return self.named(model, policy.second_opinion_s).judge(evidence, comparison, rules, policy)


def _label(name: str, asked: "Counter[str]") -> str:
    """Return the model's name, with a number where it is asked again."""
    return f"{name} ({asked[name]})" if asked[name] > 1 else name


def _second(label: str, ask: Callable[[], Judgement], evidence: Evidence, comparison: Comparison) -> Judgement:
    """Return the judgement of a second judge under its label; whatever breaks in there, the first one's stands."""
    try:
        told = ask()
    except Exception as error:  # noqa: BLE001 -- as in the engine: a second opinion cannot take the first away
        kind = type(error).__name__  # not its text, which may quote anything
        _LOG.error("the judge of a second opinion broke with %s", kind)
        return Judgement(opinion=_gap(label, f"its judge broke ({kind})"))
    said = told.opinion
    if isinstance(said, Gap):
        return replace(told, opinion=_gap(label, said.reason, said.hint))
    if not vote.usable(said) or not citations.hold(said, comparison, evidence):
        return replace(told, opinion=_gap(label, "it is not cited, or has no confidence"))
    return replace(told, opinion=replace(said, judge=label))


def _gap(label: str, reason: str, hint: str = "") -> Gap:
    return Gap(source=SourceKind.MODEL, what=f"the second opinion of {label}", reason=reason, hint=hint)


def _sum(one: Usage, other: Usage) -> Usage:
    """Add what another model cost; the sum's cost is unknown where that of a call is."""
    known = [usage.cost_usd for usage in (one, other) if usage.attempts]
    return replace(
        one,
        attempts=one.attempts + other.attempts,
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        cached_tokens=one.cached_tokens + other.cached_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        thought_tokens=one.thought_tokens + other.thought_tokens,
        cost_usd=None if None in known else sum(cost for cost in known if cost is not None),
    )
