"""Small bundles for tests, built from dicts."""

import copy
import gzip
import json

STABLE = "shop-aaaa-1"
CANARY = "shop-bbbb-1"

CASE = {
    "input": {
        "namespace": "shop",
        "service": "shop-api",
        "window": {"start": "2026-01-31T10:00:00Z", "end": "2026-01-31T10:05:00Z"},
        "stable_pods": [STABLE],
        "canary_pods": [CANARY],
    }
}
METRICS = {
    side: {
        "resultType": "matrix",
        "result": [
            {
                "metric": {"__name__": "error_ratio", "pod": pod},
                "values": [[1769853600 + 15 * n, f"0.0{n}"] for n in range(5)],
            }
        ],
    }
    for side, pod in (("stable", STABLE), ("canary", CANARY))
} | {"meta": {"error_ratio": {"unit": "ratio", "direction": "higher_is_worse", "help": "share of failed requests"}}}


def pod(name):
    """Return a healthy pod."""
    return {
        "name": name,
        "namespace": "shop",
        "phase": "Running",
        "startTime": "2026-01-31T09:00:00Z",
        "labels": {"app": "shop", "rollouts-pod-template-hash": name.split("-")[1]},
        "node": "node-a",
        "qosClass": "Burstable",
        "containers": [
            {
                "name": "api",
                "image": "shop:1",
                "state": {"status": "Running", "started": "2026-01-31T09:00:01Z"},
                "lastState": {},
                "ready": True,
                "restartCount": 0,
                "limits": {"memory": "512Mi"},
                "requests": {"cpu": "100m"},
            }
        ],
        "conditions": {"Ready": "True"},
        "events": [
            {"type": "Normal", "reason": "Started", "age": "1h", "count": 1, "from": "kubelet", "message": "Started"}
        ],
    }


KUBERNETES = {"stable": [pod(STABLE)], "canary": [pod(CANARY)]}
DIFF = [{"path": "containers/api/image", "stable": "shop:1", "canary": "shop:2"}]
LOG = b"".join(b"2026-01-31T10:00:%02dZ INFO request %d served\n" % (n, n) for n in range(30))


def documents():
    """Return the four documents of a complete bundle, free to be changed."""
    parts = {"case.json": CASE, "metrics.json": METRICS, "kubernetes.json": KUBERNETES, "diff.json": DIFF}
    return copy.deepcopy(parts)


def build(folder, parts=None, logs=None):
    """Write a bundle folder; ``parts`` by name (bytes as they are, others as JSON), ``logs`` by (side, pod)."""
    parts = documents() if parts is None else parts
    logs = {("stable", STABLE): LOG, ("canary", CANARY): LOG} if logs is None else logs
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in parts.items():
        data = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
        (folder / name).write_bytes(data)
    for (side, name), content in logs.items():
        target = folder / "logs" / side / name / "api.log.gz"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(gzip.compress(content, mtime=0))
    return folder
