"""What a verdict stands on: what was compared, what is the same, what was not looked at."""

from collections.abc import Iterator, Sequence

from rollout_verdict.core.comparison import Comparison, LogOutcome, MetricOutcome
from rollout_verdict.core.evidence import Evidence, PodLog, Progress
from rollout_verdict.core.explanation.amounts import count, duration
from rollout_verdict.core.explanation.statements import Quote, Statement, quote, say
from rollout_verdict.core.explanation.terms import LISTED, model_opinion, series_names
from rollout_verdict.core.values import Gap, Side, SourceKind, Verdict

GAPS = 20  # what is missing is worth more lines than what is there, but not without end


def same(comparison: Comparison) -> Iterator[Statement]:
    """Yield what is as on stable."""
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


def compared(evidence: Evidence, comparison: Comparison) -> Iterator[Statement]:
    """Yield what the two sides are, and how much was read of them."""
    for side in Side:
        pods = evidence.pods.of(side)
        version = evidence.rollout.stable_hash if side is Side.STABLE else evidence.rollout.canary_hash
        of = (" of version ", quote(version)) if version else ()
        names: list[str | Quote] = [part for pod in pods[:3] for part in (", ", quote(pod))]
        more = f" and {len(pods) - 3} more" if len(pods) > 3 else ""
        yield say(f"{side.value}: {count(len(pods), 'pod')}", *of, *(": ", *names[1:]) if names else (), more)
    if progress := evidence.progress:
        yield say("rollout: ", *_came(progress))
    if window := evidence.window:
        basis = (": ", progress.window_basis) if progress and progress.window_basis else ()
        span = f"{window.start:%Y-%m-%d %H:%M:%S} to {window.end:%H:%M:%S} UTC, {duration(window.seconds)}"
        yield say(f"window: {span}", *basis)
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


def _came(progress: Progress) -> Iterator[str | Quote]:
    """Yield how far a rollout has come, in parts of a sentence."""
    yield progress.situation or "of unknown state"
    if progress.step is not None:
        of = f" of {progress.steps}" if progress.steps is not None else ""
        yield f", step {min(progress.step + 1, progress.steps or progress.step + 1)}{of}"
    if progress.weight is not None:
        yield f", weight {progress.weight} %"
    if progress.revision:
        yield from (", revision ", quote(progress.revision))
    if progress.message:
        yield from ("; ", quote(progress.message))


def unseen(evidence: Evidence, comparison: Comparison, verdict: Verdict) -> Iterator[Statement]:
    """Yield what is missing, and what was too little to judge."""
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
    yield from _unjudged(evidence, comparison, verdict.gaps[:GAPS])


def _is_told(pod: PodLog, gaps: Sequence[Gap]) -> bool:
    return any(gap.reason == pod.partial and pod.pod in gap.what for gap in gaps)


def _unjudged(evidence: Evidence, comparison: Comparison, told: Sequence[Gap]) -> Iterator[Statement]:
    """Yield what was too little to judge, and what was cut, unless a gap has told it already."""
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
        cut_short = [pod for pod in pods if pod.partial and not _is_told(pod, told)]
        for pod in cut_short[:LISTED]:
            yield say("log of ", quote(pod.pod), f" read in part: {pod.partial}")
        cut = sum(pod.cut_lines for pod in pods)
        if cut:
            yield say(f"the ends of {count(cut, 'overlong log line')}")
        if evidence.logs.coarse_events:
            yield say(
                f"{count(evidence.logs.coarse_events, 'log event')} beyond the table of messages, counted coarsely"
            )
