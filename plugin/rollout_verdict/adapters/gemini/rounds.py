"""Evidence on request: what a model may be shown more of when its answer asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rollout_verdict.adapters.gemini.tally import Standing, Tally
from rollout_verdict.core.comparison import Comparison
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.model.blocks import blocks
from rollout_verdict.core.model.details import details
from rollout_verdict.core.model.prompt import REQUESTS, Prompt
from rollout_verdict.core.values import Decision, Opinion

_KINDS = ("log patterns", "metrics", "pod facts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """What may be asked for in one measurement, and how often at ``most``. ``blocks`` are all that can be named."""

    evidence: Evidence
    comparison: Comparison
    most: int
    blocks: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        named = {block.id: block.text for block in blocks(self.comparison) if block.kind in _KINDS} if self.most else {}
        object.__setattr__(self, "blocks", named)

    def granted(self, requests: Sequence[str], prompt: Prompt) -> dict[str, str]:
        """Return more of each item asked for, by id; what does not exist or was given is left out."""
        wanted = [name for name in dict.fromkeys(requests) if name in self.blocks and name not in prompt.given]
        return {name: details(name, self.evidence, self.comparison) for name in wanted[:REQUESTS]}


def standing(said: Opinion, tally: Tally) -> Standing | None:
    """Return the answer that stands should the next round fail.

    Not a promote: who wanted to see more before it, and could not, has not promoted.
    """
    return None if said.decision is Decision.PROMOTE else (said, tally.prompt, tally.reply)
