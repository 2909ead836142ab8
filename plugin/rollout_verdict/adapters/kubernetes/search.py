"""From a target to a plan: the requests that follow it to the object that controls its pods."""

import re
from dataclasses import replace
from typing import Any

from rollout_verdict.adapters.kubernetes.client import Api
from rollout_verdict.adapters.kubernetes.deployment import plan_deployment
from rollout_verdict.adapters.kubernetes.experiment import plan_experiment
from rollout_verdict.adapters.kubernetes.fields import Document, controller, label, mapping, objects, text_of
from rollout_verdict.adapters.kubernetes.plan import HASH, Plan, gap, owned
from rollout_verdict.adapters.kubernetes.rollout import plan_rollout
from rollout_verdict.adapters.kubernetes.trouble import Access, ApiError, Resource
from rollout_verdict.core.evidence import Progress
from rollout_verdict.core.target import Target, TargetError, TargetKind
from rollout_verdict.core.values import Gap, Pair, SourceKind

REPLICA_SETS = Resource(plural="replicasets", group="apps")
KINDS = {
    TargetKind.ROLLOUT: Resource(plural="rollouts", group="argoproj.io", version="v1alpha1"),
    TargetKind.ANALYSIS_RUN: Resource(plural="analysisruns", group="argoproj.io", version="v1alpha1"),
    TargetKind.EXPERIMENT: Resource(plural="experiments", group="argoproj.io", version="v1alpha1"),
    TargetKind.DEPLOYMENT: Resource(plural="deployments", group="apps"),
}
_HASH_TERM = re.compile(rf"(?:^|,){HASH}=[^,]*")
_OWNERS = {"Rollout": TargetKind.ROLLOUT, "Experiment": TargetKind.EXPERIMENT}


