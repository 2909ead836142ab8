"""The two reference classifiers of canary analysis, as Kayenta's judge defines them.

They are the yardstick that the field knows, kept beside our own judge (``metrics``) so that anybody can compare both
on the same numbers. Re-implemented from the formulas: the rank-sum interval and estimate are those of R's
``wilcox.test`` with ``conf.int``, ``correct`` and without ``exact`` (Hollander & Wolfe 1973), the decision is the one
of Kayenta's classifier suite: a metric passes when the interval of the shift comes within ``tolerance`` times the
estimated shift of zero, or when the ratio of means stays inside the effect-size thresholds.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rollout_verdict.core.comparison import Interval, MetricOutcome
from rollout_verdict.core.statistics import hodges_lehmann, normal_quantile, rank_sum_deviation


class Sense(StrEnum):
    """Which changes are reported."""

    INCREASE = "increase"
    DECREASE = "decrease"
    EITHER = "either"


@dataclass(frozen=True, slots=True, kw_only=True)
class RankSumOptions:
    """Options of the Mann-Whitney classifier. Thresholds are pairs (low, high) of the ratio of means."""

    tolerance: float = 0.25  # MannWhitneyClassifier.scala, default of the constructor
    confidence: float = 0.95
    effect_sizes: tuple[float, float] = (1.0, 1.0)
    critical_sizes: tuple[float, float] = (1.0, 1.0)
    sense: Sense = Sense.EITHER
    critical: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """The outcome, the ratio of means behind it (None without data) and whether it alone fails the canary."""

    outcome: MetricOutcome
    ratio: float | None
    critical: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FactResult:
    """One fact of the metric-judge folder scored: what was expected, what came out."""

    id: str
    expected: str
    got: str
    correct: bool


INTERVAL_TOLERANCE = 1e-3  # ten times the tolerance (1e-4) to which the source solves for the interval's bounds


def rank_sum_interval(x: Sequence[float], y: Sequence[float], level: float) -> tuple[Interval, float]:
    """Return the interval and the estimate of the shift of ``x`` over ``y``; both hold at least one value.

    The bounds are where the continuity-corrected statistic of ``x - d`` against ``y`` crosses the normal quantiles.
    As a function of d it is a step function that jumps at the pairwise differences, so each bound is one of these.
    """
    differences = sorted({a - b for a in x for b in y})
    z = normal_quantile(0.5 + level / 2)
    low, high = _crossing(x, y, differences, z), _crossing(x, y, differences, -z)
    return Interval(low=low, high=high, level=level), hodges_lehmann(x, y)


def _crossing(x: Sequence[float], y: Sequence[float], differences: list[float], z: float) -> float:
    """Return the difference at which the standardised statistic falls below ``z``; it falls with growing d."""
    low, high = 0, len(differences) - 1
    while low < high:
        middle = (low + high) // 2
        if _standardised(x, y, (differences[middle] + differences[middle + 1]) / 2) < z:
            high = middle
        else:
            low = middle + 1
    return differences[low]


def _standardised(x: Sequence[float], y: Sequence[float], shift: float) -> float:
    moved = [value - shift for value in x]
    ordered = sorted(y)
    u = sum((bisect_left(ordered, value) + bisect_right(ordered, value)) / 2 for value in moved)
    excess = u - len(x) * len(y) / 2
    corrected = excess - math.copysign(0.5, excess) if excess else 0.0
    return corrected / rank_sum_deviation(moved, y)


def mean_ratio(control: Sequence[float], experiment: Sequence[float]) -> float:
    """Return mean(experiment) / mean(control); infinite when only the control's mean is 0, 1 when both are."""
    below, above = math.fsum(control) / len(control), math.fsum(experiment) / len(experiment)
    if below == 0:
        return 1.0 if above == 0 else math.copysign(math.inf, above)
    return above / below


def classify_rank_sum(control: Sequence[float], experiment: Sequence[float], options: RankSumOptions) -> Classification:
    """Classify a metric by the rank-sum interval of the shift and the ratio of means."""
    if not control or not experiment:
        return Classification(outcome=MetricOutcome.NO_DATA, ratio=None, critical=False)
    ratio = mean_ratio(control, experiment)
    if sorted(control) == sorted(experiment):
        return Classification(outcome=MetricOutcome.PASS, ratio=ratio, critical=False)
    interval, estimate = rank_sum_interval(experiment, control, options.confidence)
    margin = options.tolerance * estimate

    def beyond(sizes: tuple[float, float]) -> MetricOutcome:
        if options.sense is not Sense.DECREASE and interval.low > abs(margin) and ratio >= sizes[1]:
            return MetricOutcome.HIGH
        if options.sense is not Sense.INCREASE and interval.high < -abs(margin) and ratio <= sizes[0]:
            return MetricOutcome.LOW
        return MetricOutcome.PASS

    outcome = beyond(options.effect_sizes)
    critical = options.critical and outcome is not MetricOutcome.PASS
    return Classification(
        outcome=outcome,
        ratio=ratio,
        critical=critical and beyond(options.critical_sizes) is not MetricOutcome.PASS,
    )


