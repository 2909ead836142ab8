"""The verdict in words, made without a model: what was compared, what differs, what is the same, what was not seen.

Measured, inferred and said by the model are kept apart. Every claim carries the ids of the evidence behind it.
"""

from collections.abc import Iterator
from math import isclose

from rollout_verdict.core.comparison import (
    Comparison,
    LogChange,
    LogOutcome,
    MetricCheck,
    MetricOutcome,
)
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.explanation import commands
from rollout_verdict.core.explanation.amounts import amount, chance, change, count, duration, number, span
from rollout_verdict.core.explanation.cause import likely_cause
from rollout_verdict.core.explanation.statements import Quote, Section, Statement, markdown, plain, quote, say
from rollout_verdict.core.quote import prose, visible
from rollout_verdict.core.rules import JUDGE
from rollout_verdict.core.values import (
    Citation,
    Decision,
    Explanation,
    Opinion,
    Severity,
    Side,
    SourceKind,
    Verdict,
)

LISTED = 6  # of a kind; a reader at night takes in no more, and the comparison holds the rest
GAPS = 20  # what is missing is worth more lines than what is there, but not without end
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
        _model(verdict),
        Section(title="What differs", statements=tuple(_differs(comparison))),
        Section(title="What is the same", statements=tuple(_same(comparison))),
        Section(title="What was compared", statements=tuple(_compared(evidence, comparison))),
        Section(title="What was not looked at", statements=tuple(_unseen(evidence, comparison, verdict))),
    )
    return tuple(part for part in parts if part.statements)


def section_markdown(section: Section) -> str:
    """Return a section as Markdown: a bold title and a list."""
    note = f" ({section.note})" if section.note else ""
    return "\n".join((f"**{prose(section.title)}**{note}", "", *(f"- {markdown(s)}" for s in section.statements)))


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


def _why(comparison: Comparison, verdict: Verdict) -> tuple[Statement, ...]:
    findings = [f for opinion in verdict.opinions if opinion.judge == JUDGE for f in opinion.findings]
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


def _same(comparison: Comparison) -> Iterator[Statement]:
    if comparison.metrics:
        passed = sum(check.outcome is MetricOutcome.PASS for check in comparison.metrics.checks)
        yield say(f"{passed} of {count(len(comparison.metrics.checks), 'metric')} as on stable")
    if comparison.logs:
        changes = comparison.logs.changes
        same = sum(c.outcome in (LogOutcome.UNCHANGED, LogOutcome.REWORDED) for c in changes)
        reworded = sum(c.outcome is LogOutcome.REWORDED for c in changes)
        note = f" ({reworded} of them reworded)" if reworded else ""
        yield say(f"{same} of {count(len(changes), 'log message')} as on stable{note}")
    if comparison.pods:
        ready, total = comparison.pods.ready, comparison.pods.total
        yield say(f"ready pods: {ready.canary} of {total.canary} canary, {ready.stable} of {total.stable} stable")


def _compared(evidence: Evidence, comparison: Comparison) -> Iterator[Statement]:
    for side in Side:
        pods = evidence.pods.of(side)
        version = evidence.rollout.stable_hash if side is Side.STABLE else evidence.rollout.canary_hash
        of = (" of version ", quote(version)) if version else ()
        names: list[str | Quote] = [part for pod in pods[:3] for part in (", ", quote(pod))]
        more = f" and {len(pods) - 3} more" if len(pods) > 3 else ""
        yield say(f"{side.value}: {count(len(pods), 'pod')}", *of, *(": ", *names[1:]) if names else (), more)
    if window := evidence.window:
        yield say(f"window: {window.start:%Y-%m-%d %H:%M:%S} to {window.end:%H:%M:%S} UTC, {duration(window.seconds)}")
    if evidence.logs:
        lines = evidence.logs.pods.map(lambda pods: sum(pod.lines for pod in pods))
        read = f"{count(lines.canary, 'line')} of the canary, {lines.stable:,} of stable"
        yield say(f"logs: {read}, {count(len(evidence.logs.patterns), 'different message')}")
    if evidence.metrics and comparison.metrics:
        samples = evidence.metrics.series.map(lambda series: sum(len(one.samples) for one in series))
        read = f"{count(samples.canary, 'sample')} of the canary, {samples.stable:,} of stable"
        yield say(f"metrics: {count(len(comparison.metrics.checks), 'metric')}, {read}")
    if evidence.kubernetes:
        told = evidence.kubernetes.pods.map(len)
        heard = any(pod.events for side in Side for pod in evidence.kubernetes.pods.of(side))
        what = "pod states and events" if heard else "pod states (no events were recorded)"
        yield say(f"{what}: {count(told.canary, 'canary pod')}, {told.stable} stable")
    if evidence.diff:
        yield say(f"pod template: {count(len(evidence.diff.changes), 'change')}")


def _unseen(evidence: Evidence, comparison: Comparison, verdict: Verdict) -> Iterator[Statement]:
    for gap in verdict.gaps[:GAPS]:
        hint = f" ({gap.hint})" if gap.hint else ""
        yield say(f"{gap.what}: {gap.reason}{hint}")
    if len(verdict.gaps) > GAPS:
        yield say(f"and {len(verdict.gaps) - GAPS} more gaps")
    told = {gap.source for gap in verdict.gaps}
    parts = (
        (SourceKind.LOGS, evidence.logs, "logs"),
        (SourceKind.METRICS, evidence.metrics, "metrics"),
        (SourceKind.KUBERNETES, evidence.kubernetes, "pod states and events"),
        (SourceKind.DIFF, evidence.diff, "changes of the pod template"),
    )
    yield from (say(f"{name}: not in the evidence") for kind, part, name in parts if part is None and kind not in told)
    if SourceKind.MODEL not in told and model_opinion(verdict) is None:
        yield say("no model was asked: this is statistics and rules alone")
    yield from _unjudged(evidence, comparison)


def _unjudged(evidence: Evidence, comparison: Comparison) -> Iterator[Statement]:
    for part, name in ((comparison.logs, "logs"), (comparison.metrics, "metrics")):
        if part is not None and not part.adequate:
            yield say(f"{name} could not be judged: {part.reason}")
    checks = comparison.metrics.checks if comparison.metrics else ()
    called = series_names(comparison)
    for outcome, why in ((MetricOutcome.NO_DATA, "no data"), (MetricOutcome.TOO_FEW, "too few samples")):
        missing = [check for check in checks if check.outcome is outcome]
        if missing:
            names: list[str | Quote] = [part for check in missing[:LISTED] for part in (", ", quote(called[check.id]))]
            more = f" and {len(missing) - LISTED} more" if len(missing) > LISTED else ""
            ids = tuple(check.id for check in missing[:LISTED])
            yield say(f"metrics with {why}: ", *names[1:], more, ids=ids)
    rare = sum(c.outcome is LogOutcome.TOO_FEW for c in comparison.logs.changes) if comparison.logs else 0
    if rare:
        yield say(f"{count(rare, 'log message')} seen too rarely to be judged")
    if evidence.logs:
        pods = (*evidence.logs.pods.stable, *evidence.logs.pods.canary)
        for pod in [pod for pod in pods if pod.partial][:LISTED]:
            yield say("log of ", quote(pod.pod), f" read in part: {pod.partial}")
        cut = sum(pod.cut_lines for pod in pods)
        if cut:
            yield say(f"the ends of {count(cut, 'overlong log line')}")
        if evidence.logs.coarse_events:
            yield say(
                f"{count(evidence.logs.coarse_events, 'log event')} beyond the table of messages, counted coarsely"
            )
