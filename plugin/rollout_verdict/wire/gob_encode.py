"""Encoder for gob streams of fixed schemas: the few types a plugin ever answers with.

A Go client that cannot decode a reply goes silent for good, so nothing is left to chance here: a schema is data, a
value is checked against it before a byte is made, and :meth:`Encoder.encode` returns all bytes of its values or none.

Source: Go ``encoding/gob`` ``doc.go`` ("Encoding Details"), ``encoder.go`` (sendActualType), ``type.go`` (wireType).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rollout_verdict.wire.errors import LocalProtocolError
from rollout_verdict.wire.gob_types import BOOL, BYTES, INT, STRING, UINT, write_int, write_uint

_END = b"\x00"  # of a struct


class Scalar(NamedTuple):
    """A basic type. ``encode`` raises TypeError or ValueError for a value that is not of this type."""

    type_id: int
    encode: Callable[[Any], bytes]


class Opaque(NamedTuple):
    """A GobEncoder type such as time.Time: bytes that only Go's own type understands."""

    type_id: int
    name: str


class StringMap(NamedTuple):
    """map[string]string. None and an empty map are the same to the receiver."""

    type_id: int


class Struct(NamedTuple):
    """Fields in wire order. A value is a mapping; a field that is missing, None or zero is not sent."""

    type_id: int
    name: str
    fields: tuple[tuple[str, "Schema"], ...]


Schema = Scalar | Opaque | StringMap | Struct


def _bool(value: Any) -> bytes:
    if not isinstance(value, bool):
        raise TypeError("expected a bool")
    return b"\x01" if value else b"\x00"


def _int(value: Any) -> bytes:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("expected an int")
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError("out of int64")
    return write_int(value)


def _uint(value: Any) -> bytes:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("expected an int")
    if not 0 <= value < 1 << 64:
        raise ValueError("out of uint64")
    return write_uint(value)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("expected bytes")
    return write_uint(len(value)) + value


def _string(value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError("expected a str")
    # The receiver puts most strings into JSON: surrogates that stand for odd bytes become those bytes again, any
    # other is an error (UnicodeEncodeError is a ValueError).
    encoded = value.encode("utf-8", "surrogateescape")
    return write_uint(len(encoded)) + encoded


BOOLEAN = Scalar(type_id=BOOL, encode=_bool)
INTEGER = Scalar(type_id=INT, encode=_int)
UNSIGNED = Scalar(type_id=UINT, encode=_uint)
BYTE_STRING = Scalar(type_id=BYTES, encode=_bytes)
TEXT = Scalar(type_id=STRING, encode=_string)


class Encoder:
    """One direction of one stream: remembers which types it has described."""

    def __init__(self) -> None:
        self._described: frozenset[int] = frozenset()

    def encode(self, *values: tuple[Schema, Any]) -> bytes:
        """Return the messages for values in turn, with descriptions of types the stream has not seen.

        Raises LocalProtocolError when a value does not fit its schema; the stream is then as it was before.
        """
        described = set(self._described)
        out = bytearray()
        try:
            for schema, value in values:
                _describe(schema, described, out)
                body = _encode(schema, value)
                singleton = b"" if isinstance(schema, Struct) else _END  # encode.go encodeSingle: field delta 0
                _append_message(out, write_int(schema.type_id) + singleton + body)
        except (TypeError, ValueError) as error:
            raise LocalProtocolError(f"cannot send this reply: {error}") from error
        self._described = frozenset(described)
        return bytes(out)


def _append_message(out: bytearray, content: bytes) -> None:
    out += write_uint(len(content))
    out += content


def _encode(schema: Schema, value: Any) -> bytes:
    match schema:
        case Scalar(encode=encode):
            return encode(value)
        case Opaque():
            return _bytes(value)
        case StringMap():
            return _encode_map(value)
        case _:
            return _encode_struct(schema, value)


def _encode_map(value: Any) -> bytes:
    if value is None:
        return b"\x00"
    if not isinstance(value, Mapping):
        raise TypeError("expected a mapping")
    pairs = (_string(key) + _string(value[key]) for key in value)
    return write_uint(len(value)) + b"".join(pairs)


def _encode_struct(schema: Struct, value: Any) -> bytes:
    if not isinstance(value, Mapping):
        raise TypeError(f"{schema.name}: expected a mapping")
    known = {name for name, _ in schema.fields}
    if not known.issuperset(value):
        raise ValueError(f"{schema.name} has no field {min(set(value) - known)!r}")
    out = bytearray()
    last = -1
    for number, (name, field) in enumerate(schema.fields):
        part = value.get(name)
        try:
            # doc.go: zero values are left out, but a struct is always sent.
            if not isinstance(field, Struct) and _is_zero(part):
                continue
            encoded = _encode(field, {} if part is None else part)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{schema.name}.{name}: {error}") from error
        out += write_uint(number - last) + encoded
        last = number
    return bytes(out) + _END


def _is_zero(value: Any) -> bool:
    return value is None or value is False or (isinstance(value, int) and value == 0) or value in ("", b"")


def _describe(schema: Schema, described: set[int], out: bytearray) -> None:
    """Append descriptions of a type and its parts, each as a message of its own, the whole before its parts."""
    if isinstance(schema, Scalar) or schema.type_id in described:
        return
    described.add(schema.type_id)
    _append_message(out, write_int(-schema.type_id) + _description(schema))
    if isinstance(schema, Struct):
        for _, field in schema.fields:
            _describe(field, described, out)


def _description(schema: Opaque | StringMap | Struct) -> bytes:
    """Return a wireType: the number of the one field that is set, and its content (type.go wireType)."""
    match schema:
        case StringMap():
            return (
                b"\x04"
                + _common("", schema.type_id)
                + b"\x01"
                + write_int(STRING)
                + b"\x01"
                + write_int(STRING)
                + _END
                + _END
            )
        case Opaque(name=name):
            return b"\x05" + _common(name, schema.type_id) + _END + _END
        case _:
            fields: Sequence[tuple[str, Schema]] = schema.fields
            out = b"\x03" + _common(schema.name, schema.type_id)
            if fields:
                described = (
                    b"\x01" + _string(label) + b"\x01" + write_int(part.type_id) + _END for label, part in fields
                )
                out += b"\x01" + write_uint(len(fields)) + b"".join(described)
            return out + _END + _END


def _common(name: str, type_id: int) -> bytes:
    """Return field 0 of every description: CommonType with its name, left out when "", and id."""
    named = b"\x01" + _string(name) + b"\x01" if name else b"\x02"
    return b"\x01" + named + write_int(type_id) + _END
