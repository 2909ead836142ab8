"""Rollouts in every situation, with their ReplicaSets, pods, logs and events, as Argo Rollouts 1.9 leaves them."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

from tests.fakes.kubernetes import logs, objects
from tests.fakes.kubernetes.cluster import Cluster
from tests.fakes.kubernetes.objects import HASH, Place, Version, meta, rfc3339

REVISION = "rollout.argoproj.io/revision"
STABLE = Version(hash="5b8f9c", revision=11, age_s=86_400.0)
CANARY = Version(
    hash="7d4cc1",
    image="registry.example/checkout:1.5.0",
    revision=12,
    age_s=900.0,
    pods=2,
    env={"PAYMENTS_PORT": "8443"},
)
BASELINE = replace(STABLE, hash="6c9d7f", pods=2, age_s=600.0)  # of an experiment, as TRIED is
TRIED = replace(CANARY, hash="84bf5d", age_s=600.0)
STEPS: tuple[Mapping[str, Any], ...] = (
    {"setWeight": 5},
    {"pause": {"duration": "2m"}},
    {"setWeight": 25},
    {"analysis": {"templates": [{"templateName": "verdict"}]}},
    {"setWeight": 50},
    {"pause": {}},
)
Situation = Literal["progressing", "paused", "aborted", "promoted", "degraded"]
PHASES: Mapping[str, tuple[str, str]] = {
    "progressing": ("Progressing", "more replicas need to be updated"),
    "paused": ("Paused", "CanaryPauseStep"),
    "aborted": ("Degraded", "RolloutAborted: Rollout aborted update to revision 12"),
    "promoted": ("Healthy", ""),
    "degraded": ("Degraded", 'ProgressDeadlineExceeded: ReplicaSet "checkout-7d4cc1" has timed out progressing.'),
}


def add_side(
    cluster: Cluster, place: Place, version: Version, owner: Mapping[str, Any], *, name: str = "", **annotations: str
) -> dict[str, Any]:
    """Add a version's ReplicaSet, pods, logs, events and resource use; returns the ReplicaSet."""
    owned = objects.replica_set(place, version, owner, name=name, **annotations)
    cluster.add(owned)
    for number in range(version.pods):
        pod = objects.pod(place, version, owned, number)
        cluster.add(pod, objects.event(place, pod, "Scheduled", "Successfully assigned", warning=False))
        _tell(cluster, place, version, pod)
        if version.fares not in ("pending", "image-pull"):
            cluster.add(objects.pod_metrics(place, pod))
            _write(cluster, place, version, pod)
    return owned


def _tell(cluster: Cluster, place: Place, version: Version, pod: Mapping[str, Any]) -> None:
    """Add the event that the kubelet or scheduler writes about a pod that does not fare well."""
    told = {
        "crash-loop": ("BackOff", "Back-off restarting failed container", 9),
        "image-pull": ("Failed", f'Failed to pull image "{version.image}": not found', 4),
        "pending": ("FailedScheduling", "0/3 nodes are available: 3 Insufficient memory.", 6),
        "not-ready": ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", 40),
    }
    if version.fares in told:
        reason, message, count = told[version.fares]
        cluster.add(objects.event(place, pod, reason, message, count=count))


def _write(cluster: Cluster, place: Place, version: Version, pod: Mapping[str, Any]) -> None:
    """Write the logs of a pod's containers."""
    name, namespace = pod["metadata"]["name"], place.namespace
    start = place.now - timedelta(seconds=min(version.age_s, 1800.0))
    chance = random.Random(name)
    text = logs.stamped(version.lines(chance, start, place.now))
    if version.fares in ("crash-loop", "out-of-memory"):
        died = [(place.now - timedelta(seconds=41), "panic: cannot open ledger")]
        cluster.log(namespace, name, place.container, text + logs.stamped(died), previous=True)
        text = logs.stamped([(place.now - timedelta(seconds=9), "starting again")])
    cluster.log(namespace, name, place.container, text)
    for other in (*version.sidecars, *version.init):
        cluster.log(namespace, name, other, logs.stamped([(start, "proxy is ready")]))


