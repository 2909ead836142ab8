"""Decoder for gob streams: bytes in, values out, whatever types the sender describes.

A gob stream describes its own types. The decoder keeps one reader for each type, a function made when the type
is first met, so that a value costs one function call for each container and leaf. Values arrive as dict (struct,
only the fields that were sent: zero values are not), list (slice, array), dict (map; a tuple of pairs when the
keys cannot be hashed), bytes (types that encode themselves), :class:`Named` (interface) and plain scalars.

What the caller does not want is passed over without building it: see :class:`Only`.

Source: Go ``encoding/gob`` ``doc.go``, ``decode.go``, ``decoder.go``, ``encode.go`` (encodeInterface, writeMessage).
"""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from rollout_verdict.wire.errors import BadValueError, RemoteProtocolError
from rollout_verdict.wire.gob_readers import NOTHING, Named, Only, Readers
from rollout_verdict.wire.gob_types import (
    BUILTIN_TYPES,
    FIRST_USER_TYPE,
    MAX_DESCRIPTIONS,
    MAX_MESSAGE,
    MAX_TYPES,
    MAX_UINT_BYTES,
    WIRE_TYPE,
    ArrayType,
    GobType,
    MapType,
    OpaqueType,
    SliceType,
    StructType,
    read_int,
    read_uint,
)

__all__ = ["NEED_DATA", "NOTHING", "Decoder", "Named", "NeedData", "Only"]


class NeedData:
    """The type of NEED_DATA: more bytes are needed (None is a value: the nil interface)."""

    __slots__ = ()


NEED_DATA: Final = NeedData()
# Bytes of a value that may be read in vain, because its next piece was missing: each piece has the value read from its
# start. Argo's values have one piece of 30 bytes before the one that completes them.
_MAX_IN_VAIN = 1 << 20


class _NeedMessageError(Exception):
    """A type sequence goes on in the next message (see ``_Value``)."""


class _Value:
    """A value under way.

    One value may span messages: when an interface brings types the stream has not described yet, the encoder flushes
    what it has, sends the descriptions as messages, and goes on (encode.go encodeInterface, encoder.go
    sendActualType). ``data`` joins the pieces without their length prefixes and without the descriptions between
    them; ``described`` maps the position of a description inside ``data`` that has been read to the position after it.
    """

    __slots__ = ("data", "described", "in_vain", "start", "type_id")

    def __init__(self, type_id: int, data: bytes, start: int) -> None:
        self.type_id = type_id
        self.data = data
        self.start = start
        self.described: dict[int, int] = {}
        self.in_vain = 0


_NO_VALUE: Final = _Value(-1, b"", 0)


