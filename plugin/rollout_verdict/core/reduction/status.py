"""Codes that masking must not lose: HTTP status classes, gRPC and exit codes, errno, numeric log levels."""

import re
from typing import NamedTuple

from rollout_verdict.core.evidence import Level

_SIGN = rb"[\"']?\s?[:=]?\s?[\"']?"
_END = rb"(?![0-9A-Za-z.])"
_HTTP_END = rb"(?=[\s,;}\])\"'|]|\Z)"
# Literals that must stand in the (lower-case) line, the kind, and where the digits stand. Each pattern is anchored by
# words, so that where a code stands depends on where digits stand, not on which.
_CODES: tuple[tuple[tuple[bytes, ...], str, re.Pattern[bytes]], ...] = (
    ((b"grpc",), "grpc", re.compile(rb"grpc[a-z_.\- ]{0,20}(?:status|code)" + _SIGN + rb"([0-9]{1,2})" + _END)),
    (
        (b"exit",),
        "exit",
        re.compile(
            rb"exit(?:ed)?[ _-]?(?:with )?(?:non-zero )?(?:code|status|value)[ _-]?(?:code)?"
            + _SIGN
            + rb"([0-9]{1,3})"
            + _END
        ),
    ),
    ((b"errno",), "errno", re.compile(rb"errno" + _SIGN + rb"([0-9]{1,3})" + _END)),
    ((b'"level"',), "level", re.compile(rb"\"level\"\s?:\s?([0-9]{2})(?=[\s,}])")),
    ((b"<",), "priority", re.compile(rb"\A<([0-9]{1,3})>")),
    ((b'" ',), "http", re.compile(rb"\" ([0-9]{3})" + _HTTP_END)),
    ((b"status", b"code"), "http", re.compile(rb"(?:status|code)" + _SIGN + rb"([0-9]{3})" + _HTTP_END)),
    ((b"http/", b"http "), "http", re.compile(rb"\bhttp(?:/[0-9](?:\.[0-9])?)? ([0-9]{3})" + _HTTP_END)),
    ((b"completed ",), "http", re.compile(rb"\bcompleted ([0-9]{3})" + _HTTP_END)),
    ((b"| ",), "http", re.compile(rb"\| +([0-9]{3})" + _HTTP_END)),
    (
        (b"get ", b"post ", b"put ", b"patch ", b"delete ", b"head ", b"options "),
        "http",
        re.compile(rb"\b(?:get|head|post|put|patch|delete|options) [^ \"]+ ([0-9]{3})" + _HTTP_END),
    ),
)
_MOST_PLACES = 4


class Place(NamedTuple):
    """Where a code stands in a line, and of what kind it is ("http", "grpc", "exit", "errno", "level")."""

    kind: str
    start: int
    end: int


_PINO = {
    b"10": Level.TRACE, b"20": Level.DEBUG, b"30": Level.INFO, b"40": Level.WARN, b"50": Level.ERROR, b"60": Level.FATAL
}  # fmt: skip
_SYSLOG = (
    *(Level.FATAL, Level.FATAL, Level.FATAL, Level.ERROR),
    *(Level.WARN, Level.INFO, Level.INFO, Level.DEBUG),
)


def places(line: bytes) -> tuple[Place, ...]:
    """Return the places of codes in a line; they depend on where digits stand, not on which digits."""
    small = line.lower()
    found = {
        (match.start(1), match.end(1)): kind
        for literals, kind, pattern in reversed(_CODES)  # so that the first kind of a place stays
        if literals[0] in small or any(literal in small for literal in literals[1:])
        for match in pattern.finditer(small)
    }
    return tuple(Place(kind, *span) for span, kind in sorted(found.items())[:_MOST_PLACES])


def status(line: bytes, where: tuple[Place, ...]) -> str:
    """Return what the codes say: "5xx", "grpc:14", "exit:137", several joined by a comma, or ""."""
    said: list[str] = []
    for kind, start, end in where:
        digits = line[start:end]
        word = ""
        if kind == "http":
            word = f"{digits[:1].decode()}xx" if b"100" <= digits <= b"599" else ""
        elif kind in ("grpc", "exit", "errno"):
            word = f"{kind}:{int(digits)}"
        if word and word not in said:
            said.append(word)
    return ",".join(said)


def numeric_level(line: bytes, where: tuple[Place, ...]) -> Level:
    """Return the level of a pino or bunyan number or of a syslog priority (RFC 5424, 6.2.1)."""
    for kind, start, end in where:
        if kind == "level":
            return _PINO.get(line[start:end], Level.UNKNOWN)
        if kind == "priority":
            return _SYSLOG[int(line[start:end]) & 7]
    return Level.UNKNOWN
