"""What one measurement's calls to models have used up, and what the next call sends."""

from collections import Counter
from dataclasses import dataclass, field, replace

from rollout_verdict.adapters.gemini.options import Thinking
from rollout_verdict.adapters.gemini.prices import Prices
from rollout_verdict.adapters.gemini.trouble import LOCAL, Kind, TroubleError
from rollout_verdict.core.model.prompt import Prompt
from rollout_verdict.core.values import Opinion, Usage

Standing = tuple[Opinion, Prompt, str]  # an answer, what it was given to, and its text


@dataclass(slots=True, kw_only=True)
class Asked:
    """What the next call to the present model sends; a failed one may change it."""

    prompt: Prompt
    room: int  # output tokens
    thinking: Thinking


@dataclass(slots=True, kw_only=True)
class Tally:
    """What one measurement has used up so far; read by the caller even when the deadline has struck."""

    prompt: Prompt
    deadline: float  # of the judge's clock
    usage: Usage = field(default_factory=Usage)
    spent_tokens: int = 0  # told by the vendor, estimated where it told nothing
    reply: str = ""
    requests: tuple[str, ...] = ()  # of the latest usable answer, for more evidence
    standing: Standing | None = None  # an earlier answer, should the round for more evidence fail
    last: str = ""  # trouble met
    cost_known: bool = True
    seen: Counter[Kind] = field(default_factory=Counter)  # on the present model

    def book(self, asked: Asked, answer: object, usage: Usage | None, cost: float | None) -> None:
        """Add one call. A call that may have been billed unseen makes the cost unknown."""
        if isinstance(answer, TroubleError) and answer.kind in LOCAL:
            self.usage = replace(self.usage, attempts=self.usage.attempts - 1)  # it never left this process
        if usage is None:
            billed = not (isinstance(answer, TroubleError) and answer.treatment.unbilled)
            self.cost_known = self.cost_known and not billed
            self.spent_tokens += asked.prompt.tokens if billed else 0
            return
        self.cost_known = self.cost_known and cost is not None
        self.spent_tokens += usage.prompt_tokens + usage.output_tokens + usage.thought_tokens
        total = self.usage
        self.usage = replace(
            total,
            prompt_tokens=total.prompt_tokens + usage.prompt_tokens,
            cached_tokens=total.cached_tokens + usage.cached_tokens,
            output_tokens=total.output_tokens + usage.output_tokens,
            thought_tokens=total.thought_tokens + usage.thought_tokens,
            cost_usd=(total.cost_usd or 0.0) + (cost or 0.0),
        )

    def priced(self, prices: Prices) -> Usage:
        """Return the usage with its cost, or without one where any part of it is unknown."""
        if not self.usage.attempts:
            return self.usage
        cost = (self.usage.cost_usd or 0.0) if self.cost_known else None
        return replace(self.usage, cost_usd=cost, price_as_of=prices.as_of.isoformat())
