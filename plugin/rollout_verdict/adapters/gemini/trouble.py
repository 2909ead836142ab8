"""What can go wrong with a model call, and what is done about it: the whole policy is one table."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Classes of failure; the words appear in gaps, so that a person and a dashboard can count them."""

    # the answer came, and is no answer
    BLOCKED_PROMPT = "prompt blocked"
    BLOCKED_OUTPUT = "answer blocked"
    RECITATION = "answer withheld as recitation"
    TRUNCATED = "answer truncated"
    EMPTY = "empty answer"
    MODEL_ERROR = "model error"
    MALFORMED = "malformed answer"
    UNGROUNDED = "ungrounded answer"
    # the service said no
    INVALID_REQUEST = "request refused"
    UNAUTHENTICATED = "access refused"
    NOT_FOUND = "model not found"
    RATE_LIMITED = "rate limited"
    QUOTA_SPENT = "quota spent"
    SERVER_ERROR = "server error"
    UNAVAILABLE = "model overloaded"
    TIMED_OUT = "timed out"
    REDIRECTED = "redirected"
    GARBLED = "garbled response"
    # the call did not get there
    NETWORK = "connection failed"
    CREDENTIALS = "sign-in failed"
    MISSING_CLIENT = "client not usable"
    OVER_BUDGET = "token budget spent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """What to do: ``retries`` on the same model, then the ``next_model`` or give up.

    ``provider`` says that the provider is at fault, which the breaker counts; the others would fail again tomorrow
    or are about this one prompt. ``unbilled`` when the call surely cost nothing.
    """

    retries: int = 0
    next_model: bool = False
    provider: bool = False
    unbilled: bool = False


# Sources: the vendor's error table and the behaviour of the SDK, which retries nothing here (attempts=1).
TREATMENTS = {
    Kind.BLOCKED_PROMPT: Treatment(),  # the same prompt is blocked again
    Kind.BLOCKED_OUTPUT: Treatment(),
    Kind.RECITATION: Treatment(retries=1),  # sampling decides; a second try often passes
    Kind.TRUNCATED: Treatment(retries=1),  # with twice the room
    Kind.EMPTY: Treatment(retries=1, next_model=True, provider=True),
    Kind.MODEL_ERROR: Treatment(retries=1),
    Kind.MALFORMED: Treatment(retries=1),
    Kind.UNGROUNDED: Treatment(retries=1),  # with the bad citations named
    Kind.INVALID_REQUEST: Treatment(unbilled=True),  # ours to fix; every model would refuse it
    Kind.UNAUTHENTICATED: Treatment(unbilled=True),  # the same key opens no other model
    Kind.NOT_FOUND: Treatment(next_model=True, unbilled=True),
    Kind.RATE_LIMITED: Treatment(retries=2, next_model=True, provider=True, unbilled=True),
    Kind.QUOTA_SPENT: Treatment(next_model=True, provider=True, unbilled=True),  # waiting does not help today
    Kind.SERVER_ERROR: Treatment(retries=2, provider=True, unbilled=True),
    Kind.UNAVAILABLE: Treatment(retries=1, next_model=True, provider=True, unbilled=True),
    Kind.TIMED_OUT: Treatment(retries=1, provider=True),
    Kind.REDIRECTED: Treatment(unbilled=True),  # never followed: the key would go along
    Kind.GARBLED: Treatment(retries=1, provider=True),
    Kind.NETWORK: Treatment(retries=3, provider=True),
    Kind.CREDENTIALS: Treatment(unbilled=True),
    Kind.MISSING_CLIENT: Treatment(unbilled=True),
    Kind.OVER_BUDGET: Treatment(unbilled=True),
}


LOCAL = frozenset({Kind.CREDENTIALS, Kind.MISSING_CLIENT, Kind.OVER_BUDGET})  # tell nothing of the provider


class TroubleError(Exception):
    """A model call that gave nothing usable. ``detail`` is bounded, from outside, and holds no key."""

    def __init__(
        self, kind: Kind, detail: str, *, retry_after_s: float | None = None, problems: tuple[str, ...] = ()
    ) -> None:
        super().__init__(f"{kind.value}: {detail}" if detail else kind.value)
        self.kind = kind
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.problems = problems

    @property
    def treatment(self) -> Treatment:
        """What the table says."""
        return TREATMENTS[self.kind]
