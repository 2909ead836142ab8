"""Judge of logs: which messages are new, risen, fallen or gone on the canary, and what that is worth.

Everything is a pure function of the reduced logs, the traffic metric and the policy. "New" is never a set difference:
it takes more events than chance and bursts explain (``counts``). Rewording, moved loggers, other formats and other
verbosity are differences without harm (``reword``). Work that is begun and no longer ended is harm without an error
(``steps``).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rollout_verdict.core.comparison import Interval, LogChange, LogComparison, LogOutcome
from rollout_verdict.core.counts import Habit, contrast, dispersion, ratio_interval
from rollout_verdict.core.evidence import Level, LogEvidence, LogPattern, MetricEvidence, PodLog
from rollout_verdict.core.exposure import Exposure, derive_exposure
from rollout_verdict.core.log_policy import LogPolicy
from rollout_verdict.core.rows import Row, build_rows, is_error, total
from rollout_verdict.core.statistics import median
from rollout_verdict.core.steps import BrokenStep, Step, broken_steps, missing_steps
from rollout_verdict.core.values import Pair, Severity, Window

__all__ = ["LogPolicy", "judge_logs"]

_FAILURE = re.compile(
    r"(?<![\w-])(fail(ed|ure|ures|ing|s)?|error(s|ed)?|exceptions?|time[ds]?[ -]?outs?|refused|denied|unavailable|"
    r"unreachable|abort(ed|ing)?|panic|crash(ed)?|cannot|could not|couldn't|unable|reject(ed|ing)?|lost|giving up|"
    r"exhausted|deadlock|corrupt(ed)?|mismatch|retry(ing)?|retries|overloaded|dropp(ed|ing)|unexpected|invalid)(?![\w-])"
    r"(?!\s*[=:]\s*(0|none|false|null|<\*>)\b)",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"deprecat|will be removed|obsolete", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What every row is judged against. ``work`` is what shares are taken of: requests, else events."""

    exposure: Exposure
    habit: Habit
    work: Pair[float]
    events: Pair[int]
    policy: LogPolicy


def judge_logs(
    logs: LogEvidence, metrics: MetricEvidence | None, window: Window | None, policy: LogPolicy
) -> LogComparison:
    """Hold the logs of the two sides against each other, per request where a traffic metric tells of them.

    The comparison is inadequate when a side says too little, or when both sides fail alike.
    """
    events = logs.pods.map(lambda pods: sum(pod.events for pod in pods))
    if not events.stable or not events.canary:
        return _nothing(events)
    exposure = derive_exposure(logs, metrics, window, policy)
    rows, habit = build_rows(logs, exposure, policy)
    work = exposure.total if exposure.unit == "requests" else events.map(float)
    scene = _Scene(exposure=exposure, habit=habit, work=work, events=events, policy=policy)
    singles = [row for row in rows if not row.members]
    changes = [_change(row, scene) for row in singles]
    changes = _broken(_excuse_replaced(changes, scene), singles, scene)
    changes += _missing(changes, logs, scene)
    changes += [_change(row, scene) for row in rows if row.members]
    silence = _too_little(scene) or _short_lived(logs, window, scene)
    if silence:
        changes = [_not_missed(change) for change in changes]
    changes = _tell_families(changes, policy)
    ranked = sorted(changes, key=_importance)
    changes = [replace(change, id=f"l{number}") for number, change in enumerate(ranked, 1)]
    harm = any(change.severity is Severity.FAIL for change in changes)
    reason = "" if harm else silence or _both_failing(logs, scene)
    return LogComparison(
        changes=tuple(changes),
        events=events,
        exposure=exposure.total,
        exposure_unit=exposure.unit,
        dispersion=median([row.contrast.dispersion for row in rows]),
        adequate=not reason,
        reason=reason,
    )


def _nothing(events: Pair[int]) -> LogComparison:
    missing = [side for side, count in (("stable", events.stable), ("canary", events.canary)) if not count]
    return LogComparison(
        changes=(),
        events=events,
        exposure=Pair(stable=0.0, canary=0.0),
        exposure_unit="events",
        dispersion=1.0,
        adequate=False,
        reason=f"there are no log events of {' and '.join(missing)}",
    )


def _change(row: Row, scene: _Scene) -> LogChange:
    policy = scene.policy
    beyond = row.q is not None and row.q <= policy.false_discovery_rate
    interval = ratio_interval(row.contrast, policy.interval_level) if beyond else None
    outcome, significant = _outcome(row, interval, policy)
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


