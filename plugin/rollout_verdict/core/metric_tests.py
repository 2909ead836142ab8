"""One question a metric: which test is asked depends on its kind, the answer carries numbers and words."""

import math
from dataclasses import dataclass

from rollout_verdict.core.comparison import Interval, MetricCheck, MetricOutcome, Summary
from rollout_verdict.core.evidence import MetricMeta, MetricSeries
from rollout_verdict.core.metric_blocks import Grid, Row, Sample, grid, series_samples, settled
from rollout_verdict.core.metric_kinds import Kind, Quantity, quantity
from rollout_verdict.core.metric_policy import Floor, MetricPolicy
from rollout_verdict.core.metric_share import share_shift
from rollout_verdict.core.metric_shift import Prior, Shift, shift
from rollout_verdict.core.metric_traffic import Traffic, row_of
from rollout_verdict.core.statistics import quantile
from rollout_verdict.core.values import Pair, Severity, Side

Labels = tuple[tuple[str, str], ...]
SeriesPair = Pair[tuple[MetricSeries, ...]]
Rows = tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A check before it is weighed: ``ceiling`` is the severity it would have if its p-value holds."""

    check: MetricCheck
    quantity: Quantity
    ceiling: Severity
    certain: bool = False  # a fact that needs no p-value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """Everything a test needs to know."""

    meta: MetricMeta
    quantity: Quantity
    labels: Labels
    series: SeriesPair
    samples: Pair[tuple[tuple[Sample, ...], ...]]
    grid: Grid
    traffic: Traffic
    policy: MetricPolicy

    def requests(self) -> Pair[Rows] | None:
        """Return requests by pod and block in the order of the grid's rows, None where a pod's are not known."""
        rows = {}
        for side in Side:
            rates = [
                self.traffic.rates(side, one.pod)
                for one, samples in zip(self.series.of(side), self.samples.of(side), strict=True)
                if samples
            ]
            if not rates or not all(rates) or len(rates) != len(self.grid.rows.of(side)):
                return None
            rows[side] = tuple(row_of(one, self.grid.edges) for one in rates)
        return Pair(stable=rows[Side.STABLE], canary=rows[Side.CANARY])


def ask(meta: MetricMeta, labels: Labels, series: SeriesPair, traffic: Traffic, policy: MetricPolicy) -> Answer:
    """Return the answer for one metric and label set."""
    told = quantity(meta)
    raw = series.map(lambda side: tuple(series_samples(one, scale=told.scale, flip=told.flip) for one in side))
    lasting = raw.map(
        lambda side: tuple(settled(one, warm_up=policy.warm_up_seconds, keep=policy.settled_samples) for one in side)
    )
    enough = all(max((len(one) for one in raw.of(side)), default=0) >= policy.min_samples for side in Side)
    framed = grid(lasting, blocks=policy.blocks)
    if framed is None:
        absent = [side.value for side in Side if not any(raw.of(side))]
        return _silent(meta, labels, series, told, MetricOutcome.NO_DATA, f"no samples on {' and '.join(absent)}")
    if not enough:
        counts = ", ".join(f"{side.value} {max(map(len, raw.of(side)))}" for side in Side)
        return _silent(
            meta, labels, series, told, MetricOutcome.TOO_FEW,
            f"too few samples a pod to judge ({counts}; {policy.min_samples} are needed)",
        )  # fmt: skip
    case = _Case(
        meta=meta, quantity=told, labels=labels, series=series, samples=lasting, grid=framed, traffic=traffic,
        policy=policy,
    )  # fmt: skip
    return _TESTS[told.kind](case)


def _silent(
    meta: MetricMeta, labels: Labels, series: SeriesPair, told: Quantity, outcome: MetricOutcome, reason: str
) -> Answer:
    return Answer(
        check=_check(meta, labels, series, outcome=outcome, reason=f"{meta.name}: {reason}", method="none"),
        quantity=told,
        ceiling=Severity.INFO,
    )


def _check(
    meta: MetricMeta,
    labels: Labels,
    series: SeriesPair,
    *,
    outcome: MetricOutcome,
    reason: str,
    method: str,
    effect: float | None = None,
    interval: Interval | None = None,
    relative: float | None = None,
    strength: float | None = None,
    p: float | None = None,
) -> MetricCheck:
    return MetricCheck(
        id="m0",
        name=meta.name,
        labels=labels,
        unit=meta.unit,
        direction=meta.direction,
        outcome=outcome,
        severity=Severity.INFO,
        summary=series.map(_summary),
        effect=effect,
        interval=interval,
        relative=relative,
        strength=strength,
        p=p,
        method=method,
        reason=reason,
        trend=series.map(_trend),
    )


def _summary(series: tuple[MetricSeries, ...]) -> Summary | None:
    values = [value for one in series for _, value in one.samples]
    if not values:
        return None
    return Summary(
        n=len(values),
        pods=sum(bool(one.samples) for one in series),
        mean=math.fsum(value / len(values) for value in values),
        median=quantile(values, 0.5),
        p95=quantile(values, 0.95),
        low=min(values),
        high=max(values),
    )


def _trend(series: tuple[MetricSeries, ...]) -> tuple[tuple[float, float], ...]:
    at: dict[float, list[float]] = {}
    for one in series:
        for time, value in one.samples:
            at.setdefault(time, []).append(value)
    times = sorted(at)
    count = min(40, len(times))
    points = []
    for index in range(count):
        chosen = times[index * len(times) // count : (index + 1) * len(times) // count]
        values = [value for time in chosen for value in at[time]]
        points.append((chosen[0], math.fsum(value / len(values) for value in values)))
    return tuple(points)


def _outcome(shift_value: float, p: float, limit: float) -> MetricOutcome:
    if p >= limit:
        return MetricOutcome.PASS
    return MetricOutcome.HIGH if shift_value > 0 else MetricOutcome.LOW


def _log_rows(rows: Pair[Rows], grain: float) -> Pair[Rows]:
    return rows.map(
        lambda side: tuple(
            tuple(None if value is None else math.log(max(0.0, value) + grain) for value in row) for row in side
        )
    )


def _level(
    case: _Case,
    *,
    prior: Prior,
    floor: Floor,
    grain: float,
    rows: Pair[Rows] | None = None,
    what: str = "",
    noise: float = 1.0,
) -> Answer:
    """Judge a relative shift of the level."""
    policy, worse = case.policy, case.quantity.worse or 1
    found = shift(
        _log_rows(rows or case.grid.rows, grain), worse=worse, prior=prior, noise=noise, level=policy.interval_level
    )
    assert found is not None
    whole, worst = found
    base = _mean([value for row in (rows or case.grid.rows).stable for value in row if value is not None])
    ceiling, told = Severity.INFO, whole
    for one in (whole, worst):
        partial = one.count < one.blocks
        factor = policy.partial_factor if partial else 1.0
        size = abs(math.expm1(one.value)) if one.value > 0 else math.expm1(-one.value)
        amount = size * base if one.value > 0 else base * -math.expm1(one.value)
        harmful = one.value * worse > 0 and amount >= floor.least
        if harmful and size >= floor.fail * factor:
            if ceiling is not Severity.FAIL or one.p < told.p:
                ceiling, told = Severity.FAIL, one
        elif harmful and size >= floor.warn * factor and ceiling is Severity.INFO:
            ceiling, told = Severity.WARN, one
    p = min(1.0, told.p * (2 if worst.count < worst.blocks else 1))
    relative = math.expm1(told.value)
    better = 1 - p
    outcome = _outcome(told.value, min(p, better if told is whole else 1.0), policy.warn_p)
    part = (
        ""
        if told.count == told.blocks
        else f" in blocks {told.first + 1} to {told.first + told.count} of {told.blocks}"
    )
    reason = (
        f"{case.meta.name}{what}: {relative:+.0%}{part} against {len(case.grid.rows.stable)} stable series, "
        f"{abs(told.strength):.1f} times their spread (p {p:.2g})"
    )
    check = _check(
        case.meta, case.labels, case.series, outcome=outcome, reason=reason, method="paired shift",
        effect=relative * base / case.quantity.scale,
        interval=Interval(
            low=_expm1(told.low) * base / case.quantity.scale,
            high=_expm1(told.high) * base / case.quantity.scale,
            level=policy.interval_level,
        ),
        relative=relative, strength=told.strength, p=p,
    )  # fmt: skip
    return Answer(check=check, quantity=case.quantity, ceiling=ceiling)


def _expm1(value: float) -> float:
    return math.expm1(min(value, 700.0))


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0


def _noise(case: _Case) -> float:
    """Return how many times noisier the canary's quantiles are than stable's: by the requests a pod served."""
    requests = case.requests()
    if requests is None:
        return 1.0
    stable, canary = (
        _mean([value for row in requests.of(side) for value in row if value is not None]) for side in Side
    )
    return min(10.0, max(1.0, stable / canary)) if canary > 0 else 10.0


def _latency(case: _Case) -> Answer:
    policy = case.policy
    return _level(
        case, prior=policy.latency_prior, floor=policy.latency_floor, grain=policy.latency_grain, noise=_noise(case)
    )


def _cpu(case: _Case) -> Answer:
    """Judge processor use by itself and per request; only what both call harm is harm."""
    policy = case.policy
    grain = policy.cpu_grain * (10 if "percent" in case.meta.unit or "ratio" in case.meta.unit else 1)
    alone = _level(case, prior=policy.cpu_prior, floor=policy.cpu_floor, grain=grain)
    requests = case.requests()
    if requests is None:
        return alone
    usual = _mean([value for row in requests.stable for value in row if value is not None])
    if usual <= 0:
        return alone
    rows = _per(case.grid.rows, requests, usual)
    apiece = _level(case, prior=policy.cpu_prior, floor=policy.cpu_floor, grain=grain, rows=rows, what=" per request")
    return max(alone, apiece, key=lambda one: (_ORDER[one.ceiling], one.check.p or 0.0))


_ORDER = {Severity.FAIL: 0, Severity.WARN: 1, Severity.INFO: 2}


def _per(rows: Pair[Rows], requests: Pair[Rows], usual: float) -> Pair[Rows]:
    return Pair(
        stable=_divided(rows.stable, requests.stable, usual), canary=_divided(rows.canary, requests.canary, usual)
    )


def _divided(rows: Rows, requests: Rows, usual: float) -> Rows:
    """Return values scaled to the usual request rate; a tenth of it is added so that idle blocks do not explode."""
    return tuple(
        tuple(
            None if value is None or count is None else value * 1.1 * usual / (count + 0.1 * usual)
            for value, count in zip(row, counts, strict=True)
        )
        for row, counts in zip(rows, requests, strict=True)
    )


def _plain_level(case: _Case) -> Answer:
    policy = case.policy
    base = _mean([abs(value) for row in case.grid.rows.stable for value in row if value is not None])
    return _level(case, prior=policy.level_prior, floor=policy.level_floor, grain=policy.level_grain * base + 1e-9)


def _share(case: _Case) -> Answer:
    policy = case.policy
    requests = case.requests()
    client = any(word in case.meta.name.lower() for word in ("4xx", "client"))
    floor = policy.client_share_floor if client else policy.share_floor
    found = requests and share_shift(
        case.grid.rows, requests, weight=policy.scatter_weight, level=policy.interval_level
    )
    if not found:
        return _fraction(case, floor=floor)
    harmful = found.difference > 0 and found.share.canary >= policy.share_ratio * found.share.stable
    ceiling = Severity.INFO
    if harmful and found.difference >= floor.warn:
        ceiling = Severity.FAIL if found.difference >= floor.fail else Severity.WARN
    sign = -1 if case.quantity.flip else 1
    reason = (
        f"{case.meta.name}: failures {found.share.canary:.2%} of {found.requests.canary:.0f} requests on the canary, "
        f"{found.share.stable:.2%} of {found.requests.stable:.0f} on stable (p {found.p:.2g})"
    )
    bounds = sorted((sign * found.low / case.quantity.scale, sign * found.high / case.quantity.scale))
    check = _check(
        case.meta, case.labels, case.series,
        outcome=_outcome(sign * found.difference, min(found.p, 1 - found.p), policy.warn_p),
        reason=reason, method="stratified proportions",
        effect=sign * found.difference / case.quantity.scale,
        interval=Interval(low=bounds[0], high=bounds[1], level=policy.interval_level),
        relative=found.share.canary / found.share.stable - 1 if found.share.stable > 0 else None,
        strength=found.strength, p=found.p,
    )  # fmt: skip
    return Answer(check=check, quantity=case.quantity, ceiling=ceiling)


def _fraction(case: _Case, floor: Floor | None = None) -> Answer:
    policy, worse = case.policy, case.quantity.worse or 1
    floor = floor or policy.fraction_floor
    found = shift(
        case.grid.rows, worse=worse, prior=policy.fraction_prior, noise=_noise(case), level=policy.interval_level
    )
    assert found is not None
    whole, worst = found
    ceiling, told = Severity.INFO, whole
    for one in (whole, worst):
        factor = policy.partial_factor if one.count < one.blocks else 1.0
        size = one.value * worse
        if size >= floor.fail * factor and (ceiling is not Severity.FAIL or one.p < told.p):
            ceiling, told = Severity.FAIL, one
        elif size >= floor.warn * factor and ceiling is Severity.INFO:
            ceiling, told = Severity.WARN, one
    p = min(1.0, told.p * (2 if worst.count < worst.blocks else 1))
    sign = (-1 if case.quantity.flip else 1) / case.quantity.scale
    low, high = sorted((sign * told.low, sign * told.high))
    check = _check(
        case.meta, case.labels, case.series, outcome=_outcome(sign * told.value, min(p, 1 - p), policy.warn_p),
        reason=f"{case.meta.name}: shift {sign * told.value:+.3g} {case.meta.unit} (p {p:.2g})", method="paired shift",
        effect=sign * told.value, interval=Interval(low=low, high=high, level=policy.interval_level),
        relative=None, strength=told.strength, p=p,
    )  # fmt: skip
    return Answer(check=check, quantity=case.quantity, ceiling=ceiling)


def _memory(case: _Case) -> Answer:
    """Judge growth over the window; the level only tells how long a pod has been up."""
    policy = case.policy
    base = _mean([value for row in case.grid.rows.stable for value in row if value is not None])
    blocks = case.grid.blocks
    part = max(1, blocks // 3)

    def growth(row: Row) -> Row:
        known = [value for value in row if value is not None]
        if len(known) < 2 or base <= 0:
            return (None,)
        return ((_mean(known[-part:]) - _mean(known[:part])) / base,)

    rows = case.grid.rows.map(lambda side: tuple(growth(row) for row in side))
    usable = rows.map(lambda side: tuple(row for row in side if row[0] is not None))
    found = (
        shift(usable, worse=1, prior=policy.growth_prior, noise=1.0, level=policy.interval_level)
        if usable.stable and usable.canary
        else None
    )
    if found is None:
        return _silent(case.meta, case.labels, case.series, case.quantity, MetricOutcome.TOO_FEW, "too few blocks")
    told = found[0]
    steady = _mean([_steady(row) for row in case.grid.rows.canary]) >= policy.steady_share
    ceiling = Severity.INFO
    if steady and told.value >= policy.growth_floor.warn:
        ceiling = Severity.FAIL if told.value >= policy.growth_floor.fail and blocks > 3 else Severity.WARN
    grown = Pair(
        stable=_mean([row[0] for row in usable.stable if row[0] is not None]),
        canary=_mean([row[0] for row in usable.canary if row[0] is not None]),
    )
    scale = base / case.quantity.scale
    check = _check(
        case.meta, case.labels, case.series, outcome=_outcome(told.value, min(told.p, 1 - told.p), policy.warn_p),
        reason=f"{case.meta.name}: grew {grown.canary:+.0%} on the canary, {grown.stable:+.0%} on stable (p {told.p:.2g})",
        method="growth", effect=told.value * scale,
        interval=Interval(low=told.low * scale, high=told.high * scale, level=policy.interval_level),
        relative=told.value, strength=told.strength, p=told.p,
    )  # fmt: skip
    return Answer(check=check, quantity=case.quantity, ceiling=ceiling)


def _steady(row: Row) -> float:
    known = [value for value in row if value is not None]
    steps = [b - a for a, b in zip(known, known[1:], strict=False)]
    return _mean([1.0 if one > 0 else 0.0 for one in steps])


def _events(case: _Case) -> Answer:
    """Judge a counter of bad things. The canary's whole life counts: its pods are as old as the rollout."""
    canary = max((max(v for _, v in one.samples) for one in case.series.canary if one.samples), default=0.0)
    stable = max((one.samples[-1][1] - one.samples[0][1] for one in case.series.stable if one.samples), default=0.0)
    ceiling = Severity.INFO
    if canary > stable:
        ceiling = Severity.FAIL if canary - stable >= 2 else Severity.WARN
    check = _check(
        case.meta, case.labels, case.series,
        outcome=MetricOutcome.HIGH if canary > stable else MetricOutcome.PASS,
        reason=f"{case.meta.name}: up to {canary:g} on a canary pod, {stable:g} more on a stable pod in the window",
        method="count", effect=canary - stable,
    )  # fmt: skip
    return Answer(check=check, quantity=case.quantity, ceiling=ceiling, certain=True)


