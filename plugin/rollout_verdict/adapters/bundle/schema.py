"""The documents of a bundle as they stand on disk, checked key by key and turned into values of the core."""

from collections.abc import Callable
from datetime import UTC, datetime
from difflib import get_close_matches
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError, from_json

from rollout_verdict.adapters.bundle import recorded
from rollout_verdict.adapters.bundle.files import BundleError
from rollout_verdict.core.canonical import canonical
from rollout_verdict.core.evidence import (
    ContainerState,
    ContainerStatus,
    Evidence,
    KubernetesEvidence,
    MetricEvidence,
    PodEvent,
    PodState,
    TemplateChange,
    TemplateDiff,
)
from rollout_verdict.core.metrics.series import parse_metrics
from rollout_verdict.core.result import Exchange
from rollout_verdict.core.values import Pair, Usage, Verdict, Window

T = TypeVar("T")

NAME_LENGTH = 253  # a DNS subdomain, the longest name Kubernetes gives anything
KEY_LENGTH = 80  # of a foreign key in a message
TEXT_LENGTH = 4096  # of a message or a changed value; kubelet cuts its own messages at 1,024 and 4,096 bytes
PODS = 5_000  # a side; the tested limit of a whole cluster's nodes, and far beyond a rollout
CHANGES = 2_000  # differences between two pod templates; a real diff has a handful
INT32 = 2**31 - 1  # restart counts, event counts and exit codes are int32 in the Kubernetes API

# What pydantic's error types mean to a person who wrote the file. Others are shown in pydantic's own words.
_EXPECTED = {
    "missing": "expected this key, it is missing",
    "string_type": "expected text",
    "int_type": "expected a whole number",
    "bool_type": "expected true or false",
    "list_type": "expected a list",
    "tuple_type": "expected a list",
    "dict_type": "expected an object",
    "model_type": "expected an object",
    "dataclass_type": "expected an object",
    "timezone_aware": "expected a time with its zone, as 2026-01-31T10:00:00Z",
    "datetime_type": "expected a time, as 2026-01-31T10:00:00Z",
    "datetime_parsing": "expected a time, as 2026-01-31T10:00:00Z",
    "datetime_from_date_parsing": "expected a time, as 2026-01-31T10:00:00Z",
}
_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "a truth value"),
    (str, "text"),
    (int, "a number"),
    (float, "a number"),
    (dict, "an object"),
    (list, "a list"),
)


def _clipped(value: Any) -> Any:
    if isinstance(value, str) and len(value) > TEXT_LENGTH:
        return value[: TEXT_LENGTH - 1] + "…"
    return value


def _moment(value: Any) -> Any:
    """Accept RFC 2822 beside RFC 3339: ``kubectl describe`` prints the former. Numbers are no times here."""
    if not isinstance(value, str) or ":" not in value:
        raise PydanticCustomError("datetime_type", "expected a time")
    if value[:1].isalpha():
        try:
            parsed = parsedate_to_datetime(value)
        except (ValueError, OverflowError) as error:
            raise PydanticCustomError("datetime_parsing", "expected a time") from error
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)  # "-0000" is UTC without a known place
    return value


def _quantity(value: Any) -> Any:
    """Accept a bare number for a quantity (``"cpu": 2``)."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Name = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH)]
Text = Annotated[str, BeforeValidator(_clipped)]
Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_moment)]
Quantity = Annotated[str, BeforeValidator(_quantity)]
Count = Annotated[int, Field(ge=0, le=INT32)]


class _Document(BaseModel):
    """Strict types; keys nobody asked for are skipped unread, as ``expected`` and ``provenance`` must be."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Span(_Document):
    """A window as ``case.json`` writes it."""

    start: AwareDatetime
    end: AwareDatetime

    @property
    def window(self) -> Window:
        """The core's window."""
        return Window(start=self.start.astimezone(UTC), end=self.end.astimezone(UTC))

    @model_validator(mode="after")
    def _runs_forward(self) -> Self:
        """Refuse a span that ends before it starts, which the core's window does."""
        _ = self.window
        return self


class CaseInput(_Document):
    """The part of ``case.json`` that an analyser may see."""

    namespace: Annotated[str, Field(max_length=NAME_LENGTH)] = ""
    service: Name
    window: Span | None = None
    metrics_window: Span | None = None
    stable_pods: Annotated[list[Name], Field(max_length=PODS)] = []
    canary_pods: Annotated[list[Name], Field(max_length=PODS)] = []
    log_timestamps: bool | None = None  # not told: each log shows by itself whether its lines begin with a time

    model_config = ConfigDict(extra="allow")  # kept by name alone, to be told: a typing error must not go unseen

    @property
    def unknown(self) -> tuple[tuple[str, str], ...]:
        """The keys that nobody reads, each with the known one that was perhaps meant, "" where none is near."""
        known = list(type(self).model_fields)
        names = (key[:KEY_LENGTH] for key in sorted(self.model_extra or {}))
        return tuple((name, next(iter(get_close_matches(name, known, 1)), "")) for name in names)


