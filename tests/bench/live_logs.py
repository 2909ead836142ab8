"""Reading logs of a live rollout: reduced while they stream, against reading the same bytes and throwing them away.

Many pods of two sides log over loopback, from a server in a process of its own. Both ways use the same client, the same
number of streams and the same bytes, in one interleaved run: ratios hold, absolute figures move with the machine. With
``--rate`` each stream is as slow as a kubelet behind an API server. Run as ``python -m tests.bench.live_logs``.
"""

import argparse
import multiprocessing
import random
import socket
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

from kubernetes.client import ApiClient, Configuration

from rollout_verdict.adapters.kubernetes import KubernetesCluster
from rollout_verdict.adapters.kubernetes.client import Api
from rollout_verdict.adapters.kubernetes.logs import LOG, LogLimits
from rollout_verdict.adapters.kubernetes.trouble import Access
from rollout_verdict.core.evidence import ContainerState, ContainerStatus, PodState, Progress
from rollout_verdict.core.target import Gathering, Scope, Sides
from rollout_verdict.core.values import Pair, RolloutRef, Window

PODS, SIZE, ROUNDS = 50, 4_000_000, 3
WORDS = ("order", "cart", "payment", "user", "session", "cache", "stock", "price", "route", "ticket", "worker", "batch")
END = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
NEVER = 1e9


def log(seed: int, size: int) -> bytes:
    """Return a service's log as the API server sends it: access lines and messages, ``size`` bytes and the rest of a line."""
    rng = random.Random(seed)
    lines, length, step = [], 0, 590e6 / (size / 104)  # about as long as a line is
    messages = [" ".join(rng.choices(WORDS, k=6)) for _ in range(120)]
    moment = END - timedelta(seconds=600)
    while length < size:
        moment += timedelta(microseconds=step)
        stamp = f"{moment:%Y-%m-%dT%H:%M:%S.%f}000Z"
        kind = rng.random()
        if kind < 0.6:
            text = f'10.2.{rng.randrange(256)}.{rng.randrange(256)} - "GET /{rng.choice(WORDS)}/{rng.randrange(10**6)} HTTP/1.1" 200 {rng.randrange(9999)} {rng.random():.3f}'
        else:
            text = (
                f"{moment:%H:%M:%S} INFO {rng.choice(messages)} id={rng.randrange(10**9)} took {rng.randrange(900)}ms"
            )
        lines.append(f"{stamp} {text}\n")
        length += len(lines[-1])
    return "".join(lines).encode()


def serve(listener: socket.socket, logs: list[bytes], rate: float) -> None:
    """Answer every request with one of the logs, in chunks, ``rate`` bytes a second, as fast as can be at 0."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"

    def answer(connection: socket.socket) -> None:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = connection.makefile("rb")
            while request := stream.readline():
                while stream.readline() not in (b"\r\n", b""):
                    pass
                body = logs[sum(request.split(b"?")[0]) % len(logs)]
                connection.sendall(head)
                began = time.monotonic()
                for start in range(0, len(body), 32_768):
                    piece = body[start : start + 32_768]
                    connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
                    if rate and (wait := (start + len(piece)) / rate - (time.monotonic() - began)) > 0:
                        time.sleep(wait)
                connection.sendall(b"0\r\n\r\n")

    while True:
        Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()


def sides(pods: int) -> Sides:
    """Return two sides of running pods."""
    told = ContainerStatus(status="running")
    container = ContainerState(name="app", image="app", ready=True, restart_count=0, state=told, last_state=told)
    names = Pair(*(), stable=[f"stable-{n:03}" for n in range(pods)], canary=[f"canary-{n:03}" for n in range(pods)])
    states = names.map(
        lambda side: tuple(
            PodState(
                name=name, phase="Running", start_time=None, containers=(container,), conditions=(), events=(), node="n"
            )
            for name in side
        )
    )
    window = Window(start=END - timedelta(seconds=600), end=END)
    scope = Scope(
        rollout=RolloutRef(namespace="shop", name="cart"),
        window=window,
        pods=names.map(tuple),
        addresses=names.map(lambda side: ("",) * len(side)),
    )
    return Sides(scope=scope, progress=Progress(strategy="canary"), namespace="shop", states=states)


def client(port: int) -> ApiClient:
    configuration = Configuration(host=f"http://127.0.0.1:{port}")
    configuration.retries = False
    configuration.connection_pool_maxsize = 20
    return ApiClient(configuration)


def read(port: int, pods: int) -> tuple[float, float, int]:
    """Read everything and keep nothing; return seconds, those of CPU, and bytes."""
    api = Api(client(port), clock=time.monotonic, now=lambda: END, sleep=time.sleep)
    query = [("container", "app"), ("timestamps", "true")]

    def one(name: str) -> int:
        access = Access(resource=LOG, namespace="shop", name=name)
        with api.stream(access, query, open_end=NEVER, end=NEVER, read_s=30.0) as chunks:
            return sum(map(len, chunks))

    began, used = time.perf_counter(), time.process_time()
    names = sides(pods).scope.pods
    with ThreadPoolExecutor(LogLimits().streams) as pool:
        total = sum(pool.map(one, [*names.canary, *names.stable]))
    return time.perf_counter() - began, time.process_time() - used, total


def reduce(port: int, pods: int) -> tuple[float, float, int]:
    """Read and reduce everything; return seconds, those of CPU, and bytes."""
    began, used = time.perf_counter(), time.process_time()
    found, gaps = KubernetesCluster(client(port)).logs(
        sides(pods), Gathering(), deadline_s=3600.0, on_done=lambda _done, _total: None
    )
    took, used = time.perf_counter() - began, time.process_time() - used
    assert found is not None
    assert not gaps, gaps
    return took, used, sum(pod.size_bytes for side in (found.pods.stable, found.pods.canary) for pod in side)


def peak_growth(port: int, pods: int) -> int:
    """Return how many KiB the peak of a fresh process grows while it gathers."""
    code = (
        "from tests.bench.live_logs import peak, reduce; "
        f"reduce({port}, 1); before = peak(); reduce({port}, {pods}); print(peak() - before)"
    )
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def peak() -> int:
    """Return the most KiB this process had in memory; getrusage would count the process that started it as well."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=PODS)
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--rate", type=float, default=0.0, help="bytes a second of each stream; 0: as fast as can be")
    asked = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    server = multiprocessing.get_context("fork").Process(
        target=serve, args=(listener, [log(seed, asked.size) for seed in range(8)], asked.rate), daemon=True
    )
    server.start()
    port = listener.getsockname()[1]
    reduce(port, 1)  # waits for the server, and imports what is imported on the way
    ratios = []
    for _ in range(ROUNDS):
        (plain, cheap, size), (reduced, used, same) = read(port, asked.pods), reduce(port, asked.pods)
        assert size == same, (size, same)
        ratios.append(reduced / plain)
        print(
            f"{size / 1e6:.0f} MB: read {plain:.2f} s, reduced {reduced:.2f} s ({size / 1e6 / reduced:.0f} MB/s), ratio {ratios[-1]:.2f}; "
            f"CPU {cheap:.2f} s and {used:.2f} s"
        )
    print(f"median ratio {statistics.median(ratios):.2f} (wanted: at most 1.3)")
    print(f"peak memory grows by {peak_growth(port, asked.pods) / 1024:.0f} MiB (wanted: at most 150)")
    server.terminate()


if __name__ == "__main__":
    main()
