"""Whether the logs suffice to judge by: enough of them, long enough, and a side that is healthy."""

from dataclasses import replace
from typing import TypeVar

from rollout_verdict.core.evidence import LogEvidence, PodLog
from rollout_verdict.core.logs.changes import Scene
from rollout_verdict.core.logs.rows import is_error
from rollout_verdict.core.statistics import median
from rollout_verdict.core.values import Pair, Side, Window

T = TypeVar("T")


def heard(logs: LogEvidence) -> LogEvidence:
    """Return the logs without the pods of which nothing was read: such a pod is not known to be silent.

    A pod whose log was read to its end, and was empty, stays.
    """
    kept = logs.pods.map(
        lambda pods: tuple(at for at, pod in enumerate(pods) if pod.events or (pod.containers and not pod.partial))
    )
    if kept.map(len) == logs.pods.map(len):
        return logs

    def of(columns: Pair[tuple[T, ...]]) -> Pair[tuple[T, ...]]:
        stable, canary = ((columns.of(side), kept.of(side)) for side in (Side.STABLE, Side.CANARY))
        return Pair(stable=_chosen(*stable), canary=_chosen(*canary))

    patterns = (replace(one, counts=of(one.counts), buckets=of(one.buckets)) for one in logs.patterns)
    return replace(logs, pods=of(logs.pods), patterns=tuple(patterns))


def _chosen(columns: tuple[T, ...], places: tuple[int, ...]) -> tuple[T, ...]:
    return tuple(columns[at] for at in places) if columns else ()


def too_little(scene: Scene) -> str:
    """Return why a side says too little to miss anything, "" when it says enough."""
    policy, events, requests = scene.policy, scene.events, scene.exposure.requests
    for name, count in (("canary", events.canary), ("stable", events.stable)):
        if count < policy.min_events:
            return f"{name} logged {count} events, fewer than {policy.min_events}"
    if requests is not None and requests < policy.min_requests:
        return f"the canary served {requests:.0f} requests, fewer than {policy.min_requests:.0f}"
    return ""


def short_lived(logs: LogEvidence, window: Window | None, scene: Scene) -> str:
    """Return that the canary's log covers too little of the time, "" when it covers enough.

    A log that stops amid errors is not a short life but a failure: then what it lacks is lost.
    """
    if window is None:
        return ""
    covered = max(_covered(pod, window) for pod in logs.pods.canary)
    usual = median([_covered(pod, window) for pod in logs.pods.stable])
    failed = _failed(logs, scene)
    amid_errors = failed.canary >= scene.policy.failure_share and failed.canary > failed.stable
    if covered >= scene.policy.min_coverage * usual or amid_errors:
        return ""
    return f"the canary logged for {covered:.0f} s only, stable pods for {usual:.0f} s"


def _failed(logs: LogEvidence, scene: Scene) -> Pair[float]:
    """Return the share of each side's events that are errors, traces or server failures."""
    errors = [pattern.counts for pattern in logs.patterns if is_error(pattern)]
    return Pair(
        stable=sum(sum(counts.stable) for counts in errors) / scene.events.stable,
        canary=sum(sum(counts.canary) for counts in errors) / scene.events.canary,
    )


def both_failing(logs: LogEvidence, scene: Scene) -> str:
    """Return that both sides fail alike when they do: then there is no healthy side to compare with."""
    failed = _failed(logs, scene)
    if min(failed.stable, failed.canary) < scene.policy.both_failing_share:
        return ""
    return f"both sides fail alike: {failed.canary:.0%} of canary and {failed.stable:.0%} of stable events are errors"


def _covered(pod: PodLog, window: Window) -> float:
    """Return the seconds of the window between the first and the last line of a pod."""
    if pod.first is None or pod.last is None:
        return 0.0
    return max(0.0, (min(pod.last, window.end) - max(pod.first, window.start)).total_seconds())


def cut_short(logs: LogEvidence) -> str:
    """Return that most of the canary's logs were not read to their end, "" otherwise: harm may stand in the rest."""
    cut = [pod for pod in logs.pods.canary if pod.partial]
    if 2 * len(cut) <= len(logs.pods.canary):
        return ""
    return f"the logs of {len(cut)} of {len(logs.pods.canary)} canary pods were not read whole: {cut[0].partial}"
