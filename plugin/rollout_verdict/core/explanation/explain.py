"""The verdict in words, made without a model: what was compared, what differs, what is the same, what was not seen.

Measured, inferred and said by the model are kept apart. Every claim carries the ids of the evidence behind it.
"""

from collections.abc import Iterator

from rollout_verdict.core.comparison import (
    Comparison,
    LogChange,
    LogOutcome,
    MetricCheck,
    MetricOutcome,
)
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.explanation import basis, commands, remembered
from rollout_verdict.core.explanation.amounts import chance, count, number, span
from rollout_verdict.core.explanation.cause import likely_cause
from rollout_verdict.core.explanation.statements import Quote, Section, Statement, markdown, plain, quote, say
from rollout_verdict.core.explanation.terms import LISTED, level_of, model_opinion, series_names, shift_of
from rollout_verdict.core.quote import prose, visible
from rollout_verdict.core.rules import JUDGE
from rollout_verdict.core.values import (
    Citation,
    Decision,
    Explanation,
    Severity,
    Side,
    Verdict,
)

_WORDS = {
    Decision.PROMOTE: "Promote",
    Decision.ROLLBACK: "Roll back",
    Decision.INCONCLUSIVE: "Inconclusive",
}
_DIFFERENT = (LogOutcome.NEW, LogOutcome.RISEN, LogOutcome.FALLEN, LogOutcome.VANISHED)


def explain(evidence: Evidence, comparison: Comparison, verdict: Verdict) -> Explanation:
    """Return the explanation. ``body`` is Markdown; the other texts are plain, and not yet safe to show."""
    parts = sections(evidence, comparison, verdict)
    model = model_opinion(verdict)
    cause = _cause(comparison, verdict)
    claims = (
        Citation(evidence_id=name, claim=plain(statement))
        for section in parts
        for statement in section.statements
        for name in statement.evidence
    )
    return Explanation(
        headline=headline(evidence, verdict),
        body="\n\n".join(map(section_markdown, parts)),
        root_cause=plain(cause) if cause else model.root_cause if model else "",
        next_steps=commands.next_steps(evidence, comparison, verdict),
        citations=tuple(dict.fromkeys((*claims, *(model.citations if model else ())))),
    )


def headline(evidence: Evidence, verdict: Verdict) -> str:
    """Return one plain line: the decision, the rollout, the score and who decided."""
    rollout = evidence.rollout
    where = f" in {rollout.namespace}" if rollout.namespace else ""
    return visible(
        f"{_WORDS[verdict.decision]} {rollout.name or 'the canary'}{where}: score {verdict.score} of 100, "
        f"confidence {verdict.confidence}, decided by {verdict.decided_by.value}",
        limit=300,
    )


def sections(evidence: Evidence, comparison: Comparison, verdict: Verdict) -> tuple[Section, ...]:
    """Return the explanation's parts in the order of reading; empty ones are left out."""
    cause = _cause(comparison, verdict)
    parts = (
        Section(title="Why", statements=_why(comparison, verdict), decisive=True),
        Section(
            title="Likely cause",
            statements=(cause,) if cause else (),
            note="inferred by rules, not measured",
            decisive=True,
        ),
        Section(
            title="Set aside",
            statements=tuple(remembered.set_aside(comparison)),
            note="known to be benign, by the word of people",
            decisive=True,
        ),
        _model(verdict),
        Section(
            title="Earlier verdicts",
            statements=tuple(remembered.earlier(comparison, verdict)),
            note="remembered, not measured",
        ),
        Section(title="What differs", statements=tuple(_differs(comparison))),
        Section(title="What is the same", statements=tuple(basis.same(comparison))),
        Section(title="What was compared", statements=tuple(basis.compared(evidence, comparison))),
        Section(title="What was not looked at", statements=tuple(basis.unseen(evidence, comparison, verdict))),
    )
    return tuple(part for part in parts if part.statements)


def section_markdown(section: Section) -> str:
    """Return a section as Markdown: a bold title and a list."""
    note = f" ({section.note})" if section.note else ""
    return "\n".join((f"**{prose(section.title)}**{note}", "", *(f"- {markdown(s)}" for s in section.statements)))


