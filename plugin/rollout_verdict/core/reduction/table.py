"""Tables: what was counted of one stream, key by key, with the first events of each key."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import compress, count
from operator import itemgetter

from rollout_verdict.core.evidence import Level
from rollout_verdict.core.reduction.block import Block, Tally
from rollout_verdict.core.reduction.folding import Event
from rollout_verdict.core.reduction.lines import Key, Line, LineReader

_MOST_SLOTS = 64
_place = itemgetter(0)
Counts = dict[tuple[Key, int | None], int]  # events by key and time slot


@dataclass(slots=True)
class Found:
    """One key in one stream: how many events, by time slot, and the first of them as (stamp, text)."""

    wanted: int
    count: int = 0
    slots: dict[int, int] = field(default_factory=dict)
    samples: list[tuple[bytes, bytes]] = field(default_factory=list)
    hungry: bool = True  # fewer samples than wanted


class Table:
    """Counts events. ``windowed`` says that slots are those of a window; else they are epoch seconds.

    Epoch seconds are kept as ``second >> shift``, with a shift that grows until ``span`` fits.
    """

    def __init__(self, reader: LineReader, *, windowed: bool) -> None:
        self.found: dict[Key, Found] = {}
        self.coarse = 0  # events that found no room under their own key
        self.shift = 0
        self.span = (1 << 62, -(1 << 62))
        self._windowed = windowed
        self._reader = reader
        self._policy = reader.policy

    def count(self, block: Block, tally: Tally, done: list[Event], spent: set[int]) -> None:
        """Add the lines of a block that are not ``spent`` and the events of several lines that are ``done``."""
        for index in spent:
            tally[block.slot(index)][block.read[index]] -= 1
        get = self.found.get
        asked: set[Line] = set()  # lines to look at one by one: codes decide on the key, or samples are wanted
        for slot, lines in tally.items():
            for line, times in lines.items():
                found = get(line.key)  # type: ignore[arg-type] # a line without a key is not found
                if found is None or found.hungry:
                    asked.add(line)
                elif times:
                    found.count += times
                    if slot is not None:
                        self._place(found, slot, times)
        counts: Counts = defaultdict(int)
        firsts = self._ask(block, asked, spent, counts) if asked else []
        self.add(done, firsts, counts)

    def add(self, done: list[Event], firsts: Iterable[Event] = (), counts: Counts | None = None) -> None:
        """Count events, besides what ``counts`` holds already; ``firsts`` are events counted there."""
        counts = defaultdict(int) if counts is None else counts
        for event in done:
            counts[event.key, event.slot] += 1
        instead = self._keep(sorted((*firsts, *done), key=_place))
        for (key, slot), times in counts.items():
            found = self.found.get(key)
            if found is None:
                self.coarse += times
                found = self.found[instead[key]]
            found.count += times
            if slot is not None:
                self._place(found, slot, times)

    def _ask(self, block: Block, asked: set[Line], spent: set[int], counts: Counts) -> list[Event]:
        """Count lines one by one; returns those that are wanted as samples."""
        read, slots, bare, data, key_of = block.read, block.slots, block.bare, block.data, self._reader.key_of
        sums, gap = block.sums(), block.gap
        most = max(1, self._policy.samples, self._policy.calm_samples)
        left: dict[Key, int] = {}  # samples still wanted
        firsts: list[Event] = []
        slot = None
        for index in compress(count(), map(asked.__contains__, read)):
            if index in spent:
                continue
            line = read[index]
            key = line.key
            if key is None:
                if index in bare:
                    key = key_of(line, bare[index])
                else:
                    start = sums[index] + index * gap
                    said = data[start + line.start : start + line.end]
                    key = line.variants.get(said) or key_of(line, block.text(index))
            if slots:
                slot = slots[index]
            counts[key, slot] += 1
            wanted = left.get(key)
            if wanted is None:
                found = self.found.get(key)
                wanted = left[key] = most if found is None else found.wanted - len(found.samples)
            if wanted > 0:
                left[key] = wanted - 1
                firsts.append(Event(index, key, slot, block.stamp(index), block.text(index)))
        return firsts

    def _coarse(self, key: Key) -> Key:
        """Return the key that a full table counts this one under; coarse keys have a tenth of the room."""
        coarse = self._reader.coarse(key, words=3)
        room = len(self.found) < self._policy.max_keys + self._policy.max_keys // 10
        return coarse if room or coarse in self.found else self._reader.coarse(key, words=0)

    def _keep(self, firsts: list[Event]) -> dict[Key, Key]:
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
                found = self.found[key] = Found(wanted, hungry=wanted > 0)
            if found.hungry:
                found.samples.append((event.stamp, event.raw[: policy.max_sample]))
                found.hungry = len(found.samples) < found.wanted
        return instead

    def _place(self, found: Found, slot: int, count: int) -> None:
        """Count events in their slot; without a window, slots grow until the span fits."""
        if not self._windowed:
            low, high = min(self.span[0], slot), max(self.span[1], slot)
            self.span = (low, high)
            if (high >> self.shift) - (low >> self.shift) >= _MOST_SLOTS:
                while (high >> self.shift) - (low >> self.shift) >= _MOST_SLOTS:
                    self.shift += 1
                    for other in self.found.values():
                        other.slots = _halved(other.slots)
            slot >>= self.shift
        found.slots[slot] = found.slots.get(slot, 0) + count


def _halved(slots: dict[int, int]) -> dict[int, int]:
    halved: dict[int, int] = {}
    for slot, times in slots.items():
        halved[slot >> 1] = halved.get(slot >> 1, 0) + times
    return halved
