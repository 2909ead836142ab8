"""What runs in the pods of the tests: a shop's HTTP server with metrics and a log. Its environment says how it fares."""

import logging
import os
import random
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import Counter, Histogram, start_http_server

REQUESTS = Counter("http_requests", "Requests by outcome.", ["method", "path", "status"])
DURATION = Histogram("http_request_duration_seconds", "Time to the answer.", ["path"])
LOG = logging.getLogger("shop.checkout")
ERRORS = float(os.environ.get("ERROR_SHARE", "0"))
DELAY_S = float(os.environ.get("DELAY_MS", "2")) / 1000


class Shop(BaseHTTPRequestHandler):
    """Answers every path; /healthz is not counted."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self.answer(200)
            return
        began = time.monotonic()
        time.sleep(random.uniform(0.5, 1.5) * DELAY_S)
        status = 500 if random.random() < ERRORS else 200
        if status == 500:
            LOG.error("checkout failed: connection to payments:8443 refused")
        taken = time.monotonic() - began
        LOG.info("GET %s %d %.1fms", self.path, status, 1000 * taken)
        REQUESTS.labels("GET", self.path, status).inc()
        DURATION.labels(self.path).observe(taken)
        self.answer(status)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: requests are logged above."""


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    address = os.environ["POD_IP"]
    start_http_server(9090, addr=address)
    server = ThreadingHTTPServer((address, 8080), Shop)
    LOG.info("shop version %s listens", os.environ.get("VERSION", "?"))
    if os.environ.get("CRASH_AFTER_S"):
        server.timeout = 0.1
        end = time.monotonic() + float(os.environ["CRASH_AFTER_S"])
        while time.monotonic() < end:
            server.handle_request()
        LOG.critical("out of payments: giving up")
        raise SystemExit(3)
    server.serve_forever()


if __name__ == "__main__":
    main()
