"""Requests to the ready pods of a namespace, as a Service's proxy would spread them."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests.e2e.cluster import Cluster

HASH = "rollouts-pod-template-hash"
_REFRESH_S = 0.5
_TIMEOUT_S = 2.0


@contextmanager
def traffic(
    cluster: Cluster, namespace: str, *, each_second: float, to: Callable[[Any], bool] = lambda _pod: True
) -> Iterator[None]:
    """Send so many requests a second, in turn to every ready pod that ``to`` accepts, until the end of the block."""
    over = threading.Event()
    thread = threading.Thread(target=_send, args=(cluster, namespace, each_second, to, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)


def _send(
    cluster: Cluster, namespace: str, each_second: float, to: Callable[[Any], bool], over: threading.Event
) -> None:
    addresses: list[str] = []
    turn, refreshed, due = 0, 0.0, time.monotonic()
    while not over.is_set():
        if time.monotonic() - refreshed > _REFRESH_S:
            addresses = [pod.status.pod_ip for pod in cluster.pods(namespace) if _ready(pod) and to(pod)]
            refreshed = time.monotonic()
        if addresses:
            turn += 1
            _get(addresses[turn % len(addresses)])
        due = max(due + 1 / each_second, time.monotonic() - 1)  # at most a second's worth is made up for
        over.wait(max(0.0, due - time.monotonic()))


def _ready(pod: Any) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions or ())


def _get(address: str) -> None:
    connection = http.client.HTTPConnection(address, 8080, timeout=_TIMEOUT_S)
    with suppress(OSError, http.client.HTTPException):  # a pod may just be going
        connection.request("GET", "/checkout", headers={"Connection": "close"})
        connection.getresponse().read()
    connection.close()