class Case(_Document):
    """``case.json`` without the parts that hold the answer."""

    input: CaseInput


_STATES = ("waiting", "running", "terminated")


class Status(_Document):
    """State of a container: with ``status``, or in the API server's own shape, ``{"waiting": {"reason": ...}}``."""

    status: Literal["", "waiting", "running", "terminated"] = ""
    reason: Text | None = None
    message: Text | None = None
    exitCode: Annotated[int, Field(ge=-INT32 - 1, le=INT32)] | None = None  # noqa: N815 -- the API server's spelling
    started: Moment | None = None
    finished: Moment | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_shape(cls, data: object) -> object:
        """Bring the API server's shape into ours. A state that says nothing we know is refused, not dropped."""
        if not isinstance(data, dict) or not data:
            return data
        known = [state for state in _STATES if isinstance(data.get(state), dict)]
        if len(known) == 1:
            told = data[known[0]]
            times = {"started": told.get("startedAt"), "finished": told.get("finishedAt")}
            return {**told, **times, "status": known[0]}
        status = data.get("status")
        if not isinstance(status, str) or status.lower() not in _STATES:
            expected = 'expected "status": Waiting, Running or Terminated, or one of waiting, running, terminated'
            raise PydanticCustomError("container_state", expected)
        return {**data, "status": status.lower()}

    def value(self) -> ContainerStatus:
        """Return it as the core's value."""
        return ContainerStatus(
            status=self.status,
            reason=self.reason or "",
            message=self.message or "",
            exit_code=self.exitCode,
            started=_utc(self.started),
            finished=_utc(self.finished),
        )


class Container(_Document):
    """A container of a pod."""

    name: Name
    image: Text = ""
    ready: bool | None = None
    restartCount: Count | None = None  # noqa: N815 -- the API server's spelling
    state: Status | None = None
    lastState: Status | None = None  # noqa: N815 -- the API server's spelling
    limits: dict[str, Quantity] | None = None
    requests: dict[str, Quantity] | None = None

    def value(self, *, init: bool) -> ContainerState:
        """Return it as the core's value."""
        return ContainerState(
            name=self.name,
            image=self.image,
            ready=self.ready,
            restart_count=self.restartCount,
            state=(self.state or Status()).value(),
            last_state=(self.lastState or Status()).value(),
            limits=tuple(sorted((self.limits or {}).items())),
            requests=tuple(sorted((self.requests or {}).items())),
            init=init,
        )


class Event(_Document):
    """An event about a pod."""

    type: Text = ""
    reason: Text = ""
    message: Text = ""
    count: Count = 1
    source: Annotated[Text | None, Field(alias="from")] = None
    age: Text | None = None


def _by_type(conditions: object) -> object:
    """Bring the API server's list of conditions into a map of their statuses."""
    if isinstance(conditions, list) and all(isinstance(one, dict) and "type" in one for one in conditions):
        return {one["type"]: one.get("status", "") for one in conditions}
    return conditions


class Pod(_Document):
    """A pod as ``kubernetes.json`` describes it."""

    name: Name
    phase: Text = ""
    startTime: Moment | None = None  # noqa: N815 -- the API server's spelling
    labels: dict[str, str] = {}
    node: Text | None = None
    containers: list[Container] = []
    initContainers: list[Container] = []  # noqa: N815 -- the API server's spelling
    conditions: Annotated[dict[str, str], BeforeValidator(_by_type)] = {}
    events: list[Event] = []

    @property
    def template_hash(self) -> str:
        """The hash of the pod template, "" when the pod does not carry one."""
        return self.labels.get("rollouts-pod-template-hash", "")

    def value(self) -> PodState:
        """Return it as the core's value."""
        return PodState(
            name=self.name,
            phase=self.phase,
            start_time=_utc(self.startTime),
            containers=(
                *(container.value(init=True) for container in self.initContainers),
                *(container.value(init=False) for container in self.containers),
            ),
            conditions=tuple(sorted(self.conditions.items())),
            events=tuple(
                PodEvent(
                    type=event.type,
                    reason=event.reason,
                    message=event.message,
                    count=event.count,
                    source=event.source or "",
                    age=event.age or "",
                )
                for event in self.events
            ),
            node=self.node or "",
        )


