#!/usr/bin/env python3
"""Record the example bundles from real programs: nginx pods, a live and a dead upstream, Prometheus.

Three stable pods and two canaries of two pods each serve the same traffic at the same time. One canary is the stable
build with a reworded log message (``good``); the other has the address of its upstream wrong (``bad``), so that every
``/checkout`` fails. Standard library only; needs the programs ``nginx`` and ``prometheus``. Takes about as long as the
window plus 40 seconds:

    python3 examples/record.py --out examples/bundles --seconds 180
"""

import argparse
import gzip
import hashlib
import http.client
import json
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

NAMESPACE, SERVICE, CONTAINER = "shop", "edge-proxy", "nginx"
LIVE_PORT, DEAD_PORT = 9443, 9444  # of the upstream: told apart by one digit, as in a real typing error
SCRAPE_S, STEP_S, RATE_S = 5, 10, 30  # a rate needs a few scrapes
WARM_UP_S = RATE_S + SCRAPE_S  # from the start of the pods until rates have values
DEADLINE_S = 20  # for a program to get ready, or to end
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)  # seconds
CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 128; }}
http {{
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  log_format json escape=json '{{"level":"info","msg":"{message}","request_id":"$request_id",'
    '"method":"$request_method","path":"$uri","status":$status,"bytes":$body_bytes_sent,"request_time":$request_time,"upstream":"$upstream_addr"}}';
  access_log /dev/stdout json;
  server {{
    listen 127.0.0.1:{port};
    location = /healthz {{ access_log off; return 200 "ok\\n"; }}
    location = /checkout {{ proxy_pass http://127.0.0.1:{upstream}; proxy_connect_timeout 1s; proxy_read_timeout 2s; }}
    location /catalog {{ return 200 "[]\\n"; }}
    location / {{ return 404; }}
  }}
}}
"""
SHARE = (
    'sum by (pod) (rate(nginx_http_requests_total{{code="CODE"}}[{rate}s]))'
    " / sum by (pod) (rate(nginx_http_requests_total[{rate}s]))"
)
QUERIES = {
    "http_requests_per_second": (
        "sum by (pod) (rate(nginx_http_requests_total[{rate}s]))",
        {"unit": "requests_per_second", "direction": "neutral", "help": "requests answered, from the access log"},
    ),
    "http_5xx_ratio": (
        SHARE.replace("CODE", "5xx"),
        {"unit": "ratio", "direction": "higher_is_worse", "help": "share of requests answered 5xx"},
    ),
    "http_4xx_ratio": (
        SHARE.replace("CODE", "4xx"),
        {"unit": "ratio", "direction": "higher_is_worse", "help": "share of requests answered 4xx"},
    ),
    "http_request_time_p95_seconds": (
        "histogram_quantile(0.95, sum by (pod, le) (rate(nginx_http_request_time_seconds_bucket[{rate}s])))",
        {"unit": "seconds", "direction": "higher_is_worse", "help": "request time, 95th percentile over 30 s"},
    ),
    "container_cpu_usage_cores": (
        "sum by (pod) (rate(container_cpu_usage_seconds_total[{rate}s]))",
        {"unit": "cores", "direction": "higher_is_worse", "help": "CPU used by the processes of the pod"},
    ),
    "container_memory_working_set_bytes": (
        "sum by (pod) (container_memory_working_set_bytes)",
        {"unit": "bytes", "direction": "higher_is_worse", "help": "resident memory of the processes of the pod"},
    ),
    "kube_pod_status_ready": (
        "max by (pod) (kube_pod_status_ready)",
        {"unit": "bool", "direction": "lower_is_worse", "help": "1 while the pod answers its readiness probe"},
    ),
}


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of the service: what its pods run with. ``side`` is stable, or the name of the example."""

    side: str
    image: str
    message: str
    upstream: int
    pods: int

    @property
    def template_hash(self) -> str:
        """A hash of what the pods run with, written with the letters Kubernetes uses."""
        digest = hashlib.sha256(f"{self.image} {self.message} {self.upstream}".encode()).digest()
        return "".join("bcdfghjklmnpqrstvwxz2456789"[byte % 27] for byte in digest[:10])


VERSIONS = (
    Version(side="stable", image="edge-proxy:1.8.0", message="request served", upstream=LIVE_PORT, pods=3),
    Version(side="good", image="edge-proxy:1.8.1", message="request completed", upstream=LIVE_PORT, pods=2),
    Version(side="bad", image="edge-proxy:1.9.0", message="request served", upstream=DEAD_PORT, pods=2),
)


@dataclass(kw_only=True)
class Pod:
    """A running nginx, its log so far, and what an exporter beside it would count."""

    name: str
    version: Version
    port: int
    process: "subprocess.Popen[bytes]"
    started: datetime
    lines: list[bytes] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)
    ready: bool = False
    last_state: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def follow(self, stream: Any) -> None:
        """Keep each line with the time it came, as a kubelet does, and count what the access log says."""
        for line in stream:
            now = time.time_ns()
            stamp = f"{datetime.fromtimestamp(now // 10**9, UTC):%Y-%m-%dT%H:%M:%S}.{now % 10**9:09d}Z "
            with self.lock:
                self.lines.append(stamp.encode() + line)
                if line.startswith(b"{"):
                    entry = json.loads(line)
                    self.codes[f"{entry['status'] // 100}xx"] += 1
                    self.times.append(entry["request_time"])

    def metrics(self) -> str:
        """Return what an exporter beside the pod would show, in the Prometheus text format."""
        with self.lock:
            codes, times = Counter(self.codes), list(self.times)
        rows = [f'nginx_http_requests_total{{code="{code}"}} {codes[code]}' for code in ("2xx", "4xx", "5xx")]
        name = "nginx_http_request_time_seconds"
        rows += [f'{name}_bucket{{le="{edge}"}} {sum(one <= edge for one in times)}' for edge in BUCKETS]
        rows += [f'{name}_bucket{{le="+Inf"}} {len(times)}', f"{name}_count {len(times)}", f"{name}_sum {sum(times)}"]
        cpu, memory = usage(self.process.pid)
        rows += [f"container_cpu_usage_seconds_total {cpu}", f"container_memory_working_set_bytes {memory}"]
        return "\n".join([*rows, f"kube_pod_status_ready {int(self.ready)}", ""])

    def state(self) -> dict[str, Any]:
        """Describe the pod as the recorder saw it; what it did not see is left out."""
        running = self.process.poll() is None
        told = {"status": "Running", "started": rfc3339(self.started)} if running else {"status": "Terminated"}
        ready = "True" if self.ready else "False"
        return {
            "name": self.name,
            "namespace": NAMESPACE,
            "phase": "Running" if running else "Failed",
            "startTime": rfc3339(self.started),
            "labels": {"app": SERVICE, "rollouts-pod-template-hash": self.version.template_hash},
            "containers": [
                {
                    "name": CONTAINER,
                    "image": self.version.image,
                    "state": told,
                    "lastState": {},
                    "ready": self.ready,
                    "restartCount": 0,  # the recorder starts each process once and stops when one ends
                }
            ],
            "conditions": {"Initialized": "True", "ContainersReady": ready, "Ready": ready},
            "events": [],
        }


def rfc3339(moment: datetime) -> str:
    """Write a time as Kubernetes does."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def usage(pid: int) -> tuple[float, int]:
    """Return CPU seconds and resident bytes of a process and its children (Linux)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    cpu = memory = 0
    for one in (str(pid), *children):
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended in between
            fields = Path(f"/proc/{one}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            cpu += int(fields[11]) + int(fields[12])
            memory += int(fields[21]) * 4096
    return cpu / 100, memory


class Upstream(BaseHTTPRequestHandler):
    """The payments service: answers after some milliseconds, and once in a while cannot."""

    protocol_version = "HTTP/1.1"
    chance: ClassVar[random.Random] = random.Random(1)  # noqa: S311 -- traffic, not a secret

    def do_GET(self) -> None:
        """Answer a payment."""
        time.sleep(self.chance.uniform(0.004, 0.02))
        body = b'{"paid":true}\n'
        self.send_response(503 if self.chance.random() < 0.004 else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: its log is not part of the example."""


def exporter(pods: list[Pod]) -> type[BaseHTTPRequestHandler]:
    """Return a handler that serves ``/POD`` as that pod's metrics."""
    known = {f"/{pod.name}": pod for pod in pods}

    class Metrics(Upstream):
        def do_GET(self) -> None:
            pod = known.get(self.path)
            body = pod.metrics().encode() if pod else b""
            self.send_response(200 if pod else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Metrics


@contextmanager
def serving(port: int, handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Serve on the loopback address until left; port 0 means any. Gives the port."""
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def running(command: list[str], **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program until left, and end it by its own process id."""
    process = subprocess.Popen(command, **options)  # noqa: S603 -- commands of this script
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetch(port: int, path: str) -> tuple[int, bytes]:
    """Ask a program on this machine for a page; status 0 when it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    except OSError:
        return 0, b""
    finally:
        connection.close()


def wait_for(what: str, check: Callable[[], bool]) -> None:
    """Wait until a check holds. Raises SystemExit after the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not check():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} was not ready after {DEADLINE_S} s")
        time.sleep(0.1)


def start_pod(stack: ExitStack, version: Version, folder: Path, suffix: str) -> Pod:
    """Start one nginx and follow its output."""
    name = f"{SERVICE}-{version.template_hash}-{suffix}"
    own = folder / name
    own.mkdir()
    port = free_port()
    config = CONFIG.format(folder=own, port=port, upstream=version.upstream, message=version.message)
    (own / "nginx.conf").write_text(config, encoding="utf-8")
    command = [str(shutil.which("nginx")), "-p", str(own), "-c", str(own / "nginx.conf"), "-e", "stderr"]
    process = stack.enter_context(running(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    pod = Pod(name=name, version=version, port=port, process=process, started=datetime.now(UTC))
    for stream in (process.stdout, process.stderr):
        threading.Thread(target=pod.follow, args=(stream,), daemon=True).start()
    wait_for(name, lambda: fetch(port, "/healthz")[0] == http.HTTPStatus.OK)
    pod.ready = True
    return pod


def drive(pod: Pod, rate: float, seed: int, until: float) -> None:
    """Send a shopper's requests to one pod, and probe it now and then."""
    chance = random.Random(seed)  # noqa: S311 -- traffic, not a secret
    while time.monotonic() < until:
        time.sleep(min(chance.expovariate(rate), 2.0))
        path = chance.choices(("/catalog", "/checkout", "/favicon.ico"), (70, 28, 2))[0]
        fetch(pod.port, path)
        if chance.random() < 0.2:  # about once a second
            pod.ready = fetch(pod.port, "/healthz")[0] == http.HTTPStatus.OK


def prometheus_config(pods: list[Pod], port: int) -> dict[str, Any]:
    """Return a configuration (JSON is YAML) that scrapes every pod under its own name."""
    targets = [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"__metrics_path__": f"/{pod.name}", "pod": pod.name}}
        for pod in pods
    ]
    return {
        "global": {"scrape_interval": f"{SCRAPE_S}s", "scrape_timeout": f"{SCRAPE_S}s"},
        "scrape_configs": [{"job_name": "pods", "static_configs": targets}],
    }


def ask(port: int, start: float, end: float) -> dict[str, list[dict[str, Any]]]:
    """Return the answer of every range query, by metric."""
    answers = {}
    for name, (query, _) in QUERIES.items():
        asked = urlencode({"query": query.format(rate=RATE_S), "start": start, "end": end, "step": STEP_S})
        status, body = fetch(port, f"/api/v1/query_range?{asked}")
        if status != http.HTTPStatus.OK:
            raise SystemExit(f"Prometheus answered {status} to the query of {name}: {body[:200]!r}")
        answers[name] = json.loads(body)["data"]["result"]
    return answers


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What one run left: pods with their logs, the answers of Prometheus by metric, and the window."""

    pods: list[Pod]
    answers: dict[str, list[dict[str, Any]]]
    start: datetime
    end: datetime


def record(seconds: int, rate: float) -> Recording:
    """Run everything for a while."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="record-")))
        folder.chmod(0o755)  # nginx started by root works as another user
        stack.enter_context(serving(LIVE_PORT, Upstream))
        if fetch(DEAD_PORT, "/")[0]:
            raise SystemExit(f"something answers on port {DEAD_PORT}, which must be dead: end it")
        suffixes = iter(random.Random(7).sample("bcdfghjklmnpqrstvwxz2456789" * 5, 100))  # noqa: S311 -- names
        pods = [
            start_pod(stack, version, folder, "".join(next(suffixes) for _ in range(5)))
            for version in VERSIONS
            for _ in range(version.pods)
        ]
        metrics_port, port = stack.enter_context(serving(0, exporter(pods))), free_port()
        (folder / "prometheus.yml").write_text(json.dumps(prometheus_config(pods, metrics_port)), encoding="utf-8")
        command = [
            str(shutil.which("prometheus")),
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ]
        stack.enter_context(running(command))
        wait_for("prometheus", lambda: fetch(port, "/-/ready")[0] == http.HTTPStatus.OK)
        until = time.monotonic() + WARM_UP_S + seconds
        drivers = [threading.Thread(target=drive, args=(pod, rate, n, until)) for n, pod in enumerate(pods)]
        for driver in drivers:
            driver.start()
        sys.stderr.write(f"{len(pods)} pods run; recording for {WARM_UP_S + seconds} s ...\n")
        for driver in drivers:
            driver.join()
        end = datetime.now(UTC).replace(microsecond=0)
        start = datetime.fromtimestamp(end.timestamp() - seconds, UTC)
        if ended := [pod.name for pod in pods if pod.process.poll() is not None]:
            raise SystemExit(f"{ended[0]} ended by itself: {b''.join(pods[0].lines[-3:])!r}")
        answers = ask(port, start.timestamp(), end.timestamp())
        for pod in pods:
            pod.last_state = pod.state()
    return Recording(pods=pods, answers=answers, start=start, end=end)


def write(folder: Path, canary: Version, recording: Recording) -> None:
    """Write one bundle: the stable pods against one canary."""
    pods, answers, start, end = recording.pods, recording.answers, recording.start, recording.end
    shutil.rmtree(folder, ignore_errors=True)
    stable = VERSIONS[0]
    sides = {"stable": sorted_pods(pods, stable), "canary": sorted_pods(pods, canary)}
    for side, members in sides.items():
        for pod in members:
            path = folder / "logs" / side / pod.name / f"{CONTAINER}.log.gz"
            path.parent.mkdir(parents=True)
            first, last = rfc3339(start).encode(), rfc3339(end).encode()
            inside = [line for line in pod.lines if first[:-1] <= line[:19] < last[:-1]]
            path.write_bytes(gzip.compress(b"".join(inside), 9, mtime=0))
    case = {
        "id": canary.side,
        "input": {
            "namespace": NAMESPACE,
            "service": SERVICE,
            "window": {"start": rfc3339(start), "end": rfc3339(end)},
            **{f"{side}_pods": [pod.name for pod in members] for side, members in sides.items()},
        },
    }
    metrics: dict[str, Any] = {
        side: {"resultType": "matrix", "result": series(answers, {pod.name for pod in members})}
        for side, members in sides.items()
    }
    metrics["meta"] = {name: meta for name, (_, meta) in QUERIES.items()}
    upstream = "127.0.0.1:{}".format
    changes = [
        ("containers/nginx/env/PAYMENTS_ADDRESS", upstream(stable.upstream), upstream(canary.upstream)),
        ("containers/nginx/image", stable.image, canary.image),
    ]
    documents = {
        "case.json": case,
        "metrics.json": metrics,
        "kubernetes.json": {side: [pod.last_state for pod in members] for side, members in sides.items()},
        "diff.json": [
            {"path": path, "stable": before, "canary": after} for path, before, after in changes if before != after
        ],
    }
    for name, document in documents.items():
        text = json.dumps(document, indent=None if name == "metrics.json" else 1)
        (folder / name).write_text(text + "\n", encoding="utf-8")


def sorted_pods(pods: list[Pod], version: Version) -> list[Pod]:
    """Return the pods of one version by name."""
    return sorted((pod for pod in pods if pod.version == version), key=lambda pod: pod.name)


def series(answers: dict[str, list[dict[str, Any]]], pods: set[str]) -> list[dict[str, Any]]:
    """Return the series of some pods, under the name of their metric, by name and pod."""
    found = [
        {"metric": {"__name__": name, "namespace": NAMESPACE, **one["metric"]}, "values": one["values"]}
        for name, result in answers.items()
        for one in result
        if one["metric"]["pod"] in pods
    ]
    return sorted(found, key=lambda one: (one["metric"]["__name__"], one["metric"]["pod"]))


def main() -> None:
    """Record both examples."""
    parser = argparse.ArgumentParser(description="Record the example bundles from nginx and Prometheus.")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).resolve().parent / "bundles", help="folder to write to"
    )
    parser.add_argument("--seconds", type=int, default=180, help="length of the window")
    parser.add_argument("--rate", type=float, default=4.0, help="requests a second and pod")
    arguments = parser.parse_args()
    for program in ("nginx", "prometheus"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not installed (Debian: apt-get install {program}-light or {program})")
    recording = record(arguments.seconds, arguments.rate)
    for canary in VERSIONS[1:]:
        write(arguments.out / canary.side, canary, recording)
        sys.stderr.write(f"wrote {arguments.out / canary.side}\n")


if __name__ == "__main__":
    main()
