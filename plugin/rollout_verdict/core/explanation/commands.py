"""Commands to go on with, ready to be copied. A name that Kubernetes could not have given out is never put into one."""

import re
from collections.abc import Iterator
from shlex import quote as shell_quote

from rollout_verdict.core.comparison import Comparison, LogChange, LogOutcome, PodFact
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.quote import visible
from rollout_verdict.core.values import Decision, Severity, Side, Verdict

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")  # RFC 1123 subdomain: what the API server accepts
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_LITERAL = re.compile(r"[A-Za-z0-9_ .:/()=-]{6,}")  # of a log template: what grep -F and any shell take as it is
_SINCE = "15m"  # when the window is not known: longer than most analysis steps
_POD_CODES = frozenset({"image-pull", "start-error", "never-ready", "unscheduled", "warning-events", "pod-failed"})
_CRASH_CODES = frozenset({"crash-loop", "oom-killed", "restarts", "restarted"})


def next_steps(evidence: Evidence, comparison: Comparison, verdict: Verdict) -> tuple[str, ...]:
    """Return the commands for what was found, most telling first; hints of gaps as comments."""
    return tuple(dict.fromkeys(_steps(evidence, comparison, verdict)))


def _steps(evidence: Evidence, comparison: Comparison, verdict: Verdict) -> Iterator[str]:
    space = evidence.rollout.namespace
    scope = f" -n {space}" if _NAME.fullmatch(space) else ""
    # without its namespace the name is a guess, too: nothing is promoted or aborted by a guess
    name = evidence.rollout.name if scope and _NAME.fullmatch(evidence.rollout.name) else ""
    facts = [f for f in comparison.pods.facts if f.side is Side.CANARY] if comparison.pods else []
    unread = _unread(evidence, verdict)
    yield from unread
    if verdict.decision is not Decision.PROMOTE:
        yield from _about_pods(facts, scope)
        yield from _about_logs(evidence, comparison, scope)
    if name:
        watch = " --watch" if verdict.decision is Decision.PROMOTE else ""
        yield f"kubectl argo rollouts get rollout {name}{scope}{watch}"
        if verdict.decision is Decision.ROLLBACK:
            yield f"kubectl argo rollouts abort {name}{scope}   # if the rollout has not been aborted already"
        if verdict.decision is Decision.INCONCLUSIVE and not unread:
            yield f"kubectl argo rollouts promote {name}{scope}   # go on, once you are satisfied"
            yield f"kubectl argo rollouts abort {name}{scope}   # or go back to stable"


def _unread(evidence: Evidence, verdict: Verdict) -> tuple[str, ...]:
    """Return what to do first where neither the rollout nor a pod of the canary could be read: mend that."""
    progress = evidence.progress
    if progress is None or progress.situation != "unknown" or evidence.pods.canary:
        return ()
    hints = (gap.hint for gap in verdict.gaps if gap.hint and progress.obstacle.endswith(gap.reason))
    return tuple(f"# {visible(hint)}" for hint in hints)[:1] or ("kubectl cluster-info",)


def _about_pods(facts: list[PodFact], scope: str) -> Iterator[str]:
    for fact in facts:
        pod = next((pod for pod in fact.pods if _NAME.fullmatch(pod)), None)
        if pod is None or fact.severity is Severity.INFO:
            continue
        if fact.code in _CRASH_CODES:
            yield f"kubectl logs {pod}{scope} --all-containers --previous --tail=100"
        if fact.code in _POD_CODES or fact.code == "oom-killed":
            yield f"kubectl describe pod {pod}{scope}"
        if fact.code == "oom-killed":
            yield f"kubectl top pod {pod}{scope} --containers"


def _about_logs(evidence: Evidence, comparison: Comparison, scope: str) -> Iterator[str]:
    changes = comparison.logs.changes if comparison.logs else ()
    new = [c for c in changes if c.severity is not Severity.INFO and c.outcome in (LogOutcome.NEW, LogOutcome.RISEN)]
    where = _canary(evidence)
    for change in new[:2]:
        text = _searchable(change)
        if where and text:
            yield f"kubectl logs {where}{scope} --all-containers{_since(evidence)} | grep -F -- {shell_quote(text)}"
    if where and not new:
        yield f"kubectl logs {where}{scope} --all-containers{_since(evidence)}"


def _searchable(change: LogChange) -> str:
    """Return the longest literal piece of a message that its samples really hold, "" when there is none."""
    literals: list[str] = _LITERAL.findall(re.sub(r"<[^<>]*>", "\n", change.pattern.template))
    cut = (text.strip()[:60].rpartition(" ")[0] if len(text.strip()) > 60 else text.strip() for text in literals)
    said = [sample.text for sample in change.pattern.samples.canary]
    return max((text for text in cut if len(text) >= 6 and any(text in one for one in said)), key=len, default="")


def _canary(evidence: Evidence) -> str:
    """Return what selects the canary's pods: their label, or the name of one of them."""
    if _LABEL.fullmatch(evidence.rollout.canary_hash):
        # with a selector, kubectl shows ten lines unless told otherwise
        return f"-l rollouts-pod-template-hash={evidence.rollout.canary_hash} --prefix --tail=-1"
    return next((pod for pod in evidence.pods.canary if _NAME.fullmatch(pod)), "")


def _since(evidence: Evidence) -> str:
    if evidence.window is None:
        return f" --since={_SINCE}"
    return f" --since-time={evidence.window.start:%Y-%m-%dT%H:%M:%SZ}"