def _state(case: _Case) -> Answer:
    policy = case.policy

    def down(side: Side) -> float:
        flags = [value for one in case.samples.of(side) for _, value in one]
        return _mean([1.0 - value if case.quantity.worse < 0 else value for value in flags])

    canary, stable = down(Side.CANARY), down(Side.STABLE)
    ceiling = Severity.INFO
    if canary - stable >= policy.down_warn:
        ceiling = Severity.FAIL if canary - stable >= policy.down_fail else Severity.WARN
    bad = MetricOutcome.LOW if case.quantity.worse < 0 else MetricOutcome.HIGH
    check = _check(
        case.meta, case.labels, case.series, outcome=bad if ceiling is not Severity.INFO else MetricOutcome.PASS,
        reason=f"{case.meta.name}: bad for {canary:.0%} of the time on the canary, {stable:.0%} on stable",
        method="share of time", effect=-(canary - stable) if case.quantity.worse < 0 else canary - stable,
    )  # fmt: skip
    return Answer(check=check, quantity=case.quantity, ceiling=ceiling, certain=True)


def _yield(case: _Case) -> Answer:
    policy = case.policy
    requests = case.requests()
    rows, what, floor = case.grid.rows, "", Floor(warn=policy.work_floor.warn, fail=math.inf)
    if requests is not None:
        usual = _mean([value for row in requests.stable for value in row if value is not None])
        if usual > 0:
            rows, what, floor = _per(rows, requests, usual), " per unit of work received", policy.work_floor
    base = _mean([value for row in rows.stable for value in row if value is not None])
    return _level(case, prior=policy.work_prior, floor=floor, grain=0.01 * base + 1e-9, rows=rows, what=what)


