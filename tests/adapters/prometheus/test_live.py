"""A real scrape: two workloads with metrics, a Prometheus that reads them every second, and a verdict."""

import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import prometheus_client
import pytest

from rollout_verdict.adapters.prometheus.collect import Prometheus
from rollout_verdict.adapters.prometheus.options import Server, Wanted
from rollout_verdict.core.target import Scope
from rollout_verdict.core.values import Pair, RolloutRef, Side, Window
from tests.adapters.prometheus.asking import mean
from tests.adapters.prometheus.server import prometheus

PODS = Pair(stable="shop-5d8f7c9b6d-k2x9p", canary="shop-7b4c8f66f5-m4qwl")
FAILING = Pair(stable=0.0, canary=0.25)
WINDOW_S = 16
END_S = 60


class Workload:
    """Serves /metrics, and counts up like something that answers forty requests a second."""

    def __init__(self, failing):
        self.registry = prometheus_client.CollectorRegistry()
        self.requests = prometheus_client.Counter("http_requests", "x", ["status"], registry=self.registry)
        self.durations = prometheus_client.Histogram("http_request_duration_seconds", "x", registry=self.registry)
        self.failing, self.began, self.done = failing, time.monotonic(), 0
        registry, workload = self.registry, self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                workload.work()
                body = prometheus_client.generate_latest(registry)
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.server.server_address[1]}"

    def work(self):
        """Count what has come in since the last look."""
        due = int((time.monotonic() - self.began) * 40)
        for number in range(self.done, due):
            failed = (number % 100) < self.failing * 100
            self.requests.labels("500" if failed else "200").inc()
            self.durations.observe(0.3 if failed else 0.02)
        self.done = max(self.done, due)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    workloads = Pair(stable=Workload(FAILING.stable), canary=Workload(FAILING.canary))
    jobs = [
        f'{{job_name: {side.value}, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{{targets: ["{workloads.of(side).address}"], '
        f'labels: {{pod: "{PODS.of(side)}", namespace: "shop"}}}}]}}'
        for side in Side
    ]
    with prometheus(tmp_path_factory.mktemp("live"), scrape=f"[{', '.join(jobs)}]") as address:
        yield address
    for side in Side:
        workloads.of(side).server.shutdown()
        workloads.of(side).server.server_close()


def test_a_scraped_canary_that_fails(scraped):
    """From two live endpoints to ratios and durations of both sides, a few seconds after they began."""
    _until_scraped(scraped)
    end = datetime.now(UTC)
    scope = Scope(
        rollout=RolloutRef(namespace="shop", name="shop", stable_hash="5d8f7c9b6d", canary_hash="7b4c8f66f5"),
        window=Window(start=end - timedelta(seconds=WINDOW_S), end=end),
        pods=PODS.map(lambda pod: (pod,)),
        addresses=PODS.map(lambda _pod: ("",)),
    )
    source = Prometheus(server=Server(address=scraped), wanted=Wanted())
    evidence, gaps = source.collect(scope, deadline_s=20.0, on_done=lambda _done, _total: None)
    assert gaps == ()
    assert mean(evidence, "http_error_ratio", Side.STABLE) == 0.0
    assert mean(evidence, "http_error_ratio", Side.CANARY) == pytest.approx(FAILING.canary, abs=0.12)
    assert mean(evidence, "http_requests_per_second", Side.CANARY) == pytest.approx(40.0, rel=0.25)
    assert mean(evidence, "http_request_duration_p99_seconds", Side.CANARY) > 0.2
    assert mean(evidence, "http_request_duration_p99_seconds", Side.STABLE) < 0.05
    assert len(next(one for one in evidence.series.canary if one.name == "http_error_ratio").samples) >= 3


def _until_scraped(address):
    """Wait until the server itself says that it has scraped both for the whole window."""
    end = time.monotonic() + END_S
    query = f'min(count_over_time(http_requests_total{{status="200"}}[{WINDOW_S + 2}s]))'
    while time.monotonic() < end:
        answer = httpx2.get(f"{address}/api/v1/query", params={"query": query}, trust_env=False).json()
        rows = answer["data"]["result"]
        if rows and float(rows[0]["value"][1]) >= WINDOW_S:
            return
        time.sleep(0.25)
    raise AssertionError("the workloads were not scraped in time")
