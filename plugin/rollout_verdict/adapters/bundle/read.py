"""A recorded bundle into evidence: each part that is there is read, each that is not becomes a gap."""

from collections import Counter
from pathlib import Path

from rollout_verdict.adapters.bundle import schema
from rollout_verdict.adapters.bundle.files import (
    DEFAULT_LIMITS,
    LOG_FILE,
    BundleError,
    Limits,
    open_files,
    read_document,
)
from rollout_verdict.adapters.bundle.logs import read_logs, readable, some
from rollout_verdict.core.evidence import Evidence, MetricEvidence, TemplateDiff
from rollout_verdict.core.result import Record
from rollout_verdict.core.values import Gap, Pair, RolloutRef, Side, SourceKind, Verdict, Window

Files = dict[str, Path]
NO_PODS: Pair[tuple[str, ...]] = Pair(stable=(), canary=())


def read_bundle(path: Path, limits: Limits = DEFAULT_LIMITS) -> Evidence:
    """Return the evidence in a folder or .tar.gz.

    Raw logs, metrics and pod states are read where they are; a bundle without raw logs that holds an ``evidence.json``
    gives that. The labels of a case (``expected``, ``provenance``) are skipped unread. Raises BundleError.
    """
    with open_files(path, limits) as files:
        recorded = read_document(files, "evidence.json", limits)
        if recorded is not None and not any(LOG_FILE.fullmatch(name) for name in files):
            return schema.evidence("evidence.json", recorded)
        return _read(path, files, limits)


def read_record(path: Path, limits: Limits = DEFAULT_LIMITS) -> Record | None:
    """Return the earlier judgement that the bundle keeps, None when it was never judged. Raises BundleError."""
    with open_files(path, limits) as files:
        content = read_document(files, "result.json", limits)
        if content is None:
            return None
        result = schema.result("result.json", content)
        prompt, reply = (read_document(files, name, limits) or b"" for name in ("prompt.txt", "reply.json"))
        return Record(
            verdict=result.verdict,
            usage=result.usage,
            prompt=prompt.decode("utf-8", "replace"),  # bytes that are no text do not have the recorded digest
            reply=reply.decode("utf-8", "replace"),
            exchanges=result.exchanges,
        )


def read_verdict(path: Path, limits: Limits = DEFAULT_LIMITS) -> Verdict | None:
    """Return the verdict in the bundle's ``result.json``, None when it was never judged. Raises BundleError."""
    record = read_record(path, limits)
    return None if record is None else record.verdict


def _read(path: Path, files: Files, limits: Limits) -> Evidence:
    """Read the raw parts."""
    case = _case(path, files, limits)
    listed = Pair(stable=tuple(case.stable_pods), canary=tuple(case.canary_pods))
    window = case.window.window if case.window else None
    metrics_window = case.metrics_window.window if case.metrics_window else None
    states, kubernetes_gaps = _kubernetes(files, listed, limits)
    logs, log_gaps = read_logs(files, listed, window, timestamps=case.log_timestamps, limits=limits)
    metrics, metric_gaps = _metrics(files, metrics_window, limits)
    diff, diff_gaps = _diff(files, limits)
    kubernetes = states.value() if states else None
    seen = kubernetes.pods.map(lambda pods: tuple(pod.name for pod in pods)) if kubernetes else NO_PODS
    logged = logs.pods.map(lambda pods: tuple(pod.pod for pod in pods)) if logs else NO_PODS
    hashes = _hashes(states)
    gaps = (*log_gaps, *metric_gaps, *kubernetes_gaps, *diff_gaps, *_case_gaps(files, case))
    return Evidence(
        rollout=RolloutRef(
            namespace=case.namespace, name=case.service, stable_hash=hashes.stable, canary_hash=hashes.canary
        ),
        window=window,
        pods=_all_pods(listed, seen, logged),
        logs=logs,
        metrics=metrics,
        kubernetes=kubernetes,
        diff=diff,
        gaps=tuple(sorted(gaps, key=lambda gap: (gap.source, gap.side or "", gap.what, gap.reason))),
    )


def _case(path: Path, files: Files, limits: Limits) -> schema.CaseInput:
    """Read who is judged. Without a ``case.json`` the bundle's file name is the rollout's; its parts name the pods."""
    content = read_document(files, "case.json", limits)
    if content is not None:
        return schema.case("case.json", content)
    if not any(name in {"metrics.json", "kubernetes.json"} or LOG_FILE.fullmatch(name) for name in files):
        raise BundleError(
            f"{path}: not a bundle; expected case.json, evidence.json, metrics.json, kubernetes.json "
            "or logs/stable|canary/POD/CONTAINER.log.gz in it"
        )
    name = path.resolve().name.removesuffix(".tgz").removesuffix(".tar.gz")
    return schema.CaseInput(service=readable(name)[: schema.NAME_LENGTH] or "bundle")


