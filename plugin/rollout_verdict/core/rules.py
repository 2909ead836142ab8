"""The deterministic judge: findings from the comparison, and what they add up to.

It runs always and alone is sufficient. It never passes by default: where too little was seen it says so
(``shortfalls``), and only judged evidence without harm makes a promote.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rollout_verdict.core.comparison import Before, Comparison, LogOutcome, MetricOutcome
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.pods import VETOES, none_ready
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.values import Decision, Finding, Opinion, Severity, Side, SourceKind

JUDGE = "rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The rules' opinion. ``shortfalls`` say what keeps anybody from judging; empty when there is enough.

    ``score`` is 0..100: 100 without findings, 0 on a veto.
    """

    opinion: Opinion
    shortfalls: tuple[str, ...]
    score: int


def judge(evidence: Evidence, comparison: Comparison, policy: Policy) -> Assessment:
    """Return what the rules make of the comparison."""
    found = (*_findings(comparison), *_remembered(comparison))
    findings = tuple(sorted(found, key=lambda finding: _ORDER[finding.severity]))
    shortfalls = tuple(_shortfalls(evidence, comparison, policy))
    decision, rationale = _decide(findings, shortfalls, evidence, comparison)
    if decision is not Decision.ROLLBACK and (ailing := tuple(_ailing(evidence, comparison))):  # harm outweighs it
        shortfalls += ailing
        decision, rationale = _decide(findings, shortfalls, evidence, comparison)
    return Assessment(
        opinion=Opinion(
            judge=JUDGE,
            decision=decision,
            confidence=_confidence(decision, findings, evidence, comparison),
            findings=findings,
            rationale=rationale,
        ),
        shortfalls=shortfalls,
        score=_score(decision, findings),
    )


_ORDER = {Severity.VETO: 0, Severity.FAIL: 1, Severity.WARN: 2, Severity.INFO: 3}


def _findings(comparison: Comparison) -> Iterator[Finding]:
    """Yield what speaks against the canary; harmless differences stay in the comparison."""
    if comparison.pods:
        for fact in comparison.pods.facts:
            if fact.side is Side.CANARY and fact.severity is not Severity.INFO:
                yield Finding(
                    code=fact.code,
                    severity=fact.severity,
                    source=SourceKind.KUBERNETES,
                    summary=fact.detail,
                    evidence=(fact.id,),
                )
    if comparison.metrics:
        for check in comparison.metrics.checks:
            if check.severity is not Severity.INFO:
                yield Finding(
                    code=f"metric-{check.outcome.value}",
                    severity=check.severity,
                    source=SourceKind.METRICS,
                    summary=check.reason,
                    evidence=(check.id,),
                )
    if comparison.logs:
        for change in comparison.logs.changes:
            if change.severity is not Severity.INFO:
                yield Finding(
                    code=f"log-{change.outcome.value}",
                    severity=change.severity,
                    source=SourceKind.LOGS,
                    summary=change.reason,
                    evidence=(change.id,),
                )


def _remembered(comparison: Comparison) -> Iterator[Finding]:
    """Yield what earlier verdicts add: verdicts on this very version that alternate, and findings that come again.

    The first keeps a canary for a person to look at, the second only tells. Nothing that was before is a reason to
    promote.
    """
    if wavering := _wavering(comparison.before):
        told = ", ".join(f"{one.verdict.decision.value} {one.verdict.time:%Y-%m-%d %H:%M}" for one in wavering)
        yield Finding(
            code="verdicts-alternate",
            severity=Severity.WARN,
            source=SourceKind.MEMORY,
            summary=f"earlier verdicts on this version alternate: {told}",
            evidence=tuple(one.id for one in wavering),
        )
    for item in dict.fromkeys(item for one in comparison.before for item in one.again):
        times = [one for one in comparison.before if item in one.again]
        last = times[0].verdict
        yield Finding(
            code="found-before",
            severity=Severity.INFO,
            source=SourceKind.MEMORY,
            summary=f"found in {len(times)} of {len(comparison.before)} earlier verdicts as well, the latest of them "
            f"{last.decision.value} on {last.time:%Y-%m-%d %H:%M}",
            evidence=(item, *(one.id for one in times)),
        )


