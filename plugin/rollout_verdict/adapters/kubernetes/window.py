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
    """The window, why it is that one, what is wrong with it, "" when nothing is, and what to do about that."""

    window: Window
    basis: str
    obstacle: str = ""
    hint: str = ""


def choose(
    end: datetime,
    gathering: Gathering,
    ready: Sequence[datetime | None],
    started: Sequence[datetime | None],
    floor: Floor | None,
    *,
    over: bool = False,
) -> Chosen:
    """Return the window that ends at ``end``, for both sides.

    It begins when the canary had taken traffic for the time of the warm-up, and no earlier than ``window_s`` before the
    end. ``ready`` says since when each canary pod can answer, None for one that cannot; ``started`` when each started.
    ``over`` says that the end is that of an analysis in the past, whose pods may have been replaced since.
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
    start = min(since, end - LEAST)
    window, basis = _window(start, end, least), _told("all of its warm-up", start, end)
    if over and since >= end:
        return Chosen(
            window=window,
            basis=basis,
            obstacle=f"the analysis was over before the canary of now took traffic: {reason} at {since:%H:%M:%S} UTC",
            hint="its pods were replaced since: see the measurements of the analysis, or ask about the rollout itself",
        )
    waited = max(0.0, (end - since).total_seconds())
    return Chosen(
        window=window,
        basis=basis,
        obstacle=f"the canary {'was' if over else 'is'} still warming up: {reason} {waited:.0f} s "
        f"{'before the end of the analysis' if over else 'ago'}, and it is left alone for {gathering.warm_up_s:g} s",
        hint="let the analysis start later (initialDelay, or a pause before it), or set a shorter warmUp",
    )


def _window(start: datetime, end: datetime, least: datetime) -> Window:
    return Window(start=min(max(start, least), end - LEAST), end=end)


def _told(basis: str, start: datetime, end: datetime) -> str:
    return f"{basis}; {(end - start).total_seconds():.0f} s until {end:%H:%M:%S} UTC"
