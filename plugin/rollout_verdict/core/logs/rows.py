"""The rows of a log comparison: patterns, reworded pairs and the sums by level and status, with their counts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rollout_verdict.core.evidence import Level, LogEvidence, LogKind, LogPattern
from rollout_verdict.core.logs.counts import (
    Contrast,
    Habit,
    bunching,
    burst_size,
    contrast,
    could_differ,
    dispersion,
    regularity,
    typical_spread,
)
from rollout_verdict.core.logs.exposure import Exposure
from rollout_verdict.core.logs.policy import LogPolicy
from rollout_verdict.core.logs.reword import Candidate, identity, pair_rewordings
from rollout_verdict.core.statistics import benjamini_hochberg
from rollout_verdict.core.values import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the comparison. ``old`` is the stable wording of a reworded pattern, "" otherwise.

    ``stratum`` shares an error budget: 0 errors, 1 warnings, 2 the rest. ``members`` are the patterns of a sum. ``q``
    is None for a row that could not be significant whatever its split, and was therefore not tested.
    """

    pattern: LogPattern
    old: str
    contrast: Contrast
    pods_seen: Pair[int]
    stratum: int
    q: float | None = None
    members: tuple[LogPattern, ...] = ()


def build_rows(logs: LogEvidence, exposure: Exposure, policy: LogPolicy) -> tuple[tuple[Row, ...], Habit]:
    """Return the rows with their adjusted p-values, and how these pods usually differ."""
    aligned = _align(logs.patterns, exposure, policy)
    calm = [pattern.counts for pattern, _ in aligned if not is_error(pattern)]
    least = regularity(
        [p.counts for p in logs.patterns if p.level < Level.WARN and not is_error(p)], exposure.pods, policy.min_regular
    )
    habit = Habit(
        spread=typical_spread(calm, exposure.pods),
        least=max(policy.least_dispersion, least) if least <= policy.max_regularity else 1.0,
    )
    rows = [_row(pattern, old, (), exposure=exposure, habit=habit, policy=policy) for pattern, old in aligned]
    rows += [
        _row(total(name, level, status, members), "", members, exposure=exposure, habit=habit, policy=policy)
        for name, level, status, members in _sums([pattern for pattern, _ in aligned])
    ]
    return _adjust(rows, exposure, policy), habit


def is_error(pattern: LogPattern) -> bool:
    """Tell whether a pattern stands for a failure by its level, its trace or its status."""
    return pattern.level >= Level.ERROR or pattern.kind is LogKind.TRACE or "5xx" in pattern.status.split(",")


def stratum(pattern: LogPattern) -> int:
    """Return the number of the error budget that a pattern draws on."""
    if is_error(pattern):
        return 0
    return 1 if pattern.level is Level.WARN or "4xx" in pattern.status.split(",") else 2


def _align(patterns: Iterable[LogPattern], exposure: Exposure, policy: LogPolicy) -> list[tuple[LogPattern, str]]:
    """Return the patterns, an old and a new wording of one message as one pattern with both counts."""
    worked = exposure.total
    vanished, new = [], []
    for pattern in patterns:
        stable, canary = sum(pattern.counts.stable), sum(pattern.counts.canary)
        if stable and not canary:
            vanished.append(Candidate(pattern=pattern, rate=stable / worked.stable))
        elif canary and not stable:
            new.append(Candidate(pattern=pattern, rate=canary / worked.canary))
    found = pair_rewordings(vanished, new, policy.reword_similarity, policy.max_reworded)
    pairs = {identity(fresh): old for old, fresh in found}
    gone = {identity(old) for old in pairs.values()}
    aligned = []
    for pattern in patterns:
        old = pairs.get(identity(pattern))
        if old:
            both = replace(
                pattern,
                counts=Pair(stable=old.counts.stable, canary=pattern.counts.canary),
                buckets=Pair(stable=old.buckets.stable, canary=pattern.buckets.canary),
                samples=Pair(stable=old.samples.stable, canary=pattern.samples.canary),
            )
            aligned.append((both, old.template))
        elif identity(pattern) not in gone:
            aligned.append((pattern, ""))
    return aligned


def _sums(patterns: Sequence[LogPattern]) -> list[tuple[str, Level, str, tuple[LogPattern, ...]]]:
    """Return (name, level, status, members) of the sums that stay telling when messages shatter into patterns."""
    kinds = (
        (
            "all errors and traces",
            Level.ERROR,
            "",
            [p for p in patterns if is_error(p) and p.kind is not LogKind.ACCESS],
        ),
        ("all warnings", Level.WARN, "", [p for p in patterns if p.level is Level.WARN and not is_error(p)]),
        ("all responses with status 5xx", Level.ERROR, "5xx", [p for p in patterns if "5xx" in p.status.split(",")]),
        ("all responses with status 4xx", Level.WARN, "4xx", [p for p in patterns if "4xx" in p.status.split(",")]),
    )
    return [(name, level, status, tuple(members)) for name, level, status, members in kinds if len(members) > 1]


def total(name: str, level: Level, status: str, members: Sequence[LogPattern]) -> LogPattern:
    """Return the sum of several patterns as one."""
    loudest = max(members, key=lambda p: (sum(p.counts.canary), sum(p.counts.stable), p.template))
    return LogPattern(
        template=name,
        level=level,
        kind=LogKind.MESSAGE,
        status=status,
        logger="",
        counts=Pair(
            stable=_columns([p.counts.stable for p in members]), canary=_columns([p.counts.canary for p in members])
        ),
        buckets=Pair(
            stable=tuple(_columns(pod) for pod in zip(*(p.buckets.stable for p in members), strict=True)),
            canary=tuple(_columns(pod) for pod in zip(*(p.buckets.canary for p in members), strict=True)),
        ),
        samples=loudest.samples,
    )


def _columns(rows: Iterable[Sequence[int]]) -> tuple[int, ...]:
    return tuple(sum(column) for column in zip(*rows, strict=True))


def _row(
    pattern: LogPattern,
    old: str,
    members: tuple[LogPattern, ...],
    *,
    exposure: Exposure,
    habit: Habit,
    policy: LogPolicy,
) -> Row:
    counts = pattern.counts
    factor = dispersion(counts, exposure.pods, habit, policy.dispersion_prior)
    bunch = 1.0
    if len(counts.canary) == 1 and pattern.buckets.canary:  # no other pod to learn the canary's bursts from
        bunch = bunching(pattern.buckets.canary[0], _columns(pattern.buckets.stable))
    if habit.least < 1.0:
        factor *= 1.0 if any(counts.stable) else bunch
    else:
        factor = max(factor, bunch, burst_size(pattern.buckets, exposure.pods))
    return Row(
        pattern=pattern,
        old=old,
        contrast=contrast(counts, exposure.pods, factor),
        pods_seen=counts.map(lambda pods: sum(count > 0 for count in pods)),
        stratum=stratum(pattern),
        members=members,
    )


def _adjust(rows: Sequence[Row], exposure: Exposure, policy: LogPolicy) -> tuple[Row, ...]:
    """Return the rows with Benjamini-Hochberg q-values, each stratum with its own error budget."""
    adjusted = list(rows)
    for number in range(3):
        tested = [
            index
            for index, row in enumerate(rows)
            if row.stratum == number
            and could_differ(
                (row.contrast.events.stable + row.contrast.events.canary) / row.contrast.dispersion,
                exposure.pods,
                policy.alpha(number),
            )
        ]
        for index, q in zip(tested, benjamini_hochberg([rows[i].contrast.p for i in tested]), strict=True):
            adjusted[index] = replace(rows[index], q=q)
    return tuple(adjusted)
