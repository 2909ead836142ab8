"""One row of the log comparison as a change: what became of it, what that is worth, and why in words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rollout_verdict.core.comparison import Interval, LogChange, LogOutcome
from rollout_verdict.core.evidence import Level, LogPattern
from rollout_verdict.core.explanation.amounts import chance, count, number, times
from rollout_verdict.core.logs.counts import Habit, contrast, dispersion, ratio_interval
from rollout_verdict.core.logs.exposure import Exposure
from rollout_verdict.core.logs.policy import LogPolicy
from rollout_verdict.core.logs.rows import Row, is_error, stratum, total
from rollout_verdict.core.values import Pair, Severity, Side

_FAILURE = re.compile(
    r"(?<![\w-])(fail(ed|ure|ures|ing|s)?|error(s|ed)?|exceptions?|time[ds]?[ -]?outs?|refused|denied|unavailable|"
    r"unreachable|abort(ed|ing)?|panic|crash(ed)?|cannot|could not|couldn't|unable|reject(ed|ing)?|lost|giving up|"
    r"exhausted|deadlock|corrupt(ed)?|mismatch|retry(ing)?|retries|overloaded|dropp(ed|ing)|unexpected|invalid)(?![\w-])"
    r"(?!\s*[=:]\s*((0|none|false|null)\b|<\*>))",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"deprecat|will be removed|obsolete", re.IGNORECASE)


_RAREST = 1e-6  # share of its usual rate at which a message is as good as gone
LOST = (LogOutcome.VANISHED, LogOutcome.FALLEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What every row is judged against. ``work`` is what shares are taken of: requests, else events.

    ``pods`` is how many pods the sides have, read or not.
    """

    exposure: Exposure
    habit: Habit
    work: Pair[float]
    events: Pair[int]
    policy: LogPolicy
    pods: Pair[int]


def change_of(row: Row, scene: Scene) -> LogChange:
    """Return a row as a change, without an id yet."""
    policy = scene.policy
    alpha = policy.alpha(row.stratum) if row.contrast.ratio > 1.0 else policy.calm_discovery_rate
    beyond = row.q is not None and row.q <= alpha
    interval = ratio_interval(row.contrast, policy.interval_level) if beyond else None
    outcome, significant = _outcome(row, interval, scene)
    return LogChange(
        id="",
        pattern=row.pattern,
        outcome=outcome,
        severity=_severity(row, outcome, scene) if significant else Severity.INFO,
        events=row.contrast.events,
        pods_seen=row.pods_seen,
        rate=Pair(stable=row.contrast.rate.stable, canary=row.contrast.rate.canary),
        ratio=row.contrast.ratio,
        interval=interval,
        q=row.q,
        significant=significant,
        reason=_reason(row, outcome, interval if significant else None, scene),
        reworded_from=row.old,
    )


def _outcome(row: Row, interval: Interval | None, scene: Scene) -> tuple[LogOutcome, bool]:
    """Return what became of a row and whether that is beyond chance and above the effect floor.

    ``interval`` is the rate ratio's when the row is beyond chance, else None.
    """
    events, policy, few = row.contrast.events, scene.policy, _on_few(row, scene)
    floor = policy.error_ratio_floor if row.stratum == 0 else policy.ratio_floor
    if interval is not None and interval.low > floor:
        if events.stable:
            return LogOutcome.RISEN, True
        enough = events.canary / min(1.0, row.contrast.dispersion) >= policy.min_new_events
        return (LogOutcome.NEW, True) if enough and (row.stratum == 0 or not few) else (LogOutcome.TOO_FEW, False)
    if interval is not None and interval.high < 1.0 / floor:
        return (LogOutcome.FALLEN if events.canary else LogOutcome.VANISHED), True
    if not events.stable and row.stratum == 0 and few and _steady(row, policy):
        return LogOutcome.NEW, True  # between so few pods it may be chance, over time it is not
    if not events.stable or not events.canary:
        return LogOutcome.TOO_FEW, False
    return (LogOutcome.REWORDED if row.old else LogOutcome.UNCHANGED), False


def _severity(row: Row, outcome: LogOutcome, scene: Scene) -> Severity:
    """Return what a significant change is worth on its own."""
    policy, pattern = scene.policy, row.pattern
    if outcome in LOST:
        everyday = row.stratum == 2 and pattern.level in (Level.INFO, Level.UNKNOWN)
        everywhere = row.pods_seen.stable == len(pattern.counts.stable)
        expected = row.contrast.rate.stable * scene.exposure.total.canary / row.contrast.dispersion
        told = outcome is LogOutcome.VANISHED or scene.exposure.unit == "requests"
        missed = everyday and everywhere and told and expected >= policy.vanished_events
        return Severity.FAIL if missed else Severity.INFO
    share = _share(row, scene)
    if row.stratum == 0:
        alone = outcome is LogOutcome.NEW and _on_few(row, scene)
        return Severity.FAIL if share >= policy.error_share and not alone else Severity.WARN
    if "4xx" in pattern.status.split(","):
        return Severity.FAIL if share >= policy.failure_share else Severity.INFO
    if pattern.level < Level.INFO and pattern.level is not Level.UNKNOWN:
        return Severity.INFO
    few = pattern.level is not Level.WARN and row.contrast.events.canary < policy.told_failures
    if row.members or few or not speaks_of_failure(pattern):
        return Severity.INFO
    return Severity.FAIL if share >= policy.failure_share else Severity.WARN


