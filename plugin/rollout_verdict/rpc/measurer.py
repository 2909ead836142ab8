"""Who measures: the seam between the provider, which speaks for Argo, and whatever does the work.

An implementation is ``remote`` (the service, over HTTP) or ``local`` (the engine in this process).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol


class Owner(NamedTuple):
    """The Rollout or Experiment that owns the AnalysisRun; all "" when there is none."""

    kind: str = ""
    name: str = ""
    uid: str = ""


class Job(NamedTuple):
    """What is to be measured. ``config`` is the plugin configuration with its arguments filled in.

    ``id`` is derived, so that starting the same measurement twice is starting it once. ``revision`` and
    ``template_hash`` are the Rollout's, as Argo writes them on the AnalysisRun, "" when it did not.
    ``arguments`` are names only: values may be secrets.
    """

    id: str
    plugin: str
    metric: str
    namespace: str
    analysis_run: str
    analysis_run_uid: str
    owner: Owner
    revision: str
    template_hash: str
    arguments: tuple[str, ...]
    dry_run: bool
    config: Mapping[str, Any]


class Running(NamedTuple):
    """Not done yet."""


class Outcome(NamedTuple):
    """Done. ``verdict`` is "promote", "rollback" or "inconclusive"; ``score`` and ``confidence`` are 0..100.

    ``models`` holds one JSON object for each model that was asked; ``warnings`` what the configuration had wrong.
    Everything is text from outside to the provider: it caps, redacts and never interprets it.
    """

    verdict: str
    score: int
    confidence: int
    reason: str
    summary: str = ""
    analysis: str = ""
    root_cause: str = ""
    remediation: str = ""
    url: str = ""
    digest: str = ""
    decided_by: str = ""
    rationale: str = ""
    models: tuple[Mapping[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()


class Broken(NamedTuple):
    """The measurement cannot be made: the configuration is wrong, or the machinery is broken for good."""

    reason: str


State = Running | Outcome | Broken


class UnavailableError(Exception):
    """Nobody could be asked just now; the text says why and is safe to show. Asking again may help."""


class Measurer(Protocol):
    """Makes measurements, each known by its job's id. ``within`` is the number of seconds an answer may take."""

    def problem(self) -> str:
        """Return what is wrong with the settings, "" when nothing is. Asked once, at the start."""
        ...

    def start(self, job: Job, *, within: float) -> State:
        """Start a measurement, or return its state when it exists. Raises UnavailableError."""
        ...

    def get(self, job: Job, *, within: float) -> State | None:
        """Return the state of a measurement, None when it is not known (any more). Raises UnavailableError."""
        ...

    def cancel(self, job: Job, *, within: float) -> None:
        """Stop a measurement; nothing happens when it is not known. Raises UnavailableError."""
        ...

    def forget(self, measurement_ids: tuple[str, ...]) -> None:
        """Drop what is kept in this process about measurements that are over."""
        ...

    def about(self, *, within: float) -> Mapping[str, str]:
        """Return what is known about who measures ("model", "promptDigest", "serviceVersion"). Never raises."""
        ...
