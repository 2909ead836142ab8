"""What the canary no longer does: steps that lost their partner, and steps it never takes."""

from collections.abc import Sequence
from dataclasses import replace

from rollout_verdict.core.comparison import LogChange, LogOutcome
from rollout_verdict.core.evidence import Level, LogEvidence, LogPattern
from rollout_verdict.core.logs.changes import Scene, made_up_for, weight
from rollout_verdict.core.logs.rows import Row, is_error, total
from rollout_verdict.core.logs.steps import BrokenStep, Step, broken_steps, missing_steps
from rollout_verdict.core.values import Pair, Severity


def broken(changes: Sequence[LogChange], rows: Sequence[Row], scene: Scene) -> list[LogChange]:
    """Return the changes, with the steps that stopped following their partner told as lost."""
    steps = [
        Step(name=index, cells=_cells(row.pattern))
        for index, row in enumerate(rows)
        if row.stratum == 2 and row.pattern.level in (Level.INFO, Level.UNKNOWN)
    ]
    told = list(changes)
    for one in broken_steps(steps, scene.policy):
        change = changes[one.lost]
        replaced = not change.events.canary and made_up_for(change, changes, scene)
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


def missing(changes: Sequence[LogChange], logs: LogEvidence, scene: Scene) -> list[LogChange]:
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
    fresh = sum(c.rate.canary or 0.0 for c in changes if not c.events.stable and weight(c.pattern) == weight(pattern))
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
