"""An analysis as the service keeps it, and the seam between those who ask for analyses and those who run them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.result import Result
from rollout_verdict.core.stage import Stage
from rollout_verdict.core.target import Target
from rollout_verdict.core.values import Decision, RolloutRef


class Phase(StrEnum):
    """Where an analysis stands. The last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    ERROR = "error"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing more will happen."""
        return self in (Phase.DONE, Phase.ERROR, Phase.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody wants judged. ``config`` holds known keys of the plugin's configuration, as JSON.

    Exactly one of ``target`` and ``upload`` is set; ``upload`` is the key of a stored bundle. ``namespace`` and
    ``name`` are the rollout's as far as the caller knows them. ``origin`` is the door: "plugin", "api", "page",
    "a2a", "web", "mcp"; ``asked_by`` the name of the token or service account. ``replay_of`` is the analysis
    judged again.
    """

    id: str
    namespace: str
    name: str
    target: Target | None = None
    upload: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    origin: str = "api"
    asked_by: str = ""
    replay_of: str = ""
    analysis_run: str = ""
    revision: str = ""
    warnings: tuple[str, ...] = ()  # what the configuration had wrong and that does no harm


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The verdict in the columns of a list."""

    decision: Decision
    score: int
    confidence: int
    decided_by: str
    reason: str
    headline: str
    digest: str
    model: str = ""
    tokens: int = 0
    cost_usd: float | None = None
    gaps: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """One analysis. ``summary`` is set when it is done, ``message`` says why it is an error or was cancelled."""

    request: Request
    phase: Phase
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
    stages: tuple[Stage, ...] = ()
    message: str = ""
    summary: Summary | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What an analysis has gathered: redacted evidence, and how often what was redacted in it."""

    evidence: Evidence
    redactions: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which analyses to list, newest first. "" and None mean any; ``cursor`` is what the page before gave."""

    namespaces: tuple[str, ...] | None = None  # None: all; those that a token may see
    name: str = ""
    phase: Phase | None = None
    decision: Decision | None = None
    origin: str = ""
    cursor: str = ""
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some analyses; ``cursor`` asks for those after them, "" when there are none."""

    analyses: tuple[Analysis, ...]
    cursor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A stored bundle: its key, and the rollout that it says it is of, None when it names none.

    Whoever made the bundle may have written any rollout into it.
    """

    key: str
    rollout: RolloutRef | None


class UnavailableError(Exception):
    """Analyses cannot be kept at present: the database does not answer. The text is safe to show."""


# Hears of an end that this process brought about: the analysis's id, how it ended, and the result if it is done.
OnEnd = Callable[[str, Phase, Result | None], None]


class Analyses(Protocol):
    """Keeps and runs analyses. Safe to use from many threads; no call waits for an analysis to end.

    Any method may raise UnavailableError.
    """

    def start(self, request: Request) -> tuple[Analysis, bool]:
        """Start an analysis, or find the one with that id. The flag says whether it is new."""
        ...

    def as_kept(self, request: Request) -> Request:
        """Return a request as it is kept: its configuration without secrets, nor keys that mean nothing here.

        What is kept comes out unchanged.
        """
        ...

    def get(self, analysis_id: str) -> Analysis | None:
        """Return an analysis, None when it is not known (any more)."""
        ...

    def find(self, query: Query) -> Page:
        """Return analyses, newest first. Raises ValueError for a cursor that is none of ours."""
        ...

    def cancel(self, analysis_id: str) -> Analysis | None:
        """Cancel an analysis that is not over, and its model call with it; None when it is not known."""
        ...

    def result(self, analysis_id: str) -> Result | None:
        """Return the whole result of an analysis that is done, None otherwise."""
        ...

    def bundle(self, analysis_id: str) -> bytes | None:
        """Return evidence and result as a .tar.gz, None when the analysis is not done."""
        ...

    def keep_upload(self, content: bytes) -> Upload:
        """Store an uploaded bundle. Raises BundleError when it is none, or too large."""
        ...
