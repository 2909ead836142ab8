"""Kubernetes objects in the API server's own shape: what controllers and kubelets write for a version of a workload."""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

Lines = Callable[[random.Random, datetime, datetime], Iterable[tuple[datetime, str]]]
HASH = "rollouts-pod-template-hash"
PATHS = ("/cart", "/checkout", "/catalog", "/health")


def rfc3339(time: datetime) -> str:
    """Return a time as Kubernetes writes it in objects: whole seconds."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def uid(*parts: str) -> str:
    """Return an id that stays the same for the same words."""
    chance = random.Random("/".join(parts))
    text = "".join(chance.choice("0123456789abcdef") for _ in range(32))
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def requests(*, rate: float = 2.0, failing: float = 0.001, error: str = "", slow: float = 1.0) -> Lines:
    """Return a writer of request lines, ``rate`` a second, a share of them failing with a 502 and an error line."""

    def write(chance: random.Random, start: datetime, end: datetime) -> Iterable[tuple[datetime, str]]:
        time = start
        while (time := time + timedelta(seconds=chance.expovariate(rate))) < end:
            path, took = chance.choice(PATHS), chance.expovariate(20.0) * slow
            if chance.random() < failing:
                yield time, f'level=error msg="{error or "upstream answered 502"}" path={path}'
                yield time, f'level=info msg="request served" path={path} status=502 duration={took:.3f}s'
            else:
                yield time, f'level=info msg="request served" path={path} status=200 duration={took:.3f}s'

    return write


@dataclass(frozen=True, kw_only=True)
class Version:
    """One side: a pod template and how its pods fare. ``age_s`` is since its pods were made."""

    hash: str
    image: str = "registry.example/checkout:1.4.0"
    pods: int = 3
    age_s: float = 1800.0
    revision: int = 1
    labels: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=lambda: {"PAYMENTS_PORT": "443"})
    fares: Literal["ready", "crash-loop", "image-pull", "pending", "out-of-memory", "not-ready"] = "ready"
    lines: Lines = field(default_factory=requests)
    sidecars: tuple[str, ...] = ()
    init: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where objects live, and the time of the cluster."""

    now: datetime
    namespace: str = "shop"
    app: str = "checkout"
    container: str = "checkout"
    hash_label: str = HASH


def meta(
    place: Place, name: str, *, age_s: float, owner: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """Return an object's metadata."""
    tree: dict[str, Any] = {
        "name": name,
        "namespace": place.namespace,
        "uid": uid(place.namespace, name),
        "creationTimestamp": rfc3339(place.now - timedelta(seconds=age_s)),
        **{key: value for key, value in more.items() if value},
    }
    if owner:
        of = {key: owner[key] for key in ("apiVersion", "kind")} | {
            key: owner["metadata"][key] for key in ("name", "uid")
        }
        tree["ownerReferences"] = [of | {"controller": True, "blockOwnerDeletion": True}]
    return tree


def template(place: Place, version: Version) -> dict[str, Any]:
    """Return the pod template of a version, with its hash as the controller adds it."""
    main = {
        "name": place.container,
        "image": version.image,
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": name, "value": value} for name, value in version.env.items()],
        "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": "http", "scheme": "HTTP"}, "periodSeconds": 5},
        "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
    }
    extra = [{"name": name, "image": f"registry.example/{name}:1", "resources": {}} for name in version.sidecars]
    first = [{"name": name, "image": f"registry.example/{name}:1", "resources": {}} for name in version.init]
    spec: dict[str, Any] = {"containers": [main, *extra], "restartPolicy": "Always", "dnsPolicy": "ClusterFirst"}
    if first:
        spec["initContainers"] = first
    return {"metadata": {"labels": {"app": place.app, **version.labels, place.hash_label: version.hash}}, "spec": spec}


def replica_set(
    place: Place, version: Version, owner: Mapping[str, Any], *, name: str = "", **annotations: str
) -> dict:
    """Return a ReplicaSet; without a name, as a Rollout's or Deployment's controller calls it."""
    prefix = "rollout.argoproj.io" if owner["kind"] == "Rollout" else "deployment.kubernetes.io"
    pods = template(place, version)
    ready = version.pods if version.fares == "ready" else 0
    told = annotations or {f"{prefix}/revision": str(version.revision), f"{prefix}/desired-replicas": str(version.pods)}
    labels = pods["metadata"]["labels"]
    shown = meta(
        place,
        name or f"{place.app}-{version.hash}",
        age_s=version.age_s,
        owner=owner,
        labels=dict(labels),
        annotations=dict(told),
        generation=1,
    )
    counts = {"readyReplicas": ready, "availableReplicas": ready, "fullyLabeledReplicas": version.pods}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": shown,
        "spec": {"replicas": version.pods, "selector": {"matchLabels": dict(labels)}, "template": pods},
        "status": {"replicas": version.pods, "observedGeneration": 1, **{k: v for k, v in counts.items() if v}},
    }