def _on_few(row: Row, scene: Scene) -> bool:
    """Tell whether so few of several canary pods are known to have a message that these may be bad nodes."""
    return row.pods_seen.canary < min(scene.policy.min_new_pods, scene.pods.canary)


def _steady(row: Row, policy: LogPolicy) -> bool:
    """Tell whether a message that only the canary knows comes all through the window, and not in a burst or two."""
    columns = [sum(column) for column in zip(*row.pattern.buckets.canary, strict=True)]
    touched = sum(count > 0 for count in columns)
    return row.contrast.events.canary >= policy.told_failures and touched >= max(
        2.0, policy.steady_share * len(columns)
    )


def speaks_of_failure(pattern: LogPattern) -> bool:
    """Tell whether a pattern below ERROR speaks of a failure in words; notices of deprecation do not."""
    return bool(_FAILURE.search(pattern.template)) and not _HARMLESS.search(pattern.template)


def _share(row: Row, scene: Scene) -> float:
    """Return how much more of the canary's work than of stable's comes with this event."""
    events, work = row.contrast.events, scene.work
    return events.canary / max(1.0, work.canary) - events.stable / max(1.0, work.stable)


def _reason(row: Row, outcome: LogOutcome, interval: Interval | None, scene: Scene) -> str:
    """Return the numbers in words."""
    events, unit = row.contrast.events, scene.exposure.unit
    canary, stable = (_of_pods(row, scene, side) for side in (Side.CANARY, Side.STABLE))
    seen = f"{events.canary:,} on the canary ({canary}), {events.stable:,} on stable ({stable})"
    if outcome is LogOutcome.TOO_FEW:
        return f"{seen}: too few to judge"
    rates = _per(row.contrast.rate, unit)
    level = f"{row.pattern.level.name} " if row.pattern.level >= Level.WARN else ""
    if interval is None and outcome is LogOutcome.NEW:
        return f"new {level}message on few pods, all through the window: {seen}, {rates}; these may be bad nodes"
    if interval is None:
        return f"{seen}, {rates}: no difference beyond chance"
    verb = {
        LogOutcome.NEW: f"new {level}message",
        LogOutcome.RISEN: f"{level}message more often",
        LogOutcome.FALLEN: f"{level}message less often",
    }.get(outcome, f"{level}message gone")
    ratio = "rarer" if interval.high < 1.0 else "as often"
    factor = times(1.0 / max(interval.high, _RAREST) if interval.high < 1.0 else interval.low)
    by = "" if factor == "1" else f", at least {factor} times {ratio}"
    return f"{verb}: {seen}, {rates}{by} ({chance(row.q or 0.0).replace('p', 'q', 1)})"


def _of_pods(row: Row, scene: Scene, side: Side) -> str:
    """Say on how many pods of a side a message was seen, of how many."""
    heard = len(row.pattern.counts.of(side))
    return f"{row.pods_seen.of(side)} of {count(heard, 'pod')}{' read' if heard < scene.pods.of(side) else ''}"


def _per(rate: Pair[float], unit: str) -> str:
    """Return both rates by a unit in which they are neither tiny nor huge."""
    size, one = {
        "requests": (1000, "per 1,000 requests"),
        "events": (1000, "per 1,000 everyday events"),
        "pod-seconds": (60, "a minute and pod"),
    }[unit]
    return f"{number(size * rate.canary)} against {number(size * rate.stable)} {one}"


def excuse_replaced(changes: Sequence[LogChange], scene: Scene) -> list[LogChange]:
    """Return the changes, without alarm over messages that only took the place of others."""
    note = "; as many messages of the same weight changed the other way"
    return [
        replace(change, severity=Severity.INFO, reason=change.reason + note)
        if change.severity is Severity.FAIL and made_up_for(change, changes, scene)
        else change
        for change in changes
    ]


def made_up_for(change: LogChange, changes: Sequence[LogChange], scene: Scene) -> bool:
    """Tell whether a change is no longer beyond chance and its floor once its counterparts are added to it.

    A new format, new wording or moved code takes messages away and puts others there. Counterparts are messages of one
    weight that only the other side has: an error never stands in for a lost everyday message, nor the other way round.
    """
    policy, pods, lost = scene.policy, scene.exposure.pods, change.outcome in LOST
    own = weight(change.pattern)
    others = [
        other.pattern
        for other in changes
        if (not other.events.stable if lost else not other.events.canary) and weight(other.pattern) == own
    ]
    if not others:
        return False
    counts = total("", change.pattern.level, "", [change.pattern, *others]).counts
    summed = contrast(counts, pods, dispersion(counts, pods, scene.habit, policy.dispersion_prior))
    floor = policy.error_ratio_floor if is_error(change.pattern) else policy.ratio_floor
    small = summed.ratio >= 1.0 / floor if lost else summed.ratio <= floor
    return small or summed.p > policy.alpha(stratum(change.pattern))


def weight(pattern: LogPattern) -> str:
    """Return what a message has to share with another one to take its place."""
    classes = [status for status in pattern.status.split(",") if status in ("4xx", "5xx")]
    if classes:
        return classes[0]
    if is_error(pattern):
        return "error"
    if pattern.level in (Level.TRACE, Level.DEBUG):
        return "debug"
    return f"{'failure' if speaks_of_failure(pattern) else 'calm'} {max(pattern.level, Level.INFO)}"
