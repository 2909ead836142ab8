"""Judging levels: durations, processor time, work done. The question is always by what factor the canary differs.

Values go to a logarithmic scale, so that a shift is a factor; a grain (the smallest quantity that matters) is added
first, so that noise near zero stays small.
"""

import math
from collections.abc import Callable
from dataclasses import replace

from rollout_verdict.core.comparison import MetricOutcome
from rollout_verdict.core.explanation.amounts import chance
from rollout_verdict.core.explanation.amounts import relative as in_words
from rollout_verdict.core.metrics.blocks import Row
from rollout_verdict.core.metrics.case import Answer, Case, Rows, average
from rollout_verdict.core.metrics.policy import Floor
from rollout_verdict.core.metrics.shift import Prior, Shift, shift
from rollout_verdict.core.values import Pair, Severity, Side

ORDER = {Severity.VETO: 0, Severity.FAIL: 1, Severity.WARN: 2, Severity.INFO: 3}
_LARGEST = 200.0  # a factor of 10^86 is told as that: larger ones overflow
_NOISIEST = 10.0  # a canary that served a tenth of the requests; fewer are the business of min_requests
_BEYOND = 0.33  # fewest requests beyond a quantile: less than one in three blocks is a guess in any case
_NOTHING = 1e-9  # added where stable's level is 0, so that its logarithm exists
AT_EQUAL_TRAFFIC = ", counted at stable's request rate"
_IDLE = 0.1  # share of the usual requests added to both sides of "per request", so that idle blocks do not explode


def latency(case: Case) -> Answer:
    """Judge a duration. A quantile far out in the tail of few requests scatters more, and so does a quiet canary."""
    policy = case.policy
    usual, tail = policy.latency_prior, _tail(case)
    prior = replace(usual, between=usual.between * tail, within=usual.within * tail)
    answer = level(case, prior=prior, floor=policy.latency_floor, grain=policy.latency_grain, noise=noise(case))
    return replace(answer, ceiling=Severity.WARN) if _fails(answer) and case.quantity.elsewhere else answer


def cpu(case: Case) -> Answer:
    """Judge processor use as it is and per request; only what both call harm is harm."""
    policy = case.policy
    grain = policy.cpu_grain * (10.0 if case.quantity.scale == 1e-2 or "ratio" in case.meta.unit else 1.0)
    answers = [level(case, prior=policy.cpu_prior, floor=policy.cpu_floor, grain=grain)]
    requests = case.requests()
    if requests:
        rows = per_request(case.grid.rows, requests)
        answers.append(
            level(case, prior=policy.cpu_prior, floor=policy.cpu_floor, grain=grain, rows=rows, what=AT_EQUAL_TRAFFIC)
        )
    return max(answers, key=lambda one: (ORDER[one.ceiling], one.check.p or 0.0))


def work(case: Case) -> Answer:
    """Judge good outcomes a second by what came in; without a traffic metric less work is only a warning."""
    policy, requests = case.policy, case.requests()
    rows = per_request(case.grid.rows, requests) if requests else case.grid.rows
    answer = level(
        case,
        prior=policy.work_prior,
        floor=policy.work_floor,
        grain=_grain(case, rows),
        rows=rows,
        what=AT_EQUAL_TRAFFIC if requests else "",
    )
    return replace(answer, ceiling=Severity.WARN) if _fails(answer) and not requests else answer


def demand(case: Case) -> Answer:
    """Judge calls to others by what came in; without a traffic metric they are only shown."""
    policy, requests = case.policy, case.requests()
    if not requests:
        return shown(case)
    rows = per_request(case.grid.rows, requests)
    return level(
        case,
        prior=policy.level_prior,
        floor=policy.demand_floor,
        grain=_grain(case, rows),
        rows=rows,
        what=AT_EQUAL_TRAFFIC,
    )


def plain(case: Case, *, judged: bool = True) -> Answer:
    """Judge any other quantity."""
    policy = case.policy
    grain = _grain(case, case.grid.rows)
    return level(case, prior=policy.level_prior, floor=policy.level_floor, grain=grain, judged=judged)


def shown(case: Case) -> Answer:
    """Compare, but never call it harm."""
    return replace(plain(case, judged=False), ceiling=Severity.INFO)


