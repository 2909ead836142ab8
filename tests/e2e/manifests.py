"""The objects that the tests create: a shop whose pods run ``workload.py``, and how it is rolled out."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.e2e.cluster import PLUGIN

WORKLOAD = Path(__file__).with_name("workload.py")
ARGO = "argoproj.io/v1alpha1"
NAME = "shop"


def template(version: str, *, image: str = "", **variables: str) -> dict[str, Any]:
    """Return the pod template of a version; variables are those of workload.py."""
    env = [
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "VERSION", "value": version},
    ]
    container = {
        "name": "shop",
        "image": image or f"registry.example/shop:{version}",
        "command": [sys.executable, "-I", str(WORKLOAD)],
        "env": env + [{"name": name, "value": value} for name, value in variables.items()],
        "ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}},
    }
    return {
        "metadata": {
            "labels": {"app": NAME},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9090"},
        },
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
    }


def rollout(namespace: str, strategy: Mapping[str, Any], *, replicas: int = 2, **spec: Any) -> dict[str, Any]:
    """Return a Rollout of the shop. ``spec`` is merged in; without template or workloadRef it begins with v1."""
    if "workloadRef" not in spec:
        spec = {"selector": {"matchLabels": {"app": NAME}}, "template": template("v1")} | spec
    return {
        "apiVersion": ARGO,
        "kind": "Rollout",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"replicas": replicas, "strategy": dict(strategy), **spec},
    }


def canary(*steps: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a canary strategy."""
    return {"canary": {"maxSurge": "100%", "maxUnavailable": 0, "steps": list(steps), **fields}}


def analysis_template(namespace: str, configuration: Mapping[str, Any], **metric: Any) -> dict[str, Any]:
    """Return an AnalysisTemplate named "verdict" whose one metric asks our plugin."""
    return {
        "apiVersion": ARGO,
        "kind": "AnalysisTemplate",
        "metadata": {"name": "verdict", "namespace": namespace},
        "spec": {"metrics": [{"name": "verdict", "provider": {"plugin": {PLUGIN: dict(configuration)}}, **metric}]},
    }


def analysis(**fields: Any) -> dict[str, Any]:
    """Return what a strategy says to start that template."""
    return {"templates": [{"templateName": "verdict"}], **fields}


def service(name: str) -> dict[str, Any]:
    """Return a Service in front of the shop's pods; Argo Rollouts adds the hash of its side to the selector."""
    return {
        "metadata": {"name": name},
        "spec": {"selector": {"app": NAME}, "ports": [{"port": 80, "targetPort": 8080}]},
    }


def deployment(pod_template: Mapping[str, Any], *, replicas: int = 2, **spec: Any) -> dict[str, Any]:
    """Return a Deployment of the shop."""
    return {
        "metadata": {"name": NAME},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": NAME}}, "template": dict(pod_template), **spec,
        },
    }  # fmt: skip