def rollout(
    place: Place, version: Version, *, steps: Sequence[Mapping[str, Any]] = STEPS, **status: Any
) -> dict[str, Any]:
    """Return a Rollout whose newest template is ``version``; ``status`` as its controller wrote it."""
    shape = objects.template(place, version)
    shape["metadata"]["labels"].pop(HASH, None)
    spec = {
        "replicas": 4,
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": {"app": place.app}},
        "template": shape,
        "strategy": {"canary": {"steps": [dict(step) for step in steps]}},
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": meta(place, place.app, age_s=864_000, annotations={REVISION: str(version.revision)}, generation=24),
        "spec": spec,
        "status": {"observedGeneration": "24", "selector": f"app={place.app}", **status},
    }


def canary(
    cluster: Cluster,
    place: Place,
    *,
    stable: Version = STABLE,
    newest: Version | None = CANARY,
    situation: Situation = "progressing",
    step: int = 3,
    weight: int = 25,
    routed: bool = True,
    previous: Version | None = None,
) -> dict[str, Any]:
    """Add a canary rollout; returns it. ``newest`` None: nothing but stable. ``previous`` is an older, scaled-down version."""
    newest = newest or stable
    steps = len(STEPS)
    phase, message = PHASES[situation]
    if situation == "promoted":
        newest, step, weight = replace(newest, pods=max(newest.pods, 1)), steps, 0
        stable = replace(stable, pods=0)
    elif situation == "aborted":
        step, weight, newest = 0, 0, replace(newest, pods=0)
    held = newest.hash if situation == "promoted" else stable.hash
    started = place.now - timedelta(seconds=newest.age_s)
    status: dict[str, Any] = {
        "phase": phase,
        "message": message,
        "stableRS": held,
        "currentPodHash": newest.hash,
        "currentStepHash": "6f7d8b9c5d",
        "currentStepIndex": step,
        "replicas": stable.pods + newest.pods,
        "updatedReplicas": newest.pods,
        "conditions": [_condition(place, newest, situation)],
        "canary": {},
    }
    if situation == "aborted":
        status |= {"abort": True, "abortedAt": rfc3339(place.now - timedelta(seconds=120))}
    if situation == "paused":
        paused = {"reason": "CanaryPauseStep", "startTime": rfc3339(place.now - timedelta(seconds=240))}
        status |= {"pauseConditions": [paused], "controllerPause": True}
    tree = rollout(place, newest, **status)
    if routed:
        route(tree, cluster, place, stable, newest, weight)
    cluster.add(tree)
    add_side(cluster, place, stable, tree)
    if newest.hash != stable.hash:
        add_side(cluster, place, newest, tree)
        about = {"kind": "Rollout", "apiVersion": tree["apiVersion"], "metadata": tree["metadata"]}
        note = objects.event(
            place, about, "RolloutUpdated", f"Rollout updated to revision {newest.revision}", warning=False
        )
        note |= {"firstTimestamp": rfc3339(started), "lastTimestamp": rfc3339(started)}
        cluster.add(note)
    if previous is not None:
        add_side(cluster, place, replace(previous, pods=0), tree)
    return tree


def _condition(place: Place, newest: Version, situation: str) -> dict[str, Any]:
    changed = rfc3339(place.now - timedelta(seconds=300))
    reasons = {
        "progressing": ("ReplicaSetUpdated", "True"),
        "paused": ("RolloutPaused", "Unknown"),
        "aborted": ("RolloutAborted", "False"),
        "promoted": ("NewReplicaSetAvailable", "True"),
        "degraded": ("ProgressDeadlineExceeded", "False"),
    }
    reason, status = reasons[situation]
    times = {"lastTransitionTime": changed, "lastUpdateTime": changed}
    return {
        "type": "Progressing",
        "status": status,
        "reason": reason,
        "message": f"revision {newest.revision}",
        **times,
    }