def traffic(case: Case) -> Answer:
    """Show the traffic; only its collapse within the window, while stable's goes on, is worth a warning."""
    answer, policy = shown(case), case.policy
    risen = rises(_logs(case.grid.rows, _grain(case, case.grid.rows)))
    if not (risen.stable and risen.canary):
        return answer
    told, _ = shift(risen, worse=-1, prior=policy.level_prior, noise=1.0)
    if told.value > math.log(policy.collapse_ratio) or told.p >= policy.warn_p:
        return answer
    reason = (
        f"{answer.check.reason}; within the window the canary's fell to {100 * math.exp(average(risen.canary)):.0f} %, "
        f"stable's came to {100 * math.exp(average(risen.stable)):.0f} % ({chance(told.p)})"
    )
    check = replace(answer.check, outcome=MetricOutcome.LOW, p=told.p, strength=told.strength, reason=reason)
    return replace(answer, check=check, ceiling=Severity.WARN)


def level(
    case: Case,
    *,
    prior: Prior,
    floor: Floor,
    grain: float,
    rows: Pair[Rows] | None = None,
    what: str = "",
    noise: float = 1.0,
    judged: bool = True,
) -> Answer:
    """Judge the factor between canary and stable, over the window and in its worst part."""
    policy, rows = case.policy, rows or case.grid.rows
    neutral = case.quantity.worse == 0
    worse = case.quantity.worse or 1
    if not all(any(value is not None for row in rows.of(side) for value in row) for side in Side):
        return case.answer(MetricOutcome.TOO_FEW, "no time at which requests are known, too", method="none")
    found = shift(
        _logs(rows, grain),
        worse=worse,
        prior=prior,
        noise=noise,
        counts=case.grid.counts,
        min_samples=policy.min_samples,
    )
    base = average(rows.stable)

    def harm(one: Shift) -> float:
        factor = math.expm1(min(one.value, _LARGEST)) * worse
        return factor if factor * base >= floor.least else 0.0

    part = Floor(warn=floor.warn * policy.partial_factor, fail=max(floor.fail, policy.severe_factor))
    told, ceiling = pick(found, harm, floor, part)
    p = chance_of(told, found, neutral=neutral)
    low, high = told.interval(policy.interval_level)
    relative = math.expm1(min(told.value, _LARGEST))
    means = means_of(rows, told)
    outcome = outcome_of(told.value, p, policy.warn_p, two_sided=neutral)
    heavy = judged and not neutral and ceiling is not Severity.INFO
    weight = weighing(outcome, p, better=told.value * worse < 0, heavy=heavy)
    return case.answer(
        outcome,
        f"{two_levels(case, means, in_words(means.canary, means.stable))}{what}{when(told)}; {weight}",
        method="paired shift of the logarithm",
        ceiling=ceiling,
        severe=ceiling is Severity.FAIL and relative * worse >= policy.severe_factor,
        effect=relative * base,
        interval=(math.expm1(min(low, _LARGEST)) * base, math.expm1(min(high, _LARGEST)) * base),
        relative=relative,
        strength=told.strength,
        p=p,
        levels=means,
    )


def two_levels(case: Case, levels: Pair[float], difference: str) -> str:
    """Return both levels in words, and by how much they differ where there is something to say of it."""
    behind = f" ({difference})" if difference else ""
    return f"{case.shown(levels.canary)} on the canary, {case.shown(levels.stable)} on stable{behind}"


def weighing(outcome: MetricOutcome, p: float, *, better: bool, heavy: bool) -> str:
    """Return what a difference is worth, in words; ``heavy`` is one that is large enough to be harm.

    Chance is told of only where the difference is on the worse side, as that is the side that was tested.
    """
    if outcome is MetricOutcome.PASS:
        return "no difference beyond chance"
    word = "higher" if outcome is MetricOutcome.HIGH else "lower"
    if better or not heavy:
        return f"{word}, not harmful"
    return chance(p)


