"""The one byte form of a value, so that the same facts have the same digest everywhere.

JSON in UTF-8, keys sorted, no blanks. Dataclasses become objects, enums their value, times RFC 3339 in UTC
with ``Z``, sets sorted lists, floats their shortest ``repr`` (which reads back as the same number).
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from hashlib import sha256
from math import isfinite, isnan
from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# Metadata of a dataclass field that came after values had been recorded: it is left out while it holds its default, so
# that what was recorded before keeps its bytes and its digest.
LATER: Mapping[str, bool] = {"later": True}


class CanonicalError(ValueError):
    """A value that has no canonical form; the text names where it stands."""

    def __init__(self, problem: str, where: str = "") -> None:
        super().__init__(f"{where.removeprefix('.') or 'the value'} {problem}")
        self._problem, self._where = problem, where

    def below(self, step: str) -> "CanonicalError":
        """Return the same error, seen from one level further out."""
        return CanonicalError(self._problem, step + self._where)


def canonical(value: Any, *, unbounded: bool = False) -> bytes:
    """Return the canonical bytes of a value.

    With ``unbounded`` an infinite float becomes ``null``, the way an interval without a bound is written; NaN
    never has a form. Raises CanonicalError for other non-finite floats, naive times and foreign types.
    """
    return _dump(plain(value, unbounded=unbounded)).encode("utf-8")


def digest(value: Any) -> str:
    """Return the sha256 of the canonical bytes, as 64 hex digits. Infinite floats count as ``null``."""
    return sha256(canonical(value, unbounded=True)).hexdigest()


def plain(value: Any, *, unbounded: bool = False) -> Any:  # noqa: C901, PLR0911 -- one branch a type
    """Return the value as dicts, lists, strings, numbers, booleans and None. Raises as ``canonical`` does.

    A lone surrogate in a string, which UTF-8 cannot carry, becomes U+FFFD.
    """
    if isinstance(value, float):  # first what there is most of: samples
        return value if isfinite(value) else _unbounded(value, allowed=unbounded)
    if isinstance(value, (tuple, list)):
        return _items(value, unbounded=unbounded)
    if isinstance(value, Enum):
        return plain(value.value, unbounded=unbounded)
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, int):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return _members(_told(value), unbounded=unbounded)
    if isinstance(value, Mapping):
        return _members(value.items(), unbounded=unbounded)
    if isinstance(value, AbstractSet):
        return sorted(_items(value, unbounded=unbounded), key=_dump)
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise CanonicalError(f"has no canonical form: {type(value).__name__}")


def _told(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a dataclass with their values, without later ones at their default."""
    for name, later, default in _fields(type(value)):  # type: ignore[arg-type]  # a class is hashable
        held = getattr(value, name)
        if not (later and held == default):
            yield name, held


@cache
def _fields(kind: type) -> tuple[tuple[str, bool, Any], ...]:
    """Return name, lateness and default of each field of a dataclass: looked up once, asked for very often."""
    return tuple((field.name, "later" in field.metadata, field.default) for field in fields(kind))


def _dump(tree: Any) -> str:
    return json.dumps(tree, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _items(values: Iterable[Any], *, unbounded: bool) -> list[Any]:
    items: list[Any] = []
    try:
        for value in values:
            items.append(plain(value, unbounded=unbounded))  # noqa: PERF401 -- the count is needed when one fails
    except CanonicalError as error:
        raise error.below(f"[{len(items)}]") from None
    return items


def _members(pairs: Iterable[tuple[Any, Any]], *, unbounded: bool) -> dict[str, Any]:
    members = {}
    for name, value in pairs:
        if not isinstance(name, str):
            raise CanonicalError(f"has a key that is no string: {type(name).__name__}")
        try:
            members[_text(name)] = plain(value, unbounded=unbounded)
        except CanonicalError as error:
            raise error.below(f".{name}") from None
    return members


def _text(value: str) -> str:
    if value.isascii():
        return value
    return "".join(REPLACEMENT if "\ud800" <= char <= "\udfff" else char for char in value)


def _unbounded(value: float, *, allowed: bool) -> None:
    if not allowed or isnan(value):
        raise CanonicalError(f"must be a finite number, got {value!r}")


def _time(value: datetime) -> str:
    if value.utcoffset() is None:
        raise CanonicalError(f"must be an aware time, got {value!r}")
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