def route(tree: dict[str, Any], cluster: Cluster, place: Place, stable: Version, newest: Version, weight: int) -> None:
    """Give a canary Rollout traffic routing by an nginx Ingress, and the weights its controller has set."""
    names = {"stable": f"{place.app}-stable", "canary": f"{place.app}-canary"}
    tree["spec"]["strategy"]["canary"] |= {
        "stableService": names["stable"],
        "canaryService": names["canary"],
        "trafficRouting": {"nginx": {"stableIngress": place.app}},
    }
    tree["status"]["canary"]["weights"] = {
        "canary": {"weight": weight, "serviceName": names["canary"], "podTemplateHash": newest.hash},
        "stable": {"weight": 100 - weight, "serviceName": names["stable"], "podTemplateHash": stable.hash},
    }
    for side, version in (("stable", stable), ("canary", newest)):
        cluster.add(objects.service(place, names[side], {"app": place.app, HASH: version.hash}))


def blue_green(
    cluster: Cluster,
    place: Place,
    *,
    active: Version = STABLE,
    preview: Version = CANARY,
    switched: bool = False,
    situation: Situation = "paused",
) -> dict[str, Any]:
    """Add a blue-green rollout before or, with ``switched``, after the switch while the old pods still run."""
    phase, message = PHASES[situation]
    message = "BlueGreenPause" if situation == "paused" else message
    serving = preview if switched else active
    done = switched and situation == "promoted"
    status: dict[str, Any] = {
        "phase": phase,
        "message": message,
        "stableRS": preview.hash if done else active.hash,
        "currentPodHash": preview.hash,
        "replicas": active.pods + preview.pods,
        "updatedReplicas": preview.pods,
        "conditions": [_condition(place, preview, situation)],
        "blueGreen": {"activeSelector": serving.hash, "previewSelector": preview.hash},
        "selector": f"app={place.app},{HASH}={serving.hash}",  # that of the active ReplicaSet
    }
    if situation == "paused":
        paused = {"reason": "BlueGreenPause", "startTime": rfc3339(place.now - timedelta(seconds=240))}
        status |= {"pauseConditions": [paused], "controllerPause": True}
    tree = rollout(place, preview, **status)
    services = {"activeService": f"{place.app}-active", "previewService": f"{place.app}-preview"}
    tree["spec"]["strategy"] = {"blueGreen": {**services, "autoPromotionEnabled": False}}
    cluster.add(tree)
    cluster.add(objects.service(place, services["activeService"], {"app": place.app, HASH: serving.hash}))
    cluster.add(objects.service(place, services["previewService"], {"app": place.app, HASH: preview.hash}))
    leaving = {"scale-down-deadline": rfc3339(place.now + timedelta(seconds=600))} if done else {}
    old = {REVISION: str(active.revision), **leaving}
    add_side(cluster, place, active, tree, **old)
    add_side(cluster, place, preview, tree)
    return tree


def experiment(
    cluster: Cluster,
    place: Place,
    *,
    baseline: Version = BASELINE,
    newest: Version = TRIED,
    owner: Mapping[str, Any] | None = None,
    names: tuple[str, str] = ("baseline", "canary"),
    phase: str = "Running",
) -> dict[str, Any]:
    """Add an Experiment with a baseline and a canary template; an owner is the Rollout whose step it is."""
    name = f"{place.app}-experiment"
    sides = {
        title: replace(version, labels={"side": title})
        for title, version in zip(names, (baseline, newest), strict=True)
    }
    specs, told = [], []
    for title, version in sides.items():
        shape = objects.template(place, version)
        shape["metadata"]["labels"].pop(HASH)
        specs.append(
            {
                "name": title,
                "replicas": version.pods,
                "selector": {"matchLabels": dict(shape["metadata"]["labels"])},
                "template": shape,
            }
        )
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), version.pods)
        told.append({"name": title, "status": "Running", "podTemplateHash": version.hash, **counts})
    labels = {HASH: owner["status"]["currentPodHash"]} if owner else {}
    tree = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Experiment",
        "metadata": meta(place, name, age_s=newest.age_s + 20, owner=owner, labels=labels),
        "spec": {"duration": "20m", "templates": specs},
        "status": {
            "phase": phase,
            "availableAt": rfc3339(place.now - timedelta(seconds=newest.age_s - 20)),
            "templateStatuses": told,
        },
    }
    cluster.add(tree)
    for title, version in sides.items():
        notes = {"experiment.argoproj.io/name": name, "experiment.argoproj.io/template-name": title}
        add_side(cluster, place, version, tree, name=f"{name}-{title}", **notes)
    return tree


