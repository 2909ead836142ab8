"""The values that flow between judges, the decision table and the doors.

Everything here is frozen and keyword-only. Percentages and scores are 0..100 integers, ratios are
fractions 0..1, times are aware UTC datetimes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from rollout_verdict.core.canonical import LATER

T = TypeVar("T")
R = TypeVar("R")


class Side(StrEnum):
    """The two sides of every comparison."""

    STABLE = "stable"
    CANARY = "canary"


class Decision(StrEnum):
    """What a judge, or the verdict, says about the canary."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    INCONCLUSIVE = "inconclusive"


class Severity(StrEnum):
    """How much a finding weighs. ``veto`` settles the verdict alone."""

    INFO = "info"
    WARN = "warn"
    FAIL = "fail"
    VETO = "veto"


class SourceKind(StrEnum):
    """The sources of evidence; also the keys of ``requiredSources``."""

    LOGS = "logs"
    METRICS = "metrics"
    KUBERNETES = "kubernetes"
    DIFF = "diff"
    MODEL = "model"
    MEMORY = "memory"  # earlier verdicts and what people marked


class DecidedBy(StrEnum):
    """Who settled the verdict."""

    RULES = "rules"
    RULES_FALLBACK = "rules (fallback)"
    MODEL = "model"
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(Generic[T]):
    """One value for each side."""

    stable: T
    canary: T

    def of(self, side: Side) -> T:
        """Return the value of one side."""
        return self.stable if side is Side.STABLE else self.canary

    def map(self, function: Callable[[T], R]) -> "Pair[R]":
        """Apply ``function`` to both sides."""
        return Pair(stable=function(self.stable), canary=function(self.canary))


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRef:
    """The rollout that is judged. Hashes are ``rollouts-pod-template-hash`` values, "" when unknown."""

    namespace: str
    name: str
    stable_hash: str = ""
    canary_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A half-open span of time ``[start, end)``, aware UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name, value in (("start", self.start), ("end", self.end)):
            if value.utcoffset() != timedelta(0):
                raise ValueError(f"window {name} must be an aware UTC time, got {value!r}")
        if self.end <= self.start:
            raise ValueError(f"window end {self.end} must come after its start {self.start}")

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A source, or a part of one, that is missing. Never an empty value in disguise.

    ``what`` names the missing thing ("canary logs"), ``reason`` why, ``hint`` what a person can do
    ("" when there is nothing to do). ``side`` is None when both sides are concerned.
    """

    source: SourceKind
    what: str
    reason: str
    hint: str = ""
    side: Side | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that speaks for or against the canary, with the ids of the evidence behind it.

    ``code`` is a stable machine word (``metric-high``, ``log-new-error``, ``crash-loop``).
    ``summary`` is one sentence with numbers. ``evidence`` holds ids of comparison items and is never empty.
    """

    code: str
    severity: Severity
    source: SourceKind
    summary: str
    evidence: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.evidence:
            raise ValueError(f"finding {self.code!r} cites no evidence")


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A claim of an opinion tied to evidence: ``quote`` must occur in the item when it is not ""."""

    evidence_id: str
    claim: str
    quote: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What one judge says. ``confidence`` is 0..100; ``judge`` is "rules" or the model's name."""

    judge: str
    decision: Decision
    confidence: int
    findings: tuple[Finding, ...] = ()
    rationale: str = ""
    citations: tuple[Citation, ...] = ()
    root_cause: str = ""
    next_steps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.confidence <= 100:
            raise ValueError(f"confidence must be 0..100, got {self.confidence}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """How several models' opinions became the one that counts.

    ``why`` more than one was asked, ``rationale`` how they were weighed, both in one line. ``opinions`` are those that
    were given, in the order of asking; ``failed`` stand for those that were not.
    """

    why: str
    rationale: str
    opinions: tuple[Opinion, ...]
    failed: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """sha256 hex of what the verdict rests on. ``prompt`` and ``reply`` are "" when no model was asked."""

    evidence: str
    policy: str
    prompt: str = ""
    reply: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The decision and who settled it.

    ``score`` 0..100: 100 is all clear, 0 is certain harm. ``reason`` is one line of at most 200 characters.
    ``row`` is the number (1..9) of the decision table's row that applied. ``opinions`` are the rules' and the one that
    counted as the model's; ``vote`` says how that came about where several models were asked.
    """

    decision: Decision
    score: int
    confidence: int
    decided_by: DecidedBy
    row: int
    reason: str
    opinions: tuple[Opinion, ...]
    gaps: tuple[Gap, ...]
    digests: Digests
    vote: Vote | None = field(default=None, metadata=LATER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The verdict in words. ``body`` is Markdown written by us around quoted, escaped evidence."""

    headline: str
    body: str
    root_cause: str
    next_steps: tuple[str, ...]
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the measurement cost. Token counts are the vendor's; ``cost_usd`` is None when the price is unknown.

    ``attempts`` counts HTTP calls to the model. ``model_version`` and ``response_id`` are what the vendor told of the
    answer that counted, "" when it told nothing: what its support asks for.
    """

    model: str = ""
    attempts: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    thought_tokens: int = 0
    cost_usd: float | None = None
    price_as_of: str = ""
    model_version: str = field(default="", metadata=LATER)
    response_id: str = field(default="", metadata=LATER)
