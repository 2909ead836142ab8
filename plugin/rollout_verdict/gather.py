"""Live evidence: from a name to what is known about its two sides.

    find the sides -> pod states, logs and metrics side by side, each under its deadline -> evidence

A source that fails, hangs or breaks is a gap and takes nothing away from the others. Nothing here judges.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace
from functools import partial
from typing import TypeVar

from rollout_verdict.aside import aside
from rollout_verdict.core.evidence import Evidence, LogEvidence, MetricEvidence, Progress
from rollout_verdict.core.ports import Cluster, Metrics
from rollout_verdict.core.stage import Stage
from rollout_verdict.core.target import Gathering, Sides, Target, TargetError
from rollout_verdict.core.values import Gap, Pair, SourceKind
from rollout_verdict.core.visits import visited

T = TypeVar("T")

GRACE_S = 2.0  # sources watch their deadline themselves; this long after it they are left behind

_LOG = logging.getLogger(__name__)


def gather(
    target: Target,
    cluster: Cluster,
    metrics: Metrics | None,
    gathering: Gathering,
    *,
    on_stage: Callable[[Stage], None] = lambda _stage: None,
    clock: Callable[[], float] = time.monotonic,
) -> Evidence:
    """Return what is known about the target's two sides.

    ``metrics`` is None where no source of metrics is set up. ``on_stage`` hears how far the work is, from several
    threads; ``clock`` is monotonic seconds. Raises TargetError when there is no such object, or when the cluster does
    not say in time; anything else that goes wrong is a gap in the evidence.
    """
    end = clock() + gathering.deadline_s
    on_stage(Stage(name="sides", note=f"{target.kind.value}/{target.name}"))
    sides = _in_time(lambda: cluster.find(target, gathering, deadline_s=gathering.deadline_s), target, gathering)
    on_stage(Stage(name="sides", done=1, total=1, note=_found(sides)))

    totals: dict[str, int] = {}

    def told(name: str) -> Callable[[int, int], None]:
        def on_done(done: int, total: int) -> None:
            totals[name] = total
            on_stage(Stage(name=name, done=done, total=total))

        return on_done

    left = max(0.0, end - clock())
    pods = aside("gather-kubernetes", lambda: cluster.pods(sides, deadline_s=left))
    logs = aside("gather-logs", lambda: cluster.logs(sides, gathering, deadline_s=left, on_done=told("logs")))
    collect = partial(metrics.collect, sides.scope, deadline_s=left, on_done=told("metrics")) if metrics else _unset
    measured = aside("gather-metrics", collect)

    def finish(source: SourceKind, what: str, future: "Future[tuple[T | None, tuple[Gap, ...]]]") -> T | None:
        value, found = _result(future, source, what, max(0.0, end - clock()) + GRACE_S)
        gaps.extend(found)
        total = totals.get(source.value, 1)
        note = "" if value is not None else found[0].reason if found else "nothing to read"
        on_stage(Stage(name=source.value, done=total, total=total, note=note))
        return value

    gaps = list(sides.gaps)
    kubernetes = finish(SourceKind.KUBERNETES, "pod states", pods)
    metric_evidence = finish(SourceKind.METRICS, "metrics", measured)
    log_evidence = finish(SourceKind.LOGS, "logs", logs)
    return Evidence(
        rollout=sides.scope.rollout,
        window=sides.scope.window,
        pods=Pair(
            stable=tuple(sorted(set(sides.scope.pods.stable))), canary=tuple(sorted(set(sides.scope.pods.canary)))
        ),
        logs=log_evidence,
        metrics=metric_evidence,
        kubernetes=kubernetes,
        diff=sides.diff,
        progress=_progress(sides, metric_evidence, log_evidence),
        gaps=tuple(sorted(set(gaps), key=lambda gap: (gap.source, gap.side or "", gap.what, gap.reason, gap.hint))),
    )


def _progress(sides: Sides, metrics: MetricEvidence | None, logs: LogEvidence | None) -> Progress:
    """Return how far the rollout is; a canary that nobody sends requests has done nothing to be promoted for."""
    progress, scope = sides.progress, sides.scope
    if progress.obstacle or not sides.idle:
        return progress
    if visited(metrics, logs, scope.window, len(scope.pods.canary)):
        return replace(progress, tested=True)
    return replace(progress, obstacle=f"{sides.idle}, and no more requests than probes make reached it otherwise")


def _in_time(find: Callable[[], Sides], target: Target, gathering: Gathering) -> Sides:
    """Return the sides. Raises TargetError for a search that hangs.

    A credential plugin and the look-up of a name know no deadline of ours.
    """
    found = aside("gather-sides", find)
    try:
        return found.result(gathering.deadline_s + GRACE_S)
    except FutureTimeoutError:
        if found.done():
            raise  # it broke with a timeout of its own
    raise TargetError(
        f"the cluster did not say within {gathering.deadline_s:g} s what {target.kind.value}/{target.name} is: see "
        "whether the kubeconfig's credential plugin or DNS hangs (kubectl get namespaces)"
    )


def _found(sides: Sides) -> str:
    pods = sides.scope.pods
    return f"{len(pods.stable)} stable and {len(pods.canary)} canary pods, {sides.progress.situation}"


def _unset() -> tuple[None, tuple[Gap, ...]]:
    hint = "set ROLLOUT_VERDICT_PROMETHEUS, or prometheus.address of this configuration; explain takes --prometheus URL"
    gap = Gap(source=SourceKind.METRICS, what="metrics", reason="no source of metrics is set up", hint=hint)
    return None, (gap,)


def _result(
    future: "Future[tuple[T | None, tuple[Gap, ...]]]", source: SourceKind, what: str, timeout_s: float
) -> tuple[T | None, tuple[Gap, ...]]:
    """Return what a source gave; a source that broke or hangs is a gap."""
    try:
        return future.result(timeout_s)
    except FutureTimeoutError:
        reason, hint = "the source did not answer before its deadline", "raise deadlines.gather, or see why it is slow"
    except Exception as error:  # noqa: BLE001 -- whatever breaks in a source, the others' evidence stands
        kind = type(error).__name__  # not its text, which may quote anything
        _LOG.error("gathering %s broke with %s", what, kind)
        reason, hint = f"gathering it broke ({kind})", "report this: a source answers with a gap and never breaks"
    return None, (Gap(source=source, what=what, reason=reason, hint=hint),)
