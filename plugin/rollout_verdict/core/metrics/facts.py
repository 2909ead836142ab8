"""Judging what is counted rather than measured: failures, growth, restarts, time not ready."""

from dataclasses import replace
from itertools import pairwise

from rollout_verdict.core.comparison import MetricOutcome
from rollout_verdict.core.explanation.amounts import amount, change
from rollout_verdict.core.metrics.blocks import Row
from rollout_verdict.core.metrics.case import Answer, Case, Rows, average
from rollout_verdict.core.metrics.level import (
    chance_of,
    level,
    means_of,
    noise,
    outcome_of,
    pick,
    rises,
    two_levels,
    weighing,
    when,
)
from rollout_verdict.core.metrics.policy import Floor
from rollout_verdict.core.metrics.share import share_shift
from rollout_verdict.core.metrics.shift import Shift, shift
from rollout_verdict.core.values import Pair, Severity, Side

_CLIENT = ("4xx", "client")  # errors that the caller made, unless the canary refuses what stable accepts


def share(case: Case) -> Answer:
    """Judge a share of failures by the requests behind it; by its level where no traffic metric tells of them."""
    requests = case.requests()
    if requests:
        return proportions(case, case.grid.rows, requests)
    return fraction(case, _share_floor(case))


def faults(case: Case) -> Answer:
    """Judge the rate of bad things as a share of the requests, or as a level with one event a block as grain."""
    requests = case.requests()
    if requests:
        seconds = case.grid.seconds
        answer = proportions(case, _shares(case.grid.rows, requests, seconds), requests)
        return _per_second(answer, average(requests.canary) / seconds)
    policy = case.policy
    grain = 1.0 / case.grid.seconds if case.quantity.per_second else 1.0
    return level(case, prior=policy.level_prior, floor=policy.level_floor, grain=grain)


def _per_second(answer: Answer, rate: float) -> Answer:
    """Return the answer about a share of requests in faults a second, at the canary's ``rate`` of requests."""
    check, bounds, levels = answer.check, answer.check.interval, answer.check.levels
    return replace(
        answer,
        check=replace(
            check,
            effect=None if check.effect is None else check.effect * rate,
            interval=bounds and replace(bounds, low=bounds.low * rate, high=bounds.high * rate),
            levels=levels and levels.map(lambda share: share * rate),
        ),
    )


def _shares(rows: Pair[Rows], requests: Pair[Rows], seconds: float) -> Pair[Rows]:
    def divided(values: Rows, counts: Rows) -> Rows:
        return tuple(
            tuple(
                None if value is None or not count else value * seconds / count
                for value, count in zip(row, served, strict=True)
            )
            for row, served in zip(values, counts, strict=True)
        )

    return Pair(stable=divided(rows.stable, requests.stable), canary=divided(rows.canary, requests.canary))


def _share_floor(case: Case) -> Floor:
    client = any(word in case.meta.name.lower() for word in _CLIENT)
    return case.policy.client_share_floor if client else case.policy.share_floor


def proportions(case: Case, shares: Pair[Rows], requests: Pair[Rows]) -> Answer:
    """Judge the difference between two shares of requests."""
    policy, floor = case.policy, _share_floor(case)
    found = share_shift(shares, requests, weight=policy.scatter_weight, level=policy.interval_level)
    if not found:
        return case.answer(MetricOutcome.TOO_FEW, "no time at which both sides served requests", method="none")
    ceiling = Severity.INFO
    if found.share.canary >= policy.share_ratio * found.share.stable and found.difference >= floor.warn:
        ceiling = Severity.FAIL if found.difference >= floor.fail else Severity.WARN
    sense = -found.difference if case.quantity.flip else found.difference
    outcome = outcome_of(sense, found.p, policy.warn_p)
    weight = weighing(outcome, found.p, better=found.difference < 0, heavy=ceiling is not Severity.INFO)
    canary, stable = (amount(found.share.of(side), "ratio") for side in (Side.CANARY, Side.STABLE))
    return case.answer(
        outcome,
        f"{canary} of {found.requests.canary:,.0f} requests failed{_with(case)} on the canary, "
        f"{stable} of {found.requests.stable:,.0f} on stable{' while stable was calm' if found.calm else ''}; {weight}",
        method="stratified proportions",
        ceiling=ceiling,
        effect=found.difference,
        interval=(found.low, found.high),
        relative=found.share.canary / found.share.stable - 1.0 if found.share.stable > 0 else None,
        strength=found.strength,
        p=found.p,
        levels=found.share,
    )


def _with(case: Case) -> str:
    """Return which failures a metric counts where its name tells."""
    return next((f" with {kind}" for kind in ("5xx", "4xx") if kind in case.meta.name.lower()), "")


