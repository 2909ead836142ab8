"""Time stamps of a stream."""

from datetime import UTC, datetime, timedelta

from rollout_verdict.core import clock as module
from rollout_verdict.core.clock import Clock, instant
from rollout_verdict.core.values import Window

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
WINDOW = Window(start=START, end=START + timedelta(seconds=100))
STAMP = b"2026-11-23T10:00:05.000000000Z"


def test_the_first_line_with_text_tells():
    """Whether lines carry a stamp is seen once, unless it was told."""
    for lines, seen in (([b"", b" ", STAMP + b" x"], True), ([b"x", STAMP + b" x"], False), ([], False)):
        clock = Clock(None, 10, stamped=None)
        clock.look(lines)
        assert clock.stamped is seen
    clock = Clock(None, 10, stamped=False)
    clock.look([STAMP + b" x"])
    assert clock.stamped is False


def test_both_ways_to_strip_agree():
    """The kubelet's fixed form is taken off quickly, any other line by line, with the same result."""
    lines = [STAMP + b" a", STAMP + b" "]
    assert Clock(None, 10, stamped=True).strip(lines) == ([b"a", b""], [STAMP, STAMP])
    odd = [b"none", *lines, STAMP, b"2026-11-23T12:00:05.0+02:00 b", b"2026-11-23T10:00:05Z c", b"d"]
    assert Clock(None, 10, stamped=True).strip(odd) == (
        [b"none", b"a", b"", b"", b"b", b"c", b"d"],
        [b"", *[STAMP] * 6],
    )


def test_first_and_last():
    """The earliest and latest stamps are kept over all blocks; lines without one do not count."""
    clock = Clock(None, 10, stamped=True)
    clock.note([b"", b""])
    assert (clock.first, clock.last) == (b"", b"")
    clock.note([b"", b"2026-11-23T10:00:07Z", b"2026-11-23T10:00:06Z"])
    clock.note([b"2026-11-23T10:00:05Z"])
    assert (clock.first, clock.last) == (b"2026-11-23T10:00:05Z", b"2026-11-23T10:00:07Z")


def test_slots(monkeypatch):
    """Slots are tenths of the window, or seconds; an unknown time has none; what is remembered is bounded."""
    monkeypatch.setattr(module, "_MOST_SECONDS", 1)
    clock = Clock(WINDOW, 10, stamped=True)
    stamps = [STAMP, b"2026-11-23T10:01:39.9Z", b"", b"2026-13-23T10:00:00Z"]
    assert clock.slots(stamps) == clock.slots(stamps) == [0, 9, None, None]
    clock = Clock(None, 10, stamped=True)
    second = int(START.timestamp()) + 5
    assert (clock.slots([STAMP]), clock.slots([STAMP])) == ([second], [second])


def test_inside_without_a_window():
    """Without a window all lines are inside."""
    assert Clock(None, 10, stamped=True).inside([b"a"], [STAMP]) == ([b"a"], [STAMP])


def test_instant():
    """Impossible times are no times."""
    assert instant(STAMP) == START + timedelta(seconds=5)
    for bad in (b"", b"2026-02-30T00:00:00Z", b"0001-01-01T00:00:00+23:59", b"nonsense"):
        assert instant(bad) is None
