"""Requests to the ready pods of a namespace, as a Service's proxy would spread them."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from tests.e2e.cluster import Cluster

HASH = "rollouts-pod-template-hash"
_REFRESH_S = 0.5
_TIMEOUT_S = 2.0


@contextmanager
def traffic(
    cluster: Cluster, namespace: str, *, each_second: float, to: Callable[[Any], bool] = lambda _pod: True
) -> Iterator[Counter[str]]:
    """Send so many requests a second, in turn to every ready pod that ``to`` accepts, until the end of the block.

    Yields how many were answered, by the hash of the pod: it grows while the block runs.
    """
    over, answered = threading.Event(), Counter[str]()
    thread = threading.Thread(target=_send, args=(cluster, namespace, each_second, to, over, answered), daemon=True)
    thread.start()
    try:
        yield answered
    finally:
        over.set()
        thread.join(10)


def _send(
    cluster: Cluster,
    namespace: str,
    each_second: float,
    to: Callable[[Any], bool],
    over: threading.Event,
    answered: Counter[str],
) -> None:
    pods: list[tuple[str, str]] = []
    turn, refreshed, due = 0, 0.0, time.monotonic()
    while not over.is_set():
        if time.monotonic() - refreshed > _REFRESH_S:
            found = [pod for pod in cluster.pods(namespace) if _ready(pod) and to(pod)]
            pods = [(pod.metadata.labels.get(HASH, ""), pod.status.pod_ip) for pod in found]
            refreshed = time.monotonic()
        if pods:
            turn += 1
            hash_, address = pods[turn % len(pods)]
            answered[hash_] += _get(address)
        due = max(due + 1 / each_second, time.monotonic() - 1)  # at most a second's worth is made up for
        over.wait(max(0.0, due - time.monotonic()))


def _ready(pod: Any) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions or ())


def _get(address: str) -> bool:
    connection = http.client.HTTPConnection(address, 8080, timeout=_TIMEOUT_S)
    with closing(connection), suppress(OSError, http.client.HTTPException):  # a pod may just be going
        connection.request("GET", "/checkout", headers={"Connection": "close"})
        connection.getresponse().read()
        return True
    return False
