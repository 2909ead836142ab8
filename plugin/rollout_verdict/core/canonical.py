"""The one byte form of a value, so that the same facts have the same digest everywhere.

JSON in UTF-8, keys sorted, no blanks. Dataclasses become objects, enums their value, times RFC 3339 in UTC
with ``Z``, sets sorted lists, floats their shortest ``repr`` (which reads back as the same number).
"""

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from hashlib import sha256
from math import isfinite, isnan
from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class CanonicalError(ValueError):
    """A value that has no canonical form; the text names where it stands."""


def canonical(value: Any, *, unbounded: bool = False) -> bytes:
    """Return the canonical bytes of a value.

    With ``unbounded`` an infinite float becomes ``null``, the way an interval without a bound is written; NaN
    never has a form. Raises CanonicalError for other non-finite floats, naive times and foreign types.
    """
    tree = plain(value, unbounded=unbounded)
    return _dump(tree).encode("utf-8")


def digest(value: Any) -> str:
    """Return the sha256 of the canonical bytes, as 64 hex digits. Infinite floats count as ``null``."""
    return sha256(canonical(value, unbounded=True)).hexdigest()


def plain(value: Any, *, unbounded: bool = False, where: str = "") -> Any:  # noqa: PLR0911 -- one a type
    """Return the value as dicts, lists, strings, numbers, booleans and None. Raises as ``canonical`` does.

    A lone surrogate in a string, which UTF-8 cannot carry, becomes U+FFFD.
    """
    if isinstance(value, Enum):
        return plain(value.value, unbounded=unbounded, where=where)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return _number(value, unbounded=unbounded, where=where)
    if isinstance(value, datetime | timedelta):
        return _time(value, where)
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value)]
        return {n: plain(getattr(value, n), unbounded=unbounded, where=f"{where}.{n}") for n in names}
    if isinstance(value, Mapping):
        return {_key(k, where): plain(v, unbounded=unbounded, where=f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, AbstractSet):
        return sorted((plain(v, unbounded=unbounded, where=f"{where}{{}}") for v in value), key=_dump)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain(v, unbounded=unbounded, where=f"{where}[{n}]") for n, v in enumerate(value)]
    raise CanonicalError(f"{_at(where)} has no canonical form: {type(value).__name__}")


def _dump(tree: Any) -> str:
    return json.dumps(tree, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _at(where: str) -> str:
    return where.removeprefix(".") or "the value"


def _text(value: str) -> str:
    if value.isascii():
        return value
    return "".join(REPLACEMENT if "\ud800" <= char <= "\udfff" else char for char in value)


def _key(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise CanonicalError(f"{_at(where)} has a key that is no string: {type(value).__name__}")
    text: str = plain(value)
    return text


def _number(value: float, *, unbounded: bool, where: str) -> float | None:
    if isfinite(value):
        return value
    if unbounded and not isnan(value):
        return None
    raise CanonicalError(f"{_at(where)} must be a finite number, got {value!r}")


def _time(value: datetime | timedelta, where: str) -> str | float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if value.utcoffset() is None:
        raise CanonicalError(f"{_at(where)} must be an aware time, got {value!r}")
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
