"""How often somebody may ask. Counted in this process: several replicas let through so many times more."""

from enum import StrEnum

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from rollout_verdict.service.settings import ServiceSettings


class Kind(StrEnum):
    """What is counted, each by itself."""

    READ = "read"
    START = "start"
    FAILURE = "failure"


class Rates:
    """Counts requests by kind and caller. Safe to use from many threads."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._limits = {
            Kind.READ: RateLimitItemPerMinute(settings.reads_per_minute),
            Kind.START: RateLimitItemPerMinute(settings.starts_per_minute),
            Kind.FAILURE: RateLimitItemPerMinute(settings.failures_per_minute),
        }

    def allow(self, kind: Kind, caller: str) -> bool:
        """Count one request and return whether it is within the limit."""
        return self._limiter.hit(self._limits[kind], kind.value, caller)
