"""What sort of quantity a metric is, which decides how it is judged.

Pure lookup by unit, direction and the words of the name. Units are brought to one base: seconds, cores,
fractions, MiB.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from rollout_verdict.core.evidence import Direction, MetricMeta


class Kind(StrEnum):
    """How a metric is judged."""

    LATENCY = "latency"  # a duration: relative shift of the level
    CPU = "cpu"  # processor time: relative shift, by itself and per request
    LEVEL = "level"  # any other positive quantity: relative shift
    SHARE = "share"  # errors or successes as a share of requests: proportions
    FRACTION = "fraction"  # a ratio that no request count stands behind: absolute shift
    MEMORY = "memory"  # what matters is whether it grows without end
    EVENTS = "events"  # a counter of bad things: its increase
    STATE = "state"  # 0 or 1: the share of time in the bad state
    YIELD = "yield"  # good outcomes a second: judged against what came in
    TRAFFIC = "traffic"  # requests that come in: how much the other metrics stand on
    DEMAND = "demand"  # calls to others: judged per request that came in
    OTHER = "other"  # shown, not judged


class Family(StrEnum):
    """Metrics that tell of the same thing, such as the quantiles of one latency, so that they count once."""

    LATENCY = "latency"
    ERRORS = "errors"
    CPU = "cpu"
    MEMORY = "memory"
    HEALTH = "health"
    WORK = "work"
    OTHER = "other"


FAMILIES = {
    Kind.LATENCY: Family.LATENCY,
    Kind.SHARE: Family.ERRORS,
    Kind.CPU: Family.CPU,
    Kind.MEMORY: Family.MEMORY,
    Kind.EVENTS: Family.HEALTH,
    Kind.STATE: Family.HEALTH,
    Kind.YIELD: Family.WORK,
    Kind.TRAFFIC: Family.WORK,
    Kind.DEMAND: Family.WORK,
}

_SCALES = {
    "seconds": 1.0, "second": 1.0, "s": 1.0,
    "milliseconds": 1e-3, "millisecond": 1e-3, "ms": 1e-3,
    "microseconds": 1e-6, "us": 1e-6, "nanoseconds": 1e-9, "ns": 1e-9,
    "cores": 1.0, "millicores": 1e-3,
    "percent": 1e-2, "percentage": 1e-2, "%": 1e-2, "ratio": 1.0,
    "bytes": 1.0 / 2**20, "b": 1.0 / 2**20, "kib": 1.0 / 2**10, "mib": 1.0, "gib": 2.0**10,
    "kb": 1e3 / 2**20, "mb": 1e6 / 2**20, "gb": 1e9 / 2**20,
}  # fmt: skip
_TIMES = frozenset({"seconds", "second", "s", "milliseconds", "millisecond", "ms", "microseconds", "us"})
_TIMES_AND_NANO = _TIMES | {"nanoseconds", "ns"}
_RATIOS = frozenset({"ratio", "percent", "percentage", "%"})
_SIZES = frozenset({"bytes", "b", "kib", "mib", "gib", "kb", "mb", "gb"})

_GOOD = "success successes successful availability available succeeded"
_BAD = "error errors err failure failures failed fail 5xx 4xx exception exceptions timeout timeouts rejected"
_BAD_EVENTS = "restart restarts oom ooms oomkills panic panics crash crashes evictions"
_MEMORY = "memory mem heap rss resident working_set"
_CPU = "cpu processor"
_STATE = "ready up healthy"
_INBOUND = "request requests rps job jobs message messages span spans received hits http grpc transactions"
_OUTBOUND = "db database sql query queries upstream downstream outbound egress client redis cache calls fetches syscall"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A metric's kind, the factor to its base unit and whether higher is worse (after ``flip``).

    ``flip`` marks a share of good outcomes, judged as one minus itself. ``per_second`` tells rates from
    counts.
    """

    kind: Kind
    scale: float
    worse: int
    flip: bool
    per_second: bool


def quantity(meta: MetricMeta) -> Quantity:
    """Return how a metric is to be read."""
    unit = meta.unit.strip().lower()
    words = f"_{re.sub(r'[^a-z0-9]+', '_', meta.name.lower())}_"

    def says(vocabulary: str) -> bool:
        return any(f"_{word}_" in words for word in vocabulary.split())

    per_second = unit.endswith("per_second")
    worse = {Direction.HIGHER_IS_WORSE: 1, Direction.LOWER_IS_WORSE: -1, Direction.NEUTRAL: 0}[meta.direction]
    flip = False
    if worse == 0:
        counts = per_second or unit in {"count", ""}
        if counts and says(_OUTBOUND):
            kind = Kind.DEMAND
        elif counts and (says(_INBOUND) or unit == "requests_per_second"):
            kind = Kind.TRAFFIC
        else:
            kind = Kind.OTHER
    elif unit == "bool" or (says(_STATE) and unit in {"", "count"}):
        kind = Kind.STATE
    elif unit in _RATIOS:
        flip = worse < 0 and says(_GOOD)
        kind = Kind.SHARE if flip or (worse > 0 and says(_BAD)) else Kind.CPU if says(_CPU) else Kind.FRACTION
    elif says(_MEMORY) or unit in _SIZES:
        kind = Kind.MEMORY
    elif unit in _TIMES_AND_NANO:
        kind = Kind.LATENCY
    elif says(_CPU) or unit in {"cores", "millicores"}:
        kind = Kind.CPU
    elif worse > 0 and not per_second and (says(_BAD_EVENTS) or words.endswith("_total_")):
        kind = Kind.EVENTS
    elif worse < 0 and per_second:
        kind = Kind.YIELD
    else:
        kind = Kind.LEVEL
    return Quantity(
        kind=kind, scale=_SCALES.get(unit, 1.0), worse=1 if flip else worse, flip=flip, per_second=per_second
    )
