"""Evidence blocks: each compared item as the few lines of text that the model reads and quotes from.

A block starts on a line of its own and every text from outside in it is a JSON string on one line, so nothing that
the evidence says can begin a block or end one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rollout_verdict.core.comparison import (
    Comparison,
    DiffItem,
    Interval,
    LogChange,
    LogComparison,
    LogOutcome,
    MetricCheck,
    MetricOutcome,
    PodFact,
    Summary,
)
from rollout_verdict.core.evidence import LogKind, LogSample
from rollout_verdict.core.neutral import number, quoted
from rollout_verdict.core.values import Pair, Severity, Side

NAME_LENGTH = 80  # Kubernetes allows 253; the end of a long name tells pods apart, its middle does not matter here
TEMPLATE_LENGTH = 300  # a log line that says what is wrong says it early
TRACE_LENGTH = 700  # a trace: the error, its message and the innermost frames
BRIEF_LENGTH = 140  # an unremarkable pattern is recognised by its beginning
DETAIL_LENGTH = 300
TREND_POINTS = 8  # enough to see whether a shift lasts, comes late or was a single spike


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The text of one item. ``kind`` names it where some are left out.

    ``rank`` 0 is a veto, 1 a failure, 2 a warning, 3 a difference nobody was warned of, 4 all that is as it was.
    ``text`` has no newline at its end and does not hold the id, which the prompt puts in front.
    """

    id: str
    kind: str
    rank: int
    text: str


def blocks(comparison: Comparison) -> tuple[Block, ...]:
    """Return a block for each item, most important first; metrics and logs of the same rank take turns."""
    turns = zip_longest(_metrics(comparison), _logs(comparison))
    judged = (block for turn in turns for block in turn if block is not None)
    return tuple(sorted((*_pods(comparison), *_changes(comparison), *judged), key=lambda block: block.rank))


_RANK = {Severity.VETO: 0, Severity.FAIL: 1, Severity.WARN: 2}
_NOTABLE, _SAME = 3, 4


def _pods(comparison: Comparison) -> Iterator[Block]:
    for fact in comparison.pods.facts if comparison.pods else ():
        yield Block(id=fact.id, kind="pod facts", rank=_RANK.get(fact.severity, _NOTABLE), text=_pod(fact))


def _changes(comparison: Comparison) -> Iterator[Block]:
    for item in comparison.diff:
        yield Block(id=item.id, kind="template changes", rank=_NOTABLE, text=_change(item))


def _metrics(comparison: Comparison) -> Iterator[Block]:
    for check in comparison.metrics.checks if comparison.metrics else ():
        other = _SAME if check.outcome is MetricOutcome.PASS else _NOTABLE
        yield Block(id=check.id, kind="metrics", rank=_RANK.get(check.severity, other), text=_metric(check))


def _logs(comparison: Comparison) -> Iterator[Block]:
    if (logs := comparison.logs) is None:
        return
    for change in logs.changes:
        other = _NOTABLE if change.significant else _SAME
        rank = _RANK.get(change.severity, other)
        yield Block(id=change.id, kind="log patterns", rank=rank, text=_log(change, logs))


def _pod(fact: PodFact) -> str:
    pods = " ".join(quoted(pod, NAME_LENGTH) for pod in fact.pods[:3])
    more = f" and {len(fact.pods) - 3} more" if len(fact.pods) > 3 else ""
    what = f"pod {quoted(fact.code, NAME_LENGTH)} {fact.severity.value} on {fact.side.value} {pods}{more}"
    return f"{what}: {quoted(fact.detail, DETAIL_LENGTH)}"


