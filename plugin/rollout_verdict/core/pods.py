"""The Kubernetes judge: what befell the canary's pods and not the stable ones.

Reasons are those the kubelet writes into container states and events (kubernetes pkg/kubelet/container/sync_result.go,
pkg/kubelet/images/types.go, pkg/kubelet/events/event.go).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from rollout_verdict.core.comparison import PodComparison, PodFact
from rollout_verdict.core.evidence import ContainerState, ContainerStatus, KubernetesEvidence, PodState
from rollout_verdict.core.values import Pair, Severity, Side, Window

CRASH_LOOP = frozenset({"CrashLoopBackOff"})
IMAGE_PULL = frozenset(
    {
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
START_ERROR = frozenset(
    {
        "ContainerCannotRun",
        "CreateContainerConfigError",
        "CreateContainerError",
        "PostStartHookError",
        "PreCreateHookError",
        "PreStartHookError",
        "RunContainerError",
        "StartError",
    }
)
OOM_KILLED = "OOMKilled"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPolicy:
    """Thresholds of the Kubernetes judge."""

    never_ready_after_s: float = 120.0  # slower than the readiness of almost any service, shorter than a step's pause
    restarts_fail: int = 2  # one restart may be a node's doing; two of one pod in one window are the container's
    shared_share: float = 0.5  # stable pods suffering the same at half the canary's share: not the version's doing
    warning_events: int = 3  # fewer repeats of a warning are usual while a pod starts


@dataclass(frozen=True, slots=True)
class _Trouble:
    """A kind of trouble: its code, weight on the canary alone, and the test of one pod, "" when all is well."""

    code: str
    severity: Severity
    seen: Callable[[PodState, Window | None, PodPolicy], str]


def judge_pods(evidence: KubernetesEvidence, window: Window | None, policy: PodPolicy) -> PodComparison:
    """Return the facts about both sides, most important first. Trouble that stable shares never weighs as a veto."""
    facts = [fact for trouble in _TROUBLES for fact in _facts(trouble, evidence.pods, window, policy)]
    facts.sort(key=lambda fact: (-_WEIGHT[fact.severity], fact.side is Side.STABLE))
    return PodComparison(
        facts=tuple(
            PodFact(id=f"p{n}", code=f.code, side=f.side, pods=f.pods, severity=f.severity, detail=f.detail)
            for n, f in enumerate(facts, 1)
        ),
        total=evidence.pods.map(len),
        ready=evidence.pods.map(lambda pods: sum(_ready(pod) for pod in pods)),
    )


_WEIGHT = {Severity.INFO: 0, Severity.WARN: 1, Severity.FAIL: 2, Severity.VETO: 3}


def _facts(
    trouble: _Trouble, pods: Pair[tuple[PodState, ...]], window: Window | None, policy: PodPolicy
) -> Iterable[PodFact]:
    told = pods.map(lambda side: {pod.name: text for pod in side if (text := trouble.seen(pod, window, policy))})
    share = Pair(stable=len(told.stable) / max(1, len(pods.stable)), canary=len(told.canary) / max(1, len(pods.canary)))
    shared = bool(told.stable) and share.stable >= policy.shared_share * share.canary
    for side in (Side.CANARY, Side.STABLE):
        found = told.of(side)
        if not found:
            continue
        severity = trouble.severity if side is Side.CANARY and not shared else Severity.INFO
        note = ""
        if side is Side.CANARY:
            note = (
                f"; {len(told.stable)} of {len(pods.stable)} stable pods show the same"
                if shared
                else "; no stable pods to compare with"
                if not pods.stable
                else f"; {len(told.stable) or 'none'} of {len(pods.stable)} stable pods"
            )
        first = min(found)
        yield PodFact(
            id="p0",
            code=trouble.code,
            side=side,
            pods=tuple(sorted(found)),
            severity=severity,
            detail=f"{len(found)} of {len(pods.of(side))} {side.value} pods: {found[first]}{note}",
        )


def none_ready(pods: Iterable[PodState]) -> bool:
    """Tell whether not one of the pods that tell their readiness is ready; False when none tells it."""
    told = [pod for pod in pods if "Ready" in dict(pod.conditions)]
    return bool(told) and not any(_ready(pod) for pod in told)


def _ready(pod: PodState) -> bool:
    return dict(pod.conditions).get("Ready", "").lower() == "true"


def _statuses(container: ContainerState) -> tuple[ContainerStatus, ContainerStatus]:
    return container.state, container.last_state


def _waiting(reasons: frozenset[str]) -> Callable[[PodState, Window | None, PodPolicy], str]:
    def seen(pod: PodState, _window: Window | None, _policy: PodPolicy) -> str:
        for container in pod.containers:
            for status in _statuses(container):
                if status.reason in reasons:
                    return f"container {container.name} {status.reason}{_exit(container)}"
        return ""

    return seen


def _exit(container: ContainerState) -> str:
    last = container.last_state
    exit_code = (
        f", last exit code {last.exit_code} ({last.reason or 'no reason'})" if last.exit_code is not None else ""
    )
    restarts = f", {container.restart_count} restarts" if container.restart_count else ""
    return exit_code + restarts


def _recent(status: ContainerStatus, window: Window | None) -> bool:
    """Tell whether an end belongs to the window; an end without a time might."""
    return window is None or status.finished is None or status.finished >= window.start


def _oom_killed(pod: PodState, window: Window | None, _policy: PodPolicy) -> str:
    for container in pod.containers:
        for status in _statuses(container):
            if status.reason == OOM_KILLED and _recent(status, window):
                limit = dict(container.limits).get("memory", "")
                bound = f" at its memory limit {limit}" if limit else ""
                return f"container {container.name} killed for memory{bound}{_exit(container)}"
    return ""


def _never_ready(pod: PodState, window: Window | None, policy: PodPolicy) -> str:
    if _ready(pod) or pod.phase == "Succeeded" or window is None or pod.start_time is None:
        return ""
    age = window.end - pod.start_time
    if age < timedelta(seconds=policy.never_ready_after_s):
        return ""
    if not any(container.state.status == "running" for container in pod.containers):
        return ""  # it waits for something that has a name of its own: an image, a node, a restart
    return f"not ready {age.total_seconds():.0f} s after it started"


def _restarted(pod: PodState, window: Window | None, *, least: int, most: int | None) -> str:
    for container in pod.containers:
        count = container.restart_count or 0
        if count >= least and (most is None or count < most) and _recent(container.last_state, window):
            return f"container {container.name} restarted{_exit(container)}"
    return ""


def _restarted_often(pod: PodState, window: Window | None, policy: PodPolicy) -> str:
    return _restarted(pod, window, least=policy.restarts_fail, most=None)


def _restarted_once(pod: PodState, window: Window | None, policy: PodPolicy) -> str:
    return _restarted(pod, window, least=1, most=policy.restarts_fail)


def _failed(pod: PodState, _window: Window | None, _policy: PodPolicy) -> str:
    return f"pod phase {pod.phase}" if pod.phase == "Failed" else ""


def _unscheduled(pod: PodState, _window: Window | None, _policy: PodPolicy) -> str:
    if pod.phase == "Pending" and dict(pod.conditions).get("PodScheduled", "").lower() == "false":
        return "not scheduled to a node"
    return ""


def _warned(pod: PodState, _window: Window | None, policy: PodPolicy) -> str:
    warnings = [event for event in pod.events if event.type == "Warning" and event.count >= policy.warning_events]
    if not warnings:
        return ""
    worst = max(warnings, key=lambda event: (event.count, event.reason, event.message))
    return f"warning event {worst.reason} x{worst.count}: {worst.message[:160]}"


# The order breaks ties between facts of one severity.
_VETOES = (
    _Trouble("oom-killed", Severity.VETO, _oom_killed),
    _Trouble("crash-loop", Severity.VETO, _waiting(CRASH_LOOP)),
    _Trouble("image-pull", Severity.VETO, _waiting(IMAGE_PULL)),
    _Trouble("start-error", Severity.VETO, _waiting(START_ERROR)),
    _Trouble("never-ready", Severity.VETO, _never_ready),
)
VETOES = frozenset(trouble.code for trouble in _VETOES)


def _not_ready(pod: PodState, window: Window | None, policy: PodPolicy) -> str:
    """Tell of a pod that is not ready, for no reason that weighs more: it may be about to be, or never."""
    known = any(trouble.seen(pod, window, policy) for trouble in _VETOES)
    told = dict(pod.conditions).get("Ready", "").lower()
    return "not ready" if told == "false" and pod.phase == "Running" and not known else ""


_TROUBLES = (
    *_VETOES,
    _Trouble("restarts", Severity.FAIL, _restarted_often),
    _Trouble("pod-failed", Severity.FAIL, _failed),
    _Trouble("restarted", Severity.WARN, _restarted_once),
    _Trouble("not-ready", Severity.WARN, _not_ready),
    _Trouble("unscheduled", Severity.WARN, _unscheduled),
    _Trouble("warning-events", Severity.WARN, _warned),
)
