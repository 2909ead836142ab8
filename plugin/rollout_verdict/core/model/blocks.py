"""Evidence blocks: each compared item as the few lines of text that the model reads and quotes from.

A block starts on a line of its own and every text from outside in it is a JSON string on one line, so nothing that
the evidence says can begin a block or end one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from rollout_verdict.core.comparison import (
    Before,
    Comparison,
    DiffItem,
    Interval,
    LogChange,
    LogComparison,
    LogOutcome,
    MetricCheck,
    MetricOutcome,
    PodFact,
    SetAside,
    Summary,
)
from rollout_verdict.core.evidence import LogKind
from rollout_verdict.core.model.neutral import number, quoted
from rollout_verdict.core.values import Severity, Side

NAME_LENGTH = 80  # Kubernetes allows 253; the end of a long name tells pods apart, its middle does not matter here
TEMPLATE_LENGTH = 300  # a log line that says what is wrong says it early
TRACE_LENGTH = 600  # of a sample; of a trace its two ends
BRIEF_LENGTH = 140  # an unremarkable pattern is recognised by its beginning
DETAIL_LENGTH = 300
TREND_POINTS = 8  # enough to see whether a shift lasts, comes late or was a single spike


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The text of one item. ``kind`` names it where some are left out.

    ``rank`` 0 is a veto, 1 a failure, 2 a warning, 3 a difference nobody was warned of, 4 all that is as it was.
    ``text`` does not hold the id, which the prompt puts in front; ``brief`` is one line for where room is short. What
    ``brief`` says, ``text`` says in the same words.
    """

    id: str
    kind: str
    rank: int
    text: str
    brief: str


def blocks(comparison: Comparison) -> tuple[Block, ...]:
    """Return a block for each item, most important first; metrics and logs of the same rank take turns."""
    aside = {item.id: item for item in comparison.set_aside}
    turns = zip_longest(_metrics(comparison, aside), _logs(comparison, aside))
    judged = (block for turn in turns for block in turn if block is not None)
    others = (*_pods(comparison), *_changes(comparison), *_verdicts(comparison))
    return tuple(sorted((*others, *judged), key=lambda block: block.rank))


_RANK = {Severity.VETO: 0, Severity.FAIL: 1, Severity.WARN: 2}
_NOTABLE, _SAME = 3, 4


def _pods(comparison: Comparison) -> Iterator[Block]:
    for fact in comparison.pods.facts if comparison.pods else ():
        yield _block(fact.id, "pod facts", _RANK.get(fact.severity, _NOTABLE), [_pod(fact)])


def _changes(comparison: Comparison) -> Iterator[Block]:
    for item in comparison.diff:
        yield _block(item.id, "template changes", _NOTABLE, [_change(item)])


def _verdicts(comparison: Comparison) -> Iterator[Block]:
    for one in comparison.before:
        yield _block(one.id, "earlier verdicts", _NOTABLE, [_verdict(one)])


def _metrics(comparison: Comparison, aside: Mapping[str, SetAside]) -> Iterator[Block]:
    for check in comparison.metrics.checks if comparison.metrics else ():
        other = _SAME if check.outcome is MetricOutcome.PASS else _NOTABLE
        lines = [*_metric(check), *_aside(aside.get(check.id))]
        yield _block(check.id, "metrics", _RANK.get(check.severity, other), lines)


def _logs(comparison: Comparison, aside: Mapping[str, SetAside]) -> Iterator[Block]:
    if (logs := comparison.logs) is None:
        return
    for change in logs.changes:
        rank = _RANK.get(change.severity, _NOTABLE if change.significant else _SAME)
        lines = [*_log(change, logs, rank), *_aside(aside.get(change.id))]
        yield _block(change.id, "log patterns", rank, lines)


def _block(item: str, kind: str, rank: int, lines: list[str]) -> Block:
    told = [line for line in lines if line]
    return Block(id=item, kind=kind, rank=rank, text="\n".join(told), brief=told[0])


def _verdict(before: Before) -> str:
    one = before.verdict
    version = "the same version" if before.same_version else "another version"
    again = f"; then as now {' '.join(before.again)}" if before.again else ""
    return f"earlier verdict {one.decision.value} on {version}, {one.time:%Y-%m-%d %H:%M} UTC{again}: " + quoted(
        one.reason, DETAIL_LENGTH
    )


def _aside(item: SetAside | None) -> list[str]:
    """Return the line on what people know of an item."""
    if item is None:
        return []
    return [f"set aside as known and harmless since {item.mark.when:%Y-%m-%d}: {quoted(item.mark.why, DETAIL_LENGTH)}"]


def _pod(fact: PodFact) -> str:
    pods = " ".join(quoted(pod, NAME_LENGTH) for pod in fact.pods[:3])
    more = f" and {len(fact.pods) - 3} more" if len(fact.pods) > 3 else ""
    what = f"pod {quoted(fact.code, NAME_LENGTH)} {fact.severity.value} on {fact.side.value} {pods}{more}"
    return f"{what}: {quoted(fact.detail, DETAIL_LENGTH)}"