def _outcome(row: Row, interval: Interval | None, policy: LogPolicy) -> tuple[LogOutcome, bool]:
    """Return what became of a row and whether that is beyond chance and above the effect floor.

    ``interval`` is the rate ratio's when the row is beyond chance, else None.
    """
    events = row.contrast.events
    floor = policy.error_ratio_floor if row.stratum == 0 else policy.ratio_floor
    if interval is not None and interval.low > floor:
        if events.stable:
            return LogOutcome.RISEN, True
        pods = min(policy.min_new_pods, len(row.pattern.counts.canary))
        enough = events.canary / min(1.0, row.contrast.dispersion) >= policy.min_new_events
        return (LogOutcome.NEW, True) if enough and row.pods_seen.canary >= pods else (LogOutcome.TOO_FEW, False)
    if interval is not None and interval.high < 1.0 / floor:
        return (LogOutcome.FALLEN if events.canary else LogOutcome.VANISHED), True
    if not events.stable or not events.canary:
        return LogOutcome.TOO_FEW, False
    return (LogOutcome.REWORDED if row.old else LogOutcome.UNCHANGED), False


def _severity(row: Row, outcome: LogOutcome, scene: _Scene) -> Severity:
    """Return what a significant change is worth on its own."""
    policy, pattern = scene.policy, row.pattern
    if outcome in _LOST:
        everyday = row.stratum == 2 and pattern.level in (Level.INFO, Level.UNKNOWN)
        everywhere = row.pods_seen.stable == len(pattern.counts.stable)
        expected = row.contrast.rate.stable * scene.exposure.total.canary / row.contrast.dispersion
        told = outcome is LogOutcome.VANISHED or scene.exposure.unit == "requests"
        missed = everyday and everywhere and told and expected >= policy.vanished_events
        return Severity.FAIL if missed else Severity.INFO
    share = _share(row, scene)
    if row.stratum == 0:
        return Severity.FAIL if share >= policy.error_share else Severity.WARN
    if "4xx" in pattern.status.split(","):
        return Severity.FAIL if share >= policy.failure_share else Severity.INFO
    if pattern.level < Level.INFO and pattern.level is not Level.UNKNOWN:
        return Severity.INFO
    few = pattern.level is not Level.WARN and row.contrast.events.canary < policy.told_failures
    if row.members or few or not speaks_of_failure(pattern):
        return Severity.INFO
    return Severity.FAIL if share >= policy.failure_share else Severity.WARN


def speaks_of_failure(pattern: LogPattern) -> bool:
    """Tell whether a pattern below ERROR speaks of a failure in words; notices of deprecation do not."""
    return bool(_FAILURE.search(pattern.template)) and not _HARMLESS.search(pattern.template)


def _share(row: Row, scene: _Scene) -> float:
    """Return how much more of the canary's work than of stable's comes with this event."""
    events, work = row.contrast.events, scene.work
    return events.canary / max(1.0, work.canary) - events.stable / max(1.0, work.stable)


def _reason(row: Row, outcome: LogOutcome, interval: Interval | None, scene: _Scene) -> str:
    """Return the numbers in words."""
    events, unit = row.contrast.events, scene.exposure.unit
    pods = row.pattern.counts
    seen = (
        f"{events.canary} on the canary ({row.pods_seen.canary} of {len(pods.canary)} pods), "
        f"{events.stable} on stable ({row.pods_seen.stable} of {len(pods.stable)} pods)"
    )
    if outcome is LogOutcome.TOO_FEW:
        return f"{seen}: too few to judge"
    rates = _per(row.contrast.rate, unit)
    if interval is None:
        return f"{seen}, {rates}: no difference beyond chance"
    verb = {LogOutcome.NEW: "new", LogOutcome.RISEN: "more often", LogOutcome.FALLEN: "less often"}.get(outcome, "gone")
    high = f"{interval.high:.3g}" if interval.high < 1e6 else "any"
    ratio = f"ratio {row.contrast.ratio:.3g} ({interval.low:.3g} to {high})"
    return f"{verb}: {seen}, {rates}, {ratio}, q = {row.q or 0.0:.1g}"


def _per(rate: Pair[float], unit: str) -> str:
    one = {"requests": "1,000 requests", "events": "1,000 everyday events", "pod-seconds": "1,000 pod-seconds"}[unit]
    return f"{1000 * rate.canary:.3g} against {1000 * rate.stable:.3g} per {one}"


def _excuse_replaced(changes: Sequence[LogChange], scene: _Scene) -> list[LogChange]:
    """Return the changes, without alarm over messages that only took the place of others."""
    note = "; as many messages of the same weight changed the other way"
    return [
        replace(change, severity=Severity.INFO, reason=change.reason + note)
        if change.severity is Severity.FAIL and _made_up_for(change, changes, scene)
        else change
        for change in changes
    ]


