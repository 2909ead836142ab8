"""Streams: the bytes of one container's log, cut anywhere, counted as events under keys."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rollout_verdict.core import events
from rollout_verdict.core.events import Role, State
from rollout_verdict.core.evidence import Level
from rollout_verdict.core.lines import Key, Line, LineReader
from rollout_verdict.core.mask import plain_ids, skeleton
from rollout_verdict.core.values import Side, Window

_STAMP = re.compile(
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})(?: |\Z)"
)
_FIXED = 31  # bytes of the kubelet's "2006-01-02T15:04:05.000000000Z "
_ALONE = frozenset((Role.START, Role.LOUD))
_MOST_SLOTS = 64
_HEX_MISSES = 0.1  # share of unseen skeletons above which identifiers are taken out first
_HEX_BLOCKS = 32  # blocks until that is tried without again
_MOST_SECONDS = 100_000  # remembered times of one stream
_SECOND = timedelta(seconds=1)
_LOOSE = frozenset((Role.PLAIN, Role.JSON))


@dataclass(slots=True)
class Found:
    """One key in one stream: how many events, by time slot, and the first of them as (stamp, text)."""

    count: int = 0
    slots: dict[int, int] = field(default_factory=dict)
    samples: list[tuple[bytes, bytes]] = field(default_factory=list)


class _Open:
    """The event that may still go on, bounded."""

    __slots__ = ("key", "lines", "raw", "size", "slot", "stamp", "state")

    def __init__(self, line: Line, key: Key, raw: bytes, stamp: bytes, slot: int | None) -> None:
        self.key = key
        self.lines = [line]
        self.raw = [raw]
        self.size = len(raw)
        self.stamp = stamp
        self.slot = slot
        self.state = events.opened(line.text, line.role)


@dataclass(slots=True)
class _Batch:
    """Finished events, column by column."""

    keys: list[Key] = field(default_factory=list)
    slots: list[int | None] = field(default_factory=list)
    stamps: list[bytes] = field(default_factory=list)
    raws: list[bytes | list[bytes]] = field(default_factory=list)


class LogStream:
    """One container's log. Feed it bytes, close it; ``found`` then holds what was counted."""

    def __init__(
        self,
        reader: LineReader,
        side: Side,
        pod: str,
        container: str,
        *,
        window: Window | None,
        timestamps: bool | None,
    ) -> None:
        self.side, self.pod, self.container = side, pod, container
        self.size = self.lines = self.outside = self.events = self.cut = self.coarse = 0
        self.first: bytes = b""
        self.last: bytes = b""
        self.partial = ""
        self.found: dict[Key, Found] = {}
        self.shift = 0  # without a window, slots are ``epoch seconds >> shift``
        self._reader = reader
        self._policy = reader.policy
        self._window = window
        self._stamped = timestamps
        self._headed = False
        self._probe: list[bytes] | None = []
        self._pending: list[bytes] = []
        self._held = 0
        self._stamp = b""
        self._open: _Open | None = None
        self._closed = False
        self._slot_of: dict[bytes, int | None] = {}
        self.span = (1 << 62, -(1 << 62))
        self._misses = 0
        self._hexed = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes, cut anywhere."""
        self.size += len(chunk)
        block = self._policy.block
        for start in range(0, len(chunk), block):
            piece = chunk[start : start + block]
            self._pending.append(piece)
            self._held += len(piece)
            if self._held >= block:
                self._split(final=False)

    def close(self, partial: str = "") -> None:
        """End the log; ``partial`` says why it was not read to its end."""
        if self._closed:
            return
        self._closed = True
        self.partial = partial
        self._split(final=True)
        if self._open is not None:
            batch = _Batch()
            self._finish_open(batch)
            self._count(batch)

    def _split(self, *, final: bool) -> None:
        """Cut what is held into lines and work on them; the last, unfinished one is held back."""
        data = b"".join(self._pending)
        cut = data.rfind(b"\n")
        rest = data[cut + 1 :]
        lines = data[:cut].split(b"\n") if cut >= 0 else []
        if final and rest:
            lines.append(rest)
            rest = b""
        longest = self._policy.max_line
        rest = rest[: longest + 1]  # one more than may stay, so that the line is known to be cut
        self._pending, self._held = [rest], len(rest)
        if lines and max(map(len, lines)) > longest:
            self.cut += sum(1 for line in lines if len(line) > longest)
            lines = [line[:longest] for line in lines]
        if self._probe is not None:
            self._probe += lines
            prefix = self._first_lines(self._probe)
            if not prefix and not final:
                return
            lines, self._probe = self._probe, None
            self._look(prefix or lines)
        if lines:
            self._work(lines)

    def _first_lines(self, lines: list[bytes]) -> list[bytes]:
        """Return the lines that decide on the stream's form, none if there are not enough yet."""
        size = 0
        for count, line in enumerate(lines, 1):
            size += len(line)
            if count >= self._policy.probe_lines or size >= self._policy.block:
                return lines[:count]
        return []

    def _look(self, lines: list[bytes]) -> None:
        """Find out whether lines carry the kubelet's time and a header of their own."""
        if self._stamped is None:
            first = next((line for line in lines if line.strip()), b"")
            self._stamped = _STAMP.match(first) is not None
        contents = self._strip(lines)[0] if self._stamped else lines
        headed = runs = 0
        before = Role.BLANK
        for data in contents:
            line = self._reader.cache.get(skeleton(data)) or self._reader.read(skeleton(data), data)
            if line.role is Role.START:
                headed += 1
            elif line.role in _LOOSE and before not in _LOOSE:
                runs += 1
            before = line.role
        self._headed = headed >= self._policy.headed_share * (headed + runs) and headed > 1
        self._stamp = b""

    def _strip(self, lines: list[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Part lines into contents and stamps, the latter as "2006-01-02T15:04:05.000000000Z", UTC."""
        firsts = [line[:_FIXED] for line in lines]
        shape = b"0000-00-00T00:00:00.000000000Z \n"
        if skeleton(b"\n".join(firsts)) + b"\n" == shape * len(lines):
            self._stamp = firsts[-1][:-1]
            return [line[_FIXED:] for line in lines], [first[:-1] for first in firsts]
        contents, stamps = [], []
        for line in lines:
            found = _STAMP.match(line)
            if found:
                self._stamp = _normal(found[1], found[2] or b"", found[3])
                line = line[found.end() :]  # noqa: PLW2901 - the stamp is taken off
            contents.append(line)
            stamps.append(self._stamp)
        return contents, stamps

    def _work(self, lines: list[bytes]) -> None:
        """Count the events of some whole lines; the last one stays open."""
        stamps: list[bytes] | None = None
        slots: list[int | None] | None = None
        if self._stamped:
            lines, stamps = self._strip(lines)
            if self._window is not None:
                lines, stamps = self._inside(lines, stamps, self._window)
                if not lines:
                    return
            timed = [stamp for stamp in (min(filter(None, stamps), default=b""), max(stamps)) if stamp]
            if timed:
                self.first = min(self.first or timed[0], timed[0])
                self.last = max(self.last, timed[-1])
            slots = self._slots([stamp[:19] for stamp in stamps])
        self.lines += len(lines)
        batch = _Batch()
        read, datas = self._read(lines)
        roles = {line.role for line in set(read)}
        waiting = self._open is not None and self._open.state in (State.PYTHON, State.GO)
        if waiting or not roles <= (_ALONE if self._headed else _ALONE | _LOOSE):
            self._fold(batch, read=read, datas=datas, lines=lines, stamps=stamps, slots=slots)
        else:
            self._finish_open(batch)
            keys = [line.key or self._reader.key_of(line, data) for line, data in zip(read, datas, strict=True)]
            blank = [b""] * len(keys) if stamps is None else stamps
            spans: list[int | None] = [None] * len(keys) if slots is None else slots
            batch.keys += keys[:-1]
            batch.raws += lines[:-1]
            batch.stamps += blank[:-1]
            batch.slots += spans[:-1]
            self._open = _Open(read[-1], keys[-1], lines[-1], blank[-1], spans[-1])
        self._count(batch)

    def _read(self, contents: list[bytes]) -> tuple[list[Line], list[bytes]]:
        """Return what is known of each line, and the lines in the form their codes are read from."""
        cache, datas = self._reader.cache, contents
        hexed = self._hexed > 0
        if hexed:
            self._hexed -= 1
            datas = plain_ids(b"\n".join(contents)).split(b"\n")
        skeletons = skeleton(b"\n".join(datas)).split(b"\n")
        known = list(map(cache.get, skeletons))
        missing = [index for index, line in enumerate(known) if line is None]
        if not hexed:
            self._misses = self._misses + 1 if len(missing) > _HEX_MISSES * len(known) else 0
            if self._misses > 1:
                self._hexed, self._misses = _HEX_BLOCKS, 0
        for index in missing:
            key = skeletons[index]
            known[index] = cache.get(key) or self._reader.read(key, datas[index])
        return [line for line in known if line is not None], datas

    def _fold(
        self,
        batch: _Batch,
        *,
        read: list[Line],
        datas: list[bytes],
        lines: list[bytes],
        stamps: list[bytes] | None,
        slots: list[int | None] | None,
    ) -> None:
        """Put lines together to events, one by one."""
        policy, key_of = self._policy, self._reader.key_of
        for index, line in enumerate(read):
            event, role, raw = self._open, line.role, lines[index]
            if (
                event is not None
                and role is not Role.START
                and len(event.lines) < policy.max_event_lines
                and event.size + len(raw) <= policy.max_event
                and events.joins(
                    event.state, event.lines[0].role, event.key.level, role, line.text,
                    headed=self._headed, length=len(event.lines),
                )
            ):  # fmt: skip
                if role is not Role.BLANK:
                    event.lines.append(line)
                    event.raw.append(raw)
                    event.size += len(raw)
                    event.state = events.goes_on(event.state, line.text, role)
                continue
            if event is not None:
                self._finish_open(batch)
            if role is not Role.BLANK:
                stamp = b"" if stamps is None else stamps[index]
                slot = None if slots is None else slots[index]
                self._open = _Open(line, key_of(line, datas[index]), raw, stamp, slot)

    def _finish_open(self, batch: _Batch) -> None:
        event = self._open
        if event is None:
            return
        self._open = None
        several = len(event.lines) > 1
        batch.keys.append(self._reader.event_key(event.lines, event.key) if several else event.key)
        batch.raws.append(event.raw if several else event.raw[0])
        batch.stamps.append(event.stamp)
        batch.slots.append(event.slot)

    def _count(self, batch: _Batch) -> None:
        """Add finished events to the table, and keep the first of each key."""
        if not batch.keys:
            return
        self.events += len(batch.keys)
        distinct = dict(zip(reversed(batch.keys), range(len(batch.keys) - 1, -1, -1), strict=True))
        new = sorted((index, key) for key, index in distinct.items() if key not in self.found)
        keys = batch.keys
        if len(self.found) + len(new) > self._policy.max_keys:
            keys = self._coarsen(keys, {key for _, key in new[max(0, self._policy.max_keys - len(self.found)) :]})
            distinct = dict(zip(reversed(keys), range(len(keys) - 1, -1, -1), strict=True))
        for key in sorted(distinct, key=distinct.__getitem__):
            found = self.found.get(key)
            if found is None:
                found = self.found[key] = Found()
            wanted = self._policy.samples if key.level >= Level.WARN else self._policy.calm_samples
            index = distinct[key]
            while len(found.samples) < wanted:
                found.samples.append((batch.stamps[index], self._sample(batch.raws[index])))
                try:
                    index = keys.index(key, index + 1)
                except ValueError:
                    break
        for (key, slot), count in Counter(zip(keys, batch.slots, strict=True)).items():
            found = self.found[key]
            found.count += count
            if slot is not None:
                self._place(found, slot, count)

    def _place(self, found: Found, slot: int, count: int) -> None:
        """Count events in their slot; without a window, slots grow until the span fits."""
        if self._window is None:
            low, high = min(self.span[0], slot), max(self.span[1], slot)
            self.span = (low, high)
            if (high >> self.shift) - (low >> self.shift) >= _MOST_SLOTS:
                while (high >> self.shift) - (low >> self.shift) >= _MOST_SLOTS:
                    self.shift += 1
                    for other in self.found.values():
                        other.slots = _halved(other.slots)
            slot >>= self.shift
        found.slots[slot] = found.slots.get(slot, 0) + count

    def _coarsen(self, keys: list[Key], full: set[Key]) -> list[Key]:
        """Replace keys that no longer fit into the table by coarse ones."""
        coarse = {key: self._reader.coarse(key) for key in full}
        self.coarse += sum(1 for key in keys if key in full)
        return [coarse.get(key, key) for key in keys]

    def _sample(self, raw: bytes | Sequence[bytes]) -> bytes:
        return (raw if isinstance(raw, bytes) else b"\n".join(raw))[: self._policy.max_sample]

    def _slots(self, seconds: list[bytes]) -> list[int | None]:
        """Return the slot of each second: of the window, or the epoch second itself."""
        known = self._slot_of
        if len(known) > _MOST_SECONDS:
            known.clear()
        for second in set(seconds):
            if second not in known:
                known[second] = self._slot(second)
        return [known[second] for second in seconds]

    def _slot(self, second: bytes) -> int | None:
        moment = instant(second + b"Z")
        if moment is None:
            return None
        if self._window is None:
            return int(moment.timestamp())
        share = (moment - self._window.start).total_seconds() / self._window.seconds
        return min(self._policy.buckets - 1, max(0, int(share * self._policy.buckets)))

    def _inside(self, lines: list[bytes], stamps: list[bytes], window: Window) -> tuple[list[bytes], list[bytes]]:
        """Leave out lines whose time is known to be outside the window."""
        verdicts: dict[bytes, bool | None] = {}
        for second in {stamp[:19] for stamp in stamps}:
            moment = instant(second + b"Z")
            if moment is None or window.start <= moment < window.end - _SECOND:
                verdicts[second] = True
            elif moment <= window.start - _SECOND or moment >= window.end:
                verdicts[second] = False
            else:
                verdicts[second] = None  # the fraction decides
        if all(verdicts.values()):
            return lines, stamps
        kept = []
        for index, stamp in enumerate(stamps):
            verdict = verdicts[stamp[:19]]
            if verdict is None:
                moment = instant(stamp)
                verdict = moment is None or window.start <= moment < window.end
            if verdict:
                kept.append(index)
        self.outside += len(lines) - len(kept)
        return [lines[index] for index in kept], [stamps[index] for index in kept]


def instant(stamp: bytes) -> datetime | None:
    """Read an RFC 3339 time of a stream, None for "" and for impossible ones (month 13)."""
    try:
        return datetime.fromisoformat(stamp.decode("ascii")).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _normal(second: bytes, fraction: bytes, zone: bytes) -> bytes:
    """Write a time as the kubelet does: nanoseconds, UTC."""
    if zone != b"Z":
        moment = instant(second + zone)
        if moment is not None:
            second = moment.strftime("%Y-%m-%dT%H:%M:%S").encode("ascii")
    return second + b"." + fraction[:9].ljust(9, b"0") + b"Z"


def _halved(slots: dict[int, int]) -> dict[int, int]:
    halved: dict[int, int] = {}
    for slot, count in slots.items():
        halved[slot >> 1] = halved.get(slot >> 1, 0) + count
    return halved
