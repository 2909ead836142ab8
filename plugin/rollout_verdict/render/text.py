"""The report for a terminal: verdict first, numbers before prose, every claim with the id of its evidence."""

from collections.abc import Iterator
from io import StringIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from rollout_verdict.core.comparison import DiffItem, LogChange, MetricCheck, MetricOutcome, PodFact
from rollout_verdict.core.evidence import Progress
from rollout_verdict.core.explanation.amounts import chance, count, duration
from rollout_verdict.core.explanation.explain import sections
from rollout_verdict.core.explanation.statements import Section, Statement
from rollout_verdict.core.explanation.terms import level_of, series_names, shift_of
from rollout_verdict.core.quote import visible
from rollout_verdict.core.result import Result
from rollout_verdict.core.values import Decision, Severity, Side
from rollout_verdict.render.items import items, shown_ids
from rollout_verdict.render.spark import sparks
from rollout_verdict.render.usage import usage_line

_STYLES = {Decision.PROMOTE: "bold white on green", Decision.ROLLBACK: "bold white on red"}
_UNSURE = "bold black on yellow"
_MARGIN = "  "
_NARROWEST = 40  # below this, wrapping makes nothing readable


def render(result: Result, *, width: int = 100, colour: bool = False) -> str:
    """Return the report as text of at most ``width`` columns; commands are never wrapped, so that they can be copied.

    Holds no escape sequence unless ``colour``, and then only ours.
    """
    width = max(_NARROWEST, width)
    console = Console(
        file=StringIO(),
        width=width,
        force_terminal=colour,
        force_jupyter=False,
        color_system="standard" if colour else None,
        no_color=False,
        legacy_windows=False,
        markup=False,
        highlight=False,
        emoji=False,
        _environ={},
    )
    for line in _lines(result, console, width):
        line.rstrip()  # in place
        console.print(line, soft_wrap=True)
    written: str = console.file.getvalue()  # type: ignore[attr-defined] # the StringIO from above
    return written


def _lines(result: Result, console: Console, width: int) -> Iterator[Text]:
    yield from _top(result, console, width)
    told = {section.title: section for section in sections(result.evidence, result.comparison, result.verdict)}
    yield from _section(told.pop("Why"), console, width, numbered=True)
    unseen = told.pop("What was not looked at", None)
    same = told.pop("What is the same", None)
    compared = told.pop("What was compared")
    told.pop("What differs", None)  # shown as evidence
    for section in told.values():
        yield from _section(section, console, width)
    yield from _commands(result)
    yield from _evidence(result, console, width)
    for last in (same, compared, unseen):
        if last is not None:
            yield from _section(last, console, width)
    for warning in result.warnings:
        yield from _wrapped(Text(f"warning: {visible(warning)}", "yellow"), console, width, _MARGIN, _MARGIN)
    yield from _wrapped(Text(usage_line(result), "dim"), console, width, _MARGIN, _MARGIN)


def _top(result: Result, console: Console, width: int) -> Iterator[Text]:
    rollout, verdict = result.evidence.rollout, result.verdict
    where = f" ({visible(rollout.namespace)})" if rollout.namespace else ""
    versions = ""
    if rollout.canary_hash or rollout.stable_hash:
        versions = f"   canary {visible(rollout.canary_hash) or '?'} vs stable {visible(rollout.stable_hash) or '?'}"
    window = f"   window {duration(result.evidence.window.seconds)}" if result.evidence.window else ""
    came = _came(result.evidence.progress)
    first = Text.assemble((visible(rollout.name) or "canary", "bold"), where, (f"{versions}{came}{window}", "dim"))
    yield from _wrapped(first, console, width, "", _MARGIN)
    yield Text()
    badge = (f" {verdict.decision.value.upper()} ", _STYLES.get(verdict.decision, _UNSURE))
    numbers = (
        f"   score {verdict.score}/100   confidence {verdict.confidence}/100   decided by {verdict.decided_by.value}"
    )
    second = Text.assemble(badge, numbers, (_failed(result), "dim"))
    yield from _wrapped(second, console, width, _MARGIN, _MARGIN)
    yield Text()


def _came(progress: Progress | None) -> str:
    """Return step and weight, "" where they are not known."""
    if progress is None:
        return ""
    step = (
        f"step {min(progress.step + 1, progress.steps)}/{progress.steps}"
        if progress.step is not None and progress.steps
        else ""
    )
    weight = f"weight {progress.weight} %" if progress.weight is not None else ""
    told = ", ".join(part for part in (step, weight) if part)
    return f"   {told}" if told else ""