TURNS = 2  # from one decision to the other and back: a single change of mind may be a release that was mended


def _wavering(before: Sequence[Before]) -> list[Before]:
    """Return the verdicts on this version that decided something, oldest first, if they went to and fro."""
    decided = [
        one for one in reversed(before) if one.same_version and one.verdict.decision is not Decision.INCONCLUSIVE
    ]
    turns = sum(one.verdict.decision is not other.verdict.decision for one, other in pairwise(decided))
    return decided if turns >= TURNS else []


def _shortfalls(evidence: Evidence, comparison: Comparison, policy: Policy) -> Iterator[str]:
    """Yield the reasons why there is too little to judge by, or nothing to judge."""
    if evidence.progress and evidence.progress.obstacle:
        yield evidence.progress.obstacle
    logs, metrics, pods = comparison.logs, comparison.metrics, comparison.pods
    missing = {
        SourceKind.LOGS: logs is None or not logs.adequate,
        SourceKind.METRICS: metrics is None or not metrics.adequate,
        SourceKind.KUBERNETES: pods is None or not pods.total.canary,
        SourceKind.DIFF: evidence.diff is None,
        SourceKind.MEMORY: evidence.memory is None,
    }
    for source in policy.required_sources:
        if missing.get(source):  # the model is not ours to miss: the decision table knows whether it answered
            yield f"required source {source.value} is missing or too thin"
    if not evidence.pods.canary:
        yield "there are no canary pods"
    if logs is None and metrics is None:
        yield "neither logs nor metrics could be compared"
        return
    if not ((logs is not None and logs.adequate) or (metrics is not None and metrics.adequate)):
        yield "; ".join(part.reason for part in (logs, metrics) if part is not None)
    listed, told = len(evidence.pods.canary), _pods_that_told(evidence)
    if told is not None and told < policy.min_pods_seen * listed:
        yield f"only {told} of {listed} canary pods left logs or metrics"


def _ailing(evidence: Evidence, comparison: Comparison) -> Iterator[str]:
    """Yield why the canary's pods are in no state to be promoted, whatever logs and metrics say of them.

    Trouble that stable shares is not the version's doing; but then there is no healthy side to be as good as.
    """
    for fact in comparison.pods.facts if comparison.pods else ():
        if fact.code in VETOES and fact.side is Side.CANARY and fact.severity is Severity.INFO:
            yield f"both sides fail alike: {fact.detail}"
    if evidence.kubernetes and none_ready(evidence.kubernetes.pods.canary):
        yield "no canary pod is ready"


def _pods_that_told(evidence: Evidence) -> int | None:
    """Return how many canary pods the best source speaks of, None without any; a series of the side speaks of all."""
    told = []
    if evidence.logs:
        told.append(sum(pod.events > 0 for pod in evidence.logs.pods.canary))
    if evidence.metrics:
        measured = {series.pod for series in evidence.metrics.series.canary if series.samples}
        told.append(len(evidence.pods.canary) if "" in measured else len(measured))
    return max(told, default=None)


def _decide(
    findings: tuple[Finding, ...], shortfalls: tuple[str, ...], evidence: Evidence, comparison: Comparison
) -> tuple[Decision, str]:
    vetoes = [f for f in findings if f.severity is Severity.VETO]
    if vetoes:
        return Decision.ROLLBACK, vetoes[0].summary
    if shortfalls:
        blocked = evidence.progress and evidence.progress.obstacle
        return (
            Decision.INCONCLUSIVE,
            f"{'nothing can be promoted' if blocked else 'too little to judge'}: {shortfalls[0]}",
        )
    fails = [f for f in findings if f.severity is Severity.FAIL]
    if fails:
        return Decision.ROLLBACK, fails[0].summary
    warnings = [f for f in findings if f.severity is Severity.WARN]
    if len({f.source for f in warnings if f.source is not SourceKind.MEMORY}) > 1:  # two ways of measuring agree
        return Decision.ROLLBACK, f"{warnings[0].summary}; and {warnings[1].summary}"
    # Metrics wander; a failure that only the canary logs or a restart that only it has is rare: a person should look.
    told = [f for f in warnings if f.source is not SourceKind.METRICS]
    if told:
        return Decision.INCONCLUSIVE, f"cannot tell whether it is harm: {told[0].summary}"
    return Decision.PROMOTE, _all_clear(comparison)


