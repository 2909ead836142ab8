"""Everything one measurement leaves behind."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from rollout_verdict.core.canonical import LATER, digest
from rollout_verdict.core.comparison import Comparison
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.values import Explanation, Gap, SourceKind, Usage, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """The texts exchanged with one model. ``prompt`` is "" where it was the same as the first one's."""

    judge: str
    prompt: str
    reply: str


def exchanged(first: str, others: Iterable[str]) -> str:
    """Return the digest of the texts sent to, or received from, all models; "" when there were none."""
    texts = (first, *others)
    return digest(first) if texts == (first,) and first else digest(texts) if any(texts) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The verdict, its explanation and all it rests on; redacted, so that it may be shown and stored.

    ``redactions`` counts what was replaced, as sorted (kind, count). ``prompt`` and ``reply`` are the texts exchanged
    with the model, "" when none was asked; renderers leave them out, the bundle keeps them beside the result.
    ``exchanges`` are those of second opinions.
    """

    evidence: Evidence
    comparison: Comparison
    verdict: Verdict
    explanation: Explanation
    usage: Usage
    redactions: tuple[tuple[str, int], ...]
    warnings: tuple[str, ...] = ()
    prompt: str = ""
    reply: str = ""
    exchanges: tuple[Exchange, ...] = field(default=(), metadata=LATER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is kept of an earlier judgement: its verdict, and the texts exchanged with the model, "" where none was."""

    verdict: Verdict
    usage: Usage
    prompt: str
    reply: str
    exchanges: tuple[Exchange, ...] = ()

    @property
    def model_gap(self) -> Gap | None:
        """The gap that stood for the model's opinion, None where there was an opinion or nobody was asked."""
        if self.verdict.vote is not None:
            return None  # what gaps there are stand for second opinions
        return next((gap for gap in reversed(self.verdict.gaps) if gap.source is SourceKind.MODEL), None)

    @property
    def asked(self) -> bool:
        """Whether a model had a part: it was asked, or was to be asked and could not."""
        return bool(self.verdict.digests.prompt) or self.model_gap is not None
