"""Codes that masking must not lose: HTTP status classes, gRPC and exit codes, errno, numeric log levels."""

import re
from typing import NamedTuple

from rollout_verdict.core.evidence import Level

_METHOD = rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE)"
# Each alternative is anchored by words, so where a code stands depends on the digits' places only.
_CODES = re.compile(
    rb"(?P<grpc>(?i:grpc)[A-Za-z_.\- ]{0,20}(?:status|code)[\"']?\s?[:=]?\s?[\"']?)(?P<a>[0-9]{1,2})(?![0-9A-Za-z.])"
    rb"|(?P<exit>(?i:exit(?:ed)?)[ _-]?(?i:with )?(?i:non-zero )?(?i:code|status|value)[ _-]?(?i:code)?"
    rb"[\"']?\s?[:=]?\s?[\"']?)(?P<b>[0-9]{1,3})(?![0-9A-Za-z.])"
    rb"|(?P<errno>(?i:errno)[\"']?\s?[:=]?\s?[\"']?)(?P<c>[0-9]{1,3})(?![0-9A-Za-z.])"
    rb"|\A<(?P<pri>)(?P<f>[0-9]{1,3})>"
    rb"|(?P<level>\"level\"\s?:\s?)(?P<d>[0-9]{2})(?=[\s,}])"
    rb"|(?:\" |(?i:status|code)[\"']?\s?[:=]?\s?[\"']?|\bHTTP/[0-9](?:\.[0-9])? |\b(?:Completed|HTTP) |\| +"
    rb"|\b" + _METHOD + rb" [^ \"]+ )(?P<e>[0-9]{3})(?=[\s,;}\]\)\"'|]|\Z)"
)


class Place(NamedTuple):
    """Where a code stands in a line, and of what kind it is ("http", "grpc", "exit", "errno", "level")."""

    kind: str
    start: int
    end: int


_KINDS = (("grpc", "a"), ("exit", "b"), ("errno", "c"), ("level", "d"), ("priority", "f"))
_PINO = {
    b"10": Level.TRACE, b"20": Level.DEBUG, b"30": Level.INFO, b"40": Level.WARN, b"50": Level.ERROR, b"60": Level.FATAL
}  # fmt: skip
_SYSLOG = (
    *(Level.FATAL, Level.FATAL, Level.FATAL, Level.ERROR),
    *(Level.WARN, Level.INFO, Level.INFO, Level.DEBUG),
)


def places(line: bytes) -> tuple[Place, ...]:
    """Return the places of codes in a line; they depend on where digits stand, not on which digits."""
    found = []
    for match in _CODES.finditer(line):
        for kind, group in _KINDS:
            if match[group] is not None:
                found.append(Place(kind, *match.span(group)))
                break
        else:
            found.append(Place("http", *match.span("e")))
    return tuple(found[:4])


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
