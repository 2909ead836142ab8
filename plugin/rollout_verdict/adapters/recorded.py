"""The judge that answers as a model once did: a recorded reply, held to the checks that it passed when it was new."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from rollout_verdict.core.comparison import Comparison
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.model import citations
from rollout_verdict.core.model.blocks import blocks
from rollout_verdict.core.model.details import details
from rollout_verdict.core.model.neutral import plain
from rollout_verdict.core.model.reply import Reply, opinion
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.ports import Judgement
from rollout_verdict.core.result import Exchange, Record, exchanged
from rollout_verdict.core.values import Gap, Opinion, SourceKind
from rollout_verdict.core.vote import count

PROBLEM_LENGTH = 200  # of what is said about a bad reply


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedJudge:
    """Judges by a recorded exchange; calls nobody. ``parse`` is the strict parser of the model's replies."""

    record: Record
    parse: Callable[[str], Reply]

    def judge(self, evidence: Evidence, comparison: Comparison, rules: Opinion, policy: Policy) -> Judgement:
        """Return the recorded opinion, or the gap that stands for it: the recorded one, or why the reply is refused."""
        del rules  # the reply was given to the recorded prompt
        record, vote = self.record, self.record.verdict.vote
        told = Judgement(
            opinion=self._opinion(evidence, comparison),
            usage=record.usage,
            prompt=record.prompt,
            reply=record.reply,
            others=record.exchanges,
        )
        if vote is None or isinstance(told.opinion, Gap):
            return told
        voters = {said.judge for said in vote.opinions}
        seconds = [self._said(other, evidence, comparison) for other in record.exchanges if other.judge in voters]
        opinions = [told.opinion, *(said for said in seconds if isinstance(said, Opinion))]
        failed = [*vote.failed, *(said for said in seconds if isinstance(said, Gap))]
        counted, ballot = count(opinions, failed, vote.why, policy)
        return replace(told, opinion=counted, vote=ballot)

    def _opinion(self, evidence: Evidence, comparison: Comparison) -> Opinion | Gap:
        record, vote = self.record, self.record.verdict.vote
        others = record.exchanges
        for name, text, told in (
            ("prompt.txt", exchanged(record.prompt, (one.prompt for one in others)), record.verdict.digests.prompt),
            ("reply.json", exchanged(record.reply, (one.reply for one in others)), record.verdict.digests.reply),
        ):
            if text != told:
                return _gap(f"{name} is not what result.json was made from", "record the bundle again")
        if record.model_gap is not None:
            return record.model_gap
        name = vote.opinions[0].judge if vote else record.usage.model
        return self._said(Exchange(judge=name, prompt="", reply=record.reply), evidence, comparison)

    def _said(self, exchange: Exchange, evidence: Evidence, comparison: Comparison) -> Opinion | Gap:
        """Return what one model said, held to what it was shown."""
        try:
            reply = self.parse(exchange.reply)
        except ValueError as error:
            return _gap(f"malformed recorded answer: {plain(str(error), PROBLEM_LENGTH)}")
        prompt = exchange.prompt or self.record.prompt
        more = partial(details, evidence=evidence, comparison=comparison)  # what it may have asked for
        shown = {block.id for block in blocks(comparison) if f"\n[{block.id}@" in prompt}
        said = opinion(reply, exchange.judge, shown)
        if problems := citations.problems(said, comparison, shown, more):
            return _gap(f"ungrounded recorded answer: {plain(problems[0], PROBLEM_LENGTH)}")
        return said


def _gap(reason: str, hint: str = "") -> Gap:
    return Gap(source=SourceKind.MODEL, what="the model's opinion", reason=reason, hint=hint)
