"""Tables: what was counted of one stream, key by key, with the first events of each key."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import compress, count
from operator import itemgetter

from rollout_verdict.core.evidence import Level
from rollout_verdict.core.reduction.block import Block, Tally
from rollout_verdict.core.reduction.folding import Event
from rollout_verdict.core.reduction.lines import Key, Line, LineReader

_MOST_SLOTS = 64
_MOST_PENDING = 4_000  # lines, each in each slot, before they are added up
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
        self._pending: Tally = defaultdict(Counter)  # of lines whose key has found its place
        self._windowed = windowed
        self._reader = reader
        self._policy = reader.policy

    def count(self, block: Block, distinct: AbstractSet[Line], done: list[Event], spent: set[int]) -> None:
        """Add the lines of a block that are not ``spent`` and the events of several lines that are ``done``.

        ``distinct`` are the lines of the block, each once.
        """
        pending = self._pending
        block.count(pending)
        for index in spent:
            pending[block.slot(index)][block.read[index]] -= 1
        get = self.found.get
        # Lines that are wanted as samples. Those without a place may find none, so they are counted at once.
        asked = {line for line in distinct if (found := get(line.key)) is None or found.hungry}
        counts: Counts = defaultdict(int)
        for slot in set(block.slots or (None,)) if asked else ():
            lines = pending[slot]
            for line in asked:
                if times := lines.pop(line, 0):
                    counts[line.key, slot] += times
        self.add(done, self._firsts(block, asked, spent) if asked else (), counts)
        if len(pending) > _MOST_SLOTS or sum(map(len, pending.values())) > _MOST_PENDING:
            self.settle()

    def settle(self) -> None:
        """Add what is pending to the events that were found."""
        for slot, lines in self._pending.items():
            for line, times in lines.items():
                self._add(self.found[line.key], slot, times)
        self._pending.clear()

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
            self._add(found, slot, times)

    def _firsts(self, block: Block, asked: set[Line], spent: set[int]) -> list[Event]:
        """Return the first events of these lines, as many of each key as are still wanted."""
        read = block.read
        most = max(1, self._policy.samples, self._policy.calm_samples)
        left: dict[Key, int] = {}
        firsts: list[Event] = []
        for index in compress(count(), map(asked.__contains__, read)):  # which are fewer with every line given up
            if index in spent:
                continue
            key = read[index].key
            wanted = left.get(key)
            if wanted is None:
                found = self.found.get(key)
                wanted = most if found is None else found.wanted - len(found.samples)
            if wanted > 0:
                firsts.append(Event(index, key, None, block.stamp(index), block.text(index)))
            if wanted <= 1:
                asked.discard(read[index])
            left[key] = wanted - 1
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

    def _add(self, found: Found, slot: int | None, count: int) -> None:
        """Count events, and in their slot; without a window, slots grow until the span fits."""
        found.count += count
        if slot is None or not count:
            return
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