def _demand(case: _Case) -> Answer:
    policy = case.policy
    requests = case.requests()
    usual = _mean([value for row in requests.stable for value in row if value is not None]) if requests else 0.0
    if requests is None or usual <= 0:
        return _other(case)
    rows = _per(case.grid.rows, requests, usual)
    base = _mean([value for row in rows.stable for value in row if value is not None])
    return _level(
        case,
        prior=policy.level_prior,
        floor=policy.demand_floor,
        grain=0.05 * base + 1e-9,
        rows=rows,
        what=" per request",
    )


def _other(case: _Case) -> Answer:
    policy = case.policy
    base = _mean([abs(value) for row in case.grid.rows.stable for value in row if value is not None])
    answer = _level(case, prior=policy.level_prior, floor=policy.level_floor, grain=policy.level_grain * base + 1e-9)
    return Answer(check=answer.check, quantity=answer.quantity, ceiling=Severity.INFO)


_TESTS = {
    Kind.LATENCY: _latency,
    Kind.CPU: _cpu,
    Kind.LEVEL: _plain_level,
    Kind.SHARE: _share,
    Kind.FRACTION: _fraction,
    Kind.MEMORY: _memory,
    Kind.EVENTS: _events,
    Kind.STATE: _state,
    Kind.YIELD: _yield,
    Kind.TRAFFIC: _other,
    Kind.DEMAND: _demand,
    Kind.OTHER: _other,
}
