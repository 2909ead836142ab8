"""Blocks: some whole lines, kept as the bytes they are and as a list of skeletons."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import accumulate, compress, count, islice, pairwise
from operator import add, ne

from rollout_verdict.core.reduction.clock import SHAPE, fixed
from rollout_verdict.core.reduction.lines import Line
from rollout_verdict.core.reduction.mask import skeleton

_STAMP = len(SHAPE)
_SECOND = len("2006-01-02T15:04:05")
Tally = dict[int | None, Counter[Line]]  # for each time slot, how often each line stands there


class Block:
    """Some whole lines. A line's text is cut out of ``data`` when it is asked for, which is seldom."""

    __slots__ = ("_sums", "bare", "data", "gap", "names", "read", "slots")

    def __init__(self, data: bytes, *, stamped: bool, before: bytes = b"") -> None:
        """``before`` is the stamp of the line before, which lines without one take over."""
        shapes = skeleton(data)
        self.gap = 1  # bytes between the texts of two lines
        if stamped:
            self.gap += _STAMP
            names = shapes[_STAMP:].split(b"\n" + SHAPE)
            if not shapes.startswith(SHAPE) or len(names) <= shapes.count(b"\n"):
                data = fixed(data, before)
                names = skeleton(data)[_STAMP:].split(b"\n" + SHAPE)
        else:
            names = shapes.split(b"\n")
        self.data = data
        self.names = names  # skeletons of the texts, of the same lengths
        self._sums: list[int] = []
        self.read: list[Line] = []
        self.bare: dict[int, bytes] = {}  # texts without identifiers, where the line was read from that form
        self.slots: list[int | None] = []  # empty without time stamps

    def sums(self) -> list[int]:
        """Return where each text begins in ``data``, less ``gap`` for each line before it."""
        if not self._sums:
            self._sums = list(accumulate(map(len, self.names), initial=self.gap - 1))
        return self._sums

    def text(self, index: int) -> bytes:
        """Return a line without its stamp."""
        start = self.sums()[index] + index * self.gap
        return self.data[start : start + len(self.names[index])]

    def texts(self, indices: Iterable[int]) -> list[bytes]:
        """Return lines without their stamps."""
        data, names, sums, gap = self.data, self.names, self.sums(), self.gap
        starts = [(index, sums[index] + index * gap) for index in indices]
        return [data[start : start + len(names[index])] for index, start in starts]

    def stamp(self, index: int) -> bytes:
        """Return a line's stamp, b"" where lines carry none."""
        start = self.sums()[index] + index * self.gap
        return self.data[start - self.gap + 1 : start - 1] if self.gap > 1 else b""

    def slot(self, index: int) -> int | None:
        """Return a line's time slot."""
        return self.slots[index] if self.slots else None

    def seconds(self) -> list[bytes]:
        """Return the stamps of all lines without their fractions."""
        data, gap = self.data, self.gap
        back = range(1 - gap, 1 - gap + len(self.names) * gap, gap)
        return [data[at : at + _SECOND] for at in map(add, self.sums(), back)]

    def keep(self, indices: list[int]) -> None:
        """Drop all lines but these."""
        whole = [self.stamp(index) + b" " + self.text(index) for index in indices]
        self.names = [self.names[index] for index in indices]
        self.data = b"\n".join(whole)
        self._sums = []

    def tally(self) -> Tally:
        """Count the lines that were read, for each time slot."""
        slots = self.slots
        if not slots or slots.count(slots[0]) == len(slots):
            return {self.slot(0): Counter(self.read)}
        tally: Tally = defaultdict(Counter)
        changes = compress(count(1), map(ne, slots, islice(slots, 1, None)))
        for start, end in pairwise((0, *changes, len(slots))):
            tally[slots[start]].update(self.read[start:end])
        return tally
