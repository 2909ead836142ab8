"""Time stamps of a stream."""

from datetime import UTC, datetime, timedelta

from rollout_verdict.core.reduction import clock as module
from rollout_verdict.core.reduction.block import Run
from rollout_verdict.core.reduction.clock import Clock, fixed, instant
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


def test_fixed():
    """Any form of stamp becomes the kubelet's; a line without one is as old as the line before."""
    odd = [b"none", STAMP + b" ", STAMP, b"2026-11-23T12:00:05.0+02:00 b", b"2026-11-23T10:00:05Z c", b"d"]
    nothing = b"0000-00-00T00:00:00.000000000Z"
    lines = [nothing + b" none", *(STAMP + b" " + text for text in (b"", b"", b"b", b"c", b"d"))]
    assert fixed(b"\n".join(odd), b"") == b"\n".join(lines)
    assert fixed(b"e", STAMP) == STAMP + b" e"


def runs(*stamps: bytes) -> list[Run]:
    return [Run(stamp[:19], index, index + 1) for index, stamp in enumerate(stamps)]


def noted(clock: Clock, *stamps: bytes) -> None:
    clock.note(runs(*stamps), stamps.__getitem__)


def test_first_and_last():
    """The earliest and latest stamps are kept over all blocks; lines without one do not count."""
    clock = Clock(None, 10, stamped=True)
    noted(clock, b"0000-00-00T00:00:00.000000000Z")
    assert (clock.first, clock.last) == (b"", b"")
    noted(clock, *(b"2026-11-23T10:00:0%dZ" % second for second in (6, 7, 5, 6)))
    assert (clock.first, clock.last) == (b"2026-11-23T10:00:05Z", b"2026-11-23T10:00:07Z")
    noted(clock, b"2026-11-23T10:00:06Z")
    noted(clock, b"2026-11-23T10:00:05.1Z", b"2026-11-23T10:00:07.1Z")
    assert (clock.first, clock.last) == (b"2026-11-23T10:00:05.1Z", b"2026-11-23T10:00:07Z")


def test_slots(monkeypatch):
    """Slots are tenths of the window, or seconds; an unknown time has none; what is remembered is bounded."""
    monkeypatch.setattr(module, "_MOST_SECONDS", 1)
    clock = Clock(WINDOW, 10, stamped=True)
    seconds = runs(STAMP, b"2026-11-23T10:01:39", b"0000-00-00T00:00:00", b"2026-13-23T10:00:00")
    assert clock.slots(seconds) == clock.slots(seconds) == [0, 9, None, None]
    clock = Clock(None, 10, stamped=True)
    second = int(START.timestamp()) + 5
    assert (clock.slots(runs(STAMP)), clock.slots(runs(STAMP), 4)) == ([second], [second // 16 * 16])


def test_inside_without_a_window():
    """Without a window all lines are inside."""
    assert Clock(None, 10, stamped=True).inside(runs(STAMP), [STAMP].__getitem__) is None


def test_instant():
    """Impossible times are no times."""
    assert instant(STAMP) == START + timedelta(seconds=5)
    for bad in (b"", b"2026-02-30T00:00:00Z", b"0001-01-01T00:00:00+23:59", b"nonsense"):
        assert instant(bad) is None
