"""Reduction of logs: from the bytes of many streams to a few hundred counted patterns.

The result depends on the bytes alone: not on how they were cut into chunks, nor on the order of the streams.
Everything expensive (reading a line, merging templates) runs on distinct lines only.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from rollout_verdict.core.evidence import Level, LogEvidence, LogKind, LogPattern, LogSample, PodLog
from rollout_verdict.core.reduction import templates
from rollout_verdict.core.reduction.clock import instant
from rollout_verdict.core.reduction.lines import Key, LineReader, ReducePolicy
from rollout_verdict.core.reduction.stream import LogStream
from rollout_verdict.core.reduction.table import Found
from rollout_verdict.core.values import Pair, Side, Window

__all__ = ["LogReducer", "LogStream", "ReducePolicy", "reduce_logs"]

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LogReducer:
    """Reduces the logs of both sides.

    ``window`` leaves out lines outside it, where lines carry a time. ``timestamps`` says whether lines begin with the
    kubelet's RFC 3339 time; None finds it out for each stream.
    """

    def __init__(
        self, policy: ReducePolicy | None = None, window: Window | None = None, *, timestamps: bool | None = None
    ) -> None:
        self.policy = policy or ReducePolicy()
        self._window = window
        self._timestamps = timestamps
        self._reader = LineReader(self.policy)
        self._streams: list[LogStream] = []
        self._pods: dict[Side, set[str]] = {Side.STABLE: set(), Side.CANARY: set()}

    def declare(self, side: Side, pod: str) -> None:
        """Name a pod that may have no logs; it is listed all the same."""
        self._pods[side].add(pod)

    def stream(self, side: Side, pod: str, container: str) -> LogStream:
        """Begin a log of a container. Several logs of one container add up."""
        self.declare(side, pod)
        stream = LogStream(self._reader, side, pod, container, window=self._window, timestamps=self._timestamps)
        self._streams.append(stream)
        return stream

    def finish(self) -> LogEvidence:
        """Close what is open and return the evidence of both sides."""
        for stream in self._streams:
            stream.close()
        pods = {side: sorted(names) for side, names in self._pods.items()}
        edges, place = self._buckets()
        return LogEvidence(
            pods=Pair(
                stable=tuple(self._pod_log(Side.STABLE, pod) for pod in pods[Side.STABLE]),
                canary=tuple(self._pod_log(Side.CANARY, pod) for pod in pods[Side.CANARY]),
            ),
            patterns=self._patterns(pods, len(edges) - 1, place),
            bucket_edges=edges,
            coarse_events=sum(stream.table.coarse for stream in self._streams),
        )

    def _pod_log(self, side: Side, pod: str) -> PodLog:
        streams = [stream for stream in self._streams if (stream.side, stream.pod) == (side, pod)]
        times = [
            moment for s in streams for moment in (instant(s.clock.first), instant(s.clock.last)) if moment is not None
        ]
        return PodLog(
            pod=pod,
            containers=tuple(sorted({stream.container for stream in streams})),
            size_bytes=sum(stream.size for stream in streams),
            lines=sum(stream.lines for stream in streams),
            events=sum(stream.events for stream in streams),
            cut_lines=sum(stream.cut for stream in streams),
            first=min(times, default=None),
            last=max(times, default=None),
            partial="; ".join(sorted({stream.partial for stream in streams if stream.partial})),
            outside_lines=sum(stream.clock.outside for stream in streams),
        )

    def _buckets(self) -> tuple[tuple[datetime, ...], dict[LogStream, tuple[int, int]]]:
        """Return the edges of the time buckets, and for each stream how its slots map to them: shift and origin."""
        timed = [stream for stream in self._streams if any(found.slots for found in stream.table.found.values())]
        if not timed:
            return (), {}
        count = self.policy.buckets
        if self._window is not None:
            width = (self._window.end - self._window.start) / count
            edges = (*(self._window.start + width * index for index in range(count)), self._window.end)
            return edges, dict.fromkeys(timed, (0, 0))
        shift = max(stream.table.shift for stream in timed)
        low = min(stream.table.span[0] for stream in timed)
        high = max(stream.table.span[1] for stream in timed)
        while (high >> shift) - (low >> shift) >= 2 * count:
            shift += 1
        origin, end = low >> shift, (high >> shift) + 1
        seconds = (index << shift for index in range(origin, end + 1))
        edges = tuple(_EPOCH + timedelta(seconds=second) for second in seconds)
        return edges, {stream: (shift - stream.table.shift, origin) for stream in timed}

    def _patterns(
        self, pods: dict[Side, list[str]], buckets: int, place: dict[LogStream, tuple[int, int]]
    ) -> tuple[LogPattern, ...]:
        keys = sorted({key for stream in self._streams for key in stream.table.found}, key=lambda key: key.order)
        merged: dict[Key, str] = {}
        groups: dict[tuple[Level, LogKind], list[Key]] = defaultdict(list)
        for key in keys:
            groups[key.level, key.kind].append(key)
        for members in groups.values():
            texts = {key.template for key in members}
            known = templates.merge(texts, self.policy.merge)
            merged |= {key: known[key.template] for key in members}
        tallies: dict[tuple[str, str, Level], _Tally] = {}
        for stream in sorted(self._streams, key=lambda s: (s.side, s.pod, s.container)):
            index = pods[stream.side].index(stream.pod)
            for key, found in stream.table.found.items():
                name = (merged[key], key.status, key.level)
                tally = tallies.get(name)
                if tally is None:
                    tally = tallies[name] = _Tally({side: len(names) for side, names in pods.items()}, max(0, buckets))
                tally.add(stream, index, key, found, place.get(stream, (0, 0)))
        return tuple(tallies[name].pattern(*name, self.policy) for name in sorted(tallies))


class _Tally:
    """The counts of one pattern while they are summed up."""

    def __init__(self, pods: dict[Side, int], buckets: int) -> None:
        self._counts = {side: [0] * count for side, count in pods.items()}
        self._buckets = {side: [[0] * buckets for _ in range(count)] for side, count in pods.items()}
        self._samples: dict[Side, list[LogSample]] = {side: [] for side in pods}
        self._loggers: dict[str, int] = defaultdict(int)
        self._kinds: set[LogKind] = set()

    def add(self, stream: LogStream, pod: int, key: Key, found: Found, place: tuple[int, int]) -> None:
        """Add what one stream holds of one key."""
        self._counts[stream.side][pod] += found.count
        self._loggers[key.logger] += found.count
        self._kinds.add(key.kind)
        shift, origin = place
        row = self._buckets[stream.side][pod]
        for slot, count in found.slots.items():
            row[(slot >> shift) - origin] += count
        self._samples[stream.side] += [
            LogSample(
                pod=stream.pod, container=stream.container, time=instant(stamp), text=text.decode("utf-8", "replace")
            )
            for stamp, text in found.samples
        ]

    def pattern(self, template: str, status: str, level: Level, policy: ReducePolicy) -> LogPattern:
        """Return the finished pattern."""
        wanted = policy.samples if level >= Level.WARN else policy.calm_samples
        return LogPattern(
            template=template,
            level=level,
            kind=max(self._kinds),
            status=status,
            logger=min(self._loggers, key=lambda name: (-self._loggers[name], name)),
            counts=_pair({side: tuple(counts) for side, counts in self._counts.items()}),
            buckets=_pair({side: tuple(map(tuple, rows)) for side, rows in self._buckets.items()}),
            samples=_pair({side: tuple(sorted(found, key=_order)[:wanted]) for side, found in self._samples.items()}),
        )


def _pair(sides: dict[Side, T]) -> Pair[T]:
    return Pair(stable=sides[Side.STABLE], canary=sides[Side.CANARY])


def _order(sample: LogSample) -> tuple[str, str, datetime, str]:
    return (sample.pod, sample.container, sample.time or _EPOCH, sample.text)


def reduce_logs(
    files: Iterable[tuple[Side, str, str, Iterable[bytes]]],
    *,
    pods: Pair[tuple[str, ...]] | None = None,
    policy: ReducePolicy | None = None,
    window: Window | None = None,
    timestamps: bool | None = None,
) -> LogEvidence:
    """Reduce whole logs, each (side, pod, container, chunks of bytes); ``pods`` names those that may have none."""
    reducer = LogReducer(policy, window, timestamps=timestamps)
    for side in Side if pods is not None else ():
        for pod in pods.of(side) if pods is not None else ():
            reducer.declare(side, pod)
    for side, pod, container, chunks in files:
        stream = reducer.stream(side, pod, container)
        for chunk in chunks:
            stream.feed(chunk)
        stream.close()
    return reducer.finish()