def classify_means(control: Sequence[float], experiment: Sequence[float], sense: Sense) -> Classification:
    """Classify a metric by comparing the two means, without regard to chance."""
    if not control or not experiment:
        return Classification(outcome=MetricOutcome.NO_DATA, ratio=None, critical=False)
    excess = math.fsum(experiment) / len(experiment) - math.fsum(control) / len(control)
    outcome = MetricOutcome.PASS
    if excess > 0 and sense is not Sense.DECREASE:
        outcome = MetricOutcome.HIGH
    elif excess < 0 and sense is not Sense.INCREASE:
        outcome = MetricOutcome.LOW
    return Classification(outcome=outcome, ratio=mean_ratio(control, experiment), critical=False)


def score_facts(document: object) -> tuple[FactResult, ...]:
    """Return how the classifiers do on a ``cases.json`` or an ``intervals.json`` of the metric-judge folder.

    The shape is ``{"cases": [...]}``; a case has ``control``, ``experiment``, ``judge``, ``options`` and
    ``expected.classification`` (and ``expected.critical`` where it is checked), or ``x``, ``y``, ``confidence_level``
    and the expected bounds. Raises ValueError that names the key for any other shape.
    """
    cases = document.get("cases") if isinstance(document, dict) else None
    if not isinstance(cases, list):
        raise ValueError('metric facts: expected {"cases": [...]}')  # noqa: TRY004 - foreign JSON, like any wrong shape
    results = []
    for index, case in enumerate(cases):
        try:
            results.append(_interval_fact(case) if "x" in case else _class_fact(case))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"metric facts: cases[{index}]: {error!r}") from error
    return tuple(results)


def _class_fact(case: Mapping[str, Any]) -> FactResult:
    options, expected = case["options"], case["expected"]
    control, experiment = _numbers(case["control"]), _numbers(case["experiment"])
    sense = Sense(options["direction"])
    if case["judge"] == "mean-inequality":
        found = classify_means(control, experiment, sense)
    elif case["judge"] == "mann-whitney":
        plain = RankSumOptions()
        found = classify_rank_sum(
            control,
            experiment,
            RankSumOptions(
                tolerance=float(options.get("tolerance", plain.tolerance)),
                confidence=float(options.get("confidence", plain.confidence)),
                effect_sizes=_pair(options.get("effect_size_thresholds", plain.effect_sizes)),
                critical_sizes=_pair(options.get("critical_thresholds", plain.critical_sizes)),
                sense=sense,
                critical=bool(options.get("critical_metric", False)),
            ),
        )
    else:
        raise ValueError(f'judge: expected "mann-whitney" or "mean-inequality", got {case["judge"]!r}')
    want = str(expected["classification"])
    got = found.outcome.value
    if "critical" in expected:
        want, got = f"{want}{_mark(expected['critical'])}", f"{got}{_mark(found.critical)}"
    return FactResult(id=str(case.get("id", case.get("name", ""))), expected=want, got=got, correct=want == got)


def _mark(critical: object) -> str:
    return " (critical)" if critical else ""


def _interval_fact(case: Mapping[str, Any]) -> FactResult:
    expected = case["expected"]
    interval, estimate = rank_sum_interval(_numbers(case["x"]), _numbers(case["y"]), float(case["confidence_level"]))
    want = tuple(float(expected[key]) for key in ("interval_low", "interval_high", "estimate"))
    got = (interval.low, interval.high, estimate)
    return FactResult(
        id=str(case.get("id", case.get("name", ""))),
        expected=_shown(want),
        got=_shown(got),
        correct=all(abs(a - b) <= INTERVAL_TOLERANCE for a, b in zip(want, got, strict=True)),
    )


def _shown(bounds: tuple[float, ...]) -> str:
    low, high, estimate = bounds
    return f"{low:.4g} .. {high:.4g}, estimate {estimate:.4g}"


def _numbers(values: Sequence[object]) -> tuple[float, ...]:
    """Return the samples that are there; ``null`` is a missing one and is left out."""
    return tuple(float(value) for value in values if value is not None)  # type: ignore[arg-type]


def _pair(values: Sequence[float]) -> tuple[float, float]:
    low, high = values
    return float(low), float(high)
