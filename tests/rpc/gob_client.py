"""A gob encoder like Go's, for tests: any type, descriptions sent when first needed, interfaces included.

Written from the format's description (``encoding/gob`` ``doc.go``), sharing no code with the package under test.
"""

import struct
from dataclasses import dataclass
from typing import Any

BOOL, INT, UINT, FLOAT, BYTES, STRING, COMPLEX, INTERFACE = range(1, 9)


@dataclass(frozen=True)
class T:
    """A type. ``kind``: scalar, struct, slice, array, map or opaque; ``parts`` are field, element or key types."""

    kind: str
    name: str = ""
    parts: tuple = ()
    basic: int = 0
    length: int = 0


BOOL_T, INT_T, UINT_T, FLOAT_T, BYTES_T, STRING_T, COMPLEX_T, INTERFACE_T = (T("scalar", basic=n) for n in range(1, 9))


def record(name: str, **fields: T) -> T:
    return T("struct", name, tuple(fields.items()))


def array_of(element: T, length: int) -> T:
    return T("array", parts=(element,), length=length)


def slice_of(element: T) -> T:
    return T("slice", parts=(element,))


def map_of(key: T, element: T) -> T:
    return T("map", parts=(key, element))


def opaque(name: str) -> T:
    return T("opaque", name)


@dataclass(frozen=True)
class Iface:
    """An interface's value: registered name, concrete type, value."""

    name: str
    type: T
    value: Any


def uint(n: int) -> bytes:
    if n < 128:
        return bytes([n])
    raw = n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([256 - len(raw)]) + raw


def sint(n: int) -> bytes:
    return uint((~n << 1) | 1) if n < 0 else uint(n << 1)


def text(s: str) -> bytes:
    raw = s.encode("utf-8", "surrogateescape")
    return uint(len(raw)) + raw


class GobClient:
    """One direction of one stream. ``first_id`` is where this "process" starts to number its types."""

    def __init__(self, first_id: int = 64) -> None:
        self.ids: dict[T, int] = {}
        self.next_id = first_id
        self.sent: set[T] = set()

    def id_of(self, t: T) -> int:
        if t.kind == "scalar":
            return t.basic
        if t not in self.ids:
            self.ids[t] = self.next_id
            self.next_id += 1
            for part in self.parts(t):
                self.id_of(part)
        return self.ids[t]

    @staticmethod
    def parts(t: T) -> list[T]:
        return [p[1] for p in t.parts] if t.kind == "struct" else list(t.parts)

    def message(self, content: bytes) -> bytes:
        return uint(len(content)) + content

    def wire_type(self, t: T) -> bytes:
        common = b"\x01" + (b"\x01" + text(t.name) + b"\x01" if t.name else b"\x02") + sint(self.id_of(t)) + b"\0"
        match t.kind:
            case "struct":
                body = b"\x03" + common
                if t.parts:
                    body += b"\x01" + uint(len(t.parts))
                    body += b"".join(b"\x01" + text(n) + b"\x01" + sint(self.id_of(p)) + b"\0" for n, p in t.parts)
            case "slice":
                body = b"\x02" + common + b"\x01" + sint(self.id_of(t.parts[0]))
            case "array":
                body = b"\x01" + common + b"\x01" + sint(self.id_of(t.parts[0])) + b"\x01" + sint(t.length)
            case "map":
                body = (
                    b"\x04" + common + b"\x01" + sint(self.id_of(t.parts[0])) + b"\x01" + sint(self.id_of(t.parts[1]))
                )
            case _:
                body = b"\x05" + common
        return body + b"\0\0"

    def define(self, t: T, out: list[bytes], pending: bytearray) -> None:
        """Send descriptions the stream lacks; what is pending goes out with the first, as Go does."""
        if t.kind == "scalar" or t in self.sent:
            return
        self.sent.add(t)
        out.append(self.message(bytes(pending) + sint(-self.id_of(t)) + self.wire_type(t)))
        pending.clear()
        for part in self.parts(t):
            self.define(part, out, pending)

    def encode(self, t: T, value: Any) -> bytes:
        """Return the messages for one value."""
        out: list[bytes] = []
        pending = bytearray()
        self.define(t, out, pending)
        pending += sint(self.id_of(t))
        if t.kind != "struct":
            pending += b"\0"
        self.value(t, value, out, pending)
        out.append(self.message(bytes(pending)))
        return b"".join(out)

    def value(self, t: T, value: Any, out: list[bytes], buf: bytearray) -> None:
        match t.kind:
            case "scalar":
                self.scalar(t.basic, value, out, buf)
            case "opaque":
                buf += uint(len(value)) + value
            case "struct":
                last = -1
                for number, (name, part) in enumerate(t.parts):
                    item = value.get(name)
                    if part.kind == "struct":
                        item = {} if item is None else item
                        if item == "absent":
                            continue
                    elif part.kind != "array" and (item is None or item in (False, 0, "", b"") or item == []):
                        continue
                    buf += uint(number - last)
                    last = number
                    self.value(part, item, out, buf)
                buf += b"\0"
            case "map":
                buf += uint(len(value))
                for key, item in value.items():
                    self.value(t.parts[0], key, out, buf)
                    self.value(t.parts[1], item, out, buf)
            case _:
                buf += uint(len(value))
                for item in value:
                    self.value(t.parts[0], item, out, buf)

    def scalar(self, basic: int, value: Any, out: list[bytes], buf: bytearray) -> None:
        match basic:
            case 1:
                buf += uint(int(value))
            case 2:
                buf += sint(value)
            case 3:
                buf += uint(value)
            case 4:
                buf += self.double(value)
            case 5:
                buf += uint(len(value)) + value
            case 6:
                buf += text(value)
            case 7:
                buf += self.double(value.real) + self.double(value.imag)
            case 8:
                self.interface(value, out, buf)

    @staticmethod
    def double(value: float) -> bytes:
        return uint(int.from_bytes(struct.pack("<d", value), "big"))

    def interface(self, value: Iface | None, out: list[bytes], buf: bytearray) -> None:
        if value is None:
            buf += b"\0"
            return
        buf += text(value.name)
        self.define(value.type, out, buf)
        buf += sint(self.id_of(value.type))
        # A nested encoder: what it has to describe goes, with what it has so far, into our buffer, length first.
        inner_out: list[bytes] = []
        inner = bytearray() if value.type.kind == "struct" else bytearray(b"\0")
        self.value(value.type, value.value, inner_out, inner)
        for piece in inner_out:
            buf += piece
        buf += uint(len(inner)) + inner