class Search:
    """One search. ``run`` is the AnalysisRun it began with, if any.

    ``replica_sets`` is None when they were not listed, and ``unlisted`` why, None when nobody asked for them.
    """

    def __init__(self, api: Api, target: Target, end: float) -> None:
        self.api, self.target, self.end = api, target, end
        self.run: Document | None = None
        self.replica_sets: list[Document] | None = None
        self.unlisted: ApiError | None = None

    def plan(self) -> Plan:
        """Return who is to be compared. Raises TargetError when the target does not exist or leads nowhere.

        What else goes wrong is a gap of the plan.
        """
        try:
            plan = self._followed()
        except TargetError:
            if not self._named:
                raise
            plan = self._unread(None)
        except ApiError as error:
            plan = self._unread(error)
        return replace(plan, selectors=self.target.selectors)

    @property
    def _named(self) -> bool:
        """Whether both sides are named outright, so that no object is needed to find them."""
        return bool(self.target.selectors.stable and self.target.selectors.canary)

    def _followed(self) -> Plan:
        """Follow the target to its workload. Raises TargetError and ApiError."""
        target, kind, name = self.target, self.target.kind, self.target.name
        asked = target.hashes
        if kind is TargetKind.ANALYSIS_RUN:
            self.run = self._get(kind, name)
            owner = controller(self.run)
            if text_of(owner, "kind") not in _OWNERS:
                raise TargetError(
                    f"analysisrun/{name} in namespace {target.namespace} belongs to no Rollout or Experiment, so its "
                    "sides are not known: name them by stableLabel and canaryLabel"
                )
            kind, name = _OWNERS[text_of(owner, "kind")], text_of(owner, "name")
            asked = replace(asked, canary=asked.canary or label(self.run, HASH))
        workload = self._get(kind, name)
        uids = [text_of(workload, "metadata", "uid")]
        if kind is TargetKind.EXPERIMENT:
            rollout, gaps = self._owner_of(workload)
            uids += [text_of(rollout, "metadata", "uid")]
            gaps += self._list(workload, uids)
            plan = plan_experiment(workload, self.replica_sets or [], rollout)
        else:
            gaps = self._asked_by() + self._list(workload, uids)
            plan = (
                plan_rollout(workload, self.replica_sets or [], asked, self.run)
                if kind is TargetKind.ROLLOUT
                else plan_deployment(workload, self.replica_sets, asked)
            )
        return replace(plan, gaps=(*plan.gaps, *gaps))

    def _get(self, kind: TargetKind, name: str) -> Document:
        """Return an object. Raises TargetError when it is not there, ApiError when it cannot be read."""
        resource, namespace = KINDS[kind], self.target.namespace
        try:
            return self.api.get(Access(resource=resource, namespace=namespace, name=name), end=self.end)
        except ApiError as error:
            if error.status != 404:
                raise
            if not error.typed:
                raise TargetError(
                    f"the cluster does not know {resource.named}: install Argo Rollouts with its CRDs, or choose "
                    "another context"
                ) from None
            raise TargetError(
                f"there is no {kind.value}/{name} in namespace {namespace}: "
                f"kubectl get {resource.named} -n {namespace} lists those that exist"
            ) from None

    def _asked_by(self) -> list[Gap]:
        """Read the AnalysisRun that asks about a Rollout, and return why it is unknown; one that is gone is no gap."""
        if not self.target.run:
            return []
        try:
            self.run = self._get(TargetKind.ANALYSIS_RUN, self.target.run)
        except TargetError:
            pass
        except ApiError as error:
            return [error.gap(SourceKind.KUBERNETES, "since when the canary has had traffic, by the analysis run")]
        return []

    def _owner_of(self, experiment: Document) -> tuple[Document | None, list[Gap]]:
        """Return the Rollout that made an Experiment, None when there is none or it cannot be read."""
        owner = controller(experiment)
        if text_of(owner, "kind") != "Rollout":
            return None, []
        name = text_of(owner, "name")
        try:
            return self._get(TargetKind.ROLLOUT, name), []
        except TargetError as error:
            return None, [gap(f"rollout/{name}, which made the experiment", str(error))]
        except ApiError as error:
            return None, [error.gap(SourceKind.KUBERNETES, f"rollout/{name}, which made the experiment")]

    def _list(self, workload: Document, uids: list[str]) -> list[Gap]:
        """List the ReplicaSets of a workload, and return why not all are known."""
        access = Access(resource=REPLICA_SETS, namespace=self.target.namespace)
        selector = selector_of(workload)
        try:
            listed, whole = self.api.listed(access, [("labelSelector", selector)] if selector else [], end=self.end)
        except ApiError as error:
            self.unlisted = error
            return [error.gap(SourceKind.KUBERNETES, "ReplicaSets, and with them what changed")]
        self.replica_sets = owned(listed, uids)
        return [] if whole else [gap("some ReplicaSets", f"there are more than {len(listed)}, the rest were not read")]

    def _unread(self, error: ApiError | None) -> Plan:
        """Return the plan for a target that could not be read: what the caller said, and why there is no more.

        Without ``error`` there is no such object. Sides that are named outright need none, nor one that nobody may
        read; one that could not be read just now may stand in the way of a promotion.
        """
        target = self.target
        what = f"{target.kind.value}/{target.name}, and who its sides are"
        if error is None or (error.status == 403 and self._named):
            progress = Progress(strategy="selectors")
        else:
            obstacle = f"the state of the rollout could not be read: {error.reason}"
            progress = Progress(strategy="", situation="unknown", obstacle=obstacle)
        return Plan(
            name=text_of(controller(self.run), "name") or target.name,
            progress=progress,
            hashes=Pair(stable=target.hashes.stable, canary=target.hashes.canary or label(self.run, HASH)),
            gaps=(error.gap(SourceKind.KUBERNETES, what),) if error else (),
        )


def selector_of(workload: Document) -> str:
    """Return the label selector of a workload's pods as text, "" when it has none that can be written."""
    spec = mapping(workload, "spec", "selector")
    terms = [f"{key}={value}" for key, value in sorted(mapping(spec, "matchLabels").items())]
    terms += [
        _term(text_of(one, "key"), one.get("operator"), one.get("values")) for one in objects(spec, "matchExpressions")
    ]
    if not all(terms):
        return ""
    # With workloadRef only the status has it; that of a blue-green Rollout is its active ReplicaSet's, hash and all.
    return ",".join(terms) or _HASH_TERM.sub("", text_of(workload, "status", "selector")).lstrip(",")


def _term(key: str, operator: Any, values: Any) -> str:
    words = ",".join(str(value) for value in values) if isinstance(values, list) else ""
    written = {"In": f"{key} in ({words})", "NotIn": f"{key} notin ({words})", "Exists": key, "DoesNotExist": f"!{key}"}
    return written.get(operator, "")
