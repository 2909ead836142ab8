"""Judge of logs: which messages are new, risen, fallen or gone on the canary, and what that is worth.

Everything is a pure function of the reduced logs, the traffic metric and the policy. "New" is never a set difference:
it takes more events than chance and bursts explain (``counts``). Rewording, moved loggers, other formats and other
verbosity are differences without harm (``reword``). Work that is begun and no longer ended is harm without an error
(``steps``).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from rollout_verdict.core.comparison import LogChange, LogComparison, LogOutcome
from rollout_verdict.core.evidence import LogEvidence, MetricEvidence
from rollout_verdict.core.logs.adequacy import both_failing, cut_short, heard, short_lived, too_little
from rollout_verdict.core.logs.changes import LOST, Scene, change_of, excuse_replaced
from rollout_verdict.core.logs.exposure import derive_exposure
from rollout_verdict.core.logs.flow import broken, missing
from rollout_verdict.core.logs.policy import LogPolicy
from rollout_verdict.core.logs.rows import build_rows
from rollout_verdict.core.statistics import median
from rollout_verdict.core.values import Pair, Severity, Window

__all__ = ["LogPolicy", "judge_logs"]


def judge_logs(
    logs: LogEvidence,
    metrics: MetricEvidence | None,
    window: Window | None,
    policy: LogPolicy,
    *,
    tested: bool = False,
) -> LogComparison:
    """Hold the logs of the two sides against each other, per request where a traffic metric tells of them.

    The comparison is inadequate when a side says too little, or when both sides fail alike. Nothing is missed of a
    canary that was only ``tested`` (``Progress``).
    """
    events = logs.pods.map(lambda pods: sum(pod.events for pod in pods))
    if not events.stable or not events.canary:
        return _nothing(events)
    whole, logs = logs, heard(logs)
    # A pod that has no log yet has taken no requests either.
    begun = whole.pods.map(lambda pods: sum(bool(pod.containers or pod.events) for pod in pods))
    exposure = derive_exposure(logs, metrics, window, policy, pods=begun)
    rows, habit = build_rows(logs, exposure, policy)
    work = exposure.total
    if exposure.unit != "requests":  # what the canary would log in the stable way: its own verbosity dilutes no failure
        work = Pair(stable=float(events.stable), canary=events.stable * work.canary / work.stable)
    scene = Scene(exposure=exposure, habit=habit, work=work, events=events, policy=policy, pods=whole.pods.map(len))
    singles = [row for row in rows if not row.members]
    changes = [change_of(row, scene) for row in singles]
    changes = broken(excuse_replaced(changes, scene), singles, scene)
    changes += missing(changes, logs, scene)
    changes += [change_of(row, scene) for row in rows if row.members]
    silence = too_little(scene) or short_lived(logs, window, scene)
    if silence or tested:
        changes = [_not_missed(change) for change in changes]
    changes = _tell_families(changes, policy)
    ranked = sorted(changes, key=_importance)
    changes = [replace(change, id=f"l{number}") for number, change in enumerate(ranked, 1)]
    harm = any(change.severity is Severity.FAIL for change in changes)
    reason = "" if harm else silence or cut_short(whole) or both_failing(logs, scene)
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


def _not_missed(change: LogChange) -> LogChange:
    """Return a loss as worth nothing: a canary that hardly logged, or got other requests, has lost nothing by that."""
    return replace(change, severity=Severity.INFO) if change.outcome in LOST else change


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