def _case_gaps(files: Files, case: schema.CaseInput) -> list[Gap]:
    if "case.json" in files:
        return _unread(case.unknown)
    return [
        Gap(
            source=SourceKind.KUBERNETES,
            what="name and window of the rollout",
            reason="the bundle has no case.json",
            hint="add a case.json with input.service, input.window, input.stable_pods and input.canary_pods",
        )
    ]


def _unread(keys: tuple[tuple[str, str], ...]) -> list[Gap]:
    """Tell of keys of ``input`` that are not known; no error, since bundles of other versions may have more."""
    if not keys:
        return []
    meant = [f"{near} for {name}" for name, near in keys if near]
    hint = f"write {some(meant)} if that is meant" if meant else ""
    what = f"{some([name for name, _ in keys])} in case.json"
    return [Gap(source=SourceKind.KUBERNETES, what=what, reason="no key that input has, so it is not read", hint=hint)]


def _kubernetes(files: Files, listed: Pair[tuple[str, ...]], limits: Limits) -> tuple[schema.Pods | None, list[Gap]]:
    content = read_document(files, "kubernetes.json", limits)
    if content is None:
        return None, [_gap(SourceKind.KUBERNETES, "pod states", "the bundle has no kubernetes.json")]
    pods = schema.pods("kubernetes.json", content)
    gaps = []
    for side, described in ((Side.STABLE, pods.stable), (Side.CANARY, pods.canary)):
        names = Counter(pod.name for pod in described)
        if twice := next((name for name, times in names.items() if times > 1), None):
            raise BundleError(
                f"kubernetes.json: {side}: pod {twice!r} is described twice; which one counts is not known"
            )
        if not names:
            gaps.append(
                _gap(SourceKind.KUBERNETES, f"{side} pod states", f"kubernetes.json describes no {side} pod", side)
            )
        elif lacking := sorted(set(listed.of(side)) - set(names)):
            gaps.append(_gap(SourceKind.KUBERNETES, f"state of {some(lacking)}", "kubernetes.json leaves it out", side))
    return pods, gaps


def _metrics(files: Files, window: Window | None, limits: Limits) -> tuple[MetricEvidence | None, list[Gap]]:
    content = read_document(files, "metrics.json", limits)
    if content is None:
        return None, [_gap(SourceKind.METRICS, "metrics", "the bundle has no metrics.json")]
    metrics = schema.metrics("metrics.json", content, window)
    return metrics, [
        _gap(SourceKind.METRICS, f"{side} metrics", f"metrics.json holds no sample of the {side} side", side)
        for side in Side
        if not any(series.samples for series in metrics.series.of(side))
    ]


def _diff(files: Files, limits: Limits) -> tuple[TemplateDiff | None, list[Gap]]:
    content = read_document(files, "diff.json", limits)
    if content is None:
        return None, [_gap(SourceKind.DIFF, "difference of the pod templates", "the bundle has no diff.json")]
    return schema.diff("diff.json", content), []


def _gap(source: SourceKind, what: str, reason: str, side: Side | None = None) -> Gap:
    return Gap(source=source, what=what, reason=reason, side=side)


def _hashes(pods: schema.Pods | None) -> Pair[str]:
    """Return the template hash that all pods of a side carry, "" where they do not agree or carry none."""
    if pods is None:
        return Pair(stable="", canary="")
    found = Pair(stable={pod.template_hash for pod in pods.stable}, canary={pod.template_hash for pod in pods.canary})
    return found.map(lambda hashes: next(iter(hashes)) if len(hashes) == 1 else "")


def _all_pods(*sources: Pair[tuple[str, ...]]) -> Pair[tuple[str, ...]]:
    """Return every pod that any part names. Raises BundleError for one that stands on both sides."""
    sides = Pair(
        stable={name for source in sources for name in source.stable},
        canary={name for source in sources for name in source.canary},
    )
    if both := sorted(sides.stable & sides.canary):
        raise BundleError(f"pod {both[0]!r} is stable in one place and canary in another; a pod belongs to one side")
    return sides.map(lambda names: tuple(sorted(names)))