def _metric(check: MetricCheck) -> str:
    labels = " ".join(f"{quoted(key, 40)}={quoted(value, 60)}" for key, value in check.labels)
    name = f"metric {quoted(check.name, NAME_LENGTH)}{f' {{{labels}}}' if labels else ''}"
    verdict = f"{check.outcome.value} {check.severity.value}"
    if check.severity is Severity.INFO:
        means = check.summary.map(lambda side: "none" if side is None else number(side.mean))
        shift = "" if check.relative is None else f" ({_percent(check.relative)})"
        return f"{name} {verdict}: mean stable {means.stable}, canary {means.canary}{shift}"
    lines = [
        f"{name} {verdict}, unit {quoted(check.unit, 20)}, {check.direction.value.replace('_', ' ')}",
        f"stable {_summary(check.summary.stable)}",
        f"canary {_summary(check.summary.canary)}",
        _shift(check),
        f"reason {quoted(check.reason, DETAIL_LENGTH)}",
    ]
    lines += [f"{side.value} over time {trend}" for side in Side if (trend := _trend(check.trend.of(side)))]
    return "\n".join(line for line in lines if line)


def _summary(side: Summary | None) -> str:
    if side is None:
        return "no samples"
    values = f"mean {number(side.mean)}, median {number(side.median)}, p95 {number(side.p95)}"
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
    return f"{'+' if fraction >= 0 else ''}{number(round(100 * fraction, 1))} %"


def _trend(points: tuple[tuple[float, float], ...]) -> str:
    """Return up to ``TREND_POINTS`` means, evenly spaced, first and last among them."""
    last = len(points) - 1
    if last < 1:
        return ""
    count = min(TREND_POINTS, last + 1)
    return " ".join(number(points[round(i * last / (count - 1))][1]) for i in range(count))


def _log(change: LogChange, logs: LogComparison) -> str:
    pattern = change.pattern
    words = ["log", change.outcome.value, change.severity.value, pattern.level.name]
    words += [pattern.kind.value] if pattern.kind is not LogKind.MESSAGE else []
    words += [f"status {quoted(pattern.status, 20)}"] if pattern.status else []
    counted = f"{change.events.stable} stable, {change.events.canary} canary"
    if not change.significant and change.severity is Severity.INFO:
        return f"{' '.join(words)} {counted}: {quoted(pattern.template, BRIEF_LENGTH)}"
    pods = change.pods_seen
    lines = [
        f"{' '.join(words)}: events {counted}; in {pods.stable} stable and {pods.canary} canary pods",
        _rates(change, logs),
        f"template {quoted(pattern.template, _limit(change))}",
    ]
    lines += [f"reworded from {quoted(change.reworded_from, TEMPLATE_LENGTH)}"] if change.reworded_from else []
    lines += _sample(change)
    return "\n".join(line for line in lines if line)


def _limit(change: LogChange) -> int:
    return TRACE_LENGTH if change.pattern.kind is LogKind.TRACE else TEMPLATE_LENGTH


def _rates(change: LogChange, logs: LogComparison) -> str:
    parts = []
    if change.rate.stable is not None and change.rate.canary is not None:
        unit = quoted(logs.exposure_unit, 20)
        parts.append(f"rate {number(change.rate.stable)} to {number(change.rate.canary)} per {unit}")
    parts += [f"ratio {number(change.ratio)}"] if change.ratio is not None else []
    parts += [_interval(change.interval)] if change.interval else []
    parts += [f"q {number(change.q)}"] if change.q is not None else []
    return ", ".join(parts)


def _sample(change: LogChange) -> list[str]:
    """Return one real event of the side that has more to show: the canary's, else the stable one's."""
    vanishing = change.outcome in (LogOutcome.VANISHED, LogOutcome.FALLEN)
    sides: Sequence[Side] = (Side.STABLE, Side.CANARY) if vanishing else (Side.CANARY, Side.STABLE)
    samples: Pair[tuple[LogSample, ...]] = change.pattern.samples
    for side in sides:
        for sample in samples.of(side)[:1]:
            if sample.text == change.pattern.template:
                return []
            text = quoted(sample.text, _limit(change))
            return [f"sample of {side.value} pod {quoted(sample.pod, NAME_LENGTH)}: {text}"]
    return []


def _change(item: DiffItem) -> str:
    change = item.change
    texts = f"{quoted(change.stable, BRIEF_LENGTH)} -> {quoted(change.canary, BRIEF_LENGTH)}"
    return f"template change {quoted(change.path, BRIEF_LENGTH)}: {texts}"
