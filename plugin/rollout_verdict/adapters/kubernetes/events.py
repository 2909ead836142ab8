"""Events about pods: listed once for the namespace, told apart by pod, the same ones told once."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from rollout_verdict.adapters.kubernetes.client import Api
from rollout_verdict.adapters.kubernetes.fields import Document, moment, number, text_of
from rollout_verdict.adapters.kubernetes.trouble import Access, ApiError, Resource
from rollout_verdict.core.evidence import PodEvent
from rollout_verdict.core.values import Gap, SourceKind

EVENTS = Resource(plural="events")
PER_POD = 20  # different events of one pod; a pod in trouble has five or six
MESSAGE = 1_024  # what the API server lets an event's note have
MOST = 2**31 - 1  # counts are int32 in the Kubernetes API


def read_events(
    api: Api, namespace: str, pods: Iterable[str], now: datetime, *, end: float
) -> tuple[dict[str, tuple[PodEvent, ...]], list[Gap]]:
    """Return the events of each pod, and why there are none or not all."""
    try:
        listed, whole = api.listed(
            Access(resource=EVENTS, namespace=namespace), [("fieldSelector", "involvedObject.kind=Pod")], end=end
        )
    except ApiError as error:
        return {}, [error.gap(SourceKind.KUBERNETES, "events")]
    gaps = []
    if not whole:
        reason = f"the namespace has more than {len(listed)} events, the rest were not read"
        gaps.append(Gap(source=SourceKind.KUBERNETES, what="some events", reason=reason))
    return pod_events(listed, pods, now), gaps


def pod_events(events: Iterable[Document], pods: Iterable[str], now: datetime) -> dict[str, tuple[PodEvent, ...]]:
    """Return the events of each pod: alike ones added up, warnings first, then the most frequent; bounded."""
    known = set(pods)
    found: dict[str, dict[tuple[str, str, str], list[Document]]] = {}
    for event in events:
        pod = text_of(event, "involvedObject", "name")
        if pod in known and text_of(event, "involvedObject", "kind") in ("Pod", ""):
            told = (text_of(event, "type"), text_of(event, "reason"), _message(event))
            found.setdefault(pod, {}).setdefault(told, []).append(event)
    return {pod: _told(alike, now) for pod, alike in sorted(found.items())}


def _told(alike: dict[tuple[str, str, str], list[Document]], now: datetime) -> tuple[PodEvent, ...]:
    events = [
        PodEvent(
            type=type_,
            reason=reason,
            message=message,
            count=min(MOST, sum(_count(one) for one in several)),
            source=min(_source(one) for one in several),
            age=_age(max((time for one in several if (time := _time(one))), default=None), now),
        )
        for (type_, reason, message), several in alike.items()
    ]
    events.sort(key=lambda event: (event.type != "Warning", -event.count, event.reason, event.message))
    return tuple(events[:PER_POD])


def _message(event: Document) -> str:
    return (text_of(event, "message") or text_of(event, "note"))[:MESSAGE]


def _count(event: Document) -> int:
    """Return how often an event happened, in its older or its newer form."""
    return max(1, number(event, "count") or 0, number(event, "series", "count") or 0)


def _source(event: Document) -> str:
    return text_of(event, "source", "component") or text_of(event, "reportingComponent")


def _time(event: Document) -> datetime | None:
    keys = (("series", "lastObservedTime"), ("lastTimestamp",), ("eventTime",), ("metadata", "creationTimestamp"))
    return next((time for key in keys if (time := moment(event, *key))), None)


def _age(time: datetime | None, now: datetime) -> str:
    """Return an age as kubectl prints it: "42s", "12m", "3h", "2d"."""
    if time is None:
        return ""
    seconds = int(max(timedelta(), now - time).total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
