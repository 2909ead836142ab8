"""The clock of a stream: the kubelet's time stamps, held against a window, sorted into slots.

Only the stamps in front of lines are read. What an application prints as a time is part of its message.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import compress, count

from rollout_verdict.core.values import Window

SHAPE = b"0000-00-00T00:00:00.000000000Z "  # the skeleton of the kubelet's stamp
_STAMP = re.compile(
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})(?: |\Z)"
)
_NONE = SHAPE[:-1]  # stands for no time: there is no month 0
_NO_SECOND = _NONE[:19]
_MOST_SECONDS = 100_000  # remembered times of one stream
_SECOND = timedelta(seconds=1)


class Clock:
    """Reads the stamps of one stream. ``stamped`` is None until ``look`` has seen the first lines.

    Stamps are given as functions from the number of a line, as few are wanted; seconds are stamps without fraction.
    """

    def __init__(self, window: Window | None, buckets: int, *, stamped: bool | None) -> None:
        self.stamped = stamped
        self.first = b""  # the earliest and the latest stamp of counted lines
        self.last = b""
        self.outside = 0  # lines left out because of their time
        self._window = window
        self._buckets = buckets
        self._slot_of: dict[bytes, int | None] = {}
        self._shift = 0

    def look(self, lines: list[bytes]) -> None:
        """Find out whether lines carry a stamp, if that was not told: the first one that is not blank tells."""
        if self.stamped is None:
            self.stamped = _STAMP.match(next((line for line in lines if line.strip()), b"")) is not None

    def note(self, seconds: list[bytes], stamp: Callable[[int], bytes]) -> None:
        """Remember the earliest and the latest stamp."""
        known = set(seconds) - {_NO_SECOND}
        if not known:
            return
        low, high = min(known), max(known)
        if not self.first or low <= self.first[: len(low)]:
            self.first = min(filter(None, (self.first, *map(stamp, _places(low, seconds)))))
        if high >= self.last[: len(high)]:
            self.last = max(self.last, *map(stamp, _places(high, seconds)))

    def inside(self, seconds: list[bytes], stamp: Callable[[int], bytes]) -> list[int] | None:
        """Return the lines that are not known to be outside the window, None for all of them."""
        window = self._window
        if window is None:
            return None
        verdicts: dict[bytes, bool | None] = {}
        for second in set(seconds):
            moment = instant(second + b"Z")
            if moment is None or window.start <= moment < window.end - _SECOND:
                verdicts[second] = True
            elif moment <= window.start - _SECOND or moment >= window.end:
                verdicts[second] = False
            else:
                verdicts[second] = None  # the fraction decides
        if all(verdicts.values()):
            return None
        kept = []
        for index, second in enumerate(seconds):
            verdict = verdicts[second]
            if verdict is None:
                moment = instant(stamp(index))
                verdict = moment is None or window.start <= moment < window.end
            if verdict:
                kept.append(index)
        self.outside += len(seconds) - len(kept)
        return kept

    def slots(self, seconds: list[bytes], shift: int = 0) -> list[int | None]:
        """Return the slot of each second: of the window, or the epoch second, its last ``shift`` bits made 0."""
        known = self._slot_of
        if shift != self._shift or len(known) > _MOST_SECONDS:
            known.clear()
            self._shift = shift
        for second in set(seconds) - known.keys():
            known[second] = self._slot(second)
        return list(map(known.__getitem__, seconds))

    def _slot(self, second: bytes) -> int | None:
        moment = instant(second + b"Z")
        if moment is None:
            return None
        if self._window is None:
            return int(moment.timestamp()) >> self._shift << self._shift
        share = (moment - self._window.start).total_seconds() / self._window.seconds
        return min(self._buckets - 1, max(0, int(share * self._buckets)))


def fixed(data: bytes, before: bytes) -> bytes:
    """Return lines with the stamps as the kubelet writes them: nanoseconds, UTC.

    A line without one is as old as the line before it; ``before`` is the stamp of the line before the first, b"" if
    there is none.
    """
    lines = []
    stamp = before or _NONE
    for line in data.split(b"\n"):
        found = _STAMP.match(line)
        if found:
            stamp = _normal(found[1], found[2] or b"", found[3])
        lines.append(stamp + b" " + line[found.end() if found else 0 :])
    return b"\n".join(lines)


def instant(stamp: bytes) -> datetime | None:
    """Read an RFC 3339 time of a stream, None for "" and for impossible ones (month 13)."""
    try:
        return datetime.fromisoformat(stamp.decode("ascii")).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _places(second: bytes, seconds: list[bytes]) -> "compress[int]":
    return compress(count(), map(second.__eq__, seconds))


def _normal(second: bytes, fraction: bytes, zone: bytes) -> bytes:
    """Write a time as the kubelet does: nanoseconds, UTC."""
    if zone != b"Z":
        moment = instant(second + zone)
        if moment is not None:
            second = moment.strftime("%Y-%m-%dT%H:%M:%S").encode("ascii")
    return second + b"." + fraction[:9].ljust(9, b"0") + b"Z"
