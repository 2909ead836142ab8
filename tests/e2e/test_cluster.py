"""The cluster itself: what the other tests rely on, and would otherwise take for our plugin's doing."""

import re

import httpx2
import pytest
from kubernetes.client.exceptions import ApiException

from tests.e2e.cluster import Cluster
from tests.e2e.manifests import NAME, canary, rollout, template
from tests.e2e.traffic import traffic


def log_of(cluster: Cluster, namespace: str, pod: str, **options: object) -> str:
    return cluster.core.read_namespaced_pod_log(pod, namespace, **options)


def test_pods_run_answer_log_and_are_scraped(cluster: Cluster, namespace: str) -> None:
    """A Rollout's pods become ready, serve, and their log and metrics are read through the API server and Prometheus."""
    cluster.create(rollout(namespace, canary()))
    cluster.wait(
        "healthy", lambda: cluster.get("rollouts", namespace, NAME).get("status", {}).get("phase") == "Healthy"
    )
    pods = cluster.pods(namespace, f"app={NAME}")
    assert len(pods) == 2
    pod = pods[0]
    assert (pod.status.phase, pod.status.container_statuses[0].ready) == ("Running", True)
    with traffic(cluster, namespace, each_second=20):
        query = {"query": f'sum by (pod) (http_requests_total{{namespace="{namespace}"}})'}
        cluster.wait(
            "scraped",
            lambda: len(httpx2.get(f"{cluster.prometheus}/api/v1/query", params=query).json()["data"]["result"]) == 2,
        )
    text = log_of(cluster, namespace, pod.metadata.name, timestamps=True)
    assert re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z \S+ \S+ INFO shop.checkout shop version v1 listens\n", text)
    assert "GET /checkout 200" in text
    assert len(log_of(cluster, namespace, pod.metadata.name, tail_lines=2).splitlines()) == 2
    assert len(log_of(cluster, namespace, pod.metadata.name, limit_bytes=100)) == 100
    with pytest.raises(ApiException, match=r"previous terminated container .* not found"):
        log_of(cluster, namespace, pod.metadata.name, previous=True)


def test_a_crashing_container_is_restarted_and_leaves_its_log(cluster: Cluster, namespace: str) -> None:
    """Restarts, the last termination and the previous log are told as a kubelet tells them."""
    cluster.create(rollout(namespace, canary(), replicas=1, template=template("v1", CRASH_AFTER_S="0.5")))

    def restarted() -> list[object]:
        found = cluster.pods(namespace)
        return [
            pod
            for pod in found
            if (pod.status.container_statuses or [None])[0] and pod.status.container_statuses[0].restart_count
        ]

    (pod,) = cluster.wait("restarted", restarted)
    status = pod.status.container_statuses[0]
    last = status.last_state.terminated
    assert (last.exit_code, last.reason) == (3, "Error")
    assert "giving up" in log_of(cluster, namespace, pod.metadata.name, previous=True)
    events = {event.reason for event in cluster.core.list_namespaced_event(namespace).items}
    assert {"Started", "BackOff"} <= events
