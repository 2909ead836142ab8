"""One metric on both sides, brought into shape for a test, and the answer a test gives."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from rollout_verdict.core.comparison import Interval, MetricCheck, MetricOutcome, Summary
from rollout_verdict.core.evidence import MetricMeta, MetricSeries
from rollout_verdict.core.explanation.amounts import amount
from rollout_verdict.core.metrics.blocks import Grid, Row, grid, row_of, settled
from rollout_verdict.core.metrics.kinds import Quantity, quantity
from rollout_verdict.core.metrics.policy import MetricPolicy
from rollout_verdict.core.metrics.traffic import Traffic, base_samples
from rollout_verdict.core.statistics import quantile
from rollout_verdict.core.values import Pair, Severity, Side

Labels = tuple[tuple[str, str], ...]
Rows = tuple[Row, ...]
TREND_POINTS = 40  # as MetricCheck promises


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A check before it is weighed.

    ``ceiling`` is the severity it gets if its p-value holds. A ``certain`` answer is a fact that needs no p-value; a
    ``severe`` one is so large that the number of questions asked is waived.
    """

    check: MetricCheck
    quantity: Quantity
    ceiling: Severity = Severity.INFO
    certain: bool = False
    severe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything a test needs: the series as they came, and on a common grid in base units."""

    meta: MetricMeta
    quantity: Quantity
    labels: Labels
    series: Pair[tuple[MetricSeries, ...]]
    grid: Grid
    traffic: Traffic
    policy: MetricPolicy

    def requests(self) -> Pair[Rows] | None:
        """Return requests by pod and block, in the order of the grid's rows; None where a pod's are not known."""
        stable, canary = (
            tuple(row_of(self.traffic.rates(side, pod), self.grid.edges) for pod in self.grid.pods.of(side))
            for side in Side
        )
        known = all(any(value is not None for value in row) for row in (*stable, *canary))
        scaled = Pair(stable=stable, canary=canary).map(
            lambda rows: tuple(
                tuple(None if value is None else value * self.grid.seconds for value in row) for row in rows
            )
        )
        return scaled if known and average(scaled.stable) > 0 else None

    def answer(
        self,
        outcome: MetricOutcome,
        reason: str,
        *,
        method: str,
        ceiling: Severity = Severity.INFO,
        certain: bool = False,
        severe: bool = False,
        effect: float | None = None,
        interval: tuple[float, float] | None = None,
        relative: float | None = None,
        strength: float | None = None,
        p: float | None = None,
        levels: Pair[float] | None = None,
    ) -> Answer:
        """Return an answer about this metric; ``effect``, ``interval`` and ``levels`` are in its base unit."""
        sign = (-1 if self.quantity.flip else 1) / self.quantity.scale
        bounds = sorted(sign * bound for bound in interval) if interval else None
        check = check_of(self.meta, self.labels, self.series, outcome=outcome, reason=reason, method=method)
        return Answer(
            check=MetricCheck(
                id=check.id,
                name=check.name,
                labels=check.labels,
                unit=check.unit,
                direction=check.direction,
                outcome=check.outcome,
                severity=check.severity,
                summary=check.summary,
                effect=None if effect is None else sign * effect,
                interval=Interval(low=bounds[0], high=bounds[1], level=self.policy.interval_level) if bounds else None,
                relative=relative,
                strength=strength,
                p=p,
                method=method,
                reason=check.reason,
                trend=check.trend,
                levels=levels.map(self._own) if levels else None,
            ),
            quantity=self.quantity,
            ceiling=ceiling,
            certain=certain,
            severe=severe,
        )

    def shown(self, value: float) -> str:
        """Return a value in base units as a person reads it, in the metric's own unit."""
        return amount(self._own(value), self.meta.unit)

    def _own(self, value: float) -> float:
        return (1.0 - value if self.quantity.flip else value) / self.quantity.scale


def case_of(
    meta: MetricMeta,
    labels: Labels,
    series: Pair[tuple[MetricSeries, ...]],
    traffic: Traffic,
    policy: MetricPolicy,
) -> Case | Answer:
    """Return the case, or the answer that there is nothing or too little to judge."""
    told = quantity(meta)
    raw = series.map(lambda side: tuple((one.pod, base_samples(one, told)) for one in side))
    longest = {side: max((len(samples) for _, samples in raw.of(side)), default=0) for side in Side}
    absent = [side.value for side in Side if not longest[side]]
    if absent:
        reason = f"no samples on {' and '.join(absent)}"
        return Answer(check=check_of(meta, labels, series, outcome=MetricOutcome.NO_DATA, reason=reason), quantity=told)
    if min(longest.values()) < policy.min_samples:
        reason = (
            f"too few samples a pod to judge: {longest[Side.STABLE]} on stable, {longest[Side.CANARY]} on the canary; "
            f"{policy.min_samples} are needed"
        )
        return Answer(check=check_of(meta, labels, series, outcome=MetricOutcome.TOO_FEW, reason=reason), quantity=told)
    lasting = raw.map(
        lambda side: tuple(
            (pod, settled(samples, warm_up=policy.warm_up_seconds, keep=policy.settled_samples))
            for pod, samples in side
            if samples
        )
    )
    framed = grid(lasting, blocks=policy.blocks)
    return Case(meta=meta, quantity=told, labels=labels, series=series, grid=framed, traffic=traffic, policy=policy)


def check_of(
    meta: MetricMeta,
    labels: Labels,
    series: Pair[tuple[MetricSeries, ...]],
    *,
    outcome: MetricOutcome,
    reason: str,
    method: str = "none",
) -> MetricCheck:
    """Return a check without numbers of a test; the id is given later, by importance."""
    return MetricCheck(
        id="m0",
        name=meta.name,
        labels=labels,
        unit=meta.unit,
        direction=meta.direction,
        outcome=outcome,
        severity=Severity.INFO,
        summary=series.map(_summary),
        effect=None,
        interval=None,
        relative=None,
        strength=None,
        p=None,
        method=method,
        reason=f"{meta.name}: {reason}",
        trend=series.map(_trend),
    )


def average(rows: Iterable[Iterable[float | None]]) -> float:
    """Return the mean of all known values, 0 when there are none."""
    values = [value for row in rows for value in row if value is not None]
    return math.fsum(value / len(values) for value in values)


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
    for time, value in sorted(sample for one in series for sample in one.samples):
        at.setdefault(time, []).append(value)
    times = list(at)
    count = min(TREND_POINTS, len(times))
    points = []
    for index in range(count):
        chosen = times[index * len(times) // count : (index + 1) * len(times) // count]
        points.append((chosen[0], average([at[time] for time in chosen])))
    return tuple(points)
