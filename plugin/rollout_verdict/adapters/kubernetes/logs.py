"""Logs of many containers at once, streamed into the reducer while they arrive.

A few threads read and take turns at the reducer; none reads on before what it has is reduced, so that memory does not
grow with the logs. Each container has a deadline of its own, which counts the time spent waiting for it and not for the
reducer; a container that hangs costs that and nothing else.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from queue import Empty, Queue

from rollout_verdict.adapters.kubernetes.client import Api
from rollout_verdict.adapters.kubernetes.trouble import Access, ApiError, Resource
from rollout_verdict.core.evidence import ContainerState, LogEvidence, PodState
from rollout_verdict.core.reduction.reduce import LogReducer, LogStream
from rollout_verdict.core.target import Gathering, Sides
from rollout_verdict.core.values import Gap, Side, SourceKind, Window

LOG = Resource(plural="pods", sub="log")
# Containers that meshes, secret agents and database proxies put beside an application: they log the mesh.
SIDECARS = frozenset(
    {
        "istio-proxy", "istio-validation", "istio-init", "linkerd-proxy", "linkerd-init", "linkerd-debug",
        "linkerd-network-validator", "kuma-sidecar", "kuma-init", "consul-dataplane", "consul-connect-inject-init",
        "envoy", "envoy-sidecar", "aws-appmesh-envoy", "osm-init", "cilium-envoy", "daprd", "vault-agent",
        "vault-agent-init", "cloud-sql-proxy", "cloudsql-proxy", "fluent-bit", "fluentbit", "fluentd", "filebeat",
        "otel-collector", "otc-container", "opentelemetry-auto-instrumentation", "datadog-agent", "jaeger-agent",
        "config-reloader", "newrelic-infrastructure-sidecar", "oauth2-proxy",
    }
)  # fmt: skip
# What the kubelet writes into an answer that it had begun as a success (kubernetes pkg/kubelet/kuberuntime/logs).
_NO_LOG = (b"unable to retrieve container logs for ", b"failed to try resolving symlinks in path ")
_WAITS = ("waiting", "")  # states of a container that does not run, nor has just ended
_TURN = 131_072  # bytes that are read before a thread asks for its turn; turns cost more than small pieces do
_TICK_S = 0.2  # how often who waits for the threads looks at the clock
_NAMED = 5  # pods named in a gap; the rest are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLimits:
    """How much is read, and how fast. Times are seconds."""

    streams: int = 16  # containers read at a time; each is a connection to the API server and through it to a node
    container_bytes: int = 32 << 20  # of one container; what a busy service logs in ten minutes
    container_s: float = 15.0  # of waiting for one container: a node that is gone costs this
    idle_s: float = 10.0  # between two bytes
    containers: int = 1_000  # of both sides


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """One log to be read; ``previous`` is that of the container before its last restart."""

    side: Side
    pod: str
    container: str
    previous: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """The end of a log: ``partial`` says why it was not read whole, ``error`` what to tell of it, None for nothing."""

    partial: str = ""
    error: ApiError | None = None


def wanted(container: ContainerState, gathering: Gathering) -> bool:
    """Tell whether a container's log is read."""
    if container.name in gathering.exclude:
        return False
    if gathering.include:
        return container.name in gathering.include
    return not container.init and container.name not in SIDECARS


def read_logs(
    api: Api,
    sides: Sides,
    gathering: Gathering,
    *,
    end: float,
    on_done: Callable[[int, int], None],
    limits: LogLimits,
) -> tuple[LogEvidence | None, tuple[Gap, ...]]:
    """Return the reduced logs of both sides, None when nothing could be read; ``end`` is a time of the clock."""
    reads, gaps = _reads(sides, gathering, limits)
    if not reads:
        return None, tuple(gaps)
    reducer = LogReducer(window=sides.scope.window, timestamps=True)
    for side in Side:
        for state in sides.states.of(side):
            reducer.declare(side, state.name)
    ends = _Reading(api, sides, reads, end, limits).reduce(reducer, on_done)
    gaps += _told(ends)
    some = any(one.error is None for one in ends.values())
    return (reducer.finish() if some else None), tuple(gaps)


