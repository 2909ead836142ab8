"""Everything one measurement leaves behind."""

from dataclasses import dataclass

from rollout_verdict.core.comparison import Comparison
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.values import Explanation, Usage, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The verdict, its explanation and all it rests on; redacted, so that it may be shown and stored.

    ``redactions`` counts what was replaced, as sorted (kind, count). ``prompt`` and ``reply`` are the texts exchanged
    with the model, "" when none was asked; renderers leave them out, the bundle keeps them beside the result.
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