def _metric(check: MetricCheck) -> list[str]:
    labels = " ".join(f"{quoted(key, 40)}={quoted(value, 60)}" for key, value in check.labels)
    name = f"metric {quoted(check.name, NAME_LENGTH)}{f' {{{labels}}}' if labels else ''}"
    means = check.summary.map(lambda side: "none" if side is None else number(side.mean))
    outcome = f"{check.outcome.value} {check.severity.value}"
    first = f"{name} {outcome}: mean stable {means.stable}, canary {means.canary}"
    if check.severity is Severity.INFO:
        return [first]
    lines = [
        f"{first}; unit {quoted(check.unit, 20)}, {check.direction.value.replace('_', ' ')}",
        f"stable {_summary(check.summary.stable)}",
        f"canary {_summary(check.summary.canary)}",
        _shift(check),
        f"reason {quoted(check.reason, DETAIL_LENGTH)}",
    ]
    return lines + [f"{side.value} over time {trend}" for side in Side if (trend := _trend(check.trend.of(side)))]


def _summary(side: Summary | None) -> str:
    if side is None:
        return "no samples"
    values = f"median {number(side.median)}, p95 {number(side.p95)}"
    return f"n {side.n}, series {side.pods}, {values}, range {number(side.low)} to {number(side.high)}"


def _shift(check: MetricCheck) -> str:
    parts = []
    if check.effect is not None:
        relative = "" if check.relative is None else f" ({_percent(check.relative)})"
        parts.append(f"shift {number(check.effect)}{relative}")
    parts += [_interval(check.interval)] if check.interval else []
    parts += [f"{number(check.strength)} times the usual spread"] if check.strength is not None else []
    parts += [f"p {number(check.p)}"] if check.p is not None else []
    return ", ".join(parts)


def _interval(interval: Interval) -> str:
    return f"{number(100 * interval.level)} % interval {number(interval.low)} to {number(interval.high)}"


def _percent(fraction: float) -> str:
    percent = 100 * fraction
    return f"{percent:+.0f} %" if abs(percent) >= 10 else f"{percent:+.2g} %"


def _trend(points: tuple[tuple[float, float], ...]) -> str:
    """Return up to ``TREND_POINTS`` means, evenly spaced, first and last among them."""
    last = len(points) - 1
    if last < 1:
        return ""
    count = min(TREND_POINTS, last + 1)
    return " ".join(number(points[round(i * last / (count - 1))][1]) for i in range(count))


def _log(change: LogChange, logs: LogComparison, rank: int) -> list[str]:
    pattern, pods = change.pattern, change.pods_seen
    words = ["log", change.outcome.value, change.severity.value, pattern.level.name]
    words += [pattern.kind.value] if pattern.kind is not LogKind.MESSAGE else []
    words += [f"status {quoted(pattern.status, 20)}"] if pattern.status else []
    length = BRIEF_LENGTH if rank == _SAME else TEMPLATE_LENGTH
    counted = f"events {change.events.stable} stable, {change.events.canary} canary"
    first = f"{' '.join(words)}: {counted}; template {quoted(pattern.template, length)}"
    if change.reworded_from:
        first = f"{first} reworded from {quoted(change.reworded_from, length)}"
    if change.severity is Severity.INFO:
        return [first]
    seen = f"seen in {pods.stable} stable and {pods.canary} canary pods"
    return [first, "; ".join(filter(None, (seen, _rates(change, logs)))), _sample(change)]


def _rates(change: LogChange, logs: LogComparison) -> str:
    parts = []
    if change.rate.stable is not None and change.rate.canary is not None:
        unit = quoted(logs.exposure_unit, 20)
        parts.append(f"rate {number(change.rate.stable)} to {number(change.rate.canary)} per {unit}")
    parts += [f"ratio {number(change.ratio)}"] if change.ratio is not None else []
    parts += [_interval(change.interval)] if change.interval else []
    parts += [f"q {number(change.q)}"] if change.q is not None else []
    return ", ".join(parts)


def _sample(change: LogChange) -> str:
    """Return one real event of the canary. What fell or vanished is told by its template well enough."""
    samples = change.pattern.samples.canary
    if change.outcome in (LogOutcome.VANISHED, LogOutcome.FALLEN) or not samples:
        return ""
    sample = samples[0]
    if sample.text == change.pattern.template:
        return ""
    text = _ends(sample.text) if change.pattern.kind is LogKind.TRACE else sample.text
    return f"sample of pod {quoted(sample.pod, NAME_LENGTH)}: {quoted(text, TRACE_LENGTH)}"


def _ends(trace: str) -> str:
    """Cut the middle out of a trace: languages differ in whether the error stands above or below its frames."""
    half = TRACE_LENGTH // 2 - 4
    return trace if len(trace) <= TRACE_LENGTH else f"{trace[:half]} [...] {trace[-half:]}"


def _change(item: DiffItem) -> str:
    change = item.change
    texts = f"{quoted(change.stable, BRIEF_LENGTH)} -> {quoted(change.canary, BRIEF_LENGTH)}"
    return f"template change {quoted(change.path, BRIEF_LENGTH)}: {texts}"
