"""Blocks: some whole lines, kept as the bytes they are, and what is known of each."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain, groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from rollout_verdict.core.reduction.clock import SHAPE

if TYPE_CHECKING:
    from rollout_verdict.core.reduction.lines import Line

_STAMP = len(SHAPE)
_SECOND = len("2006-01-02T15:04:05")
Tally = defaultdict[int | None, "Counter[Line]"]  # for each time slot, how often each line stands there


class Run(NamedTuple):
    """Lines that follow each other and have the same second; ``stop`` is behind the last one."""

    second: bytes
    start: int
    stop: int


class Block:
    """Some whole lines. A line's text is cut out of ``data`` when it is asked for, which is seldom.

    ``starts`` are the places of the texts, and one more; ``changes`` the lines that begin another second, none where
    lines carry no stamp.
    """

    __slots__ = ("_gap", "_starts", "changes", "data", "read", "slots")

    def __init__(self, data: bytes, starts: Sequence[int], read: "list[Line]", changes: list[int]) -> None:
        self.data = data
        self.read = read
        self.changes = changes
        self.slots: list[int | None] = []  # of each run, empty without time stamps
        self._starts = starts
        self._gap = 1 + _STAMP if changes else 1  # bytes between the texts of two lines

    def size(self, index: int) -> int:
        """Return the length of a line without its stamp."""
        return self._starts[index + 1] - self._gap - self._starts[index]

    def text(self, index: int) -> bytes:
        """Return a line without its stamp."""
        return self.data[self._starts[index] : self._starts[index + 1] - self._gap]

    def stamp(self, index: int) -> bytes:
        """Return a line's stamp, b"" where lines carry none."""
        start = self._starts[index]
        return self.data[start - _STAMP : start - 1] if self.changes else b""

    def runs(self) -> list[Run]:
        """Return the lines by their seconds."""
        firsts = ((start, stop, self._starts[start] - _STAMP) for start, stop in pairwise(self._bounds()))
        return [Run(self.data[at : at + _SECOND], start, stop) for start, stop, at in firsts]

    def slot(self, index: int) -> int | None:
        """Return a line's time slot."""
        return self.slots[bisect_right(self.changes, index) - 1] if self.slots else None

    def keep(self, spans: list[tuple[int, int]]) -> None:
        """Drop all lines but these, from and to, each span of one second."""
        starts, read = self._starts, self.read
        pieces = [self.data[starts[first] - _STAMP : starts[stop] - self._gap] for first, stop in spans]
        kept: list[int] = []
        changes, end, second = [], 0, b""
        for (first, stop), piece in zip(spans, pieces, strict=True):
            if piece[:_SECOND] != second:
                second = piece[:_SECOND]
                changes.append(len(kept))
            moved = starts[first] - _STAMP - end
            kept += [start - moved for start in starts[first:stop]]
            end += len(piece) + 1
        self.data = b"\n".join(pieces)
        self.read = [line for first, stop in spans for line in read[first:stop]]
        self.changes = changes
        self._starts = [*kept, end + _STAMP]

    def count(self, tally: Tally) -> None:
        """Count the lines, for each time slot."""
        if not self.slots:
            tally[None].update(self.read)
            return
        for slot, runs in groupby(zip(self.slots, pairwise(self._bounds()), strict=True), key=itemgetter(0)):
            edges = list(chain.from_iterable(bounds for _, bounds in runs))
            tally[slot].update(self.read[edges[0] : edges[-1]])

    def _bounds(self) -> list[int]:
        return [*self.changes, len(self.read)]