class Pods(_Document):
    """``kubernetes.json``."""

    stable: Annotated[list[Pod], Field(max_length=PODS)] = []
    canary: Annotated[list[Pod], Field(max_length=PODS)] = []

    def value(self) -> KubernetesEvidence:
        """Return it as the core's value, pods sorted by name."""
        sides = Pair(stable=self.stable, canary=self.canary)
        return KubernetesEvidence(
            pods=sides.map(lambda pods: tuple(sorted((pod.value() for pod in pods), key=lambda pod: pod.name)))
        )


class Change(_Document):
    """One entry of ``diff.json``."""

    path: Annotated[str, Field(min_length=1, max_length=TEXT_LENGTH)]
    stable: Text
    canary: Text


def _utc(value: datetime | None) -> datetime | None:
    return value.astimezone(UTC) if value else None


_CHANGES = TypeAdapter(Annotated[list[Change], Field(max_length=CHANGES)])
_EVIDENCE = TypeAdapter(Evidence)


class Recorded(_Document):
    """The part of ``result.json`` that is read again."""

    verdict: Verdict
    usage: Usage = Usage()
    exchanges: tuple[Exchange, ...] = ()


def case(name: str, content: bytes) -> CaseInput:
    """Read ``case.json``: its ``input``, nothing else."""
    return _checked(name, lambda: Case.model_validate_json(content)).input


def pods(name: str, content: bytes) -> Pods:
    """Read ``kubernetes.json``."""
    return _checked(name, lambda: Pods.model_validate_json(content))


def diff(name: str, content: bytes) -> TemplateDiff:
    """Read ``diff.json``."""
    changes = _checked(name, lambda: _CHANGES.validate_json(content))
    values = (TemplateChange(path=one.path, stable=one.stable, canary=one.canary) for one in changes)
    return TemplateDiff(changes=tuple(sorted(values, key=lambda one: (one.path, one.stable, one.canary))))


def metrics(name: str, content: bytes, window: Window | None) -> MetricEvidence:
    """Read ``metrics.json``; ``window`` is what its samples cover when the logs cover another span."""
    document = _checked(name, lambda: _json(content))
    try:
        return parse_metrics(document, window=window)
    except ValueError as error:  # its text begins with the file and the key
        raise BundleError(str(error)) from None


def evidence(name: str, content: bytes) -> Evidence:
    """Read ``evidence.json`` as ``write_bundle`` writes it."""
    value = _checked(name, lambda: _EVIDENCE.validate_json(content, strict=True))
    _checked(name, lambda: canonical(value))  # refuses NaN, which the parser lets through
    _checked(name, lambda: recorded.check(value))
    return value


def result(name: str, content: bytes) -> Recorded:
    """Read verdict and usage in ``result.json``."""
    return _checked(name, lambda: Recorded.model_validate_json(content))


def _checked(name: str, read: Callable[[], T]) -> T:
    """Run a parser; its complaint becomes a BundleError. The parser's own error quotes the input, so it ends here."""
    try:
        return read()
    except ValidationError as error:
        problem = _told(error)
    except ValueError as error:
        problem = str(error)
    raise BundleError(f"{name}: {problem}")


def _json(content: bytes) -> Any:
    try:
        return from_json(content)
    except ValueError as error:
        raise ValueError(_not_json(str(error))) from None


def _not_json(problem: str) -> str:
    return f"not valid JSON ({problem}); write it again or leave it out, since a missing file is only a gap"


def _told(error: ValidationError) -> str:
    """Tell the first complaint: key path, what was expected, what kind of value stands there instead."""
    first, *others = error.errors(include_url=False)
    if first["type"] == "json_invalid":
        return _not_json(first["ctx"]["error"])
    expected = _EXPECTED.get(first["type"]) or first["msg"].removeprefix("Value error, ").replace(
        "Input should", "should"
    )
    got = "" if first["type"] in {"missing", "value_error"} else f", got {_kind(first['input'])}"
    more = f" (and {len(others)} more like it)" if others else ""
    return f"{_path(first['loc'])}: {expected}{got}{more}"


def _path(loc: tuple[int | str, ...]) -> str:
    """Write a key path as a person would: ``canary[2].containers[0].name``."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step[:KEY_LENGTH]}" for step in loc)
    return "".join(steps).removeprefix(".") or "the document"


def _kind(value: Any) -> str:
    """Name the kind of a foreign value; never its content, which may be anything."""
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "nothing")
