"""The clock of a stream: the kubelet's time stamps, held against a window, sorted into slots.

Only the stamps in front of lines are read. What an application prints as a time is part of its message.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from rollout_verdict.core.values import Window

if TYPE_CHECKING:
    from rollout_verdict.core.reduction.block import Run

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

    Stamps are given as functions from the number of a line, as few are wanted.
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

    def note(self, runs: "list[Run]", stamp: Callable[[int], bytes]) -> None:
        """Remember the earliest and the latest stamp."""
        known = {run.second for run in runs} - {_NO_SECOND}
        if not known:
            return
        low, high = min(known), max(known)
        if not self.first or low <= self.first[: len(low)]:
            self.first = min(filter(None, (self.first, *map(stamp, _places(low, runs)))))
        if high >= self.last[: len(high)]:
            self.last = max(self.last, *map(stamp, _places(high, runs)))

    def inside(self, runs: "list[Run]", stamp: Callable[[int], bytes]) -> list[tuple[int, int]] | None:
        """Return the lines that are not known to be outside the window, from and to; None for all of them."""
        window = self._window
        if window is None:
            return None
        kept: list[tuple[int, int]] = []
        for second, start, stop in runs:
            moment = instant(second + b"Z")
            if moment is None or window.start <= moment < window.end - _SECOND:
                kept.append((start, stop))
            elif window.start - _SECOND < moment < window.end:  # the fraction decides
                moments = ((index, instant(stamp(index))) for index in range(start, stop))
                kept += [(at, at + 1) for at, one in moments if one is None or window.start <= one < window.end]
        left_out = runs[-1].stop - sum(stop - start for start, stop in kept)
        self.outside += left_out
        return kept if left_out else None

    def slots(self, runs: "list[Run]", shift: int = 0) -> list[int | None]:
        """Return the slot of each run: of the window, or the epoch second, its last ``shift`` bits made 0."""
        known = self._slot_of
        if shift != self._shift or len(known) > _MOST_SECONDS:
            known.clear()
            self._shift = shift
        for second in {run.second for run in runs} - known.keys():
            known[second] = self._slot(second)
        return [known[run.second] for run in runs]

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


@lru_cache(maxsize=8192)  # the seconds of all streams are much the same
def instant(stamp: bytes) -> datetime | None:
    """Read an RFC 3339 time of a stream, None for "" and for impossible ones (month 13)."""
    try:
        return datetime.fromisoformat(stamp.decode("ascii")).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _places(second: bytes, runs: "list[Run]") -> Iterator[int]:
    return chain.from_iterable(range(run.start, run.stop) for run in runs if run.second == second)


def _normal(second: bytes, fraction: bytes, zone: bytes) -> bytes:
    """Write a time as the kubelet does: nanoseconds, UTC."""
    if zone != b"Z":
        moment = instant(second + zone)
        if moment is not None:
            second = moment.strftime("%Y-%m-%dT%H:%M:%S").encode("ascii")
    return second + b"." + fraction[:9].ljust(9, b"0") + b"Z"