def pod(place: Place, version: Version, owner: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return a pod of a ReplicaSet."""
    shape = template(place, version)
    name = f"{owner['metadata']['name']}-{uid(owner['metadata']['name'], str(number))[:5]}"
    started = place.now - timedelta(seconds=version.age_s)
    ready = version.fares == "ready"
    statuses = [
        _container(place, version, entry, main=index == 0, started=started)
        for index, entry in enumerate(shape["spec"]["containers"])
    ]
    bound = version.fares != "pending"
    address = f"10.{1 + version.revision % 200}.{number // 250}.{1 + number % 250}"
    spec = shape["spec"] | ({"nodeName": f"node-{number % 3}"} if bound else {})
    conditions = {"PodScheduled": bound, "Initialized": bound, "ContainersReady": ready, "Ready": ready}
    since = rfc3339(started + timedelta(seconds=4))
    told: dict[str, Any] = {
        "phase": "Running" if version.fares in ("ready", "crash-loop", "out-of-memory", "not-ready") else "Pending",
        "conditions": [
            {"type": kind, "status": "True" if good else "False", "lastProbeTime": None, "lastTransitionTime": since}
            for kind, good in conditions.items()
        ],
        "qosClass": "Burstable",
    }
    if bound:
        told |= {"hostIP": "192.0.2.10", "startTime": rfc3339(started), "containerStatuses": statuses}
        told |= {"podIP": address, "podIPs": [{"ip": address}]} if version.fares != "image-pull" else {}
        if version.init:
            told["initContainerStatuses"] = [_finished(entry, started) for entry in shape["spec"]["initContainers"]]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta(place, name, age_s=version.age_s, owner=owner, labels=dict(shape["metadata"]["labels"])),
        "spec": spec,
        "status": told,
    }


def _finished(entry: Mapping[str, Any], started: datetime) -> dict[str, Any]:
    ended = {
        "exitCode": 0,
        "reason": "Completed",
        "startedAt": rfc3339(started),
        "finishedAt": rfc3339(started + timedelta(seconds=2)),
        "containerID": f"containerd://{'1' * 64}",
    }
    return {
        "name": entry["name"],
        "image": entry["image"],
        "imageID": "",
        "ready": True,
        "restartCount": 0,
        "started": False,
        "state": {"terminated": ended},
        "lastState": {},
    }


def _container(
    place: Place, version: Version, entry: Mapping[str, Any], *, main: bool, started: datetime
) -> dict[str, Any]:
    running = {"running": {"startedAt": rfc3339(started + timedelta(seconds=2))}}
    digest = uid(entry["image"]).replace("-", "") * 2
    tree = {
        "name": entry["name"],
        "image": entry["image"],
        "imageID": f"{entry['image'].partition(':')[0]}@sha256:{digest}",
        "containerID": f"containerd://{digest}",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": running,
        "lastState": {},
    }
    if not main or version.fares in ("ready", "pending"):
        return tree
    died = {
        "exitCode": 137 if version.fares == "out-of-memory" else 1,
        "reason": "OOMKilled" if version.fares == "out-of-memory" else "Error",
        "startedAt": rfc3339(place.now - timedelta(seconds=70)),
        "finishedAt": rfc3339(place.now - timedelta(seconds=40)),
        "containerID": f"containerd://{digest}",
    }
    tree |= {"ready": False}
    match version.fares:
        case "crash-loop":
            name = place.container
            waiting = {"reason": "CrashLoopBackOff", "message": f"back-off 40s restarting failed container={name}"}
            tree |= {
                "started": False,
                "restartCount": 4,
                "state": {"waiting": waiting},
                "lastState": {"terminated": died},
            }
        case "out-of-memory":
            tree |= {"restartCount": 3, "lastState": {"terminated": died}}
        case "image-pull":
            waiting = {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{entry["image"]}"'}
            tree |= {"imageID": "", "started": False, "state": {"waiting": waiting}}
            tree.pop("containerID")
        case "not-ready":
            pass
    return tree


def event(
    place: Place, about: Mapping[str, Any], reason: str, message: str, *, warning: bool = True, count: int = 1
) -> dict[str, Any]:
    """Return an event about an object."""
    name = f"{about['metadata']['name']}.{uid(about['metadata']['name'], reason)[:16].replace('-', '')}"
    of = {key: about[key] for key in ("kind", "apiVersion")} | {
        key: about["metadata"][key] for key in ("name", "namespace", "uid")
    }
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": meta(place, name, age_s=60),
        "involvedObject": of,
        "reason": reason,
        "message": message,
        "type": "Warning" if warning else "Normal",
        "count": count,
        "firstTimestamp": rfc3339(place.now - timedelta(seconds=300)),
        "lastTimestamp": rfc3339(place.now - timedelta(seconds=20)),
        "eventTime": None,
        "source": {"component": "kubelet", "host": "node-0"},
        "reportingComponent": "kubelet",
        "reportingInstance": "node-0",
    }


def pod_metrics(place: Place, about: Mapping[str, Any], *, cpu: str = "40m", memory: str = "65536Ki") -> dict[str, Any]:
    """Return what metrics.k8s.io says of a pod's use."""
    used = [{"name": entry["name"], "usage": {"cpu": cpu, "memory": memory}} for entry in about["spec"]["containers"]]
    shown = meta(place, about["metadata"]["name"], age_s=10, labels=dict(about["metadata"]["labels"]))
    shown.pop("uid")
    return {
        "apiVersion": "metrics.k8s.io/v1beta1",
        "kind": "PodMetrics",
        "metadata": shown,
        "timestamp": rfc3339(place.now - timedelta(seconds=10)),
        "window": "15s",
        "containers": used,
    }


def service(place: Place, name: str, selector: Mapping[str, str]) -> dict[str, Any]:
    """Return a Service."""
    port = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta(place, name, age_s=86_400),
        "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.7", "selector": dict(selector), "ports": [port]},
        "status": {"loadBalancer": {}},
    }
