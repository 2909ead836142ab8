"""The two sides held against each other: what the judges conclude from the evidence, item by item.

Every item has an id that people and the model cite: ``m1`` metrics, ``l1`` log patterns, ``p1`` pod facts,
``d1`` template changes. Ids are given in the order of importance, so ``l1`` is the log change to read first.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from rollout_verdict.core.canonical import LATER
from rollout_verdict.core.evidence import Direction, LogPattern, TemplateChange
from rollout_verdict.core.memory import Earlier, Mark
from rollout_verdict.core.values import Pair, Severity, Side


class LogOutcome(StrEnum):
    """What became of a log pattern. ``TOO_FEW`` is seen, listed and not judged."""

    NEW = "new"
    RISEN = "risen"
    FALLEN = "fallen"
    VANISHED = "vanished"
    REWORDED = "reworded"
    UNCHANGED = "unchanged"
    TOO_FEW = "too_few"


class MetricOutcome(StrEnum):
    """Classification of a metric; the first four words are Kayenta's, ``TOO_FEW`` is ours."""

    PASS = "pass"  # noqa: S105 - a word of the field, not a password
    HIGH = "high"
    LOW = "low"
    NO_DATA = "nodata"
    TOO_FEW = "too_few"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A confidence interval ``[low, high]`` at ``level`` (fraction); bounds may be infinite."""

    low: float
    high: float
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChange:
    """One log pattern compared. ``events`` are totals, ``rate`` events per unit of ``LogComparison.exposure_unit``.

    ``ratio`` is the shrunken rate ratio canary / stable, ``interval`` its interval, ``q`` the adjusted p-value
    (None when the pattern was not tested). ``significant`` already includes the effect floor. ``reason`` says in
    words, with the numbers, why the outcome is what it is. ``reworded_from`` is the stable side's template of a
    reworded message. ``severity`` is what the change is worth on its own; INFO for harmless ones.
    """

    id: str
    pattern: LogPattern
    outcome: LogOutcome
    severity: Severity
    events: Pair[int]
    pods_seen: Pair[int]
    rate: Pair[float | None]
    ratio: float | None
    interval: Interval | None
    q: float | None
    significant: bool
    reason: str
    reworded_from: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogComparison:
    """All log changes, most important first, and what the comparison stands on.

    ``exposure`` is what rates are divided by on each side ("requests", "pod-seconds" or "events").
    ``dispersion`` is the factor the counts were deflated by, summarised over patterns (1.0 = none).
    ``adequate`` is False when a side holds too little to say anything; ``reason`` then tells why.
    """

    changes: tuple[LogChange, ...]
    events: Pair[int]
    exposure: Pair[float]
    exposure_unit: str
    dispersion: float
    adequate: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Five numbers about one side of a metric; ``pods`` is the number of series, ``n`` of samples."""

    n: int
    pods: int
    mean: float
    median: float
    p95: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricCheck:
    """One metric compared. ``summary`` is None for a side without samples.

    ``effect`` is the shift canary - stable in the metric's unit, ``interval`` its interval, ``relative`` the
    shift divided by the stable level (None when that is 0), ``strength`` the shift in units of the yardstick (the
    spread between stable pods or windows). ``method`` names the test that decided. ``severity`` is FAIL for harm,
    WARN for a doubtful or secondary one, INFO otherwise. ``reason`` says it in words with the numbers. ``trend`` holds
    up to 40 means over time for a spark line or chart, as (unix seconds, value). ``levels`` are the two numbers that
    ``reason`` tells and the test compared, in the metric's unit; None where it compared something else than levels.
    """

    id: str
    name: str
    labels: tuple[tuple[str, str], ...]
    unit: str
    direction: Direction
    outcome: MetricOutcome
    severity: Severity
    summary: Pair[Summary | None]
    effect: float | None
    interval: Interval | None
    relative: float | None
    strength: float | None
    p: float | None
    method: str
    reason: str
    trend: Pair[tuple[tuple[float, float], ...]]
    levels: Pair[float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricComparison:
    """All metric checks, most important first.

    ``adequate`` is False when nothing could be judged or the canary served too little by the traffic metrics;
    ``reason`` then tells why.
    """

    checks: tuple[MetricCheck, ...]
    adequate: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFact:
    """One fact about pods of a side: a crash loop, an OOM kill, a warning event. ``code`` names it."""

    id: str
    code: str
    side: Side
    pods: tuple[str, ...]
    severity: Severity
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodComparison:
    """All pod facts, most important first; ``running`` counts the pods of each side that were ready."""

    facts: tuple[PodFact, ...]
    total: Pair[int]
    ready: Pair[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffItem:
    """One change of the pod template with its id."""

    id: str
    change: TemplateChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """An earlier verdict of the rollout with its id (``e1`` is the latest).

    ``same_version`` says whether it judged the pod template that is the canary now; ``again`` are the ids of today's
    items that counted against the canary then, too.
    """

    id: str
    verdict: Earlier
    same_version: bool
    again: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """An item that people marked as known to be benign: ``severity`` is what it would have counted for."""

    id: str
    severity: Severity
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything the verdict may cite. A part is None when its source is missing.

    An item in ``set_aside`` has the severity INFO in its part. ``before`` are the earlier verdicts, latest first.
    """

    logs: LogComparison | None
    metrics: MetricComparison | None
    pods: PodComparison | None
    diff: tuple[DiffItem, ...] = ()
    before: tuple[Before, ...] = field(default=(), metadata=LATER)
    set_aside: tuple[SetAside, ...] = field(default=(), metadata=LATER)

    @property
    def ids(self) -> frozenset[str]:
        """Ids of all items in which the two sides are compared."""
        items = [change.id for change in self.logs.changes] if self.logs else []
        items += [check.id for check in self.metrics.checks] if self.metrics else []
        items += [fact.id for fact in self.pods.facts] if self.pods else []
        return frozenset([*items, *(item.id for item in self.diff)])
