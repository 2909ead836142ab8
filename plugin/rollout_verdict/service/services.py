"""What the routes are given: one value, made once, passed down. No route reaches for anything else."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from rollout_verdict.jobs.analysis import Analyses
from rollout_verdict.jobs.marks import Marks
from rollout_verdict.service.auth import Authenticator
from rollout_verdict.service.metrics import Metrics
from rollout_verdict.service.rates import Rates
from rollout_verdict.service.settings import ServiceSettings


def utc_now() -> datetime:
    """Return the time, aware UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the service says of itself: its version, the first model of its chain ("" for none), the prompt's digest."""

    version: str
    model: str = ""
    prompt_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything behind the door. ``ready`` returns what keeps the service from working, "" when nothing does."""

    analyses: Analyses
    marks: Marks
    auth: Authenticator
    rates: Rates
    settings: ServiceSettings
    metrics: Metrics
    about: About
    clock: Callable[[], datetime] = utc_now
    ready: Callable[[], str] = lambda: ""