def _made_up_for(change: LogChange, changes: Sequence[LogChange], scene: _Scene) -> bool:
    """Tell whether a change is no longer beyond chance and its floor once its counterparts are added to it.

    A new format, new wording or moved code takes messages away and puts others there. Counterparts are messages of one
    weight that only the other side has: an error never stands in for a lost everyday message, nor the other way round.
    """
    policy, pods, lost = scene.policy, scene.exposure.pods, change.outcome in _LOST
    weight = _weight(change.pattern)
    others = [
        other.pattern
        for other in changes
        if (not other.events.stable if lost else not other.events.canary) and _weight(other.pattern) == weight
    ]
    if not others:
        return False
    counts = total("", change.pattern.level, "", [change.pattern, *others]).counts
    summed = contrast(counts, pods, dispersion(counts, pods, scene.habit, policy.dispersion_prior))
    floor = policy.error_ratio_floor if is_error(change.pattern) else policy.ratio_floor
    small = summed.ratio >= 1.0 / floor if lost else summed.ratio <= floor
    return small or summed.p > policy.false_discovery_rate


def _weight(pattern: LogPattern) -> str:
    """Return what a message has to share with another one to take its place."""
    classes = [status for status in pattern.status.split(",") if status in ("4xx", "5xx")]
    if classes:
        return classes[0]
    if is_error(pattern):
        return "error"
    if pattern.level in (Level.TRACE, Level.DEBUG):
        return "debug"
    return f"{'failure' if speaks_of_failure(pattern) else 'calm'} {max(pattern.level, Level.INFO)}"


def _not_missed(change: LogChange) -> LogChange:
    """Return a loss as worth nothing: a canary that hardly logged cannot have lost anything."""
    return replace(change, severity=Severity.INFO) if change.outcome in _LOST else change


_LOST = (LogOutcome.VANISHED, LogOutcome.FALLEN)


def _broken(changes: Sequence[LogChange], rows: Sequence[Row], scene: _Scene) -> list[LogChange]:
    """Return the changes, with the steps that stopped following their partner told as lost."""
    steps = [
        Step(name=index, cells=_cells(row.pattern))
        for index, row in enumerate(rows)
        if row.stratum == 2 and row.pattern.level in (Level.INFO, Level.UNKNOWN)
    ]
    told = list(changes)
    for one in broken_steps(steps, scene.policy):
        change = changes[one.lost]
        replaced = not change.events.canary and _made_up_for(change, changes, scene)
        if (change.ratio or 0.0) < 1.0 and not replaced:
            told[one.lost] = replace(
                change,
                outcome=LogOutcome.FALLEN if change.events.canary else LogOutcome.VANISHED,
                severity=Severity.FAIL,
                significant=True,
                reason=_unfinished(one, rows[one.begun].pattern.template),
            )
    return told


def _cells(pattern: LogPattern) -> Pair[tuple[int, ...]]:
    return Pair(
        stable=tuple(count for pod in pattern.buckets.stable for count in pod) or pattern.counts.stable,
        canary=tuple(count for pod in pattern.buckets.canary for count in pod) or pattern.counts.canary,
    )


def _unfinished(one: BrokenStep, partner: str) -> str:
    begun, ended = one.counts.canary
    return (
        f"comes {ended} times for {begun} of its partner {partner[:80]!r} ({one.kept.canary:.0%}); on stable the two "
        f"go together ({one.counts.stable[1]} for {one.counts.stable[0]}, {one.kept.stable:.0%}), p = {one.p:.1g}"
    )


