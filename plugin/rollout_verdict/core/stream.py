"""Streams: the bytes of one container's log, cut anywhere, counted as events under keys."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import compress, count
from operator import itemgetter
from typing import NamedTuple, cast

from rollout_verdict.core import events
from rollout_verdict.core.clock import Clock
from rollout_verdict.core.events import Role
from rollout_verdict.core.evidence import Level
from rollout_verdict.core.lines import Key, Line, LineReader
from rollout_verdict.core.mask import plain_ids, skeleton
from rollout_verdict.core.values import Side, Window

# Lines of these roles are events of their own unless an event of several lines is open before them.
_ALONE = frozenset((Role.START, Role.LOUD, Role.JSON))
_MOST_SLOTS = 64
_place = itemgetter(0)
_LOOSE = frozenset((Role.PLAIN, Role.JSON))


@dataclass(slots=True)
class Found:
    """One key in one stream: how many events, by time slot, and the first of them as (stamp, text)."""

    wanted: int
    count: int = 0
    slots: dict[int, int] = field(default_factory=dict)
    samples: list[tuple[bytes, bytes]] = field(default_factory=list)


class _Open:
    """The event that may still go on, bounded. ``index`` is the place of its first line in the current block."""

    __slots__ = ("index", "key", "lines", "raw", "size", "slot", "stamp", "state")

    def __init__(self, block: "_Block", index: int, key: Key) -> None:
        line = block.read[index]
        self.index = index
        self.key = key
        self.lines = [line]
        self.raw = [block.lines[index]]
        self.size = len(self.raw[0])
        self.stamp = block.stamps[index] if block.stamps else b""
        self.slot = block.slots[index] if block.slots else None
        self.state = events.opened(line.text, line.role)


class _Block(NamedTuple):
    """Some whole lines, column by column: the bytes, what is known of them, and when they were written."""

    lines: list[bytes]
    datas: list[bytes]  # the form that codes are read from
    read: list[Line]
    stamps: list[bytes]  # empty without time stamps, as is ``slots``
    slots: list[int | None]


Tally = Counter[tuple[Line, int | None]]  # events that are one line, by their time slot


class _Done(NamedTuple):
    """A finished event; events are counted in the order of ``place``, that of their first line in the block."""

    place: int
    key: Key
    slot: int | None
    stamp: bytes
    raw: bytes


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
        self.size = self.lines = self.events = self.cut = self.coarse = 0
        self.partial = ""
        self.found: dict[Key, Found] = {}
        self.shift = 0  # without a window, slots are ``epoch seconds >> shift``
        self._reader = reader
        self._policy = reader.policy
        self._window = window
        self.clock = Clock(window, reader.policy.buckets, stamped=timestamps)
        self._headed = False
        self._probe: list[bytes] | None = []
        self._pending: list[bytes] = []
        self._held = 0
        self._open: _Open | None = None
        self._closed = False
        self.span = (1 << 62, -(1 << 62))

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
            last = self._done(self._open)
            self._open = None
            self._count(_Block([], [], [], [], []), Counter(), [last], set())

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
        if lines and _has_longer(data, longest):
            self.cut += sum(1 for line in lines if len(line) > longest)
            lines = [line[:longest] for line in lines]
        if self._probe is not None:
            self._probe += lines
            prefix = self._first_lines(self._probe)
            if not prefix and not final:
                return
            lines, self._probe = self._probe, None
            if lines:
                self._look(prefix or lines)
        if lines:
            self._work(lines)

    def _first_lines(self, lines: list[bytes]) -> list[bytes]:
        """Return the lines that decide on the stream's form, none if there are not enough yet."""
        size = 0
        for number, line in enumerate(lines, 1):
            size += len(line)
            if number >= self._policy.probe_lines or size >= self._policy.probe:
                return lines[:number]
        return []

    def _look(self, lines: list[bytes]) -> None:
        """Find out whether lines carry the kubelet's time and a header of their own."""
        self.clock.look(lines)
        contents = self.clock.strip(lines)[0] if self.clock.stamped else lines
        headed = runs = 0
        before = Role.BLANK
        for line in self._read(contents)[0]:
            if line.role is Role.START:
                headed += 1
            elif line.role in _LOOSE and before not in _LOOSE:
                runs += 1
            before = line.role
        self._headed = headed >= self._policy.headed_share * (headed + runs) and headed > 1

    def _work(self, lines: list[bytes]) -> None:
        """Count the events of some whole lines; the last one stays open."""
        stamps: list[bytes] = []
        slots: list[int | None] = []
        if self.clock.stamped:
            lines, stamps = self.clock.inside(*self.clock.strip(lines))
            if not lines:
                return
            self.clock.note(stamps)
            slots = self.clock.slots(stamps)
        self.lines += len(lines)
        read, datas = self._read(lines)
        block = _Block(lines, datas, read, stamps, slots)
        tally = _tally(read, slots)
        done, spent = self._fold(block, {line for line, _ in tally})
        tally.subtract([(read[index], slots[index] if slots else None) for index in spent])
        self._count(block, tally, done, spent)

    def _read(self, lines: list[bytes]) -> tuple[list[Line], list[bytes]]:
        """Return what is known of each line, and the lines in the form their codes are read from.

        Lines are looked up by their skeleton. What is not found there is looked up once more without its hexadecimal
        identifiers, which would make every line a new one; that costs a pass of a regular expression.
        """
        cache, reader = self._reader.cache, self._reader
        skeletons = skeleton(b"\n".join(lines)).split(b"\n")
        known = list(map(cache.get, skeletons))
        if None not in known:
            return cast("list[Line]", known), lines
        missing = [index for index, line in enumerate(known) if line is None]
        datas = lines.copy()
        bare = plain_ids(b"\n".join([lines[index] for index in missing])).split(b"\n")
        names = skeleton(b"\n".join(bare)).split(b"\n")
        for index, data, name in zip(missing, bare, names, strict=True):
            line = cache.get(name) or reader.read(name)
            known[index], datas[index] = line, data
            reader.alias(skeletons[index], name, line)
        return cast("list[Line]", known), datas

    def _fold(self, block: _Block, distinct: Iterable[Line]) -> tuple[list[_Done], set[int]]:
        """Put lines together to events.

        Returns the finished events that are not simply one line of this block, and the lines that are spent: those
        of such events, blank ones, and those of the event that stays open.
        """
        alone = _ALONE if self._headed else _ALONE | {Role.PLAIN}
        read, event = block.read, self._open
        if event is not None:
            event.index = -1  # begun in a block before
        joining = {line for line in distinct if line.role not in alone}
        places = list(compress(count(), map(joining.__contains__, read))) if joining else []
        places.append(len(read))
        done: list[_Done] = []
        spent: set[int] = set()
        following = index = 0
        while index < len(read):
            line = read[index]
            if event is not None and self._joins(event, line, block.lines[index]):
                spent.add(index)
                if line.role is not Role.BLANK:
                    event.lines.append(line)
                    event.raw.append(block.lines[index])
                    event.size += len(block.lines[index])
                    event.state = events.goes_on(event.state, line.text, line.role)
                index += 1
                continue
            if event is not None:
                done.append(self._done(event))
                event = None
            while places[following] <= index:
                following += 1
            # Nothing joins before the next such place, so all lines up to the one before it are events of their own.
            index = places[following] - 1
            spent.add(index)
            if read[index].role is not Role.BLANK:
                event = _Open(block, index, self._reader.key_of(read[index], block.datas[index]))
            index += 1
        self._open = event
        return done, spent

    def _joins(self, event: _Open, line: Line, raw: bytes) -> bool:
        if line.role is Role.START:
            return False
        if len(event.lines) >= self._policy.max_event_lines or event.size + len(raw) > self._policy.max_event:
            return False
        head = event.lines[0].role
        return events.joins(
            event.state, head, event.key.level, line.role, line.text, headed=self._headed, length=len(event.lines)
        )

    def _done(self, event: _Open) -> _Done:
        key = self._reader.event_key(event.lines, event.key) if len(event.lines) > 1 else event.key
        return _Done(event.index, key, event.slot, event.stamp, b"\n".join(event.raw))

    def _count(self, block: _Block, tally: Tally, done: list[_Done], spent: set[int]) -> None:
        """Add finished events to the table, and keep the first ones of each key."""
        self.events += len(done) + len(block.read) - len(spent)
        counts: dict[tuple[Key, int | None], int] = defaultdict(int)
        asked: set[Line] = set()  # lines to look at one by one: codes decide on the key, or samples are wanted
        for (line, slot), times in tally.items():
            if line.key is None:
                asked.add(line)
            elif times:
                counts[line.key, slot] += times
                if self._hungry(line.key):
                    asked.add(line)
        firsts = self._ask(block, asked, spent, counts) if asked else []
        for event in done:
            counts[event.key, event.slot] += 1
        instead = self._keep(sorted(firsts + done, key=_place))
        for (key, slot), times in counts.items():
            found = self.found.get(key)
            if found is None:
                self.coarse += times
                found = self.found[instead[key]]
            found.count += times
            if slot is not None:
                self._place(found, slot, times)

    def _ask(
        self, block: _Block, asked: set[Line], spent: set[int], counts: dict[tuple[Key, int | None], int]
    ) -> list[_Done]:
        """Look at lines one by one: count those whose codes decide on the key, return those wanted as samples."""
        read, datas, slots, key_of = block.read, block.datas, block.slots, self._reader.key_of
        firsts: list[_Done] = []
        hungry: dict[Key, bool] = {}
        for index in compress(count(), map(asked.__contains__, read)):
            if index in spent:
                continue
            line, slot = read[index], slots[index] if slots else None
            key = line.key
            if key is None:
                data = datas[index]
                key = line.variants.get(data[line.start : line.end]) or key_of(line, data)
                counts[key, slot] += 1
            wants = hungry.get(key)
            if wants is None:
                wants = hungry[key] = self._hungry(key)
            if wants:
                firsts.append(_Done(index, key, slot, block.stamps[index] if slots else b"", block.lines[index]))
        return firsts

    def _hungry(self, key: Key) -> bool:
        found = self.found.get(key)
        return found is None or len(found.samples) < found.wanted

    def _coarse(self, key: Key) -> Key:
        """Return the key that a full table counts this one under; coarse keys have a tenth of the room."""
        coarse = self._reader.coarse(key, words=3)
        room = len(self.found) < self._policy.max_keys + self._policy.max_keys // 10
        return coarse if room or coarse in self.found else self._reader.coarse(key, words=0)

    def _keep(self, firsts: list[_Done]) -> dict[Key, Key]:
        """Open entries for new keys and keep samples; returns the coarse key for each that found no room."""
        policy = self._policy
        instead: dict[Key, Key] = {}
        for event in firsts:
            key = event.key
            if key not in self.found and len(self.found) >= policy.max_keys:
                coarse = self._coarse(key)
                instead[key] = coarse
                key = coarse
            found = self.found.get(key)
            if found is None:
                wanted = policy.samples if key.level >= Level.WARN else policy.calm_samples
                found = self.found[key] = Found(wanted)
            if len(found.samples) < found.wanted:
                found.samples.append((event.stamp, event.raw[: policy.max_sample]))
        return instead

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


def _tally(read: list[Line], slots: list[int | None]) -> Tally:
    """Count lines by slot."""
    if slots:
        return Counter(zip(read, slots, strict=True))
    return Counter({(line, None): times for line, times in Counter(read).items()})


def _has_longer(data: bytes, longest: int) -> bool:
    """Say whether a line may be longer, by a few looks instead of one for each line."""
    start = 0
    while len(data) - start > longest:
        start = data.rfind(b"\n", start, start + longest + 1) + 1
        if start == 0:
            return True
    return False


def _halved(slots: dict[int, int]) -> dict[int, int]:
    halved: dict[int, int] = {}
    for slot, times in slots.items():
        halved[slot >> 1] = halved.get(slot >> 1, 0) + times
    return halved
