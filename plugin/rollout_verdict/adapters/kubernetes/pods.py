"""Pods as the API server describes them, into pod states."""

from collections.abc import Iterable
from datetime import datetime

from rollout_verdict.adapters.kubernetes.fields import (
    Document,
    at,
    mapping,
    moment,
    name_of,
    number,
    objects,
    text_of,
    texts,
)
from rollout_verdict.core.evidence import ContainerState, ContainerStatus, PodState

MESSAGE = 1_024  # characters of a container's message; the kubelet cuts its own at 4,096 bytes, a log tail mostly
_STATES = ("waiting", "running", "terminated")


def pod_state(pod: Document) -> PodState:
    """Return a pod's state, without its events."""
    statuses = {
        text_of(one, "name"): one
        for kind in ("initContainerStatuses", "containerStatuses")
        for one in objects(pod, "status", kind)
    }
    containers = [
        _container(one, statuses.get(text_of(one, "name"), {}), init=kind == "initContainers")
        for kind in ("initContainers", "containers")
        for one in objects(pod, "spec", kind)
    ]
    conditions = {text_of(one, "type"): text_of(one, "status") for one in objects(pod, "status", "conditions")}
    return PodState(
        name=name_of(pod),
        phase=text_of(pod, "status", "phase"),
        start_time=moment(pod, "status", "startTime") or moment(pod, "metadata", "creationTimestamp"),
        containers=tuple(containers),
        conditions=tuple(sorted(conditions.items())),
        events=(),
        node=text_of(pod, "spec", "nodeName"),
    )


def ready_since(pod: Document) -> datetime | None:
    """Return since when a pod can answer, None when it cannot.

    Of a pod that restarted, the Ready condition tells the last recovery only: its start stands in, since what it did
    before the restart is what one wants to see.
    """
    ready = next((one for one in objects(pod, "status", "conditions") if one.get("type") == "Ready"), None)
    if ready is None:
        return None
    restarted = any(number(one, "restartCount") for one in objects(pod, "status", "containerStatuses"))
    if restarted:
        return moment(pod, "status", "startTime")
    return moment(ready, "lastTransitionTime") if ready.get("status") == "True" else None


def address(pod: Document) -> str:
    """Return a pod's IP, "" while it has none."""
    return text_of(pod, "status", "podIP")


def present(pods: Iterable[Document]) -> list[Document]:
    """Return the pods that are not about to go, or all of them when all are; sorted by name."""
    found = sorted(pods, key=name_of)
    return [pod for pod in found if not text_of(pod, "metadata", "deletionTimestamp")] or found


def digests(pods: Iterable[Document]) -> dict[str, str]:
    """Return for each container the digests of the images that run, as one text."""
    found: dict[str, set[str]] = {}
    for pod in pods:
        for kind in ("initContainerStatuses", "containerStatuses"):
            for one in objects(pod, "status", kind):
                _, at_sign, digest = text_of(one, "imageID").rpartition("@")
                if at_sign:
                    found.setdefault(text_of(one, "name"), set()).add(digest)
    return {name: ", ".join(sorted(several)) for name, several in sorted(found.items())}


def _container(spec: Document, status: Document, *, init: bool) -> ContainerState:
    ready = at(status, "ready")
    return ContainerState(
        name=text_of(spec, "name"),
        image=text_of(spec, "image"),
        ready=ready if isinstance(ready, bool) else None,
        restart_count=number(status, "restartCount"),
        state=_status(mapping(status, "state")),
        last_state=_status(mapping(status, "lastState")),
        limits=texts(spec, "resources", "limits"),
        requests=texts(spec, "resources", "requests"),
        init=init,
    )


def _status(state: Document) -> ContainerStatus:
    status = next((name for name in _STATES if isinstance(state.get(name), dict)), "")
    told = mapping(state, status)
    return ContainerStatus(
        status=status,
        reason=text_of(told, "reason"),
        message=text_of(told, "message")[:MESSAGE],
        exit_code=number(told, "exitCode"),
        started=moment(told, "startedAt"),
        finished=moment(told, "finishedAt"),
    )