def _all_clear(comparison: Comparison) -> str:
    """Say what was seen, and of what is not as on stable what became of it."""
    parts = []
    if comparison.metrics:
        outcomes = [check.outcome for check in comparison.metrics.checks]
        unheard = (MetricOutcome.NO_DATA, MetricOutcome.TOO_FEW)
        rest = (
            (sum(one in (MetricOutcome.HIGH, MetricOutcome.LOW) for one in outcomes), "different without harm"),
            (sum(one in unheard for one in outcomes), "without enough samples"),
        )
        parts.append(_tally(outcomes.count(MetricOutcome.PASS), len(outcomes), "metric", "as on stable", rest))
    if comparison.logs:
        kinds = [change.outcome for change in comparison.logs.changes]
        same, rare = kinds.count(LogOutcome.UNCHANGED), kinds.count(LogOutcome.TOO_FEW)
        others = ((len(kinds) - same - rare, "different without harm"), (rare, "too rare to judge"))
        parts.append(_tally(same, len(kinds), "log message", "unchanged", others))
    if comparison.pods:
        parts.append(f"{comparison.pods.ready.canary} of {comparison.pods.total.canary} canary pods ready")
    if comparison.set_aside:
        parts.append(f"{len(comparison.set_aside)} known to be benign and set aside")
    return "No harm found: " + "; ".join(parts)


def _tally(same: int, total: int, noun: str, alike: str, others: tuple[tuple[int, str], ...]) -> str:
    told = ", ".join(f"{number} {what}" for number, what in others if number)
    return f"{same} of {total} {noun}{'' if total == 1 else 's'} {alike}{f' ({told})' if told else ''}"


def _confidence(decision: Decision, findings: tuple[Finding, ...], evidence: Evidence, comparison: Comparison) -> int:
    """Rate the rules' certainty: vetoes are facts, agreement of sources is better than one."""
    if decision is Decision.INCONCLUSIVE:
        return 50
    findings = tuple(f for f in findings if f.severity is not Severity.INFO)
    if any(f.severity is Severity.VETO for f in findings):
        return 99
    if decision is Decision.ROLLBACK:
        sources = {f.source for f in findings if f.severity in (Severity.FAIL, Severity.WARN)}
        return min(95, 75 + 10 * (len(sources) - 1) + 2 * (len(findings) - 1))
    judged = [part for part in (comparison.logs, comparison.metrics) if part is not None and part.adequate]
    unseen = any(gap.side is Side.CANARY for gap in evidence.gaps)
    return 60 + 15 * len(judged) - 5 * min(3, len(findings)) - 10 * unseen


def _score(decision: Decision, findings: tuple[Finding, ...]) -> int:
    """Fold the findings into 0..100, inside the band of the decision so that score and decision agree."""
    if decision is Decision.INCONCLUSIVE:
        return 50  # whatever was found was not enough to lean on
    clear = 1.0
    for finding in findings:
        clear *= _CLEAR[finding.severity]
    low, high = _BANDS[decision]
    return max(low, min(high, round(100 * clear)))


_CLEAR = {Severity.VETO: 0.0, Severity.FAIL: 0.5, Severity.WARN: 0.85, Severity.INFO: 1.0}
_BANDS = {Decision.ROLLBACK: (0, 40), Decision.PROMOTE: (60, 100)}
