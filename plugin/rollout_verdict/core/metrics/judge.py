"""The judge of metrics: every metric of the canary held against the same metric of the stable pods.

Which question is asked depends on the kind of metric (``metric_kinds``). This module pairs the series, corrects for the
number of questions, weighs the answers and says what could not be judged.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from rollout_verdict.core.comparison import MetricCheck, MetricComparison
from rollout_verdict.core.evidence import MetricEvidence, MetricSeries
from rollout_verdict.core.metrics import facts as metric_facts
from rollout_verdict.core.metrics import level as metric_level
from rollout_verdict.core.metrics.case import Answer, Case, Labels, case_of
from rollout_verdict.core.metrics.kinds import FAMILIES, Family, Kind
from rollout_verdict.core.metrics.policy import MetricPolicy
from rollout_verdict.core.metrics.traffic import NO_TRAFFIC, shortfall, traffic_of
from rollout_verdict.core.statistics import holm
from rollout_verdict.core.values import Pair, Severity, Side

__all__ = ["MetricPolicy", "judge_metrics"]

_TESTS: dict[Kind, Callable[[Case], Answer]] = {
    Kind.LATENCY: metric_level.latency,
    Kind.CPU: metric_level.cpu,
    Kind.LEVEL: metric_level.plain,
    Kind.YIELD: metric_level.work,
    Kind.DEMAND: metric_level.demand,
    Kind.TRAFFIC: metric_level.traffic,
    Kind.OTHER: metric_level.shown,
    Kind.SHARE: metric_facts.share,
    Kind.FAULTS: metric_facts.faults,
    Kind.FRACTION: metric_facts.fraction,
    Kind.MEMORY: metric_facts.memory,
    Kind.EVENTS: metric_facts.events,
    Kind.STATE: metric_facts.state,
}


def judge_metrics(evidence: MetricEvidence, policy: MetricPolicy) -> MetricComparison:
    """Return one check for each metric and label set, most important first, and whether they suffice to judge by."""
    metas = {meta.name: meta for meta in evidence.meta}
    traffic = next(iter(traffic_of(evidence)), NO_TRAFFIC)
    answers = []
    for name, labels, sides in _paired(evidence.series):
        case = case_of(metas[name], labels, sides, traffic, policy)
        answers.append(case if isinstance(case, Answer) else _TESTS[case.quantity.kind](case))
    weighed = _one_voice(_weighed(_told_apart(answers), policy))
    checks = tuple(replace(check, id=f"m{place}") for place, check in enumerate(sorted(weighed, key=_importance), 1))
    # Pods that restart over and over or are down need no traffic to be judged.
    settled = any(one.certain and one.ceiling is Severity.FAIL for one in answers)
    reason = "" if settled else shortfall(evidence, checks, policy)
    return MetricComparison(checks=checks, adequate=not reason, reason=reason)


def _paired(series: Pair[tuple[MetricSeries, ...]]) -> list[tuple[str, Labels, Pair[tuple[MetricSeries, ...]]]]:
    groups: dict[tuple[str, Labels], dict[Side, list[MetricSeries]]] = {}
    for side in Side:
        for one in series.of(side):
            groups.setdefault((one.name, one.labels), {each: [] for each in Side})[side].append(one)
    return [
        (name, labels, Pair(stable=tuple(found[Side.STABLE]), canary=tuple(found[Side.CANARY])))
        for (name, labels), found in sorted(groups.items(), key=lambda group: group[0])
    ]


def _told_apart(answers: Sequence[Answer]) -> list[Answer]:
    """Add the labels to the reasons of metrics that come with several label sets."""
    sets = Counter(one.check.name for one in answers)
    told = []
    for one in answers:
        check = one.check
        if sets[check.name] > 1:
            labels = ", ".join(f"{key}={value}" for key, value in check.labels)
            check = replace(check, reason=f"{check.name}{{{labels}}}{check.reason.removeprefix(check.name)}")
        told.append(replace(one, check=check))
    return told


def _weighed(answers: Sequence[Answer], policy: MetricPolicy) -> list[tuple[Family, MetricCheck]]:
    """Give each check its severity, the number of questions asked being corrected for (Holm)."""
    asked = [one for one in answers if one.check.p is not None and one.quantity.worse]
    adjusted = holm([one.check.p or 0.0 for one in asked])
    corrected = {id(one): p for one, p in zip(asked, adjusted, strict=True)}
    return [
        (
            FAMILIES.get(one.quantity.kind, Family.OTHER),
            replace(one.check, severity=_severity(one, corrected.get(id(one), 1.0), policy)),
        )
        for one in answers
    ]


def _severity(answer: Answer, corrected: float, policy: MetricPolicy) -> Severity:
    p = answer.check.p if answer.check.p is not None else 1.0
    if answer.certain or answer.ceiling is Severity.INFO:
        return answer.ceiling
    if answer.ceiling is Severity.FAIL and (corrected < policy.fail_p or (answer.severe and p < policy.severe_p)):
        return Severity.FAIL
    return Severity.WARN if p < policy.warn_p else Severity.INFO


def _one_voice(weighed: list[tuple[Family, MetricCheck]]) -> list[MetricCheck]:
    """Let each family of metrics warn once at most: the quantiles of one latency are no independent witnesses."""
    ranked = sorted(weighed, key=lambda one: _importance(one[1]))
    heard: dict[Family, str] = {}
    checks = []
    for family, check in ranked:
        voice = check
        if check.severity is Severity.WARN and family in heard:
            reason = f"{check.reason}; no sign of its own beside {heard[family]}"
            voice = replace(check, severity=Severity.INFO, reason=reason)
        elif check.severity is not Severity.INFO:
            heard.setdefault(family, check.name)
        checks.append(voice)
    return checks


def _importance(check: MetricCheck) -> tuple[int, float, float, str, Labels]:
    p = check.p if check.p is not None else float(check.severity is Severity.INFO)
    return metric_level.ORDER[check.severity], p, -abs(check.strength or 0.0), check.name, check.labels
