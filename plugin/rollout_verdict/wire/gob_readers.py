"""Functions that read values of the types a gob stream described, made once for each type.

Readers may run past the end of a value: slices are silently short and positions grow past the end, so the next byte
they want raises IndexError, or the final position is wrong. The caller of the outermost reader checks for both. Thus
no reader needs to look for the end, and every turn of a loop eats at least a byte.

Source: Go ``encoding/gob`` ``doc.go`` ("Encoding Details"), ``decode.go``.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from rollout_verdict.wire.errors import BadValueError
from rollout_verdict.wire.gob_types import (
    BOOL,
    BUILTIN_TYPES,
    BYTES,
    COMPLEX,
    FLOAT,
    INT,
    INTERFACE,
    MAX_DEPTH,
    MAX_NAME,
    MAX_PARTS,
    STRING,
    UINT,
    WIRE_TYPE,
    ArrayType,
    GobType,
    MapType,
    OpaqueType,
    SliceType,
    StructType,
    read_bool,
    read_bytes,
    read_complex,
    read_float,
    read_int,
    read_string,
    read_uint,
)

# Readers are made for parts before they are made for the whole. Deeper than this, and where types are recursive or
# not described yet, a part's reader is looked up when it is needed, and counted against MAX_DEPTH.
_MAX_HEIGHT = 50

Reader = Callable[[bytes, int], tuple[Any, int]]
Skipper = Callable[[bytes, int], int]


class Only:
    """The part of a value that the caller wants: field name -> what is wanted of the field (None: all of it).

    Slices, arrays and maps hand it on to their elements; an interface looks up the name of its concrete type.
    """

    __slots__ = ("fields",)

    def __init__(self, **fields: "Only | None") -> None:
        self.fields: Mapping[str, Only | None] = fields


NOTHING: Final = Only()  # pass over the whole value


class Named(NamedTuple):
    """What an interface held: the registered name of its concrete type, and the value."""

    name: str
    value: Any


_SCALARS: dict[int, Reader] = {
    BOOL: read_bool,
    INT: read_int,
    UINT: read_uint,
    FLOAT: read_float,
    BYTES: read_bytes,
    STRING: read_string,
    COMPLEX: read_complex,
}


def _skip_uint(data: bytes, position: int) -> int:
    return read_uint(data, position)[1]


def _skip_complex(data: bytes, position: int) -> int:
    return _skip_uint(data, _skip_uint(data, position))


def _skip_bytes(data: bytes, position: int) -> int:
    size = data[position]
    if size < 128:
        return position + 1 + size
    size, position = read_uint(data, position)
    return position + size


_SCALAR_SKIPPERS: dict[int, Skipper] = {
    BOOL: _skip_uint,
    INT: _skip_uint,
    UINT: _skip_uint,
    FLOAT: _skip_uint,
    BYTES: _skip_bytes,
    STRING: _skip_bytes,
    COMPLEX: _skip_complex,
}


class Readers:
    """The readers of one stream.

    ``types`` may grow at any time, but no entry ever changes. ``type_sequence`` is told the position of an
    interface's type sequence and returns the id of the concrete type and the position after it.
    """

    def __init__(self, types: Mapping[int, GobType], type_sequence: Callable[[bytes, int], tuple[int, int]]) -> None:
        self._types = types
        self._type_sequence = type_sequence
        self._readers: dict[tuple[int, Only | None], tuple[Reader, int]] = dict(_BUILTIN_READERS)
        self._skippers: dict[int, tuple[Skipper, int]] = {}
        self._building: set[object] = set()  # what is being made further up: recursion ends there
        self._depth = 0
        self._parts: float = math.inf  # that the value being read may still be made into

    def read(self, type_id: int, only: Only | None, data: bytes, position: int) -> tuple[Any, int]:
        """Read a whole value: what follows a type id. Raises BadValueError, or IndexError past the end."""
        outer = self._depth, self._parts  # descriptions of types are read in the middle of values
        reader, self._depth = self._reader(type_id, only)
        self._parts = MAX_PARTS
        value, position = reader(data, self._first(type_id, data, position))
        self._depth, self._parts = outer
        return value, position

    def _first(self, type_id: int, data: bytes, position: int) -> int:
        """Return where a value proper begins: anything but a struct follows a zero byte (decode.go decodeSingle)."""
        if isinstance(self._types.get(type_id), StructType):
            return position
        if data[position] != 0:
            raise BadValueError("a value that is not a struct must follow a zero byte")
        return position + 1

    def prepared(self, type_id: int) -> dict[tuple[int, Only | None], tuple[Reader, int]]:
        """Return the readers of a type and its parts, for other streams that have the very same types."""
        self._reader(type_id, None)
        return self._readers

    # ``height``, the second of each pair, is the number of calls a reader may nest.

    def _reader(self, type_id: int, only: Only | None, level: int = 0) -> tuple[Reader, int]:
        key = type_id, only
        found = self._readers.get(key)
        if found is None:
            self._building.add(key)
            try:
                found = self._readers[key] = self._make_reader(type_id, only, level + 1)
            finally:
                self._building.remove(key)
        return found

    def _element(self, type_id: int, only: Only | None, level: int) -> tuple[Reader, int]:
        """Return the reader of a part; a late one where types are recursive, missing so far, or nested too deep."""
        scalar = _SCALARS.get(type_id)
        if scalar is not None:
            return scalar, 0
        key = type_id, only
        known = type_id == INTERFACE or type_id in self._types
        if known and key not in self._building and level < _MAX_HEIGHT:
            reader, height = self._reader(type_id, only, level)
            if height < _MAX_HEIGHT:
                return reader, height

        def read_late(data: bytes, position: int) -> tuple[Any, int]:
            reader, height = self._reader(type_id, only)
            self._enter(height + 1)
            result = reader(data, position)
            self._depth -= height + 1
            return result

        return read_late, 1

    def _enter(self, height: int) -> None:
        self._depth += height
        if self._depth > MAX_DEPTH:
            raise BadValueError(f"a gob value nested deeper than {MAX_DEPTH}")

    def _spend(self, parts: int) -> None:
        self._parts -= parts
        if self._parts < 0:
            raise BadValueError(f"a gob value of more than {MAX_PARTS} parts")

    def _make_reader(self, type_id: int, only: Only | None, level: int) -> tuple[Reader, int]:
        if only is NOTHING and type_id != INTERFACE:
            skip, height = self._skipper(type_id, level)
            return (lambda data, position: (None, skip(data, position))), height + 1
        described = self._types.get(type_id)
        match described:
            case StructType():
                made = self._make_struct_reader(described, only, level)
            case SliceType() | ArrayType():
                made = self._make_list_reader(described, only, level)
            case MapType():
                made = self._make_map_reader(described, only, level)
            case OpaqueType():
                made = read_bytes, 1
            case None if type_id == INTERFACE:
                made = self._make_interface_reader(only), 1
            case None if type_id in _SCALARS:
                made = _SCALARS[type_id], 1
            case _:
                raise BadValueError(f"a value of type {type_id}, which was never described")
        return made

    def _make_struct_reader(self, described: StructType, only: Only | None, level: int) -> tuple[Reader, int]:
        fields: list[tuple[str, Reader | None, Skipper]] = []
        tallest = 0
        for name, type_id in described.fields:
            if only is None or name in only.fields:
                wanted = only if only is None else only.fields[name]
                reader, height = self._element(type_id, wanted, level)
                fields.append((name, reader, _skip_uint))
            else:
                skipper, height = self._skip_element(type_id, level)
                fields.append((name, None, skipper))
            tallest = max(tallest, height)
        count = len(fields)

        def read_struct(data: bytes, position: int) -> tuple[dict[str, Any], int]:
            value: dict[str, Any] = {}
            field = -1
            while True:
                delta = data[position]
                if delta < 128:
                    position += 1
                else:
                    delta, position = read_uint(data, position)
                if delta == 0:
                    self._spend(len(value))
                    return value, position
                field += delta
                if field >= count:
                    raise BadValueError(f"field {field} of a struct of {count}")
                name, reader, skipper = fields[field]
                if reader is None:
                    position = skipper(data, position)
                else:
                    value[name], position = reader(data, position)

        return read_struct, tallest + 1

    def _make_list_reader(self, described: SliceType | ArrayType, only: Only | None, level: int) -> tuple[Reader, int]:
        element, height = self._element(described.element, only, level)
        length = described.length if isinstance(described, ArrayType) else None

        def read_list(data: bytes, position: int) -> tuple[list[Any], int]:
            count, position = _read_count(data, position, length)
            self._spend(count)
            value = []
            for _ in range(count):
                item, position = element(data, position)
                value.append(item)
            return value, position

        return read_list, height + 1

    def _make_map_reader(self, described: MapType, only: Only | None, level: int) -> tuple[Reader, int]:
        read_key, key_height = self._element(described.key, None, level)
        read_element, height = self._element(described.element, only, level)
        hashable = described.key in _SCALARS or isinstance(self._types.get(described.key), OpaqueType)

        def read_map(data: bytes, position: int) -> tuple[Any, int]:
            count, position = _read_count(data, position, None)
            self._spend(count)
            pairs = []
            for _ in range(count):
                key, position = read_key(data, position)
                item, position = read_element(data, position)
                pairs.append((key, item))
            return (dict(pairs) if hashable else tuple(pairs)), position

        return read_map, max(height, key_height) + 1

    def _make_interface_reader(self, only: Only | None) -> Reader:
        def read_interface(data: bytes, position: int) -> tuple[Named | None, int]:
            name, position = _read_name(data, position)
            if not name:
                return None, position
            type_id, position = self._type_sequence(data, position)
            # The byte count of the value: of its first piece only, if it comes in pieces. No use for skipping.
            _, position = read_uint(data, position)
            wanted = only if only is None else only.fields.get(name, NOTHING)
            reader, height = self._reader(type_id, wanted)
            self._enter(height)
            value, position = reader(data, self._first(type_id, data, position))
            self._depth -= height
            return Named(name, value), position

        return read_interface

    def _skipper(self, type_id: int, level: int = 0) -> tuple[Skipper, int]:
        found = self._skippers.get(type_id)
        if found is None:
            self._building.add(type_id)
            try:
                found = self._skippers[type_id] = self._make_skipper(type_id, level + 1)
            finally:
                self._building.remove(type_id)
        return found

    def _skip_element(self, type_id: int, level: int) -> tuple[Skipper, int]:
        scalar = _SCALAR_SKIPPERS.get(type_id)
        if scalar is not None:
            return scalar, 0
        known = type_id == INTERFACE or type_id in self._types
        if known and type_id not in self._building and level < _MAX_HEIGHT:
            skipper, height = self._skipper(type_id, level)
            if height < _MAX_HEIGHT:
                return skipper, height

        def skip_late(data: bytes, position: int) -> int:
            skipper, height = self._skipper(type_id)
            self._enter(height + 1)
            position = skipper(data, position)
            self._depth -= height + 1
            return position

        return skip_late, 1

    def _make_skipper(self, type_id: int, level: int) -> tuple[Skipper, int]:
        described = self._types.get(type_id)
        if isinstance(described, StructType):
            return self._make_struct_skipper(described, level)
        if isinstance(described, SliceType | ArrayType):
            parts = [self._skip_element(described.element, level)]
            length = described.length if isinstance(described, ArrayType) else None
        elif isinstance(described, MapType):
            parts = [self._skip_element(described.key, level), self._skip_element(described.element, level)]
            length = None
        elif isinstance(described, OpaqueType):
            return _skip_bytes, 1
        elif type_id == INTERFACE:
            read = self._make_interface_reader(NOTHING)
            return (lambda data, position: read(data, position)[1]), 2
        elif type_id in _SCALAR_SKIPPERS:
            return _SCALAR_SKIPPERS[type_id], 1
        else:
            raise BadValueError(f"a value of type {type_id}, which was never described")
        return _make_many_skipper(tuple(part[0] for part in parts), length), max(part[1] for part in parts) + 1

    def _make_struct_skipper(self, described: StructType, level: int) -> tuple[Skipper, int]:
        parts = [self._skip_element(type_id, level) for _, type_id in described.fields]
        skippers = tuple(part[0] for part in parts)
        count = len(skippers)

        def skip_struct(data: bytes, position: int) -> int:
            field = -1
            while True:
                delta = data[position]
                if delta < 128:
                    position += 1
                else:
                    delta, position = read_uint(data, position)
                if delta == 0:
                    return position
                field += delta
                if field >= count:
                    raise BadValueError(f"field {field} of a struct of {count}")
                skip = skippers[field]
                size = data[position]
                if skip is _skip_bytes and size < 128:  # most of what there is to skip, so without a call
                    position += 1 + size
                else:
                    position = skip(data, position)

        return skip_struct, max((part[1] for part in parts), default=0) + 1


def _read_count(data: bytes, position: int, length: int | None) -> tuple[int, int]:
    """Return a number of elements. Each takes at least a byte, so more than the bytes that are left is a lie."""
    count, position = read_uint(data, position)
    if count > len(data) - position:
        raise BadValueError(f"{count} elements in the {max(len(data) - position, 0)} bytes that are left")
    if length is not None and count != length:
        raise BadValueError(f"{count} elements in an array of {length}")
    return count, position


def _make_many_skipper(skippers: tuple[Skipper, ...], length: int | None) -> Skipper:
    """Return a skipper for elements that have one part (lists) or two (maps)."""

    def skip_texts(data: bytes, position: int) -> int:
        count, position = _read_count(data, position, length)
        for _ in range(count * len(skippers)):
            size = data[position]
            position = position + 1 + size if size < 128 else _skip_bytes(data, position)
        return position

    def skip_many(data: bytes, position: int) -> int:
        count, position = _read_count(data, position, length)
        for _ in range(count):
            for skip in skippers:
                position = skip(data, position)
        return position

    return skip_texts if all(skip is _skip_bytes for skip in skippers) else skip_many


def _read_name(data: bytes, position: int) -> tuple[str, int]:
    """Return the registered name of an interface's concrete type, "" for the nil interface."""
    size, _ = read_uint(data, position)
    if size > MAX_NAME:
        raise BadValueError(f"an interface name of {size} bytes; at most {MAX_NAME} are accepted")
    return read_string(data, position)


# The readers of descriptions hold no state, so all streams share them. There are no interfaces among them: how type
# sequences are read does not matter.
_BUILTIN_READERS: dict[tuple[int, Only | None], tuple[Reader, int]] = {}
_BUILTIN_READERS |= Readers(BUILTIN_TYPES, read_int).prepared(WIRE_TYPE)
