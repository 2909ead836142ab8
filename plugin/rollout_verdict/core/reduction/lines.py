"""Lines: what is known of all lines that differ in their digits alone, read once and remembered."""

from dataclasses import dataclass, field
from itertools import compress, count
from operator import eq
from typing import TYPE_CHECKING, cast
from weakref import WeakValueDictionary

from rollout_verdict.core.evidence import Level, LogKind
from rollout_verdict.core.reduction import events, header, status, templates
from rollout_verdict.core.reduction.events import Role
from rollout_verdict.core.reduction.mask import plain_ids, shape_of, short_numbers, skeleton

if TYPE_CHECKING:
    from rollout_verdict.core.reduction.block import Block

_OVERHEAD = 400  # bytes of the objects around a remembered line, about
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


@dataclass(slots=True, eq=False, kw_only=True)
class Line:
    """All lines with one skeleton. ``key`` is None where codes in the line decide on it."""

    key: Key | None
    role: Role
    text: str
    head: header.Head
    places: tuple[status.Place, ...]
    start: int = 0  # of the first code
    end: int = 0  # of the last code
    variants: dict[bytes, Key] = field(default_factory=dict)  # by what stands from the first code to the last


class LineReader:
    """Reads lines into ``Line`` and ``Key`` values, remembering a bounded number of lines."""

    def __init__(self, policy: ReducePolicy) -> None:
        self.policy = policy
        self.cache: dict[bytes, Line] = {}
        self._shapes: dict[tuple[bytes, bool], Line] = {}  # by shape, and whether an HTTP status stands there
        self._cached = 0
        self._keys: WeakValueDictionary[tuple[str, str, int, str, str], Key] = WeakValueDictionary()
        self._traces: dict[tuple[int, ...], tuple[tuple[Line, ...], Key]] = {}

    def find(self, block: "Block") -> None:
        """Read the lines of a block: ``read``, and ``bare`` where a line was read without its identifiers.

        Lines are looked up by their skeleton. What is not found there is looked up once more without its hexadecimal
        identifiers, which would make every line a new one; that costs a pass of a regular expression.
        """
        known = list(map(self.cache.get, block.names))
        if None in known:
            missing = [index for index, line in enumerate(known) if line is None]
            bare = plain_ids(b"\n".join(block.texts(missing)))
            texts, names = bare.split(b"\n"), skeleton(bare).split(b"\n")
            lines = [self.cache.get(name) or self.read(name) for name in names]
            full = [block.names[index] for index in missing]
            for index, text, line in zip(missing, texts, lines, strict=True):
                known[index] = line
                if line.key is None:
                    block.bare[index] = text
            short = short_numbers(b"\n".join(full)).split(b"\n")
            for index in compress(count(), map(eq, short, names)):
                self.alias(full[index], lines[index])
        block.read = cast("list[Line]", known)

    def read(self, name: bytes) -> Line:
        """Read a line that is not remembered yet, by its skeleton without identifiers (``plain_ids``)."""
        places = status.places(name)
        http = any(place.kind == "http" for place in places)
        shape = shape_of(name) or name
        known = self._shapes.get((shape, http))
        if known is not None and not places and not known.places:
            self._remember(name, known, 0)
            return known
        text = name.decode("utf-8", "replace")
        line = Line(
            key=None,
            role=known.role if known else events.role_of(text),
            text=text,
            head=known.head if known else header.read(text, has_status=http),
            places=places,
        )
        if places:
            line.start, line.end = places[0].start, places[-1].end
        else:
            line.key = self._line_key(line, "", Level.UNKNOWN)
        self._shapes[shape, http] = line
        self._remember(name, line, len(text))
        return line

    def alias(self, name: bytes, line: Line) -> None:
        """Remember a line under the skeleton it has with its identifiers, where others are likely to share it."""
        if not line.places and name not in self.cache:
            self._remember(name, line, 0)

    def _remember(self, skeleton: bytes, line: Line, size: int) -> None:
        self._cached += 2 * len(skeleton) + size + _OVERHEAD
        if self._cached > self.policy.cache:
            self.cache.clear()
            self._shapes.clear()
            self._cached = 0
        self.cache[skeleton] = line

    def key_of(self, line: Line, data: bytes) -> Key:
        """Return the key of one line of this skeleton: codes in it are read from ``data``."""
        if line.key is not None:
            return line.key
        digits = data[line.start : line.end]
        key = line.variants.get(digits)
        if key is None:
            said = status.status(data, line.places)
            key = self._line_key(line, said, status.numeric_level(data, line.places))
            if len(line.variants) < _MOST_VARIANTS:
                line.variants[digits] = key
        return key

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
        key = self._trace_key(head, first, trace if alone else f"{head.head.message}: {trace}")
        if head.key is not None:  # else the first line's codes decide as well
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

    def _line_key(self, line: Line, said: str, level: Level) -> Key:
        head = line.head
        if level is Level.UNKNOWN:
            level = head.level
        text = templates.tidy(head.message)
        key = self.key(text, level, head.kind, said, head.logger)
        if not head.stack:
            return key
        stack = head.stack.split("\n")
        if trace := events.trace_of([(events.role_of(frame), frame) for frame in stack]):
            return self._trace_key(line, key, f"{text}: {trace}")
        return key

    def _trace_key(self, line: Line, first: Key, text: str) -> Key:
        level = first.level if line.head.stated and first.level is not Level.UNKNOWN else Level.ERROR
        return self.key(text, level, LogKind.TRACE, first.status, first.logger)