def _failed(result: Result) -> str:
    checks = result.comparison.metrics.checks if result.comparison.metrics else ()
    judged = [c for c in checks if c.outcome not in (MetricOutcome.NO_DATA, MetricOutcome.TOO_FEW)]
    if not judged:
        return ""
    worse = sum(check.severity is not Severity.INFO for check in judged)
    return f"   ({worse} of {count(len(judged), 'metric')} worse)"


def _section(section: Section, console: Console, width: int, *, numbered: bool = False) -> Iterator[Text]:
    note = f" ({section.note})" if section.note else ""
    title = Text.assemble((visible(section.title, limit=80), "bold"), (note, "dim"))
    yield from _wrapped(title, console, width, _MARGIN, _MARGIN)
    for number, statement in enumerate(section.statements, 1):
        mark = f"{number}. " if numbered else "- "
        yield from _wrapped(_statement(statement), console, width, _MARGIN + mark, _MARGIN + " " * len(mark))
    yield Text()


def _statement(statement: Statement) -> Text:
    text = Text()
    for part in statement.parts:
        if isinstance(part, str):
            text.append(visible(part, limit=1000))
        else:
            text.append(f'"{visible(part.text, limit=160)}"', "cyan")
    for name in statement.evidence:
        text.append(" ").append(f"[{name}]", "magenta")
    return text


def _commands(result: Result) -> Iterator[Text]:
    if result.explanation.next_steps:
        yield Text.assemble(_MARGIN, ("Try", "bold"))
        for step in result.explanation.next_steps:
            yield Text(f"{_MARGIN}   {visible(step)}")
        yield Text()


def _evidence(result: Result, console: Console, width: int) -> Iterator[Text]:
    found = items(result.comparison)
    shown = [found[name] for name in shown_ids(result) if name in found]
    if not shown:
        return
    yield Text.assemble(_MARGIN, ("Evidence", "bold"))
    names = series_names(result.comparison)
    for item in shown:
        match item:
            case MetricCheck():
                lines = _metric(item, names[item.id])
            case LogChange():
                lines = _log(item)
            case PodFact():
                lines = [Text(f"{item.code}: {visible(item.detail)}")]
            case _:
                lines = [_diff(item)]
        mark = f"[{item.id}] "
        for index, line in enumerate(lines):
            lead = mark if index == 0 else " " * len(mark)
            yield from _wrapped(line, console, width, _MARGIN + lead, _MARGIN + " " * (len(mark) + 2))
    left = len(found) - len(shown)
    if left:
        yield Text(f"{_MARGIN}and {left:,} more in the full report", "dim")
    yield Text()


def _metric(check: MetricCheck, name: str) -> list[Text]:
    held = check.severity is not Severity.INFO
    behind = (chance(check.p) if check.p is not None else "") if held else "not held against the canary"
    head = "  ".join(text for text in (visible(name, limit=80), check.outcome.value, shift_of(check), behind) if text)
    lines = sparks(check.trend)
    sides = []
    for side in (Side.CANARY, Side.STABLE):
        summary = check.summary.of(side)
        told = f"{lines.of(side)} {level_of(check, side)} (n={summary.n})" if summary else "no data"
        sides.append(f"{side.value} {told}")
    return [Text(head), Text("   ".join(sides))]


def _log(changed: LogChange) -> list[Text]:
    events = changed.events
    head = f"{changed.outcome.value}: {events.canary:,}× on canary, {events.stable:,}× on stable  "
    lines = [Text(head).append(f'"{visible(changed.pattern.wording, limit=240)}"', "cyan")]
    for sample in changed.pattern.samples.canary[:1]:
        time = f" {sample.time:%H:%M:%S}Z" if sample.time else ""
        lines.append(Text(f"{visible(sample.pod)}{time}: {visible(sample.text, limit=300)}", "dim"))
    return lines


def _diff(item: DiffItem) -> Text:
    edit = item.change
    old, new = (visible(value, limit=120) or "nothing" for value in (edit.stable, edit.canary))
    return Text(f"pod template: {visible(edit.path)}  {old} → {new}")


def _wrapped(text: Text, console: Console, width: int, first: str, rest: str) -> Iterator[Text]:
    for index, line in enumerate(text.wrap(console, width - max(map(cell_len, (first, rest))), overflow="fold")):
        yield Text(first if index == 0 else rest).append_text(line)
