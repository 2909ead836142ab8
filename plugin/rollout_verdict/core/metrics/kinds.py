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
    FAULTS = "faults"  # bad things by number or rate: the level, per request where requests are known
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
    Kind.FAULTS: Family.ERRORS,
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
_TIMES = frozenset(
    {"seconds", "second", "s", "milliseconds", "millisecond", "ms", "microseconds", "us", "nanoseconds", "ns"}
)
_RATIOS = frozenset({"ratio", "percent", "percentage", "%"})
_SIZES = frozenset({"bytes", "b", "kib", "mib", "gib", "kb", "mb", "gb"})

_GOOD = "success successes successful availability available succeeded"
_BAD = "error errors err failure failures failed fail 5xx 4xx exception exceptions timeout timeouts rejected"
_BAD_EVENTS = "restart restarts oom ooms oomkills panic panics crash crashes evictions"
_MEMORY = "memory mem heap rss resident working_set"
_CPU = "cpu processor"
_STATE = "ready up healthy"
_ELSEWHERE = "client upstream downstream outbound egress db database sql redis eventloop gc pause"
_HISTOGRAM = ("_bucket_", "_sum_", "_count_")  # parts of a histogram, which only together tell of a duration
_INBOUND = "request requests rps job jobs message messages span spans received hits http grpc transactions"
_OUTBOUND = "db database sql query queries upstream downstream outbound egress client redis cache fetches"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A metric's kind, the factor to its base unit and its bad direction: +1, -1, or 0.

    ``flip`` marks a share of good outcomes, judged as one minus itself. ``counter`` marks a running total, judged by
    its increase. ``per_second`` tells rates from counts. ``quantile`` is which one the name speaks of, 0 for any
    other metric. ``elsewhere`` marks times that users do not wait for as such: the pod's own calls, pauses of the
    runtime.
    """

    kind: Kind
    scale: float
    worse: int
    flip: bool
    counter: bool
    per_second: bool
    quantile: float
    elsewhere: bool


def quantity(meta: MetricMeta) -> Quantity:
    """Return how a metric is to be read."""
    unit = meta.unit.strip().lower()
    words = f"_{re.sub(r'[^a-z0-9]+', '_', meta.name.lower())}_"
    worse = {Direction.HIGHER_IS_WORSE: 1, Direction.LOWER_IS_WORSE: -1, Direction.NEUTRAL: 0}[meta.direction]
    kind = _kind(unit, words, worse)
    flip = kind is Kind.SHARE and worse < 0
    counter = words.endswith("_total_") and kind is not Kind.EVENTS and unit in {"", "count", *_TIMES, *_SIZES}
    return Quantity(
        kind=kind,
        scale=_SCALES.get(unit, 1.0),
        worse=1 if flip or kind is Kind.DEMAND else worse,
        flip=flip,
        counter=counter,
        per_second=counter or unit.endswith("per_second"),
        quantile=_quantile(words),
        elsewhere=kind is Kind.LATENCY and _says(words, _ELSEWHERE),
    )


def _kind(unit: str, words: str, worse: int) -> Kind:
    """Return the first kind whose description fits."""
    counts = unit.endswith("per_second") or unit in {"count", ""}
    ratio = unit in _RATIOS
    cpu = _says(words, _CPU)
    good, bad = worse < 0 and _says(words, _GOOD), worse > 0 and _says(words, _BAD)
    fits = (
        (Kind.DEMAND, worse == 0 and counts and _says(words, _OUTBOUND)),
        (Kind.TRAFFIC, worse == 0 and (unit == "requests_per_second" or (counts and _says(words, _INBOUND)))),
        (Kind.OTHER, worse == 0 or (unit in _TIMES and words.endswith(_HISTOGRAM))),
        (Kind.STATE, unit == "bool" or (unit in {"", "count"} and _says(words, _STATE))),
        (Kind.SHARE, ratio and (good or bad)),
        (Kind.CPU, cpu and (ratio or unit in {"cores", "millicores", ""} or words.endswith("_total_"))),
        (Kind.FRACTION, ratio),
        (Kind.MEMORY, unit in _SIZES or _says(words, _MEMORY)),
        (Kind.LATENCY, unit in _TIMES),
        (Kind.CPU, unit in {"cores", "millicores"}),
        (Kind.EVENTS, worse > 0 and counts and _says(words, _BAD_EVENTS)),
        (Kind.FAULTS, worse > 0 and counts and bad),
        (Kind.YIELD, worse < 0 and counts),
    )
    return next((kind for kind, fit in fits if fit), Kind.LEVEL)


def _says(words: str, vocabulary: str) -> bool:
    return any(f"_{word}_" in words for word in vocabulary.split())


def _quantile(words: str) -> float:
    if "_max_" in words:
        return 0.999
    found = re.search(r"_(?:p|quantile_|percentile_)(\d{2,4})_", words)
    return float(f"0.{found.group(1)}") if found else 0.0
