"""Streams: the bytes of one container's log, cut anywhere, counted as events under keys.

Most lines are never touched by Python one by one: a block is made to skeletons, cut, looked up and counted in a few
calls. Only lines that are new, that carry codes, that may belong to an event of several lines, or that are wanted as
samples are looked at on their own.
"""

from rollout_verdict.core.reduction.block import Block
from rollout_verdict.core.reduction.clock import Clock
from rollout_verdict.core.reduction.events import Role
from rollout_verdict.core.reduction.folding import Folding
from rollout_verdict.core.reduction.lines import LineReader
from rollout_verdict.core.reduction.table import Table
from rollout_verdict.core.values import Side, Window

_LOOSE = frozenset((Role.PLAIN, Role.JSON))


class LogStream:
    """One container's log. Feed it bytes, close it; ``table`` then holds what was counted."""

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
        self.size = self.lines = self.events = self.cut = 0
        self.partial = ""
        self.table = Table(reader, windowed=window is not None)
        self.clock = Clock(window, reader.policy.buckets, stamped=timestamps)
        self._reader = reader
        self._policy = reader.policy
        self._folding = Folding(reader)
        self._before = b""  # the stamp of the last line
        self._probe: list[bytes] | None = []
        self._pending: list[bytes] = []
        self._held = 0
        self._closed = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes, cut anywhere."""
        self.size += len(chunk)
        block = self._policy.block
        for start in range(0, len(chunk), block):
            piece = chunk[start : start + block]
            self._pending.append(piece)
            self._held += len(piece)
            if self._held >= block:
                self._cut()

    def close(self, partial: str = "") -> None:
        """End the log. ``partial`` says why it was not read to its end; its last line, cut off, is then left out."""
        if self._closed:
            return
        self._closed = True
        self.partial = partial
        data = b"".join(self._pending)
        self._pending = []
        if partial:
            whole = data.rfind(b"\n") + 1
            self.size -= len(data) - whole
            data = data[:whole]
        if data:
            self._take(data.removesuffix(b"\n"))
        if self._probe:
            self._begin(self._probe)
        last = self._folding.close()
        self.events += len(last)
        self.table.add(last)
        self.table.settle()

    def _cut(self) -> None:
        """Work on what is held up to its last whole line; the rest is held back."""
        if b"\n" not in self._pending[-1]:
            self._pending = [b"".join(self._pending)]
        last = self._pending.pop()
        cut = last.rfind(b"\n")
        rest = last[cut + 1 :][: self._policy.max_line + 1]  # one more than may stay: the line is known to be cut
        if cut >= 0:
            self._take(b"".join((*self._pending, memoryview(last)[:cut])))
        self._pending, self._held = [rest], len(rest)

    def _take(self, data: bytes) -> None:
        """Work on whole lines, once the first ones have told the stream's form."""
        longest = self._policy.max_line
        if _has_longer(data, longest):
            lines = data.split(b"\n")
            self.cut += sum(1 for line in lines if len(line) > longest)
            data = b"\n".join([line[:longest] for line in lines])
        if self._probe is None:
            self._work(data)
            return
        self._probe += data.split(b"\n")
        if prefix := self._first_lines(self._probe):
            self._begin(prefix)

    def _begin(self, prefix: list[bytes]) -> None:
        lines, self._probe = self._probe or [], None
        self._look(prefix)
        self._work(b"\n".join(lines))

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
        block = self._reader.block(b"\n".join(lines), stamped=bool(self.clock.stamped))
        self._reader.find(block)
        headed = runs = 0
        before = Role.BLANK
        for line in block.read:
            if line.role is Role.START:
                headed += 1
            elif line.role in _LOOSE and before not in _LOOSE:
                runs += 1
            before = line.role
        self._folding.headed = headed >= self._policy.headed_share * (headed + runs) and headed > 1

    def _work(self, data: bytes) -> None:
        """Count the events of some whole lines; the last one stays open."""
        stamped = bool(self.clock.stamped)
        block = self._reader.block(data, stamped=stamped, before=self._before)
        if stamped:
            self._before = block.stamp(len(block.read) - 1)
            self._date(block)
        self.lines += len(block.read)
        self._reader.find(block)
        distinct = set(block.read)
        done, spent = self._folding.fold(block, distinct)
        self.events += len(done) + len(block.read) - len(spent)
        self.table.count(block, distinct, done, spent)

    def _date(self, block: Block) -> None:
        """Leave out what is outside the window, and sort the rest by time."""
        runs = block.runs()
        kept = self.clock.inside(runs, block.stamp)
        if kept is not None:
            block.keep(kept)
            runs = block.runs()
        self.clock.note(runs, block.stamp)
        block.slots = self.clock.slots(runs, self.table.shift)


def _has_longer(data: bytes, longest: int) -> bool:
    """Say whether a line may be longer, by a few looks instead of one for each line."""
    start = 0
    while len(data) - start > longest:
        start = data.rfind(b"\n", start, start + longest + 1) + 1
        if start == 0:
            return True
    return False