def _reads(sides: Sides, gathering: Gathering, limits: LogLimits) -> tuple[list[_Read], list[Gap]]:
    """Return what is to be read, the sides in turns so that a deadline meets both alike, and what is left out."""
    by_side = [list(_of_side(sides, side, gathering)) for side in (Side.CANARY, Side.STABLE)]
    reads = [one for pair in zip_longest(*by_side) for one in pair if one is not None]
    gaps = []
    for side in Side:
        if sides.states.of(side) and not any(one.side is side for one in reads):
            names = sorted({one.name for state in sides.states.of(side) for one in state.containers})
            reason = f"none of the containers ({', '.join(names[:20])}) is to be read and has started"
            hint = "see that the pods start; name containers in containers.include to read those left out by default"
            gaps.append(_gap(f"{side} logs", reason, hint, side))
    if len(reads) > limits.containers:
        reason = f"only {limits.containers} of {len(reads)} containers' logs are read"
        gaps.append(_gap("logs of some containers", reason, "", None))
    return reads[: limits.containers], gaps


def _of_side(sides: Sides, side: Side, gathering: Gathering) -> Iterator[_Read]:
    for state in sorted(sides.states.of(side), key=lambda state: state.name):
        for container in state.containers:
            if wanted(container, gathering) and _has_started(state, container):
                yield _Read(side=side, pod=state.name, container=container.name)
                if _restarted(container, sides.scope.window):
                    yield _Read(side=side, pod=state.name, container=container.name, previous=True)


def _has_started(state: PodState, container: ContainerState) -> bool:
    """Tell whether a container can have a log; one that waits for its image has none, and asking is an error."""
    if not state.node:
        return False
    return container.state.status not in _WAITS or container.last_state.status == "terminated"


def _restarted(container: ContainerState, window: Window) -> bool:
    """Tell whether a container has a log before its restart beside the one after it.

    While it waits to start again there is no other: the kubelet then answers both requests with the last one's.
    """
    ended = container.last_state.finished
    return (
        bool(container.restart_count)
        and container.last_state.status == "terminated"
        and container.state.status not in _WAITS
        and (ended is None or ended >= window.start)
    )


