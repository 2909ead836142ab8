"""The limits within which models may be asked, over all replicas."""

from dataclasses import dataclass

from rollout_verdict.core.values import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much models may be asked. None means without a limit.

    ``calls`` at the same time, ``calls_a_minute``, and what a namespace may use up in a day (UTC). What is under way
    counts towards a day only when it has ended, so a day's limit can be passed by as many answers as ``calls`` allows.
    So do the requests of an answer beyond its first towards a minute: retries, and rounds for more evidence.
    """

    calls: int | None = 32  # at some 10 s an answer, about as many as the next limit lets through
    calls_a_minute: int | None = 140  # the vendor's first paid tier grants 150 requests a minute
    tokens_a_day: int | None = None  # whoever pays decides
    cost_a_day_usd: float | None = None

    @property
    def daily(self) -> bool:
        """Whether a day has a limit at all."""
        return self.tokens_a_day is not None or self.cost_a_day_usd is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a namespace has used up since midnight UTC."""

    tokens: int
    cost_usd: float

    def beyond(self, limits: Limits) -> str:
        """Say which of the day's limits is reached, "" when none is."""
        if limits.tokens_a_day is not None and self.tokens >= limits.tokens_a_day:
            return f"{self.tokens} of {limits.tokens_a_day} tokens a day are used up"
        if limits.cost_a_day_usd is not None and self.cost_usd >= limits.cost_a_day_usd:
            return f"${self.cost_usd:.2f} of ${limits.cost_a_day_usd:.2f} a day are used up"
        return ""


def tokens_of(usage: Usage) -> int:
    """Return all tokens that were paid for."""
    return usage.prompt_tokens + usage.output_tokens + usage.thought_tokens
