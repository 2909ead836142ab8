"""Requests that reach a canary to which its rollout sends none: more of them than probes make."""

import pytest

from rollout_verdict.core.evidence import Direction, LogKind
from rollout_verdict.core.visits import PROBES, visited
from tests.core.log_builders import WINDOW, logs, pattern
from tests.core.metric_evidence import evidence, meta

MINUTES = WINDOW.seconds / 60.0
RATE = meta("app_requests_per_second", "requests_per_second", Direction.NEUTRAL)


def counted(rate):
    """Metrics by which each of two canary pods serves so many requests a second, all through the window."""
    samples = [rate] * int(WINDOW.seconds / 10)
    return evidence({RATE.name: ([[50.0] * len(samples)], [samples, samples])}, metas=[RATE.name])


def logged(count, kind=LogKind.ACCESS):
    """Logs with so many access lines on one of two canary pods."""
    return logs(pattern("GET /pay", (5000,), (count, 0), kind=kind, status="2xx"))


@pytest.mark.parametrize(("a_minute", "expected"), [(0.0, False), (PROBES, False), (1.1 * PROBES, True)])
def test_a_metric_of_requests_tells(a_minute, expected):
    assert visited(counted(a_minute / 60.0), None, WINDOW, 2) is expected


@pytest.mark.parametrize(("a_minute", "expected"), [(0.0, False), (2 * PROBES, False), (2.1 * PROBES, True)])
def test_access_logs_tell(a_minute, expected):
    """Of both pods together."""
    assert visited(None, logged(round(a_minute * MINUTES)), WINDOW, 2) is expected


def test_either_of_them_is_enough():
    many = logged(10_000)
    assert visited(counted(0.0), many, WINDOW, 2)
    assert visited(counted(5.0), logged(0), WINDOW, 2)


def test_other_messages_are_no_requests():
    """Work in the background goes on without any."""
    assert not visited(None, logged(10_000, LogKind.MESSAGE), WINDOW, 2)


def test_nothing_tells_of_nothing():
    assert not visited(None, None, WINDOW, 2)
