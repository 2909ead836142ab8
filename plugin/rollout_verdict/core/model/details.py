"""More of one item, for a model that asks: samples, values pod by pod, containers and events. Never more than a page.

Asked for by id, and made of the evidence that is there: nothing is fetched, and no query is anybody's to make.
"""

from collections.abc import Iterator
from math import fsum

from rollout_verdict.core.comparison import Comparison, LogChange, MetricCheck, PodFact
from rollout_verdict.core.evidence import ContainerStatus, Evidence, LogEvidence, MetricEvidence, PodState
from rollout_verdict.core.logs.adequacy import heard
from rollout_verdict.core.model.blocks import NAME_LENGTH
from rollout_verdict.core.model.neutral import number, quoted
from rollout_verdict.core.values import Side

LENGTH = 3_600  # characters of one item's details: some 1,200 tokens, a tenth of a full prompt
PODS = 8  # of a side
POINTS = 24  # over time: a window of ten minutes by half minutes
SAMPLES = 3  # of a side
SAMPLE_LENGTH = 600
EVENTS = 8  # of a pod
TEXT_LENGTH = 200


def details(item_id: str, evidence: Evidence, comparison: Comparison) -> str:
    """Return more about an item than its block tells, "" when there is no such item or nothing more.

    Every text from outside is a JSON string on one line, as in blocks.
    """
    lines: Iterator[str] = iter(())
    for change in comparison.logs.changes if comparison.logs else ():
        if change.id == item_id and evidence.logs:
            lines = _log(change, heard(evidence.logs))
    for check in comparison.metrics.checks if comparison.metrics else ():
        if check.id == item_id and evidence.metrics:
            lines = _metric(check, evidence.metrics)
    for fact in comparison.pods.facts if comparison.pods else ():
        if fact.id == item_id and evidence.kubernetes:
            lines = _pods(fact, evidence.kubernetes.pods.of(fact.side))
    return _bounded(lines)


def _bounded(lines: Iterator[str]) -> str:
    kept: list[str] = []
    left = LENGTH
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            break
        kept.append(line)
    return "\n".join(kept)


def _log(change: LogChange, logs: LogEvidence) -> Iterator[str]:
    pattern = change.pattern
    for side in Side:
        counts = zip(logs.pods.of(side), pattern.counts.of(side), strict=True)
        told = [f"{quoted(pod.pod, NAME_LENGTH)} {count}" for pod, count in counts]
        yield f"events by {side.value} pod: {', '.join(told[:PODS]) or 'none'}{_more(len(told), PODS)}"
    for side in Side:
        rows = pattern.buckets.of(side)
        sums = [sum(column) for column in zip(*rows, strict=True)]
        if sums:
            yield f"events over time on {side.value}: {' '.join(str(count) for count in _thinned(sums))}"
    for side in (Side.CANARY, Side.STABLE):
        for sample in pattern.samples.of(side)[:SAMPLES]:
            pod = quoted(sample.pod, NAME_LENGTH)
            yield f"sample of {side.value} pod {pod}: {quoted(sample.text, SAMPLE_LENGTH)}"


def _thinned(counts: list[int]) -> list[int]:
    """Return at most ``POINTS`` counts, neighbours added up."""
    width = -(-len(counts) // POINTS)
    return [sum(counts[start : start + width]) for start in range(0, len(counts), width)]


def _metric(check: MetricCheck, metrics: MetricEvidence) -> Iterator[str]:
    for side in Side:
        found = [one for one in metrics.series.of(side) if (one.name, one.labels) == (check.name, check.labels)]
        for series in [one for one in found if one.samples][:PODS]:
            values = [value for _, value in series.samples]
            who = f"pod {quoted(series.pod, NAME_LENGTH)}" if series.pod else "as a whole"
            mean = number(fsum(values) / len(values))
            spread = f"lowest {number(min(values))}, highest {number(max(values))}, last {number(values[-1])}"
            yield f"{side.value} {who}: n {len(values)}, mean {mean}, {spread}"
    for side in Side:
        trend = check.trend.of(side)
        stride = -(-len(trend) // POINTS) or 1
        if trend:
            yield f"{side.value} over time: {' '.join(number(value) for _, value in trend[::stride])}"


def _pods(fact: PodFact, pods: tuple[PodState, ...]) -> Iterator[str]:
    for pod in [pod for pod in pods if pod.name in fact.pods][:PODS]:
        name = quoted(pod.name, NAME_LENGTH)
        yield f"pod {name}: phase {quoted(pod.phase, 40)}"
        for container in pod.containers:
            restarts = "unknown" if container.restart_count is None else str(container.restart_count)
            ready = "unknown" if container.ready is None else str(container.ready).lower()
            told = f"container {quoted(container.name, NAME_LENGTH)} of {name}: ready {ready}, restarts {restarts}"
            states = (_state("state", container.state), _state("before", container.last_state))
            yield "; ".join(filter(None, (told, *states)))
        for event in pod.events[-EVENTS:]:
            what = f"event {quoted(event.type, 20)} {quoted(event.reason, NAME_LENGTH)} of {name}, {event.count} times"
            yield f"{what}: {quoted(event.message, TEXT_LENGTH)}"


def _state(name: str, state: ContainerStatus) -> str:
    if not state.status:
        return ""
    parts = [f"{name} {quoted(state.status, 20)}"]
    parts += [quoted(text, TEXT_LENGTH) for text in (state.reason, state.message) if text]
    parts += [f"exit code {state.exit_code}"] if state.exit_code is not None else []
    return " ".join(parts)


def _more(total: int, shown: int) -> str:
    return f" and {total - shown} more" if total > shown else ""