class _Reading:
    """One reading of many logs by a few threads, which take turns at the reducer."""

    def __init__(self, api: Api, sides: Sides, reads: Sequence[_Read], end: float, limits: LogLimits) -> None:
        self._api, self._sides, self._reads, self._end, self._limits = api, sides, reads, end, limits
        self._ends: Queue[tuple[_Read, _End]] = Queue()  # one for each log
        self._waiting = iter(reads)
        self._next = threading.Lock()
        self._turn = threading.Lock()  # at the streams, and at what they share
        self._stopped = False

    def reduce(self, reducer: LogReducer, on_done: Callable[[int, int], None]) -> dict[_Read, _End]:
        """Read all logs into the reducer and return how each ended."""
        total = len(self._reads)
        streams = {read: reducer.stream(read.side, read.pod, read.container) for read in self._reads}
        for number in range(min(self._limits.streams, total)):
            threading.Thread(target=self._work, args=(streams,), name=f"logs-{number}", daemon=True).start()
        ends: dict[_Read, _End] = {}
        try:
            on_done(0, total)
            while len(ends) < total and (left := self._end - self._api.clock()) > 0:
                with suppress(Empty):
                    read, ended = self._ends.get(timeout=min(left, _TICK_S))
                    ends[read] = ended
                    on_done(len(ends), total)
        finally:
            self._stopped = True
        with self._turn:  # whoever has it was not stopped yet
            while not self._ends.empty():
                read, ended = self._ends.get_nowait()
                ends[read] = ended
        late = ApiError("not read whole before the deadline", "raise deadlines.gather, or make window shorter")
        for read in self._reads:
            if read not in ends:
                ends[read] = _End(partial=late.reason, error=late)
                streams[read].close(partial=late.reason)
        return ends

    def _work(self, streams: Mapping[_Read, LogStream]) -> None:
        while True:
            with self._next:
                read = next(self._waiting, None)
            if read is None:
                return
            ended = self._stream(read, streams[read])
            with self._turn:
                if self._stopped:
                    return
                self._ends.put((read, _closed(streams[read], ended)))

    def _put(self, stream: LogStream, held: list[bytes]) -> bool:
        """Hand what is held to the reducer; False when nobody wants it any more."""
        with self._turn:
            for chunk in held if not self._stopped else ():
                stream.feed(chunk)
            held.clear()
            return not self._stopped

    def _stream(self, read: _Read, stream: LogStream) -> _End:
        """Read one log and say how it ended. Whatever breaks is the end of this one log."""
        try:
            return self._passed_on(read, stream)
        except ApiError as error:
            if read.previous and error.status in (400, 404):
                return _failed(
                    "the log before the restart is gone", "ask sooner after a restart, or see your log store"
                )
            return _End(partial=error.reason, error=error)
        except Exception as error:  # noqa: BLE001 -- a thread that dies silently would look like a slow pod
            return _failed(f"reading it broke ({type(error).__name__})", "report this: a reader never breaks")

    def _passed_on(self, read: _Read, stream: LogStream) -> _End:
        """Pass one log on. Raises ApiError."""
        limits, clock = self._limits, self._api.clock
        access = Access(resource=LOG, namespace=self._sides.namespace, name=read.pod)
        query = [
            ("container", read.container),
            ("sinceTime", f"{self._sides.scope.window.start:%Y-%m-%dT%H:%M:%SZ}"),
            ("timestamps", "true"),
            ("limitBytes", str(limits.container_bytes)),
            *([("previous", "true")] if read.previous else []),
        ]
        held: list[bytes] = []
        size = passed_on = 0
        waited, asked = 0.0, clock()
        open_end = min(self._end, asked + limits.container_s)
        opened = self._api.stream(access, query, open_end=open_end, end=self._end, read_s=limits.idle_s)
        with opened as chunks:
            try:
                while chunk := next(chunks, b""):
                    waited += clock() - asked
                    held.append(chunk)
                    size += len(chunk)
                    if size - passed_on >= _TURN:
                        passed_on = size
                        if not self._put(stream, held):
                            return _End()
                    if size >= limits.container_bytes:
                        return _End(
                            partial=f"only its first {limits.container_bytes >> 20} MiB in the window were read"
                        )
                    if waited > limits.container_s:
                        return _failed(f"reading took more than {limits.container_s:g} s", "see why its node is slow")
                    asked = clock()
                if not passed_on and b"".join(held).startswith(_NO_LOG):
                    held.clear()
                    return _failed("the node could not read the log of this container", "see the node's kubelet")
            finally:
                self._put(stream, held)
        return _End()


def _closed(stream: LogStream, ended: _End) -> _End:
    """Close a stream, which reduces what is left of it, and say how its log ended."""
    try:
        stream.close(partial=ended.partial)
    except Exception as error:  # noqa: BLE001 -- a thread that dies silently would look like a slow pod
        return _failed(f"reducing it broke ({type(error).__name__})", "report this: a reducer never breaks")
    return ended


def _failed(reason: str, hint: str) -> _End:
    return _End(partial=reason, error=ApiError(reason, hint))


def _told(ends: dict[_Read, _End]) -> list[Gap]:
    """Return one gap for each side and kind of trouble, naming the pods."""
    found: dict[tuple[Side, str, str], set[str]] = {}
    for read, ended in ends.items():
        reason = ended.error.reason if ended.error else ended.partial
        if reason:
            hint = ended.error.hint if ended.error else "make window shorter, or let it log less"
            pod = f"{read.pod} (container {read.container})"
            found.setdefault((read.side, reason, hint), set()).add(pod)
    return [
        _gap(f"logs of {side} pods {_some(pods)}", reason, hint, side) for (side, reason, hint), pods in found.items()
    ]


def _some(names: set[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(sorted(names)[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _gap(what: str, reason: str, hint: str, side: Side | None) -> Gap:
    return Gap(source=SourceKind.LOGS, what=what, reason=reason, hint=hint, side=side)