def _why(comparison: Comparison, verdict: Verdict) -> tuple[Statement, ...]:
    findings = [
        finding
        for opinion in verdict.opinions
        if opinion.judge == JUDGE
        for finding in opinion.findings
        if finding.severity is not Severity.INFO
    ]
    messages = {change.id: change.pattern.wording for change in comparison.logs.changes} if comparison.logs else {}
    told = []
    for finding in findings[:LISTED]:
        message = next((messages[name] for name in finding.evidence if name in messages), None)
        named: tuple[str | Quote, ...] = (quote(message), ": ") if message is not None else ()
        told.append(say(*named, finding.summary, ids=finding.evidence))
    if len(findings) > LISTED:
        told.append(say(f"and {count(len(findings) - LISTED, 'more finding')}, listed with the evidence"))
    if not told or verdict.decision is not Decision.ROLLBACK:
        told.insert(0, say(verdict.reason))
    return tuple(told)


def _cause(comparison: Comparison, verdict: Verdict) -> Statement | None:
    harmed = any(f.severity is not Severity.INFO for opinion in verdict.opinions for f in opinion.findings)
    return likely_cause(comparison) if harmed and verdict.decision is not Decision.PROMOTE else None


def _model(verdict: Verdict) -> Section:
    opinion = model_opinion(verdict)
    if opinion is None:
        return Section(title="The model", statements=())
    told = [say(f"Says {opinion.decision.value}, confidence {opinion.confidence}: ", opinion.rationale)]
    if opinion.root_cause:
        told.append(say("Root cause: ", opinion.root_cause))
    for citation in opinion.citations[:LISTED]:
        quoted: tuple[str | Quote, ...] = (": ", quote(citation.quote)) if citation.quote else ()
        told.append(say(citation.claim, *quoted, ids=(citation.evidence_id,)))
    told += [say("Suggests: ", step) for step in opinion.next_steps[:3]]
    if verdict.vote:
        told.append(say(f"More than one was asked, since {verdict.vote.why}: {verdict.vote.rationale}"))
    title = f"The model ({opinion.judge})"
    return Section(title=title, statements=tuple(told), note="its words, not measured", decisive=True)


def _differs(comparison: Comparison) -> Iterator[Statement]:
    if comparison.pods:
        facts = [
            fact for fact in comparison.pods.facts if fact.side is Side.CANARY or fact.severity is not Severity.INFO
        ]
        yield from (say(fact.detail, ids=(fact.id,)) for fact in facts[:LISTED])
        yield from _more(len(facts), "pod fact")
    if comparison.metrics:
        checks = [c for c in comparison.metrics.checks if c.outcome in (MetricOutcome.HIGH, MetricOutcome.LOW)]
        names = series_names(comparison)
        yield from (_metric(check, names[check.id]) for check in checks[:LISTED])
        yield from _more(len(checks), "metric")
    if comparison.logs:
        changes = [c for c in comparison.logs.changes if c.outcome in _DIFFERENT and c.significant]
        yield from (_log(change) for change in changes[:LISTED])
        yield from _more(len(changes), "log message")
    for item in comparison.diff[:LISTED]:
        old, new = item.change.stable or "nothing", item.change.canary or "nothing"
        yield say("Pod template: ", quote(item.change.path), " from ", quote(old), " to ", quote(new), ids=(item.id,))
    yield from _more(len(comparison.diff), "template change")


def _more(total: int, what: str) -> Iterator[Statement]:
    if total > LISTED:
        yield say(f"and {count(total - LISTED, 'more ' + what)}")


def _metric(check: MetricCheck, name: str) -> Statement:
    levels = [f"{side.value} {level_of(check, side)}" for side in (Side.CANARY, Side.STABLE)]
    shift = f", shift {shift_of(check)}" if check.effect is not None else ""
    bounds = f" ({span(check.interval, check.unit)})" if check.interval is not None else ""
    p = f", {chance(check.p)}" if check.p is not None and check.severity is not Severity.INFO else ""
    weight = "" if check.severity is not Severity.INFO else "; not held against the canary"
    words = f" is {check.outcome.value}: {', '.join(levels)}{shift}{bounds}{p}{weight}"
    return say(quote(name), words, ids=(check.id,))


def _log(changed: LogChange) -> Statement:
    events = changed.events
    seen = f"{count(events.canary, 'event')} on the canary in {count(changed.pods_seen.canary, 'pod')}"
    against = f"{events.stable:,} on stable in {count(changed.pods_seen.stable, 'pod')}"
    ratio = f", rate × {number(changed.ratio)}" if changed.ratio is not None and events.stable and events.canary else ""
    weight = "" if changed.severity is not Severity.INFO else "; not held against the canary"
    pattern = changed.pattern
    level = f" {pattern.level.name}" if pattern.level else ""
    words = f": {seen}, {against}{ratio}{weight}"
    return say(f"{changed.outcome.value}{level} ", quote(pattern.wording), words, ids=(changed.id,))
