"""What people set aside and what was said before: told apart from what was measured."""

from collections.abc import Iterator

from rollout_verdict.core.comparison import Comparison
from rollout_verdict.core.explanation.amounts import count
from rollout_verdict.core.explanation.statements import Statement, quote, say
from rollout_verdict.core.explanation.terms import LISTED, series_names
from rollout_verdict.core.values import Severity, SourceKind, Verdict


def set_aside(comparison: Comparison) -> Iterator[Statement]:
    """Yield each item that people marked as benign, with what it would have counted for and whose word that is."""
    called = series_names(comparison)
    called |= {change.id: change.pattern.wording for change in comparison.logs.changes} if comparison.logs else {}
    for item in comparison.set_aside:
        mark = item.mark
        weight = "would not have counted" if item.severity is Severity.INFO else f"would have counted: {item.severity}"
        until = f", until {mark.expires:%Y-%m-%d}" if mark.expires else ""
        yield say(
            quote(called[item.id]),
            f" {weight}; marked as benign by ",
            quote(mark.who),
            f" on {mark.when:%Y-%m-%d}{until}: ",
            quote(mark.why),
            ids=(item.id,),
        )


def earlier(comparison: Comparison, verdict: Verdict) -> Iterator[Statement]:
    """Yield the earlier verdicts, latest first, and which of today's findings were among theirs."""
    for opinion in verdict.opinions:
        for finding in opinion.findings:
            if finding.source is SourceKind.MEMORY and finding.severity is Severity.INFO:
                yield say(finding.summary, ids=finding.evidence)
    for one in comparison.before[:LISTED]:
        was = one.verdict
        version = "this version" if one.same_version else "another version"
        head = f"{was.time:%Y-%m-%d %H:%M} UTC, {version}: {was.decision.value}, "
        yield say(head, quote(was.reason), ids=(one.id,))
    if len(comparison.before) > LISTED:
        yield say(f"and {count(len(comparison.before) - LISTED, 'more verdict')}")