def deployment(
    cluster: Cluster,
    place: Place,
    *,
    stable: Version = STABLE,
    newest: Version | None = CANARY,
    older: Version | None = None,
) -> dict[str, Any]:
    """Add a Deployment in the middle of a rolling update; ``newest`` None: one that was never updated."""
    place = replace(place, hash_label="pod-template-hash")
    top = newest or stable
    shape = objects.template(place, top)
    shape["metadata"]["labels"].pop(place.hash_label)
    notes = {"deployment.kubernetes.io/revision": str(top.revision)}
    total = stable.pods + (newest.pods if newest else 0)
    changed = rfc3339(place.now - timedelta(seconds=60))
    progressing = {
        "type": "Progressing",
        "status": "True",
        "reason": "ReplicaSetUpdated",
        "lastTransitionTime": changed,
    }
    tree = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta(place, place.app, age_s=864_000, annotations=notes, generation=7),
        "spec": {"replicas": 4, "selector": {"matchLabels": {"app": place.app}}, "template": shape},
        "status": {
            "observedGeneration": 7,
            "replicas": total,
            "updatedReplicas": top.pods,
            "conditions": [progressing | {"lastUpdateTime": changed}],
        },
    }
    cluster.add(tree)
    for version in (stable, newest, replace(older, pods=0) if older else None):
        if version is not None:
            add_side(cluster, place, version, tree)
    return tree


def workload_ref(
    cluster: Cluster, place: Place, *, make: Callable[..., Any] = canary, **situation: Any
) -> dict[str, Any]:
    """Add a rollout as ``make`` does, whose template stands in a Deployment scaled to zero."""
    tree = make(cluster, place, **situation)
    newest = situation.get("newest") or situation.get("preview") or CANARY
    plain = replace(place, hash_label="pod-template-hash")
    shape = objects.template(plain, newest)
    shape["metadata"]["labels"].pop("pod-template-hash")
    cluster.add(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta(place, place.app, age_s=864_000, generation=3),
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": place.app}}, "template": shape},
            "status": {"observedGeneration": 3},
        }
    )

    def edit(of: dict[str, Any]) -> None:
        of["spec"].pop("template")
        of["spec"].pop("selector")
        of["spec"]["workloadRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": place.app}

    cluster.change("argoproj.io", "rollouts", place.namespace, tree["metadata"]["name"], edit)
    return cluster.objects["argoproj.io", "rollouts"][place.namespace, tree["metadata"]["name"]]


def analysis_run(
    cluster: Cluster,
    place: Place,
    owner: Mapping[str, Any],
    *,
    kind: Literal["Step", "Background", "PrePromotion", "PostPromotion", ""] = "Step",
    arguments: Mapping[str, str] | None = None,
    age_s: float = 300.0,
    name: str = "",
    phase: str = "Running",
) -> dict[str, Any]:
    """Add an AnalysisRun of a Rollout, or of an Experiment (``kind`` ""); returns it."""
    newest = owner["status"].get("currentPodHash", "")
    step = owner["status"].get("currentStepIndex")
    labels = {HASH: newest} if newest else {}
    if kind:
        labels["rollout-type"] = kind
    if kind == "Step" and step is not None:
        labels["step-index"] = str(step)
    notes = dict(owner["metadata"].get("annotations", {}))
    plugin = {"plugin": {"rollout-verdict/verdict": {}}}
    started = rfc3339(place.now - timedelta(seconds=age_s))
    measured = {"phase": "Running", "startedAt": started, "metadata": {"verdict.id": "a1"}}
    result = {"name": "verdict", "phase": "Running", "measurements": [measured]}
    tree = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": meta(
            place,
            name or f"{place.app}-{newest or 'run'}-12-3",
            age_s=age_s,
            owner=owner,
            labels=labels,
            annotations=notes,
        ),
        "spec": {
            "args": [{"name": key, "value": value} for key, value in (arguments or {}).items()],
            "metrics": [{"name": "verdict", "provider": plugin}],
        },
        "status": {"phase": phase, "startedAt": started, "metricResults": [result], "runSummary": {}},
    }
    cluster.add(tree)
    return tree
