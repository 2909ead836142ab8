"""What follows from memory for a comparison: what people set aside, what was found before, verdicts that alternate.

Memory explains and warns. The one thing it takes away is a finding that a person marked, never a veto, and never
unseen: what was set aside stays in the comparison with its mark.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from rollout_verdict.core.canonical import digest
from rollout_verdict.core.comparison import Before, Comparison, LogChange, MetricCheck, PodFact, SetAside
from rollout_verdict.core.evidence import Evidence, LogPattern
from rollout_verdict.core.memory import Earlier, Mark, Marked, MarkKind, Memory, Recalled
from rollout_verdict.core.model.citations import is_adverse
from rollout_verdict.core.result import Result
from rollout_verdict.core.rules import JUDGE
from rollout_verdict.core.values import Severity, Side

_PLACEHOLDER = re.compile(r"<([a-z][a-z0-9-]{0,31}):(?:\d+|\+)>")  # of a redacted secret; its number is the evidence's
_WORD = re.compile(r"[^\W\d_]{3,}")
_MASKED = re.compile(r"<[^<>]*>")


def with_memory(comparison: Comparison, evidence: Evidence) -> Comparison:
    """Return the comparison with what the evidence's memory says of it; the same one without memory."""
    memory = evidence.memory
    if memory is None:
        return comparison
    marks = {(mark.about.kind, mark.about.key, mark.about.text): mark for mark in reversed(memory.marks)}
    aside: list[SetAside] = []

    def quieten(item: LogChange | MetricCheck) -> Severity:
        about = _about(item)
        mark = marks.get((about.kind, about.key, about.text))
        if mark is None or item.severity is Severity.VETO:
            return item.severity
        if item.severity is not Severity.INFO or is_adverse(item):
            aside.append(SetAside(id=item.id, severity=item.severity, mark=mark))
        return Severity.INFO

    logs, metrics = comparison.logs, comparison.metrics
    if marks and logs:
        logs = replace(logs, changes=tuple(replace(item, severity=quieten(item)) for item in logs.changes))
    if marks and metrics:
        metrics = replace(metrics, checks=tuple(replace(item, severity=quieten(item)) for item in metrics.checks))
    left = replace(comparison, logs=logs, metrics=metrics, set_aside=tuple(aside))
    return replace(left, before=tuple(_before(memory, left, evidence.rollout.canary_hash)))


def markable(comparison: Comparison, item_id: str) -> Marked:
    """Return what a mark on an item would be about.

    Raises ValueError for an item that there is not, that is no log message or metric, or that holds no word of its own.
    """
    items = _items(comparison)
    item = items.get(item_id)
    if item is None:
        raise ValueError(f"there is no item {item_id[:20]!r}: name one of the analysis, such as l1 or m1")
    if isinstance(item, PodFact):
        problem = "the state of a pod cannot be marked as benign: only log messages and metrics can"
        raise ValueError(problem)  # noqa: TRY004 -- the type is ours, the wrong choice is the caller's
    about = _about(item)
    if about.kind is MarkKind.LOG and not _WORD.search(_MASKED.sub(" ", about.text)):
        raise ValueError("this log message has no word of its own: a mark on it would cover whatever is logged")
    return about


def measured(evidence: Evidence) -> Evidence:
    """Return the evidence without what is remembered: what was measured of this canary alone."""
    return replace(evidence, memory=None)


def digested(evidence: Evidence) -> Evidence:
    """Return the evidence as it is digested: an empty memory says what none says, wherever it was judged."""
    return replace(evidence, memory=None) if evidence.memory == Memory() else evidence


def earlier(result: Result, analysis_id: str, time: datetime) -> Earlier:
    """Return what will be remembered of a result."""
    items, verdict = _items(result.comparison), result.verdict
    found = [
        Recalled(code=finding.code, severity=finding.severity, key=key_of(items[name]))
        for opinion in verdict.opinions
        if opinion.judge == JUDGE
        for finding in opinion.findings
        if finding.severity is not Severity.INFO
        for name in finding.evidence
        if name in items
    ]
    return Earlier(
        id=analysis_id,
        time=time,
        decision=verdict.decision,
        reason=verdict.reason,
        version=result.evidence.rollout.canary_hash,
        digest=digest(measured(result.evidence)),
        findings=tuple(dict.fromkeys(found)),
    )


def key_of(item: LogChange | MetricCheck | PodFact) -> str:
    """Return a name for the thing an item is about that other comparisons of the same rollout use, too."""
    if isinstance(item, PodFact):
        return f"pod:{item.code}"
    if isinstance(item, LogChange):
        return f"log:{_about(item).key}"
    labels = ",".join(f"{name}={value}" for name, value in item.labels)
    return f"metric:{item.name}{{{labels}}}"


def counting(marks: Iterable[Mark], now: datetime) -> tuple[Mark, ...]:
    """Return the marks that have not expired, by id."""
    return tuple(sorted((m for m in marks if m.expires is None or m.expires > now), key=lambda mark: mark.id))


def _about(item: LogChange | MetricCheck) -> Marked:
    if isinstance(item, MetricCheck):
        return Marked(kind=MarkKind.METRIC, key=item.name, text=item.name)
    pattern: LogPattern = replace(item.pattern, template=_PLACEHOLDER.sub(r"<\1>", item.pattern.template))
    return Marked(kind=MarkKind.LOG, key=pattern.key, text=pattern.template)


def _items(comparison: Comparison) -> dict[str, LogChange | MetricCheck | PodFact]:
    items: list[LogChange | MetricCheck | PodFact] = []
    items += comparison.logs.changes if comparison.logs else ()
    items += comparison.metrics.checks if comparison.metrics else ()
    items += comparison.pods.facts if comparison.pods else ()
    return {item.id: item for item in items}


def _before(memory: Memory, comparison: Comparison, version: str) -> Iterable[Before]:
    """Yield the earlier verdicts with the items that counted then and count now."""
    today = {
        key_of(item): name
        for name, item in _items(comparison).items()
        if item.severity is not Severity.INFO and not (isinstance(item, PodFact) and item.side is Side.STABLE)
    }
    for number, verdict in enumerate(memory.earlier, 1):
        again = dict.fromkeys(today[found.key] for found in verdict.findings if found.key in today)
        same = bool(version) and verdict.version == version
        yield Before(id=f"e{number}", verdict=verdict, same_version=same, again=tuple(again))
