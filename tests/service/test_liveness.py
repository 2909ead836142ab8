"""That the service says it lives when it does, whatever it waits for."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2

from tests.service.conftest import bearer, served

THREADS = 40  # of anyio's pool, where what may block runs


def test_it_answers_while_the_database_holds_every_thread(services):
    """Else Kubernetes would restart what only waits."""
    inside, go_on = threading.Semaphore(0), threading.Event()

    def stuck(_):
        inside.release()
        go_on.wait(60)

    services.analyses.get = stuck
    with served(services) as address, ThreadPoolExecutor(THREADS) as pool:
        try:
            for _ in range(THREADS):
                pool.submit(httpx2.get, f"{address}/v1/measurements/abc", headers=bearer("run"), timeout=120)
            assert all(inside.acquire(timeout=60) for _ in range(THREADS))
            for path in ("/healthz", "/a2a/health", "/"):
                assert httpx2.get(address + path, timeout=10).status_code == 200
        finally:
            go_on.set()
