"""The clock of a stream: the kubelet's time stamps, taken off lines, held against a window, sorted into slots.

Only the stamps in front of lines are read. What an application prints as a time is part of its message.
"""

import re
from datetime import UTC, datetime, timedelta

from rollout_verdict.core.mask import skeleton
from rollout_verdict.core.values import Window

_STAMP = re.compile(
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})(?: |\Z)"
)
_FIXED = 31  # bytes of the kubelet's "2006-01-02T15:04:05.000000000Z "
_MOST_SECONDS = 100_000  # remembered times of one stream
_SECOND = timedelta(seconds=1)


class Clock:
    """Reads the stamps of one stream. ``stamped`` is None until ``look`` has seen the first lines."""

    def __init__(self, window: Window | None, buckets: int, *, stamped: bool | None) -> None:
        self.stamped = stamped
        self.first = b""  # the earliest and the latest stamp of counted lines
        self.last = b""
        self.outside = 0  # lines left out because of their time
        self._window = window
        self._buckets = buckets
        self._before = b""  # a line without a stamp is as old as the one before
        self._slot_of: dict[bytes, int | None] = {}

    def look(self, lines: list[bytes]) -> None:
        """Find out whether lines carry a stamp, if that was not told: the first one that is not blank tells."""
        if self.stamped is None:
            self.stamped = _STAMP.match(next((line for line in lines if line.strip()), b"")) is not None

    def note(self, stamps: list[bytes]) -> None:
        """Remember the earliest and the latest stamp."""
        known = [stamp for stamp in (min(filter(None, stamps), default=b""), max(stamps)) if stamp]
        if known:
            self.first = min(self.first or known[0], known[0])
            self.last = max(self.last, known[-1])

    def strip(self, lines: list[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Part lines into contents and stamps, the latter as "2006-01-02T15:04:05.000000000Z", UTC."""
        firsts = [line[:_FIXED] for line in lines]
        shape = b"0000-00-00T00:00:00.000000000Z \n"
        if skeleton(b"\n".join(firsts)) + b"\n" == shape * len(lines):
            self._before = firsts[-1][:-1]
            return [line[_FIXED:] for line in lines], [first[:-1] for first in firsts]
        contents, stamps = [], []
        for line in lines:
            found = _STAMP.match(line)
            if found:
                self._before = _normal(found[1], found[2] or b"", found[3])
                line = line[found.end() :]  # noqa: PLW2901 - the stamp is taken off
            contents.append(line)
            stamps.append(self._before)
        return contents, stamps

    def inside(self, lines: list[bytes], stamps: list[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Leave out lines whose time is known to be outside the window."""
        window = self._window
        if window is None:
            return lines, stamps
        verdicts: dict[bytes, bool | None] = {}
        for second in {stamp[:19] for stamp in stamps}:
            moment = instant(second + b"Z")
            if moment is None or window.start <= moment < window.end - _SECOND:
                verdicts[second] = True
            elif moment <= window.start - _SECOND or moment >= window.end:
                verdicts[second] = False
            else:
                verdicts[second] = None  # the fraction decides
        if all(verdicts.values()):
            return lines, stamps
        kept = []
        for index, stamp in enumerate(stamps):
            verdict = verdicts[stamp[:19]]
            if verdict is None:
                moment = instant(stamp)
                verdict = moment is None or window.start <= moment < window.end
            if verdict:
                kept.append(index)
        self.outside += len(lines) - len(kept)
        return [lines[index] for index in kept], [stamps[index] for index in kept]

    def slots(self, stamps: list[bytes]) -> list[int | None]:
        """Return the slot of each stamp: of the window, or the epoch second itself."""
        seconds = [stamp[:19] for stamp in stamps]
        known = self._slot_of
        if len(known) > _MOST_SECONDS:
            known.clear()
        for second in set(seconds):
            if second not in known:
                known[second] = self._slot(second)
        return [known[second] for second in seconds]

    def _slot(self, second: bytes) -> int | None:
        moment = instant(second + b"Z")
        if moment is None:
            return None
        if self._window is None:
            return int(moment.timestamp())
        share = (moment - self._window.start).total_seconds() / self._window.seconds
        return min(self._buckets - 1, max(0, int(share * self._buckets)))


def instant(stamp: bytes) -> datetime | None:
    """Read an RFC 3339 time of a stream, None for "" and for impossible ones (month 13)."""
    try:
        return datetime.fromisoformat(stamp.decode("ascii")).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _normal(second: bytes, fraction: bytes, zone: bytes) -> bytes:
    """Write a time as the kubelet does: nanoseconds, UTC."""
    if zone != b"Z":
        moment = instant(second + zone)
        if moment is not None:
            second = moment.strftime("%Y-%m-%dT%H:%M:%S").encode("ascii")
    return second + b"." + fraction[:9].ljust(9, b"0") + b"Z"
