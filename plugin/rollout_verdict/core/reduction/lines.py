"""Lines: what is known of all lines that differ in their digits alone, read once and remembered."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast
from weakref import WeakValueDictionary

from rollout_verdict.core.evidence import Level, LogKind
from rollout_verdict.core.reduction import events, header, scan, status, templates
from rollout_verdict.core.reduction.block import Block
from rollout_verdict.core.reduction.clock import fixed
from rollout_verdict.core.reduction.events import Role
from rollout_verdict.core.reduction.mask import plain_ids, shape_of, skeleton

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_VARIANTS = 1_000  # keys remembered for a line with codes
_MOST_TRACES = 1_000  # events of several lines whose key is remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class ReducePolicy:
    """Bounds of the reduction. Sizes are in bytes unless told otherwise."""

    max_keys: int = 50_000  # distinct keys of one stream; a service has a few thousand, more is free text
    max_line: int = 65_536  # the rest of a longer line is counted as cut; the kubelet splits at 16 KiB
    max_event_lines: int = 256  # a trace is shorter; an endless continuation must end
    max_event: int = 32_768
    max_template: int = 2_000  # characters; nobody reads more
    max_sample: int = 4_096
    samples: int = 3  # of a pattern at WARN or above, on each side
    calm_samples: int = 1  # of a pattern below
    buckets: int = 10  # of the window; without one, powers of two seconds that give up to twice as many
    block: int = 524_288  # lines are worked on in blocks of this size
    probe_lines: int = 500  # the first lines tell whether lines carry a header ...
    probe: int = 262_144  # ... or those in the first bytes, where lines are long
    headed_share: float = 0.6  # share of headed lines above which others continue the event before
    cache: int = 8_388_608  # text of skeletons that is remembered
    merge: templates.MergePolicy = field(default_factory=templates.MergePolicy)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Key:
    """What an event is counted under. The reader makes one object for each, so identity is equality."""

    template: str
    level: Level
    kind: LogKind
    status: str
    logger: str

    @property
    def order(self) -> tuple[str, str, int, str, str]:
        """A total order that every process agrees on."""
        return (self.template, self.status, self.level, self.kind, self.logger)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """All lines with one name: those of one skeleton, and with the same codes if there are any."""

    key: Key
    role: Role
    text: str
    head: header.Head
    start: int = 0  # there are no codes that are still to be looked at
    end: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class Coded:
    """All lines with one skeleton, in which codes decide on the key: from ``start`` to ``end``, at ``places``."""

    shape: bytes
    role: Role
    text: str
    head: header.Head
    places: tuple[status.Place, ...]
    start: int
    end: int
    variants: int = 0  # lines with codes that are remembered of it


_scanner: type[scan.Scanner[Line | Coded]] = scan.Scanner
with suppress(ImportError):  # it is there where a compiler was at hand when this was installed
    from rollout_verdict.core.reduction import _scan

    _scanner = _scan.Scanner


class LineReader:
    """Reads lines into ``Line`` and ``Key`` values, remembering a bounded number of lines."""

    def __init__(self, policy: ReducePolicy) -> None:
        self.policy = policy
        self.scanner = _scanner()
        self._shapes: dict[tuple[bytes, bool], Line | Coded] = {}  # by shape, and whether an HTTP status stands there
        self._said: dict[tuple[bytes, str, Level], Line] = {}  # by shape, and what the codes say
        self._keys: WeakValueDictionary[tuple[str, str, int, str, str], Key] = WeakValueDictionary()
        self._traces: dict[tuple[int, ...], tuple[tuple[Line, ...], Key]] = {}

    def block(self, data: bytes, *, stamped: bool, before: bytes = b"") -> Block:
        """Cut whole lines; ``before`` is the stamp of the line before, which lines without one take over."""
        found = self.scanner.scan(data, stamped=stamped)
        if found is None:
            data = fixed(data, before)
            found = self.scanner.scan(data, stamped=stamped)
        return Block(data, *cast("tuple[Sequence[int], list[Line], list[int]]", found))

    def find(self, block: Block) -> None:
        """Read the lines of a block that are not known yet."""
        read = cast("list[Line | None]", block.read)
        if None in read:
            block.read = [line or self.line(block.text(index)) for index, line in enumerate(read)]

    def line(self, text: bytes) -> Line:
        """Read one line."""
        bare = plain_ids(text)
        name = skeleton(bare)
        line = self.scanner.get(name) or self.read(name)
        return line if isinstance(line, Line) else self._with_codes(name, line, bare)

    def read(self, name: bytes) -> Line | Coded:
        """Read a line that is not remembered yet, by its skeleton without identifiers (``plain_ids``)."""
        places = status.places(name)
        http = any(place.kind == "http" for place in places)
        shape = shape_of(name) or name
        known = self._shapes.get((shape, http))
        if isinstance(known, Line) and not places:
            self._remember(name, known)
            return known
        text = name.decode("utf-8", "replace")
        role = known.role if known else events.role_of(text)
        head = known.head if known else header.read(text, has_status=http)
        line: Line | Coded
        if places:
            start, end = places[0].start, places[-1].end
            line = Coded(shape=shape, role=role, text=text, head=head, places=places, start=start, end=end)
        else:
            line = Line(key=self._key(head, "", Level.UNKNOWN), role=role, text=text, head=head)
        self._remember(name, line)
        self._shapes[shape, http] = line
        return line

    def _with_codes(self, name: bytes, line: Coded, text: bytes) -> Line:
        """Return the line for the codes that stand in ``text``."""
        name += b"\n" + text[line.start : line.end]
        known = self.scanner.get(name)
        if isinstance(known, Line):
            return known
        said, level = status.status(text, line.places), status.numeric_level(text, line.places)
        found = self._said.get((line.shape, said, level))
        if found is None:
            key = self._key(line.head, said, level)
            found = self._said[line.shape, said, level] = Line(key=key, role=line.role, text=line.text, head=line.head)
        if line.variants < _MOST_VARIANTS:
            line.variants += 1
            self._remember(name, found)
        return found

    def _remember(self, name: bytes, line: Line | Coded) -> None:
        if self.scanner.size > self.policy.cache:
            self.scanner.clear()
            self._shapes.clear()
            self._said.clear()
        self.scanner.remember(name, line)

    def event_key(self, lines: list[Line], first: Key) -> Key:
        """Return the key of an event of several lines: that of its trace, or that of its first line."""
        known = tuple(map(id, lines))
        if known in self._traces:
            return self._traces[known][1]
        trace = events.trace_of([(line.role, line.text) for line in lines])
        if not trace:
            return first
        head = lines[0]
        alone = head.role in (Role.OPENER, Role.FRAME, Role.CAUSE, Role.INDENT)
        key = self._trace_key(head.head, first, trace if alone else f"{head.head.message}: {trace}")
        if len(self._traces) >= _MOST_TRACES:
            self._traces.clear()
        self._traces[known] = (tuple(lines), key)  # the lines are kept so that their ids stay theirs
        return key

    def coarse(self, key: Key, *, words: int) -> Key:
        """Return the key that stands in when a table is full: the first words and how many there are in all."""
        all_words = key.template.split(" ")
        text = f"{' '.join(all_words[:words])} … ({len(all_words)} words)" if words else "…"
        return self.key(text, key.level, key.kind, key.status, "")

    def key(self, template: str, level: Level, kind: LogKind, status_: str, logger: str) -> Key:
        """Return the one key with these parts."""
        if len(template) > self.policy.max_template:
            template = f"{template[: self.policy.max_template]}…"
        parts = (template, status_, int(level), str(kind), logger)
        found = self._keys.get(parts)
        if found is None:
            self._keys[parts] = found = Key(template=template, level=level, kind=kind, status=status_, logger=logger)
        return found

    def _key(self, head: header.Head, said: str, level: Level) -> Key:
        """Return the key of a line with this head, in which the codes say this."""
        level = head.level if level is Level.UNKNOWN else level
        text = templates.tidy(head.message)
        key = self.key(text, level, head.kind, said, head.logger)
        frames = head.stack.split("\n") if head.stack else ()
        trace = events.trace_of([(events.role_of(frame), frame) for frame in frames])
        return self._trace_key(head, key, f"{text}: {trace}") if trace else key

    def _trace_key(self, head: header.Head, first: Key, text: str) -> Key:
        level = first.level if head.stated and first.level is not Level.UNKNOWN else Level.ERROR
        return self.key(text, level, LogKind.TRACE, first.status, first.logger)
