"""Scanning: where the lines of some bytes are, and what is known of each, in a few calls for all of them.

A line is known by its *name*: its skeleton, or that of its text without identifiers (``plain_ids``). Where codes in a
line decide on its key there is a name for each that was seen: the line's, a newline, and what stands from its first
code to its last. ``_scan.c`` is the same, compiled; whichever is there, the same lines are found.
"""

from collections.abc import Sequence
from itertools import accumulate, compress, count, islice
from operator import add, eq, ne
from typing import Generic, Protocol, TypeVar, cast

from rollout_verdict.core.reduction.clock import SHAPE
from rollout_verdict.core.reduction.mask import plain_ids, short_numbers, skeleton

_STAMP = len(SHAPE)
_SECOND = len("2006-01-02T15:04:05")
OVERHEAD = 400  # bytes of the objects around a name, about; as in _scan.c


class Known(Protocol):
    """What is remembered under a name. From ``start`` to ``end`` stand the codes of a line, 0 and 0 if it has none."""

    @property
    def start(self) -> int:
        """Where the first code begins."""
        ...

    @property
    def end(self) -> int:
        """Where the last code ends."""
        ...


L = TypeVar("L", bound=Known)


class Scanner(Generic[L]):
    """Remembers lines by their names; ``size`` is about how many bytes that takes."""

    def __init__(self) -> None:
        self._known: dict[bytes, L] = {}
        self.size = 0

    def get(self, name: bytes) -> L | None:
        """Return what is known under a name."""
        return self._known.get(name)

    def remember(self, name: bytes, line: L) -> None:
        """Remember a line under a name, in place of the one before."""
        if name not in self._known:
            self.size += 3 * len(name) + OVERHEAD
        self._known[name] = line

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()
        self.size = 0

    def scan(self, data: bytes, *, stamped: bool) -> tuple[Sequence[int], list[L | None], list[int]] | None:
        """Look some whole lines up.

        Returns where the text of each begins, with one place more, which is where that of a next line would; what is
        known of each, None for nothing; and, where lines are ``stamped``, which of them have another second than the
        line before. Returns None when a stamped line does not begin as the kubelet writes it (``SHAPE``).
        """
        shapes = skeleton(data)
        gap = 1
        if stamped:
            gap += _STAMP
            names = shapes[_STAMP:].split(b"\n" + SHAPE)
            if not shapes.startswith(SHAPE) or len(names) <= shapes.count(b"\n"):
                return None
        else:
            names = shapes.split(b"\n")
        starts = list(map(add, accumulate(map(len, names), initial=gap - 1), count(0, gap)))
        get = self._known.get
        lines = list(map(get, names))
        missing = [index for index, line in enumerate(lines) if line is None] if None in lines else []
        coded = {line: (line.start, line.end) for line in set(lines) if line is not None and line.end}
        for index in compress(count(), map(coded.__contains__, lines)) if coded else ():
            (first, last), start = coded[cast("L", lines[index])], starts[index]
            lines[index] = get(names[index] + b"\n" + data[start + first : start + last])
        if missing:
            texts = [data[starts[index] : starts[index + 1] - gap] for index in missing]
            for index, line in zip(missing, self._bare(texts, [names[index] for index in missing]), strict=True):
                lines[index] = line
        return starts, lines, _changes(data, starts) if stamped else []

    def _bare(self, texts: list[bytes], names: list[bytes]) -> list[L | None]:
        """Look lines up without their identifiers, which costs a pass of a regular expression.

        A line with a number too long to tell from an identifier is then known by its own skeleton as well: others are
        likely to share it.
        """
        bare = plain_ids(b"\n".join(texts))
        found: list[L | None] = []
        own = map(eq, short_numbers(b"\n".join(names)).split(b"\n"), shorts := skeleton(bare).split(b"\n"))
        for text, short, name, is_own in zip(bare.split(b"\n"), shorts, names, own, strict=True):
            line = self._known.get(short)
            if line is not None and line.end:
                line = self._known.get(short + b"\n" + text[line.start : line.end])
            elif line is not None and is_own:
                self.remember(name, line)
            found.append(line)
        return found


def _changes(data: bytes, starts: list[int]) -> list[int]:
    seconds = [data[at - _STAMP : at - _STAMP + _SECOND] for at in islice(starts, len(starts) - 1)]
    return [0, *compress(count(1), map(ne, seconds, islice(seconds, 1, None)))]
