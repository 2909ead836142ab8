"""What was gathered about the two sides, before anybody judges it.

The shapes here are the interface between the sources (bundle, Kubernetes, Prometheus, the log reducer) and
the judges. A missing source is ``None`` here and a ``Gap`` beside it. Everything is sorted, so that the same
facts make the same bytes whatever order they arrived in.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from hashlib import blake2b

from rollout_verdict.core.canonical import LATER
from rollout_verdict.core.memory import Memory
from rollout_verdict.core.values import Gap, Pair, RolloutRef, Window


class Level(IntEnum):
    """Log level of a pattern. ``UNKNOWN`` sorts below everything: it is not a level, it is the lack of one."""

    UNKNOWN = 0
    TRACE = 1
    DEBUG = 2
    INFO = 3
    WARN = 4
    ERROR = 5
    FATAL = 6


class LogKind(StrEnum):
    """What sort of event a pattern stands for."""

    MESSAGE = "message"
    TRACE = "trace"  # a stack trace, traceback or panic with its frames
    ACCESS = "access"  # a request record with a status class


class Direction(StrEnum):
    """Which way a metric gets worse."""

    HIGHER_IS_WORSE = "higher_is_worse"
    LOWER_IS_WORSE = "lower_is_worse"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSample:
    """One real event of a pattern, at most 4 KiB. ``time`` is None when the source has no timestamps."""

    pod: str
    container: str
    time: datetime | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPattern:
    """A group of events with one wording.

    ``template`` is the masked text, ``<*>`` for each variable part. ``status`` keeps what masking must not
    lose: "5xx", "grpc:14", "exit:137", or "". ``counts`` has one number for each pod, in the order of
    ``LogEvidence.pods``. ``buckets`` has, for each pod, the events by time bucket (see ``LogEvidence``).
    """

    template: str
    level: Level
    kind: LogKind
    status: str
    logger: str
    counts: Pair[tuple[int, ...]]
    buckets: Pair[tuple[tuple[int, ...], ...]]
    samples: Pair[tuple[LogSample, ...]]

    @property
    def wording(self) -> str:
        """The template as people read it: with the codes that masking took out of the text, as in ``… [5xx]``."""
        return f"{self.template} [{self.status}]" if self.status else self.template

    @property
    def key(self) -> str:
        """Stable id: 12 hex digits of the BLAKE2b of level, status and template, the same in every process."""
        identity = f"{self.level.name}\0{self.status}\0{self.template}".encode("utf-8", "surrogatepass")
        return blake2b(identity, digest_size=6).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class PodLog:
    """What was read of one pod's log. ``partial`` says why the reading stopped early, "" when it did not."""

    pod: str
    containers: tuple[str, ...]
    size_bytes: int
    lines: int
    events: int
    cut_lines: int
    first: datetime | None
    last: datetime | None
    partial: str = ""
    outside_lines: int = 0  # left out because their time was outside the window; not among ``lines``


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvidence:
    """Reduced logs. Pods are sorted by name, patterns by (template, status, level).

    ``bucket_edges`` are the edges of the time buckets, one more than buckets; empty without timestamps.
    ``coarse_events`` counts events that fell into a coarse key because the table was full.
    """

    pods: Pair[tuple[PodLog, ...]]
    patterns: tuple[LogPattern, ...]
    bucket_edges: tuple[datetime, ...]
    coarse_events: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSeries:
    """One series of one pod or of a side as a whole.

    ``labels`` leave out everything that names a pod (sorted pairs); ``pod`` is "" for a series of the whole
    side. ``samples`` are (unix seconds, finite value), sorted by time; ``dropped`` counts non-finite samples.
    """

    name: str
    labels: tuple[tuple[str, str], ...]
    pod: str
    samples: tuple[tuple[float, float], ...]
    dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricMeta:
    """Unit ("seconds", "ratio", "percent", "count", "bytes", … as the source names it), direction and help.

    ``acquits`` is False for what can speak against a canary and not for it: what pods use and how they fare does not
    tell whether they answer well.
    """

    name: str
    unit: str
    direction: Direction
    help: str = ""
    acquits: bool = field(default=True, metadata=LATER)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEvidence:
    """All series of both sides, sorted by (name, labels, pod). ``window`` is set when it differs from the logs'."""

    series: Pair[tuple[MetricSeries, ...]]
    meta: tuple[MetricMeta, ...]
    window: Window | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStatus:
    """A container's state: ``status`` is "waiting", "running", "terminated" or "" when not told."""

    status: str
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    started: datetime | None = None
    finished: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    """One container. ``ready`` and ``restart_count`` are None when the source does not tell.

    ``usage`` is what it used of each resource when asked, as quantities ("250m", "61Mi"), empty when not known.
    """

    name: str
    image: str
    ready: bool | None
    restart_count: int | None
    state: ContainerStatus
    last_state: ContainerStatus
    limits: tuple[tuple[str, str], ...] = ()
    requests: tuple[tuple[str, str], ...] = ()
    init: bool = False
    usage: tuple[tuple[str, str], ...] = field(default=(), metadata=LATER)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodEvent:
    """A Kubernetes event about a pod. ``type`` is "Normal" or "Warning"; ``age`` is text as kubectl prints it."""

    type: str
    reason: str
    message: str
    count: int
    source: str = ""
    age: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodState:
    """One pod as the API server described it."""

    name: str
    phase: str
    start_time: datetime | None
    containers: tuple[ContainerState, ...]
    conditions: tuple[tuple[str, str], ...]
    events: tuple[PodEvent, ...]
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesEvidence:
    """The pods of both sides, sorted by name."""

    pods: Pair[tuple[PodState, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateChange:
    """One difference between the two pod templates: ``path`` ("containers/api/image"), old and new text."""

    path: str
    stable: str
    canary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateDiff:
    """What changed between the two pod templates, sorted by path."""

    changes: tuple[TemplateChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the rollout had come when the evidence was gathered, as its controller told it.

    ``strategy`` is "canary", "blueGreen", "experiment", "deployment" or "selectors"; ``situation`` a word such as
    "progressing", "paused", "aborted", "promoted"; ``step`` counts from 0. ``window_basis`` says why the window is what
    it is, for people. ``obstacle`` says why no evidence can promote this canary (the rollout was aborted, say), "" when
    some could.
    """

    strategy: str
    situation: str = ""
    step: int | None = None
    steps: int | None = None
    weight: int | None = None
    revision: str = ""
    message: str = ""
    window_basis: str = ""
    obstacle: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known. ``pods`` names the pods of each side even when nothing could be read of them."""

    rollout: RolloutRef
    window: Window | None
    pods: Pair[tuple[str, ...]]
    logs: LogEvidence | None = None
    metrics: MetricEvidence | None = None
    kubernetes: KubernetesEvidence | None = None
    diff: TemplateDiff | None = None
    progress: Progress | None = field(default=None, metadata=LATER)
    gaps: tuple[Gap, ...] = ()
    memory: Memory | None = field(default=None, metadata=LATER)