class Decoder:
    """One direction of one stream.

    Memory: at most MAX_MESSAGE of input for a message or a value, MAX_PARTS that are made of it, and what
    MAX_DESCRIPTIONS describe. Time: a value is read from its start again with each of its pieces, but no more than
    twice its length, or _MAX_IN_VAIN, is read in vain.
    """

    def __init__(self) -> None:
        self._types: dict[int, GobType] = dict(BUILTIN_TYPES)
        self._room = MAX_DESCRIPTIONS
        self._readers = Readers(self._types, self._type_sequence)
        self._rest = bytearray()  # an unfinished message
        self._need = 0  # bytes without which looking at it again is no use
        self._bad_length = ""  # what is wrong with the message after the last complete one
        self._messages: deque[bytes] = deque()
        self._value = _NO_VALUE
        self._broken = ""

    def receive_data(self, data: bytes) -> None:
        """Take bytes of the stream. What is wrong with them is said by ``next_value``, when it gets there."""
        if self._bad_length:
            return
        if self._rest:
            self._rest += data
            if len(self._rest) < self._need:
                return
            data = bytes(self._rest)
            self._rest.clear()
        position, size = 0, len(data)
        while position < size:
            first = data[position]
            length, start = (first, position + 1) if first < 128 else self._long_length(data, position)
            if self._bad_length:
                return
            end = start + length
            if end > size:
                self._need = end - position
                self._rest += data[position:]
                return
            self._messages.append(data[start:end])
            position = end

    def next_value(self, only: Only | None = None) -> Any:
        """Return the next value, or NEED_DATA. ``only`` says what is wanted of it; it must not change in between.

        Raises BadValueError when the value contradicts its type; it is then dropped, and the next message may be
        tried. Raises RemoteProtocolError when the stream itself is broken, then and ever after.
        """
        if self._broken:
            raise RemoteProtocolError(self._broken)
        while self._messages:
            try:
                value = self._message(self._messages.popleft(), only)
            except IndexError:
                self._value = _NO_VALUE
                raise BadValueError("a gob value runs past the end of its message") from None
            except BadValueError:
                self._value = _NO_VALUE
                raise
            except RemoteProtocolError as error:
                self._broken = str(error)
                raise
            if value is not NEED_DATA:
                self._value = _NO_VALUE
                return value
        if self._bad_length:
            raise RemoteProtocolError(self._bad_length)
        return NEED_DATA

    def _long_length(self, data: bytes, position: int) -> tuple[int, int]:
        """Return a length of several bytes and where the message begins, as far as the bytes are there."""
        count = 256 - data[position]
        start = position + 1 + count
        if count > MAX_UINT_BYTES:
            self._bad_length = f"a gob message length of {count} bytes; gob knows at most {MAX_UINT_BYTES}"
            return 0, start
        length = int.from_bytes(data[position + 1 : start], "big") if start <= len(data) else 0
        if length > MAX_MESSAGE:
            self._bad_length = f"a gob message of {length} bytes; at most {MAX_MESSAGE} are accepted"
        return length, start

    def _message(self, message: bytes, only: Only | None) -> Any:
        type_id, position = read_int(message, 0)
        if type_id < 0:
            if self._define(-type_id, message, position) != len(message):
                raise RemoteProtocolError(f"extra bytes after the description of type {-type_id}")
            return NEED_DATA
        value = self._value
        if value is _NO_VALUE:
            value = self._value = _Value(type_id, message, position)
        else:
            if len(value.data) + len(message) > MAX_MESSAGE:
                raise RemoteProtocolError(f"a value of more than {MAX_MESSAGE} bytes in pieces")
            value.data += message
        try:
            result, position = self._readers.read(value.type_id, only, value.data, value.start)
        except _NeedMessageError:
            value.in_vain += len(value.data)
            if value.in_vain > max(_MAX_IN_VAIN, 2 * len(value.data)):
                raise RemoteProtocolError("a gob value in too many pieces") from None
            return NEED_DATA
        if position > len(value.data):
            raise IndexError
        if position < len(value.data):
            raise BadValueError(f"{len(value.data) - position} bytes too many after a gob value")
        return result

    def _define(self, type_id: int, data: bytes, position: int) -> int:
        """Read the description of a type and return the position after it. What is wrong here breaks the stream."""
        if type_id < FIRST_USER_TYPE:
            raise RemoteProtocolError(f"type id {type_id} is reserved, user types start at {FIRST_USER_TYPE}")
        if type_id in self._types:
            raise RemoteProtocolError(f"type {type_id} is described twice")
        if len(self._types) >= MAX_TYPES:
            raise RemoteProtocolError(f"more than {MAX_TYPES} types in a stream")
        content = data[position : position + self._room]
        try:
            wire_type, size = self._readers.read(WIRE_TYPE, None, content, 0)
            content[size - 1]  # the last byte must be there
        except IndexError:
            if len(content) == self._room:
                raise RemoteProtocolError(f"more than {MAX_DESCRIPTIONS} bytes of descriptions in a stream") from None
            raise RemoteProtocolError(f"the description of type {type_id} is cut off") from None
        except BadValueError as error:
            raise RemoteProtocolError(f"the description of type {type_id}: {error}") from None
        if len(wire_type) != 1:
            raise RemoteProtocolError(f"type {type_id} is described as {len(wire_type)} kinds, not as one")
        self._types[type_id] = _described(*wire_type.popitem())
        self._room -= size
        return position + size

    def _type_sequence(self, data: bytes, position: int) -> tuple[int, int]:
        """Read descriptions up to the id of an interface's concrete type (decoder.go decodeTypeSequence)."""
        value = self._value
        while True:
            if position == len(data):
                raise _NeedMessageError
            type_id, after = read_int(data, position)
            if type_id >= 0:
                return type_id, after
            if position in value.described:  # read in an earlier attempt at this value
                position = value.described[position]
                continue
            end = self._define(-type_id, data, after)
            if end < len(data):
                # encoder.go writeMessage: inside another interface the pieces are joined by their byte counts. Where a
                # piece ended with this description, it was read before the next piece came.
                end = read_uint(data, end)[1]
            value.described[position] = end
            position = end


def _described(kind: str, parts: Mapping[str, Any]) -> GobType:
    """Return a type from a field of wireType. Names and inner ids vary with what the sender's process met first."""
    if kind == "StructT":
        return StructType(tuple((field.get("Name", ""), field.get("Id", 0)) for field in parts.get("Field", ())))
    if kind == "SliceT":
        return SliceType(parts.get("Elem", 0))
    if kind == "MapT":
        return MapType(parts.get("Key", 0), parts.get("Elem", 0))
    if kind == "ArrayT":
        return ArrayType(parts.get("Elem", 0), parts.get("Len", 0))
    return OpaqueType()
