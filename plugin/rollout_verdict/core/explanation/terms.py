"""How an explanation names and puts into words what was compared."""

from math import isclose

from rollout_verdict.core.comparison import Comparison, MetricCheck
from rollout_verdict.core.explanation.amounts import amount, change
from rollout_verdict.core.rules import JUDGE
from rollout_verdict.core.values import Opinion, Side, Verdict

LISTED = 6  # of a kind; a reader at night takes in no more, and the comparison holds the rest


def model_opinion(verdict: Verdict) -> Opinion | None:
    """Return the model's opinion, None when there is none."""
    return next((opinion for opinion in verdict.opinions if opinion.judge != JUDGE), None)


def series_names(comparison: Comparison) -> dict[str, str]:
    """Return by id the metrics' names as PromQL writes them, without the labels that all of them share."""
    checks = comparison.metrics.checks if comparison.metrics else ()
    shared = frozenset.intersection(*(frozenset(check.labels) for check in checks)) if checks else frozenset()
    return {check.id: _series_name(check, shared) for check in checks}


def _series_name(check: MetricCheck, shared: frozenset[tuple[str, str]]) -> str:
    labels = ", ".join(f'{name}="{value}"' for name, value in check.labels if (name, value) not in shared)
    return f"{check.name}{{{labels}}}" if labels else check.name


def level_of(check: MetricCheck, side: Side) -> str:
    """Return what a metric came to on one side: the level that was compared, else the mean."""
    summary = check.summary.of(side)
    mean = summary.mean if summary else None
    told = check.levels.of(side) if check.levels else mean
    return "no data" if told is None else amount(told, check.unit)


def shift_of(check: MetricCheck) -> str:
    """Return the shift with its sign, and what it is where the two levels do not give it: an estimate, or growth."""
    if check.effect is None:
        return ""
    seen = check.levels.canary - check.levels.stable if check.levels else check.effect
    estimated = " (estimated)" if not isclose(seen, check.effect, rel_tol=0.01) else ""
    return change(check.effect, check.unit) + (" (growth)" if check.method == "growth" else estimated)