def pick(
    found: tuple[Shift, Shift], harm: Callable[[Shift], float], floor: Floor, part: Floor
) -> tuple[Shift, Severity]:
    """Return the shift to tell of, of the whole window and its worst part, and the severity its size would have."""
    ranked = []
    for one in found:
        size, least = harm(one), part if one.partial else floor
        ceiling = Severity.FAIL if size >= least.fail else Severity.WARN if size >= least.warn else Severity.INFO
        ranked.append((ORDER[ceiling], one.p if ceiling is not Severity.INFO else 0.0, one.partial, ceiling, one))
    _, _, _, ceiling, told = min(ranked, key=lambda entry: entry[:3])
    return told, ceiling


def chance_of(told: Shift, found: tuple[Shift, Shift], *, neutral: bool = False) -> float:
    """Return the p-value: doubled where the better of two shifts was chosen, or where either direction would do."""
    if neutral:
        return min(1.0, 2.0 * min(told.p, 1.0 - told.p))
    return min(1.0, told.p * (2.0 if found[1].partial else 1.0))


def outcome_of(effect: float, p: float, limit: float, *, two_sided: bool = False) -> MetricOutcome:
    """Return high or low where chance is ruled out on either side, else pass.

    A one-sided ``p`` near 1 says that the other side is sure; a two-sided one, that there is nothing.
    """
    if (p if two_sided else min(p, 1.0 - p)) >= limit:
        return MetricOutcome.PASS
    return MetricOutcome.HIGH if effect > 0 else MetricOutcome.LOW


def when(told: Shift) -> str:
    """Return in words which part of the window a shift was found in, "" for all of it."""
    return (
        f" in parts {told.first + 1} to {told.first + told.count} of {told.blocks} of the window"
        if told.partial
        else ""
    )


def noise(case: Case) -> float:
    """Return how many times the variance of stable's blocks the canary's have: by the requests a pod served."""
    requests = case.requests()
    if not requests:
        return 1.0
    return min(_NOISIEST, max(1.0, average(requests.stable) / max(average(requests.canary), 1e-9)))


def per_request(rows: Pair[Rows], requests: Pair[Rows]) -> Pair[Rows]:
    """Return values as they would be at stable's usual number of requests."""
    usual = average(requests.stable)

    def scaled(values: Rows, counts: Rows) -> Rows:
        return tuple(
            tuple(
                None if value is None or count is None else value * (1.0 + _IDLE) * usual / (count + _IDLE * usual)
                for value, count in zip(row, served, strict=True)
            )
            for row, served in zip(values, counts, strict=True)
        )

    return Pair(stable=scaled(rows.stable, requests.stable), canary=scaled(rows.canary, requests.canary))


def _tail(case: Case) -> float:
    """Return how many times more a block of this quantile scatters than a median of many requests.

    The variance of a sample quantile goes with 1 / (number of requests beyond it) (Mosteller 1946).
    """
    requests = case.requests()
    served = average(requests.stable) if requests else case.policy.usual_requests
    beyond = max(served * (1.0 - case.quantity.quantile), _BEYOND)
    return math.sqrt(1.0 + case.policy.tail_requests / beyond)


def _grain(case: Case, rows: Pair[Rows]) -> float:
    return case.policy.level_grain * max(0.0, average(rows.stable)) + _NOTHING


def _fails(answer: Answer) -> bool:
    return answer.ceiling is Severity.FAIL


def rises(rows: Pair[Rows], *, per: float = 1.0) -> Pair[Rows]:
    """Return by how much each row rises from its first to its last third, without rows of fewer than three blocks."""

    def rise(row: Row) -> Row:
        known = [value for value in row if value is not None]
        part = len(known) // 3
        return ((average([known[-part:]]) - average([known[:part]])) / per,) if part else ()

    return rows.map(lambda side: tuple(found for row in side if (found := rise(row))))


def _logs(rows: Pair[Rows], grain: float) -> Pair[Rows]:
    def log(value: float | None) -> float | None:
        return None if value is None else math.log(max(0.0, value) + grain)

    return rows.map(lambda side: tuple(tuple(log(value) for value in row) for row in side))


def means_of(rows: Pair[Rows], told: Shift) -> Pair[float]:
    """Return the means of both sides over the part of the window that a shift was found in."""
    return rows.map(lambda side: average(row[told.first : told.first + told.count] for row in side))