def fraction(case: Case, floor: Floor | None = None) -> Answer:
    """Judge a ratio that no request count stands behind: the shift in points."""
    policy, worse = case.policy, case.quantity.worse
    found = shift(
        case.grid.rows,
        worse=worse,
        prior=policy.fraction_prior,
        noise=noise(case),
        counts=case.grid.counts,
        min_samples=policy.min_samples,
    )

    def harm(one: Shift) -> float:
        return one.value * worse

    floor = floor or policy.fraction_floor
    part = Floor(warn=floor.warn * policy.partial_factor, fail=floor.fail * policy.partial_factor)
    told, ceiling = pick(found, harm, floor, part)
    p = chance_of(told, found)
    sense = -told.value if case.quantity.flip else told.value
    outcome, levels = outcome_of(sense, p, policy.warn_p), means_of(case.grid.rows, told)
    weight = weighing(outcome, p, better=told.value * worse < 0, heavy=ceiling is not Severity.INFO)
    points = change((levels.canary - levels.stable) * (-1 if case.quantity.flip else 1), "ratio")
    return case.answer(
        outcome,
        f"{two_levels(case, levels, points)}{when(told)}; {weight}",
        method="paired shift",
        ceiling=ceiling,
        effect=told.value,
        interval=told.interval(policy.interval_level),
        strength=told.strength,
        p=p,
        levels=levels,
    )


def memory(case: Case) -> Answer:
    """Judge growth over the window: the level mostly tells how long a pod has been up."""
    policy = case.policy
    base = _scale(case.grid.rows)
    grown = rises(case.grid.rows, per=base)
    if not (grown.stable and grown.canary):
        return case.answer(MetricOutcome.TOO_FEW, "too few parts of the window to see growth", method="none")
    told, _ = shift(grown, worse=1, prior=policy.growth_prior, noise=1.0)
    steady = average([[_steadiness(row) for row in case.grid.rows.canary]]) >= policy.steady_share
    ceiling = Severity.INFO
    if steady and told.value >= policy.growth_floor.warn:
        ceiling = Severity.FAIL if told.value >= policy.growth_floor.fail else Severity.WARN
    low, high = told.interval(policy.interval_level)
    outcome, heavy = outcome_of(told.value, told.p, policy.warn_p), ceiling is not Severity.INFO
    return case.answer(
        outcome,
        f"growth over the window {_growth(grown.canary)} on the canary, {_growth(grown.stable)} on stable"
        f"{', steadily' if heavy else ''}; {weighing(outcome, told.p, better=told.value < 0, heavy=heavy)}",
        method="growth",
        ceiling=ceiling,
        effect=told.value * base,
        interval=(low * base, high * base),
        relative=told.value,
        strength=told.strength,
        p=told.p,
    )


def _scale(rows: Pair[Rows]) -> float:
    """Return stable's level, the unit of growth, but no less than a billionth of the largest value.

    Growth beyond that would overflow, and says no more.
    """
    largest = max(
        abs(value) for side in (rows.stable, rows.canary) for row in side for value in row if value is not None
    )
    return max(abs(average(rows.stable)), largest * 1e-9) or 1.0


def _growth(grown: Rows) -> str:
    """Return growth as a share of stable's level."""
    return f"{100 * average(grown):+.0f} %".replace("-", "−")


def _steadiness(row: Row) -> float:
    """Return the share of steps from block to block that go up."""
    known = [value for value in row if value is not None]
    return average([[1.0 if later > before else 0.0 for before, later in pairwise(known)]])


def events(case: Case) -> Answer:
    """Judge a counter of bad events. The canary's whole life counts, of stable only the window."""
    canary = max(value for one in case.series.canary for _, value in one.samples)
    stable = max(one.samples[-1][1] - one.samples[0][1] for one in case.series.stable if one.samples)
    excess = canary - max(0.0, stable)
    ceiling = Severity.INFO
    if excess >= 1:
        ceiling = Severity.FAIL if excess >= case.policy.events_fail else Severity.WARN
    return case.answer(
        MetricOutcome.HIGH if excess >= 1 else MetricOutcome.PASS,
        f"up to {canary:g} on a canary pod since it was made, up to {stable:g} more on a stable pod in the window",
        method="count",
        ceiling=ceiling,
        certain=True,
        effect=excess,
        levels=Pair(stable=max(0.0, stable), canary=canary),
    )


def state(case: Case) -> Answer:
    """Judge the share of time in the bad state, without the start: a pod is not ready before it is."""
    policy, worse = case.policy, case.quantity.worse

    def bad(side: Side) -> tuple[float, int]:
        kept = [
            [sample for sample in one.samples if sample[0] >= one.samples[0][0] + policy.warm_up_seconds]
            for one in case.series.of(side)
            if one.samples
        ]
        flags = [[value if worse > 0 else 1.0 - value for _, value in samples] for samples in kept]
        return average(flags), max(map(len, flags))

    (canary, seen), (stable, _) = bad(Side.CANARY), bad(Side.STABLE)
    if seen < policy.min_samples:
        return case.answer(MetricOutcome.TOO_FEW, "too few samples after the start", method="none")
    excess = canary - stable
    ceiling = Severity.INFO
    if excess >= policy.down_warn:
        ceiling = Severity.FAIL if excess >= policy.down_fail else Severity.WARN
    worst = MetricOutcome.HIGH if worse > 0 else MetricOutcome.LOW
    return case.answer(
        worst if excess >= policy.down_warn else MetricOutcome.PASS,
        f"in the bad state for {100 * canary:.0f} % of the time on the canary, {100 * stable:.0f} % on stable",
        method="share of time",
        ceiling=ceiling,
        certain=True,
        effect=excess * worse,
        levels=Pair(stable=stable, canary=canary).map(lambda share: share if worse > 0 else 1.0 - share),
    )
