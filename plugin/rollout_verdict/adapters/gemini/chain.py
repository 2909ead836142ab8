"""Whom a measurement asks, and for how long."""

from dataclasses import dataclass

from rollout_verdict.adapters.gemini.breaker import Breaker
from rollout_verdict.adapters.gemini.loop import Stoppable
from rollout_verdict.adapters.gemini.trouble import LOCAL, TroubleError


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Models to ask in turn, the seconds for all of them, and who counts the provider's failures."""

    models: tuple[str, ...]
    total_s: float
    breaker: Breaker
    stop: Stoppable | None = None

    def count(self, trouble: TroubleError) -> None:
        """Tell the breaker what a failure says of the provider."""
        if trouble.treatment.provider:
            self.breaker.failed()
        elif trouble.kind not in LOCAL:
            self.breaker.succeeded()  # the provider answered; what it said is another matter
