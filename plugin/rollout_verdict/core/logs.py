"""Judge of logs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPolicy:
    """Thresholds of the logs judge."""