def _missing(changes: Sequence[LogChange], logs: LogEvidence, scene: _Scene) -> list[LogChange]:
    """Return the change that tells of a run cut short: many steps that every stable pod takes are not there."""
    policy, worked = scene.policy, scene.exposure.total
    pods = len(logs.pods.stable)
    regular = [
        (index, change)
        for index, change in enumerate(changes)
        if change.pods_seen.stable == pods
        and change.pattern.level in (Level.INFO, Level.UNKNOWN)
        and not is_error(change.pattern)
    ]
    expected = [
        (index, (change.rate.stable or 0.0) * worked.canary / scene.habit.least, change.events.canary)
        for index, change in regular
    ]
    seen = missing_steps(expected)
    enough = len(seen.names) >= max(policy.min_missing, policy.missing_share * seen.regular)
    if not enough or seen.p > policy.flow_alpha:
        return []
    pattern = total("steps that every stable pod takes", Level.INFO, "", [changes[i].pattern for i in seen.names])
    stable = sum(pattern.counts.stable)
    fresh = sum(c.rate.canary or 0.0 for c in changes if not c.events.stable and _weight(c.pattern) == _weight(pattern))
    if fresh * policy.ratio_floor >= stable / worked.stable:
        return []
    return [
        LogChange(
            id="",
            pattern=pattern,
            outcome=LogOutcome.VANISHED,
            severity=Severity.FAIL,
            events=Pair(stable=stable, canary=0),
            pods_seen=Pair(stable=pods, canary=0),
            rate=Pair(stable=stable / worked.stable, canary=0.0),
            ratio=None,
            interval=None,
            q=None,
            significant=True,
            reason=(
                f"{len(seen.names)} of {seen.regular} kinds of message that every stable pod logs never come on the "
                f"canary (chance would leave out {seen.expected:.1f}, p = {seen.p:.1g}): work is left undone"
            ),
        )
    ]


def _tell_families(changes: Sequence[LogChange], policy: LogPolicy) -> list[LogChange]:
    """Return the changes, each that moves with others of its logger telling so."""
    moving = Counter((c.pattern.logger, c.outcome) for c in changes if c.significant and c.pattern.logger)
    told = []
    for change in changes:
        count = moving.get((change.pattern.logger, change.outcome), 0) if change.significant else 0
        note = f"; {count} messages of {change.pattern.logger} moved together" if count >= policy.family_size else ""
        told.append(replace(change, reason=change.reason + note))
    return told


_SEVERITIES = {Severity.VETO: 0, Severity.FAIL: 1, Severity.WARN: 2, Severity.INFO: 3}
_OUTCOMES = {outcome: rank for rank, outcome in enumerate(LogOutcome)}


def _importance(change: LogChange) -> tuple[object, ...]:
    return (
        _SEVERITIES[change.severity],
        not change.significant,
        -change.pattern.level,
        change.q if change.q is not None else 1.0,
        _OUTCOMES[change.outcome],
        -change.events.canary,
        -change.events.stable,
        change.pattern.template,
        change.pattern.status,
    )


def _too_little(scene: _Scene) -> str:
    """Return why a side says too little to miss anything, "" when it says enough."""
    policy, events, requests = scene.policy, scene.events, scene.exposure.requests
    for name, count in (("canary", events.canary), ("stable", events.stable)):
        if count < policy.min_events:
            return f"{name} logged {count} events, fewer than {policy.min_events}"
    if requests is not None and requests < policy.min_requests:
        return f"the canary served {requests:.0f} requests, fewer than {policy.min_requests:.0f}"
    return ""


def _short_lived(logs: LogEvidence, window: Window | None, scene: _Scene) -> str:
    """Return that the canary's log covers too little of the time, "" when it covers enough.

    A log that stops amid errors is not a short life but a failure: then what it lacks is lost.
    """
    if window is None:
        return ""
    covered = max(_covered(pod, window) for pod in logs.pods.canary)
    usual = median([_covered(pod, window) for pod in logs.pods.stable])
    failed = _failed(logs, scene)
    amid_errors = failed.canary >= scene.policy.failure_share and failed.canary > failed.stable
    if covered >= scene.policy.min_coverage * usual or amid_errors:
        return ""
    return f"the canary logged for {covered:.0f} s only, stable pods for {usual:.0f} s"


def _failed(logs: LogEvidence, scene: _Scene) -> Pair[float]:
    """Return the share of each side's events that are errors, traces or server failures."""
    errors = [pattern.counts for pattern in logs.patterns if is_error(pattern)]
    return Pair(
        stable=sum(sum(counts.stable) for counts in errors) / scene.events.stable,
        canary=sum(sum(counts.canary) for counts in errors) / scene.events.canary,
    )


def _both_failing(logs: LogEvidence, scene: _Scene) -> str:
    """Return that both sides fail alike when they do: then there is no healthy side to compare with."""
    failed = _failed(logs, scene)
    if min(failed.stable, failed.canary) < scene.policy.both_failing_share:
        return ""
    return f"both sides fail alike: {failed.canary:.0%} of canary and {failed.stable:.0%} of stable events are errors"


def _covered(pod: PodLog, window: Window) -> float:
    """Return the seconds of the window between the first and the last line of a pod."""
    if pod.first is None or pod.last is None:
        return 0.0
    return max(0.0, (min(pod.last, window.end) - max(pod.first, window.start)).total_seconds())
