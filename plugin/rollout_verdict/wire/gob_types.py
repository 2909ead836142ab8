"""What a gob stream may be made of: number formats, type ids, type descriptions, limits.

Source: Go ``encoding/gob`` ``doc.go`` ("Encoding Details", "Types and Values"), ``type.go``, ``decode.go``.
"""

from struct import Struct
from typing import NamedTuple

from rollout_verdict.wire.errors import BadValueError

# doc.go: ids of the basic types; type.go: ids of the types that describe types.
BOOL, INT, UINT, FLOAT, BYTES, STRING, COMPLEX, INTERFACE = range(1, 9)
WIRE_TYPE, ARRAY_TYPE, COMMON_TYPE, SLICE_TYPE, STRUCT_TYPE, FIELD_TYPE, FIELD_TYPES, MAP_TYPE = range(16, 24)
_OPAQUE_TYPE = 24  # describes GobEncoder and its kin; never named on the wire
# type.go reserves ids below 64 for itself; recent Go gives 64 to the first user type, older Go 65.
FIRST_USER_TYPE = 64

# An object in etcd is at most 1.5 MiB of JSON (etcd's default request limit), and gob is smaller than JSON. Ten
# times that leaves room for clusters with a raised limit. Go itself allows 1 GiB (decoder.go tooBig).
MAX_MESSAGE = 16 << 20
# An AnalysisRun needs about 200 types, all of Kubernetes about 1500.
MAX_TYPES = 4096
# Bytes of descriptions in a stream: a hundred for each of MAX_TYPES, as Kubernetes' types have.
MAX_DESCRIPTIONS = 512 << 10
# Elements and fields that one value may be made into, at about 100 to 250 bytes each in Python. What we want of an
# AnalysisRun has a few thousand.
MAX_PARTS = 1 << 18
# Levels of containers in containers. A pod template inside a Job metric inside an AnalysisRun has about 20.
# Each level is a Python frame or two, and Python allows 1000.
MAX_DEPTH = 200
# decode.go decodeInterface refuses longer names.
MAX_NAME = 1024

MAX_UINT_BYTES = 8  # doc.go: integers have at most 64 bits

_DOUBLE = Struct("<d")


class StructType(NamedTuple):
    """Fields in the sender's order as (name, type id)."""

    fields: tuple[tuple[str, int], ...]


class SliceType(NamedTuple):
    """A list of elements of one type."""

    element: int


class ArrayType(NamedTuple):
    """A list of fixed length."""

    element: int
    length: int


class MapType(NamedTuple):
    """Pairs of keys and elements, in random order."""

    key: int
    element: int


class OpaqueType(NamedTuple):
    """A type that encodes itself (GobEncoder, BinaryMarshaler, TextMarshaler): bytes to us."""


GobType = StructType | SliceType | ArrayType | MapType | OpaqueType

# type.go init(): how the description of a type is itself described.
BUILTIN_TYPES: dict[int, GobType] = {
    WIRE_TYPE: StructType(
        (
            ("ArrayT", ARRAY_TYPE),
            ("SliceT", SLICE_TYPE),
            ("StructT", STRUCT_TYPE),
            ("MapT", MAP_TYPE),
            ("GobEncoderT", _OPAQUE_TYPE),
            ("BinaryMarshalerT", _OPAQUE_TYPE),
            ("TextMarshalerT", _OPAQUE_TYPE),
        )
    ),
    ARRAY_TYPE: StructType((("CommonType", COMMON_TYPE), ("Elem", INT), ("Len", INT))),
    COMMON_TYPE: StructType((("Name", STRING), ("Id", INT))),
    SLICE_TYPE: StructType((("CommonType", COMMON_TYPE), ("Elem", INT))),
    STRUCT_TYPE: StructType((("CommonType", COMMON_TYPE), ("Field", FIELD_TYPES))),
    FIELD_TYPE: StructType((("Name", STRING), ("Id", INT))),
    FIELD_TYPES: SliceType(FIELD_TYPE),
    MAP_TYPE: StructType((("CommonType", COMMON_TYPE), ("Key", INT), ("Elem", INT))),
    _OPAQUE_TYPE: StructType((("CommonType", COMMON_TYPE),)),
}


def read_uint(data: bytes, position: int) -> tuple[int, int]:
    """Return an unsigned integer and the position after it. IndexError or a position past the end mean: cut off.

    doc.go: below 128 the byte itself, else the negated count of big-endian bytes that follow.
    """
    first = data[position]
    if first < 128:
        return first, position + 1
    count = 256 - first
    if count > MAX_UINT_BYTES:
        raise BadValueError(f"an integer of {count} bytes; gob knows at most {MAX_UINT_BYTES}")
    end = position + 1 + count
    return int.from_bytes(data[position + 1 : end], "big"), end


def read_int(data: bytes, position: int) -> tuple[int, int]:
    """Return a signed integer and the position after it (doc.go: the sign is the lowest bit)."""
    value, position = read_uint(data, position)
    return (~(value >> 1) if value & 1 else value >> 1), position


def read_bool(data: bytes, position: int) -> tuple[bool, int]:
    """Return a boolean and the position after it."""
    value, position = read_uint(data, position)
    return value != 0, position


def read_float(data: bytes, position: int) -> tuple[float, int]:
    """Return a float64 and the position after it (doc.go: its bytes reversed, sent as an unsigned integer)."""
    value, position = read_uint(data, position)
    (number,) = _DOUBLE.unpack(value.to_bytes(8, "big"))
    return number, position


def read_complex(data: bytes, position: int) -> tuple[complex, int]:
    """Return a complex number and the position after it: real part, imaginary part."""
    real, position = read_float(data, position)
    imaginary, position = read_float(data, position)
    return complex(real, imaginary), position


def read_bytes(data: bytes, position: int) -> tuple[bytes, int]:
    """Return a byte string and the position after it."""
    size, position = read_uint(data, position)
    end = position + size
    return data[position:end], end


def read_string(data: bytes, position: int) -> tuple[str, int]:
    """Return a string and the position after it. Go strings need not be UTF-8: odd bytes become surrogates."""
    size = data[position]
    if size < 128:
        position += 1
    else:
        size, position = read_uint(data, position)
    end = position + size
    return data[position:end].decode("utf-8", "surrogateescape"), end


def write_uint(value: int) -> bytes:
    """Return the shortest encoding of an unsigned integer below 2**64."""
    if value < 128:
        return bytes((value,))
    count = (value.bit_length() + 7) // 8
    return bytes((256 - count,)) + value.to_bytes(count, "big")


def write_int(value: int) -> bytes:
    """Return the shortest encoding of a signed 64-bit integer."""
    return write_uint(~value << 1 | 1 if value < 0 else value << 1)
