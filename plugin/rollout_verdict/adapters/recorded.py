"""The judge that answers as a model once did: a recorded reply, held to the checks that it passed when it was new."""

from collections.abc import Callable
from dataclasses import dataclass

from rollout_verdict.core.canonical import digest
from rollout_verdict.core.comparison import Comparison
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.model import citations
from rollout_verdict.core.model.blocks import blocks
from rollout_verdict.core.model.neutral import plain
from rollout_verdict.core.model.reply import Reply, opinion
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.ports import Judgement
from rollout_verdict.core.result import Record
from rollout_verdict.core.values import Gap, Opinion, SourceKind

PROBLEM_LENGTH = 200  # of what is said about a bad reply


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedJudge:
    """Judges by a recorded exchange; calls nobody. ``parse`` is the strict parser of the model's replies."""

    record: Record
    parse: Callable[[str], Reply]

    def judge(self, evidence: Evidence, comparison: Comparison, rules: Opinion, policy: Policy) -> Judgement:
        """Return the recorded opinion, or the gap that stands for it: the recorded one, or why the reply is refused."""
        del evidence, rules, policy  # the reply was given to the recorded prompt
        record = self.record
        return Judgement(
            opinion=self._opinion(comparison), usage=record.usage, prompt=record.prompt, reply=record.reply
        )

    def _opinion(self, comparison: Comparison) -> Opinion | Gap:
        record = self.record
        for name, text, told in (
            ("prompt.txt", record.prompt, record.verdict.digests.prompt),
            ("reply.json", record.reply, record.verdict.digests.reply),
        ):
            if (digest(text) if text else "") != told:
                return _gap(f"{name} is not what result.json was made from", "record the bundle again")
        if record.model_gap is not None:
            return record.model_gap
        try:
            reply = self.parse(record.reply)
        except ValueError as error:
            return _gap(f"malformed recorded answer: {plain(str(error), PROBLEM_LENGTH)}")
        shown = {block.id for block in blocks(comparison) if f"\n[{block.id}@" in record.prompt}
        said = opinion(reply, record.usage.model, shown)
        if problems := citations.problems(said, comparison, shown):
            return _gap(f"ungrounded recorded answer: {plain(problems[0], PROBLEM_LENGTH)}")
        return said


def _gap(reason: str, hint: str = "") -> Gap:
    return Gap(source=SourceKind.MODEL, what="the model's opinion", reason=reason, hint=hint)
