"""Codes that masking must not lose."""

import pytest

from rollout_verdict.core.evidence import Level
from rollout_verdict.core.reduction.mask import skeleton
from rollout_verdict.core.reduction.status import numeric_level, places, status


def said(line: bytes) -> str:
    return status(line, places(line))


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'1.2.3.4 - - [x] "GET /a/1 HTTP/1.1" 503 17', "5xx"),
        (b'{"status": 404, "n": 1}', "4xx"),
        (b'{"statusCode":200}', "2xx"),
        (b'{"http.status_code":"502"}', "5xx"),
        (b"request completed status=301 path=/x", "3xx"),
        (b"status: 200 len: 1893", "2xx"),
        (b"response code 418", "4xx"),
        (b"upstream said HTTP/1.1 504", "5xx"),
        (b"Completed 500 Internal Server Error in 17ms", "5xx"),
        (b'[GIN] 2026/01/01 | 404 | 1.2ms | GET "/x"', "4xx"),
        (b"GET /path/1 503 12.3 ms", "5xx"),
        (b"status=999 or status=42 or status=2000 or code=404ms", ""),
        (b"grpc-status: 14", "grpc:14"),
        (b'"grpc.code":4}', "grpc:4"),
        (b"process exited with code 137", "exit:137"),
        (b"exit status 1", "exit:1"),
        (b"exitCode=139", "exit:139"),
        (b"[Errno 111] refused", "errno:111"),
        (b"status=500 status=503 exit code 1", "5xx,exit:1"),
        (b"200 items of 404", ""),
        (b"", ""),
    ],
)
def test_status(line, code):
    """HTTP statuses by class, gRPC, exit and errno codes as they are; any other number is none."""
    assert said(line) == code


def test_places_depend_on_where_digits_stand_alone():
    """The places found in a skeleton are those of every line that has it."""
    line = b'"GET / HTTP/1.1" 503 17 errno 5'
    assert places(line) == places(skeleton(line))


def test_no_more_than_four():
    """A line made of codes costs no more than four."""
    assert len(places(b"errno 1 " * 50)) == 4


@pytest.mark.parametrize(
    ("line", "level"),
    [
        (b'{"level":30,"msg":"x"}', Level.INFO),
        (b'{"level": 50}', Level.ERROR),
        (b'{"level":35}', Level.UNKNOWN),
        (b"<3>disk", Level.ERROR),
        (b"<134>disk", Level.INFO),
        (b"errno 3", Level.UNKNOWN),
        (b"x", Level.UNKNOWN),
    ],
)
def test_numeric_level(line, level):
    """pino's and bunyan's numbers, and syslog priorities."""
    assert numeric_level(line, places(line)) is level
