"""The one redaction point: whatever leaves the process (prompt, report, store, log record) goes through it.

A secret becomes a typed placeholder, ``<email:1>``: the same secret has the same number, so that a reader still
sees that two lines speak of one thing. Numbers are given in the order of first sight; evidence is sorted, so the
same evidence gets the same numbers. Redacting twice changes nothing.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar

from rollout_verdict.core.evidence import TemplateChange
from rollout_verdict.core.redaction.patterns import DETECTORS, LAST_DETECTORS, Detector, Span, pattern
from rollout_verdict.core.redaction.template import VALUE, shown
from rollout_verdict.core.redaction.values import NAMED_DETECTORS, is_spared, secret_kind

T = TypeVar("T")
Text = Callable[[str], str]
Named = Callable[[str, str], str]  # (name or path, text) -> text

# A secret seen beside its name is replaced where it stands alone, too, if it is too long and odd to be a word.
_DISTINCTIVE = 8
_MOST_KNOWN = 200
_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}")
_REFERENCES = ("secretkeyref", "valuefrom", "configmapkeyref", "fieldref")  # name a secret, do not hold one


@dataclass(slots=True, kw_only=True, eq=False)
class Redactor:
    """Replaces secrets. ``custom`` are the operator's own (kind, regular expression) pairs, tried first.

    A group called ``secret`` in an expression limits what is replaced. Raises ValueError for a kind or an expression
    that cannot be used. Past ``most_numbered`` secrets, placeholders lose their number. Not for several threads.
    """

    custom: Sequence[tuple[str, str]] = ()
    most_numbered: int = 10_000  # a process that lives for months must not collect secrets for ever
    _detectors: tuple[Detector, ...] = field(init=False, repr=False)
    _numbers: dict[tuple[str, str], str] = field(init=False, repr=False, default_factory=dict)
    _used: "Counter[str]" = field(init=False, repr=False, default_factory=Counter)
    _replaced: "Counter[str]" = field(init=False, repr=False, default_factory=Counter)

    def __post_init__(self) -> None:
        own = (Detector(literals=(), find=pattern(kind, _custom(kind, text))) for kind, text in self.custom)
        self._detectors = (*own, *DETECTORS, *NAMED_DETECTORS, *LAST_DETECTORS)

    @property
    def counts(self) -> dict[str, int]:
        """How many times a secret of each kind was replaced, kinds in order."""
        return dict(sorted(self._replaced.items()))

    def text(self, text: str) -> str:
        """Return the text without its secrets."""
        lowered = text.lower()
        for detector in self._detectors:
            if detector.may_find(lowered):
                redacted = self._cut(text, detector.find(text))
                if redacted is not text:
                    text, lowered = redacted, redacted.lower()
        return text

    def tree(self, value: T) -> T:
        """Return the same value with every string in it redacted. Walks dataclasses and tuples.

        A pair of strings, such as a label, and a template change are redacted by their name as well; of variables and
        arguments in a template only what looks harmless is left. What was found beside a name is then replaced wherever
        else it stands.
        """
        redacted: T = _walk(value, self.text, self._named, self._of_template)
        known = sorted((s for s in self._numbers if _is_distinctive(*s)), key=lambda s: (-len(s[1]), s))
        if known:
            again = self._known(known[:_MOST_KNOWN])
            redacted = _walk(redacted, again, lambda _, text: again(text), lambda _, text: again(text))
        return redacted

    def _cut(self, text: str, spans: Iterable[Span]) -> str:
        pieces: list[str] = []
        done = 0
        for kind, start, end in spans:
            pieces += (text[done:start], self._placeholder(kind, text[start:end]))
            done = end
        return "".join([*pieces, text[done:]]) if pieces else text

    def _placeholder(self, kind: str, secret: str) -> str:
        self._replaced[kind] += 1
        number = self._numbers.get((kind, secret))
        if number is None:
            if len(self._numbers) >= self.most_numbered:
                return f"<{kind}:+>"
            self._used[kind] += 1
            number = self._numbers[kind, secret] = str(self._used[kind])
        return f"<{kind}:{number}>"

    def _named(self, name: str, text: str) -> str:
        """Redact a value whose name stands beside it instead of in the text."""
        kind = secret_kind(name)
        lowered = text.lower()
        if kind and not is_spared(kind, text) and not any(word in lowered for word in _REFERENCES):
            return self._placeholder(kind, text)
        return self.text(text)

    def _of_template(self, path: str, text: str) -> str:
        """Redact what stands at a path of a pod template."""
        return shown(path, self._named(path.removesuffix("/value").rstrip("]'\""), text), self._placeholder)

    def _known(self, secrets: Sequence[tuple[str, str]]) -> Callable[[str], str]:
        def replaced(text: str) -> str:
            for kind, secret in secrets:
                if secret in text:
                    placeholder = self._placeholder(kind, secret)
                    self._replaced[kind] += text.count(secret) - 1
                    text = text.replace(secret, placeholder)
            return text

        return replaced


def _custom(kind: str, expression: str) -> "re.Pattern[str]":
    if not _KIND.fullmatch(kind):
        raise ValueError(f"redaction kind {kind!r} must be a lower-case word such as employee-id")
    try:
        compiled = re.compile(expression)
    except re.error as error:
        raise ValueError(f"redaction pattern of {kind!r} is no regular expression: {error}") from error
    if compiled.match(""):
        raise ValueError(f"redaction pattern of {kind!r} matches the empty text and would never end; make it longer")
    return compiled


def _is_distinctive(kind: str, secret: str) -> bool:
    if kind in ("session", VALUE) or len(secret) < _DISTINCTIVE or len(secret) > 4096:
        return False
    return any(map(str.isdigit, secret)) and any(map(str.isalpha, secret))


def _walk(value: Any, text: Text, named: Named, template: Named) -> Any:
    """Rebuild a value around its rewritten strings; parts in which nothing changed are kept as they are."""
    if type(value) is str:  # not an enum's member, which is a word of ours
        return text(value)
    if isinstance(value, TemplateChange):
        stable, canary = template(value.path, value.stable), template(value.path, value.canary)
        return replace(value, path=text(value.path), stable=stable, canary=canary)
    if isinstance(value, tuple):
        return _walk_tuple(value, text, named, template)
    changed = {}
    for name in _fields(type(value)):  # type: ignore[arg-type]  # a class is hashable
        old = getattr(value, name)
        new = _walk(old, text, named, template)
        if new is not old:
            changed[name] = new
    return replace(value, **changed) if changed else value


@cache
def _fields(kind: type) -> tuple[str, ...]:
    """Return the names of a dataclass's fields, none for another type: looked up once, asked for very often."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()


_PLAIN = frozenset({float, int})


def _walk_tuple(value: tuple[Any, ...], text: Text, named: Named, template: Named) -> Any:
    if len(value) == 2 and type(value[0]) is str and type(value[1]) is str:
        pair = (text(value[0]), named(value[0], value[1]))
        return value if pair == value else pair
    if _PLAIN.issuperset(map(type, value)):  # a sample of a series, of which there are more than of anything else
        return value
    new = tuple(_walk(item, text, named, template) for item in value)
    return value if all(map(_same, new, value)) else new


def _same(left: object, right: object) -> bool:
    return left is right
