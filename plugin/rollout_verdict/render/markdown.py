"""The report as Markdown for a pull request: the result first, details folded, never longer than a comment may be."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rollout_verdict.core.comparison import LogChange, LogOutcome, MetricCheck, MetricOutcome
from rollout_verdict.core.explanation.amounts import duration
from rollout_verdict.core.explanation.explain import section_markdown, sections
from rollout_verdict.core.explanation.terms import level_of, series_names, shift_of
from rollout_verdict.core.quote import code_block, code_span, prose
from rollout_verdict.core.result import Result
from rollout_verdict.core.values import Decision, RolloutRef, Severity, Side
from rollout_verdict.render.items import differs
from rollout_verdict.render.usage import usage_line

LIMIT = 65_000  # GitHub refuses a comment above 65,536 characters; the rest is for a footer of the caller's
_WORDS = {
    Decision.PROMOTE: "✅ Promote",
    Decision.ROLLBACK: "❌ Roll back",
    Decision.INCONCLUSIVE: "⚠️ Inconclusive:",
}
_MARKS = {
    MetricOutcome.PASS: "✅",
    MetricOutcome.NO_DATA: "no data",
    MetricOutcome.TOO_FEW: "too few samples",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Size:
    """How much of each part is shown."""

    logs: int
    sample: int  # characters
    evidence: bool
    checks: int


# What goes first when room is short: logs, then evidence, then checks.
_SIZES = (
    _Size(logs=20, sample=2000, evidence=True, checks=20),
    _Size(logs=10, sample=500, evidence=True, checks=20),
    _Size(logs=0, sample=0, evidence=True, checks=20),
    _Size(logs=0, sample=0, evidence=False, checks=20),
    _Size(logs=0, sample=0, evidence=False, checks=3),
)


def render(result: Result, *, limit: int = LIMIT) -> str:
    """Return the report, at most ``limit`` characters: logs are cut first, then evidence, then checks."""
    texts = ("\n\n".join(_blocks(result, size)) + "\n" for size in _SIZES)
    text = next((text for text in texts if len(text) <= limit), None)
    return text if text is not None else "\n\n".join(_top(result))[:limit]


def marker(rollout: RolloutRef) -> str:
    """Return the hidden comment by which a later report finds this one; it cannot be ended by a name."""
    names = (re.sub(r"[^A-Za-z0-9._-]", "_", name[:253]) for name in (rollout.namespace, rollout.name))
    return f"<!-- rollout-verdict:{'/'.join(re.sub('--+', '_', name) for name in names)} -->"


def _blocks(result: Result, size: _Size) -> Iterator[str]:
    yield from _top(result)
    yield from _checks(result, size)
    if size.evidence:
        told = sections(result.evidence, result.comparison, result.verdict)
        yield _folded("Why, with evidence", "\n\n".join(map(section_markdown, told)))
    yield from _logs(result, size)
    if result.explanation.next_steps:
        yield _folded("What to look at next", code_block("\n".join(result.explanation.next_steps)))
    yield f"<sub>{prose(_footer(result))}</sub>"


def _top(result: Result) -> Iterator[str]:
    verdict, rollout = result.verdict, result.evidence.rollout
    yield marker(rollout)
    yield f"### {_WORDS[verdict.decision]} {code_span(rollout.name or 'canary')}: score {verdict.score} of 100"
    yield prose(verdict.reason)


def _folded(title: str, body: str) -> str:
    # the blank lines end the HTML block, so that what is inside is read as Markdown and escaped as such
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def _checks(result: Result, size: _Size) -> Iterator[str]:
    checks = result.comparison.metrics.checks if result.comparison.metrics else ()
    if not checks:
        return
    names = series_names(result.comparison)
    shown = [check for check in checks if check.outcome is not MetricOutcome.PASS][: size.checks]
    rows = ["| Check | Canary | Stable | Change | Result |", "|---|--:|--:|--:|:-:|"]
    rows += [_row(check, names[check.id]) for check in shown]
    left = [check for check in checks if check not in shown]
    passed = sum(check.outcome is MetricOutcome.PASS for check in left)
    if passed:
        rows.append(f"| {passed}{' more' if shown else ''} as on stable | | | | ✅ |")
    if len(left) > passed:
        rows.append(f"| {len(left) - passed} more that differ or lack data | | | | see the report |")
    yield "\n".join(rows)


def _row(check: MetricCheck, name: str) -> str:
    levels = (level_of(check, side) for side in (Side.CANARY, Side.STABLE))
    mark = (
        _MARKS.get(check.outcome)
        or f"{'❌' if check.severity in (Severity.FAIL, Severity.VETO) else '⚠️'} {check.outcome.value}"
    )
    cells = (code_span(name, limit=80, cell=True), *(prose(text) for text in (*levels, shift_of(check))), mark)
    return f"| {' | '.join(cells)} |"


def _logs(result: Result, size: _Size) -> Iterator[str]:
    changes = result.comparison.logs.changes if result.comparison.logs else ()
    changed = [item for item in changes if differs(item)]
    if not changed:
        return
    new = sum(item.outcome is LogOutcome.NEW for item in changed)
    title = f"Log messages that differ ({len(changed)}, {new} of them new on the canary)"
    told = [_log(item, size) for item in changed[: size.logs]]
    if len(changed) > size.logs:
        told.append(f"- and {len(changed) - size.logs} more, in the full report")
    yield _folded(title, "\n".join(told))


def _log(changed: LogChange, size: _Size) -> str:
    events = changed.events
    head = f"{changed.outcome.value}, {events.canary:,} × on canary, {events.stable:,} × on stable"
    line = f"- {head} [{changed.id}]: {code_span(changed.pattern.wording, limit=300)}"
    samples = [code_block(sample.text, limit=size.sample) for sample in changed.pattern.samples.canary[:1]]
    return "\n\n".join((line, *(_indented(sample) for sample in samples)))


def _indented(block: str) -> str:
    return "\n".join(f"  {line}" for line in block.split("\n"))


def _footer(result: Result) -> str:
    verdict, window = result.verdict, result.evidence.window
    parts = [f"confidence {verdict.confidence}", f"decided by {verdict.decided_by.value}"]
    if window:
        parts.append(f"window {duration(window.seconds)} to {window.end:%Y-%m-%d %H:%M} UTC")
    return " · ".join([*parts, usage_line(result)])
