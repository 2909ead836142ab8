"""The span of time over which the two sides are compared, and why it is that one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollout_verdict.core.target import Gathering
from rollout_verdict.core.values import Window

LEAST = timedelta(seconds=1)  # a window is never empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """A time before which the canary took no traffic, and how one knows."""

    since: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The window, why it is that one, and what is wrong with it, "" when nothing is."""

    window: Window
    basis: str
    obstacle: str = ""


def choose(
    end: datetime,
    gathering: Gathering,
    ready: Sequence[datetime | None],
    started: Sequence[datetime | None],
    floor: Floor | None,
) -> Chosen:
    """Return the window that ends at ``end``, for both sides.

    It begins when the canary had taken traffic for the time of the warm-up, and no earlier than ``window_s`` before the
    end. ``ready`` says since when each canary pod can answer, None for one that cannot; ``started`` when each started.
    """
    least = end - timedelta(seconds=gathering.window_s)
    warm_up = timedelta(seconds=gathering.warm_up_s)
    known = [time for time in ready if time is not None]
    if not known:
        begun = min((time for time in started if time is not None), default=least)
        start = max(least, min(begun, end - LEAST))
        basis = "no canary pod is known: as much as was asked for"
        if ready:
            basis = "no canary pod has been ready yet: all since the first of them started, no warm-up left out"
        return Chosen(window=_window(start, end, least), basis=_told(basis, start, end))
    since, reason = max(known), "its youngest pod became ready"
    if floor is not None and floor.since > since:
        since, reason = floor.since, floor.reason
    if since + warm_up < least:
        basis = f"the canary has taken traffic since {since:%H:%M:%S} UTC ({reason})"
        return Chosen(window=_window(least, end, least), basis=_told(basis, least, end))
    start = since + warm_up
    if start + LEAST <= end:
        basis = f"from {gathering.warm_up_s:g} s of warm-up after the canary took traffic ({reason})"
        return Chosen(window=_window(start, end, least), basis=_told(basis, start, end))
    obstacle = (
        f"the canary is still warming up: {reason} {max(0.0, (end - since).total_seconds()):.0f} s ago, and it is left "
        f"alone for {gathering.warm_up_s:g} s"
    )
    start = min(since, end - LEAST)
    return Chosen(window=_window(start, end, least), basis=_told("all of its warm-up", start, end), obstacle=obstacle)


def _window(start: datetime, end: datetime, least: datetime) -> Window:
    return Window(start=min(max(start, least), end - LEAST), end=end)


def _told(basis: str, start: datetime, end: datetime) -> str:
    return f"{basis}; {(end - start).total_seconds():.0f} s until {end:%H:%M:%S} UTC"