# The types of Argo Rollouts, as far as tests need them (pkg/apis/rollouts/v1alpha1/analysis_types.go).
TIME = opaque("Time")
STRINGS = map_of(STRING_T, STRING_T)
OWNER = record("OwnerReference", APIVersion=STRING_T, Kind=STRING_T, Name=STRING_T, UID=STRING_T, Controller=BOOL_T)
META = record(
    "ObjectMeta",
    Name=STRING_T,
    Namespace=STRING_T,
    UID=STRING_T,
    Generation=INT_T,
    CreationTimestamp=TIME,
    Labels=STRINGS,
    Annotations=STRINGS,
    OwnerReferences=slice_of(OWNER),
)
SECRET_REF = record("SecretKeyRef", Name=STRING_T, Key=STRING_T)
VALUE_FROM = record("ValueFrom", SecretKeyRef=SECRET_REF)
ARGUMENT = record("Argument", Name=STRING_T, Value=STRING_T, ValueFrom=VALUE_FROM)
PROVIDER = record("MetricProvider", Plugin=map_of(STRING_T, BYTES_T))
INT_OR_STRING = record("IntOrString", Type=INT_T, IntVal=INT_T, StrVal=STRING_T)
METRIC = record("Metric", Name=STRING_T, Interval=STRING_T, Count=INT_OR_STRING, Provider=PROVIDER)
MEASUREMENT = record(
    "Measurement",
    Phase=STRING_T,
    Message=STRING_T,
    StartedAt=TIME,
    FinishedAt=TIME,
    Value=STRING_T,
    Metadata=STRINGS,
    ResumeAt=TIME,
)
RESULT = record(
    "MetricResult",
    Name=STRING_T,
    Phase=STRING_T,
    Measurements=slice_of(MEASUREMENT),
    Count=INT_T,
    Error=INT_T,
    DryRun=BOOL_T,
    Metadata=STRINGS,
)
DRY_RUN = record("DryRun", MetricName=STRING_T)
SPEC = record("AnalysisRunSpec", Metrics=slice_of(METRIC), Args=slice_of(ARGUMENT), DryRun=slice_of(DRY_RUN))
STATUS = record("AnalysisRunStatus", Phase=STRING_T, MetricResults=slice_of(RESULT))
RUN = record("AnalysisRun", ObjectMeta=META, Spec=SPEC, Status=STATUS)
METADATA_ARGS = record("GetMetadataArgs", Metric=METRIC)
RUN_ARGS = record("RunArgs", AnalysisRun=RUN, Metric=METRIC)
RESUME_ARGS = record("TerminateAndResumeArgs", AnalysisRun=RUN, Metric=METRIC, Measurement=MEASUREMENT)
GARBAGE_ARGS = record("GarbageCollectArgs", AnalysisRun=RUN, Metric=METRIC, Limit=INT_T)
REQUEST = record("Request", ServiceMethod=STRING_T, Seq=UINT_T)
