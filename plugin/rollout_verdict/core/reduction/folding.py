"""Folding: lines of one stream put together to events."""

from collections.abc import Set as AbstractSet
from itertools import compress, count
from typing import NamedTuple

from rollout_verdict.core.reduction import events
from rollout_verdict.core.reduction.block import Block
from rollout_verdict.core.reduction.events import Role
from rollout_verdict.core.reduction.lines import Key, Line, LineReader

# Lines of these roles are events of their own unless an event of several lines is open before them.
_ALONE = frozenset((Role.START, Role.LOUD, Role.JSON))


class Event(NamedTuple):
    """A finished event; events are counted in the order of ``place``, that of their first line in the block."""

    place: int
    key: Key
    slot: int | None
    stamp: bytes
    raw: bytes


class _Open:
    """The event that may still go on, bounded. ``index`` is the place of its first line in the current block."""

    __slots__ = ("index", "key", "lines", "raw", "size", "slot", "stamp", "state")

    def __init__(self, block: Block, index: int) -> None:
        line = block.read[index]
        text = block.text(index)
        self.index = index
        self.key = line.key
        self.lines = [line]
        self.raw = [text]
        self.size = len(text)
        self.stamp = block.stamp(index)
        self.slot = block.slot(index)
        self.state = events.opened(line.text, line.role)


class Folding:
    """Holds the event that is open at the end of a block. ``headed`` says that lines carry a header of their own."""

    def __init__(self, reader: LineReader) -> None:
        self.headed = False
        self._reader = reader
        self._policy = reader.policy
        self._open: _Open | None = None

    def fold(self, block: Block, distinct: AbstractSet[Line]) -> tuple[list[Event], set[int]]:
        """Put lines together to events; ``distinct`` are the lines of the block, each once.

        Returns the finished events that are not simply one line of this block, and the lines that are spent: those
        of such events, blank ones, and those of the event that stays open.
        """
        alone = _ALONE if self.headed else _ALONE | {Role.PLAIN}
        read, event = block.read, self._open
        if event is not None:
            event.index = -1  # begun in a block before
        joining = {line for line in distinct if line.role not in alone}
        places = list(compress(count(), map(joining.__contains__, read))) if joining else []
        places.append(len(read))
        done: list[Event] = []
        spent: set[int] = set()
        following = index = 0
        while index < len(read):
            line = read[index]
            if event is not None and self._joins(event, line, block.size(index)):
                spent.add(index)
                if line.role is not Role.BLANK:
                    text = block.text(index)
                    event.lines.append(line)
                    event.raw.append(text)
                    event.size += len(text)
                    event.state = events.goes_on(event.state, line.text, line.role)
                index += 1
                continue
            if event is not None:
                done.append(self._done(event))
                event = None
            if line.role is Role.BLANK:
                spent.add(index)
                index += 1
                continue
            while places[following] <= index:
                following += 1
            # Nothing joins before the next such place, so all lines up to the one before it are events of their own.
            index = places[following] - 1
            spent.add(index)
            event = _Open(block, index)
            index += 1
        self._open = event
        return done, spent

    def close(self) -> list[Event]:
        """End the open event, if there is one."""
        event, self._open = self._open, None
        return [self._done(event)] if event is not None else []

    def _joins(self, event: _Open, line: Line, size: int) -> bool:
        if line.role is Role.START:
            return False
        if len(event.lines) >= self._policy.max_event_lines or event.size + size > self._policy.max_event:
            return False
        head = event.lines[0].role
        return events.joins(
            event.state, head, event.key.level, line.role, line.text, headed=self.headed, length=len(event.lines)
        )

    def _done(self, event: _Open) -> Event:
        key = self._reader.event_key(event.lines, event.key) if len(event.lines) > 1 else event.key
        return Event(event.index, key, event.slot, event.stamp, b"\n".join(event.raw))
