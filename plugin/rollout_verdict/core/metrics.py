"""The judge of metrics: every metric of the canary held against the same metric of the stable pods.

Which question is asked depends on the kind of metric (``metric_kinds``); the answers come from ``metric_tests``. This
module pairs the series, corrects for the number of questions, weighs what was found and says what could not be judged.
"""

from collections.abc import Sequence
from dataclasses import replace

from rollout_verdict.core.comparison import MetricCheck, MetricComparison
from rollout_verdict.core.evidence import MetricEvidence, MetricSeries
from rollout_verdict.core.metric_kinds import FAMILIES, Family
from rollout_verdict.core.metric_policy import MetricPolicy
from rollout_verdict.core.metric_tests import Answer, Labels, ask
from rollout_verdict.core.metric_traffic import NO_TRAFFIC, shortfall, traffic_of
from rollout_verdict.core.statistics import holm
from rollout_verdict.core.values import Pair, Severity, Side

__all__ = ["MetricPolicy", "judge_metrics"]

_WEIGHT = {Severity.FAIL: 0, Severity.WARN: 1, Severity.INFO: 2}


def judge_metrics(evidence: MetricEvidence, policy: MetricPolicy) -> MetricComparison:
    """Return one check for each metric and label set, most important first, and whether they suffice to judge by."""
    metas = {meta.name: meta for meta in evidence.meta}
    traffic = next(iter(traffic_of(evidence)), NO_TRAFFIC)
    answers = [ask(metas[name], labels, sides, traffic, policy) for name, labels, sides in _paired(evidence.series)]
    checks = sorted(_weighed(answers, policy), key=_importance)
    checks = [replace(check, id=f"m{place}") for place, check in enumerate(checks, 1)]
    reason = shortfall(evidence, checks, policy) if checks else "there are no metrics"
    return MetricComparison(checks=tuple(checks), adequate=not reason, reason=reason)


def _paired(
    series: Pair[tuple[MetricSeries, ...]],
) -> list[tuple[str, Labels, Pair[tuple[MetricSeries, ...]]]]:
    keys = sorted({(one.name, one.labels) for side in Side for one in series.of(side)})
    found = []
    for key in keys:
        stable, canary = (tuple(one for one in series.of(side) if (one.name, one.labels) == key) for side in Side)
        found.append((*key, Pair(stable=stable, canary=canary)))
    return found


def _weighed(answers: Sequence[Answer], policy: MetricPolicy) -> list[MetricCheck]:
    """Give each check its severity: chance corrected for, and one voice for each family of metrics."""
    asked = [index for index, one in enumerate(answers) if one.check.p is not None and one.quantity.worse]
    adjusted = dict(zip(asked, holm([answers[index].check.p or 0.0 for index in asked]), strict=True))
    checks = []
    for index, answer in enumerate(answers):
        p = answer.check.p if answer.check.p is not None else 1.0
        severity = Severity.INFO
        if answer.certain:
            severity = answer.ceiling
        elif answer.ceiling is Severity.FAIL and adjusted.get(index, p) < policy.fail_p:
            severity = Severity.FAIL
        elif answer.ceiling is not Severity.INFO and p < policy.warn_p:
            severity = Severity.WARN
        checks.append((answer, replace(answer.check, severity=severity)))
    best: dict[Family, MetricCheck] = {}
    for answer, check in checks:
        family = FAMILIES.get(answer.quantity.kind, Family.OTHER)
        if check.severity is Severity.WARN and (family not in best or _importance(check) < _importance(best[family])):
            best[family] = check
    failed = {
        FAMILIES.get(answer.quantity.kind, Family.OTHER) for answer, check in checks if check.severity is Severity.FAIL
    }
    result = []
    for answer, check in checks:
        family = FAMILIES.get(answer.quantity.kind, Family.OTHER)
        if check.severity is Severity.WARN and (family in failed or best[family] is not check):
            check = replace(
                check, severity=Severity.INFO, reason=f"{check.reason}; goes with another metric of its kind"
            )
        result.append(check)
    return result


def _importance(check: MetricCheck) -> tuple[int, float, float, str, Labels]:
    return (
        _WEIGHT[check.severity],
        check.p if check.p is not None else (0.0 if check.severity is not Severity.INFO else 1.0),
        -abs(check.strength or 0.0),
        check.name,
        check.labels,
    )
