"""Judge of pods."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPolicy:
    """Thresholds of the pods judge."""
