"""Judge of metrics."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPolicy:
    """Thresholds of the metrics judge."""
