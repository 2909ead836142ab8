"""A result as the templates show it: rows with their numbers in words, the same for the report and the pages.

Nothing here is safe to show yet: every text passes ``environment`` on its way into a page.
"""

from dataclasses import dataclass
from typing import Any

from rollout_verdict.core.comparison import LogChange, LogOutcome, MetricCheck, MetricOutcome
from rollout_verdict.core.evidence import LogPattern, PodState
from rollout_verdict.core.explanation.amounts import chance, duration, number, span
from rollout_verdict.core.explanation.explain import sections
from rollout_verdict.core.explanation.terms import level_of, series_names, shift_of
from rollout_verdict.core.logs.adequacy import heard
from rollout_verdict.core.result import Result
from rollout_verdict.core.values import Decision, Severity, Side
from rollout_verdict.render import svg
from rollout_verdict.render.items import differs
from rollout_verdict.render.usage import usage_line

MOST_LOGS = 200  # of the messages that differ; more would be a file that no browser likes
MOST_SAME = 300

WORDS = {Decision.PROMOTE: "Promote", Decision.ROLLBACK: "Roll back", Decision.INCONCLUSIVE: "Inconclusive"}
TONES = {Decision.PROMOTE: "good", Decision.ROLLBACK: "bad", Decision.INCONCLUSIVE: "warn"}
_OUTCOMES = {
    MetricOutcome.PASS: "pass",
    MetricOutcome.HIGH: "high",
    MetricOutcome.LOW: "low",
    MetricOutcome.NO_DATA: "no data",
    MetricOutcome.TOO_FEW: "too few samples",
}
_PER = {  # sizes in which rates are neither tiny nor huge
    "requests": (1000, "per 1,000 requests"),
    "events": (1000, "per 1,000 everyday events"),
    "pod-seconds": (60, "a minute and pod"),
}
_ROWS = {  # the decision table, as the README has it
    1: "a veto of the rules settles it",
    2: "too little evidence, and no cited rollback",
    3: "the rules decide: no usable opinion of a model",
    4: "rules and model agree",
    5: "rules and model agree",
    6: "the model objects, sure enough and with citations that hold",
    7: "the model would wave findings of the rules through",
    8: "the rules cannot tell, the model can, sure enough and with citations that hold",
    9: "rules and model disagree, or the model cannot tell",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """A metric as the template shows it."""

    check: MetricCheck
    name: str
    tone: str
    result: str
    reason: str
    levels: tuple[str, str]
    shift: str
    interval: str
    p: str
    spark: Any
    chart: svg.Chart | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """A log message as the template shows it."""

    change: LogChange
    tone: str
    numbers: str
    pods: tuple[tuple[str, str, int], ...]
    spark: Any


def view(result: Result) -> dict[str, Any]:
    """Return what the shared templates ask for, by name."""
    checks, logs = _checks(result), _logs(result)
    changed = [row for row in logs if row.tone != "good"]
    same = [row for row in logs if row.tone == "good"]
    return {
        "result": result,
        "evidence": result.evidence,
        "comparison": result.comparison,
        "verdict": result.verdict,
        "rollout": result.evidence.rollout,
        "tone": TONES[result.verdict.decision],
        "word": WORDS[result.verdict.decision],
        "settled": _ROWS.get(result.verdict.row, ""),
        "told": {section.title: section for section in sections(result.evidence, result.comparison, result.verdict)},
        "ids": result.comparison.ids - {row.change.id for row in (*changed[MOST_LOGS:], *same[MOST_SAME:])},
        "checks": checks,
        "changed": changed,
        "same": same,
        "cards": _cards(result),
        "usage": usage_line(result),
        "sides": (Side.CANARY, Side.STABLE),
        "duration": duration,
        "ready": _ready,
        "restarts": _restarts,
        "most_logs": MOST_LOGS,
        "most_same": MOST_SAME,
    }


def _tone(severity: Severity, *, differs: bool) -> str:
    if severity in (Severity.FAIL, Severity.VETO):
        return "bad"
    if severity is Severity.WARN:
        return "warn"
    return "note" if differs else "good"


def _checks(result: Result) -> list[CheckRow]:
    checks = result.comparison.metrics.checks if result.comparison.metrics else ()
    names = series_names(result.comparison)
    rows = [_check(check, names[check.id], result) for check in checks]
    order = ("bad", "warn", "note", "none", "good")
    return sorted(rows, key=lambda row: order.index(row.tone))


def _check(check: MetricCheck, name: str, result: Result) -> CheckRow:
    missing = check.outcome in (MetricOutcome.NO_DATA, MetricOutcome.TOO_FEW)
    return CheckRow(
        check=check,
        name=name,
        tone="none" if missing else _tone(check.severity, differs=differs(check)),
        result=_OUTCOMES[check.outcome],
        reason=check.reason.removeprefix(f"{check.name}: "),  # the name stands above it
        levels=(level_of(check, Side.CANARY), level_of(check, Side.STABLE)),
        shift=shift_of(check),
        interval=span(check.interval, check.unit) if check.interval is not None else "",
        p=chance(check.p) if check.p is not None and check.severity is not Severity.INFO else "",
        spark=svg.spark(check.trend),
        chart=svg.chart(check.trend, check.unit, result.evidence.window),
    )


def _logs(result: Result) -> list[LogRow]:
    changes = result.comparison.logs.changes if result.comparison.logs else ()
    return [_log(changed, result) for changed in changes]


def _log(changed: LogChange, result: Result) -> LogRow:
    pattern, logs = changed.pattern, result.evidence.logs
    pods = []
    if logs is not None:
        for side in (Side.CANARY, Side.STABLE):
            counts = zip(heard(logs).pods.of(side), pattern.counts.of(side), strict=True)
            pods += [(side.value, log.pod, events) for log, events in counts]
    unit = result.comparison.logs.exposure_unit if result.comparison.logs else ""
    size, per = _PER.get(unit, (1, unit))
    rates = [number(size * rate) if (rate := changed.rate.of(side)) is not None else "no data" for side in Side]
    parts = [f"{per}: canary {rates[1]}, stable {rates[0]}"] if unit else []
    parts += [f"ratio {number(changed.ratio)}"] if changed.ratio is not None else []
    parts += [chance(changed.q).replace("p", "q", 1)] if changed.q is not None else []
    return LogRow(
        change=changed,
        tone=_tone(changed.severity, differs=differs(changed)),
        numbers=", ".join(parts),
        pods=tuple(pods),
        spark=svg.spark(_course(pattern, result)),
    )


def _course(pattern: LogPattern, result: Result) -> Any:
    """Return events per pod over the time buckets."""
    edges = [edge.timestamp() for edge in result.evidence.logs.bucket_edges] if result.evidence.logs else []
    return pattern.buckets.map(
        lambda pods: tuple(
            (time, sum(column) / len(pods)) for time, column in zip(edges, zip(*pods, strict=False), strict=False)
        )
    )


def _ready(pod: PodState) -> str:
    told = dict(pod.conditions).get("Ready")
    return {"true": "yes", "false": "no", None: "not told"}.get(told and told.lower(), "unknown")


def _restarts(pod: PodState) -> str:
    counts = [container.restart_count for container in pod.containers if container.restart_count is not None]
    return f"{sum(counts):,}" if counts else "not told"


def _cards(result: Result) -> list[tuple[str, str, str, str]]:
    """Return the summary: (target, number, label, tone) for each source, "no data" where there is none."""
    comparison = result.comparison
    metrics, logs, pods = comparison.metrics, comparison.logs, comparison.pods
    off = [check for check in metrics.checks if check.severity is not Severity.INFO] if metrics else []
    aside = {one.id for one in comparison.set_aside}  # counted below "Set aside", not here
    more = (LogOutcome.NEW, LogOutcome.RISEN)
    new = [c for c in logs.changes if differs(c) and c.outcome in more and c.id not in aside] if logs else []
    more_often = f"{_noun(len(new), 'log message')} new or more frequent"
    cards = [
        ("checks", f"{len(off)} of {len(metrics.checks)}" if metrics else "no data", "metrics worse", _worst(off)),
        ("logs", f"{len(new)}" if logs else "no data", more_often, _worst(new)),
    ]
    facts = [fact for fact in pods.facts if fact.side is Side.CANARY] if pods else []
    ready = f"{pods.ready.canary} of {pods.total.canary}" if pods else "no data"
    cards.append(("pods", ready, "canary pods ready", _worst(facts)))
    changed = str(len(comparison.diff)) if result.evidence.diff else "no data"
    changes = f"{_noun(len(comparison.diff), 'change')} of the pod template"
    cards.append(("template", changed, changes, "note" if comparison.diff else "good"))
    missing = (bool(metrics), bool(logs), bool(pods), result.evidence.diff is not None)
    return [
        (target, number, label, tone if there else "none")
        for (target, number, label, tone), there in zip(cards, missing, strict=True)
    ]


def _noun(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"


def _worst(items: Any) -> str:
    tones = [_tone(item.severity, differs=True) for item in items]
    return next((tone for tone in ("bad", "warn", "note") if tone in tones), "good")
