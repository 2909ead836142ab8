"""A stand-in for the service, over real HTTP: the interface of ``docs/remote.md``, with a verdict by scenario.

    python -m tests.fakes.service --port 8080 --scenario promote --delay 1

It prints one line, ``listening on URL``, when it is ready (``--port 0`` picks a free one). Scenarios:

promote, rollback, inconclusive   that verdict, ``--delay`` seconds after the start
error                             state "error": the measurement cannot be made
refuse                            400 to every start: the configuration is wrong
running                           never done
nonsense                          200 with an answer that means nothing
overreach                         a verdict word the interface does not have ("pass")
broken                            503 to everything
slow                              answers only after ten seconds
secretive                         the verdict repeats every text of the configuration

``--state FILE`` keeps measurements over restarts, as the real service does; without it a restart forgets them.
``--token-file FILE`` demands that bearer token. ``--tls CERT KEY`` serves https.
"""

import argparse
import json
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

VERDICTS = {
    "promote": (93, 88, "the canary does as well as stable on all 12 metrics"),
    "rollback": (4, 96, "error rate 8.1 % on the canary, 0.2 % on stable"),
    "inconclusive": (50, 40, "the canary served 3 requests, too few to judge"),
}


class Service:
    """Measurements by id, and how each of them comes out."""

    def __init__(
        self, scenario: str = "promote", delay_s: float = 0.0, token: str = "", state_file: Path | None = None
    ) -> None:
        self.scenario = scenario
        self.delay_s = delay_s
        self.token = token
        self.lock = threading.Lock()
        self.started: dict[str, float] = {}
        self.bodies: dict[str, Any] = {}
        self.cancelled: set[str] = set()
        self.requests: list[tuple[str, str]] = []
        self.connections = 0
        self.state_file = state_file
        if state_file is not None and state_file.exists():
            saved = json.loads(state_file.read_text())
            self.started, self.bodies, self.cancelled = saved["started"], saved["bodies"], set(saved["cancelled"])

    def save(self) -> None:
        if self.state_file is not None:
            content = {"started": self.started, "bodies": self.bodies, "cancelled": sorted(self.cancelled)}
            fresh = self.state_file.with_suffix(".new")
            fresh.write_text(json.dumps(content))
            fresh.replace(self.state_file)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        with self.lock:
            self.requests.append((method, path))
            if self.scenario == "broken":
                return 503, {"message": "the store is down"}
            if self.scenario == "nonsense":
                return 200, {"weather": "fine"}
            if path == "/v1/about" and method == "GET":
                return 200, {"version": "0.1.0", "model": "gemini-2.5-flash", "promptDigest": "sha256:0f1e"}
            if path == "/v1/measurements" and method == "POST":
                return self.start(body)
            head, _, measurement_id = path.rpartition("/")
            if head != "/v1/measurements" or not measurement_id:
                return 404, {"message": "no such path"}
            if measurement_id not in self.started:
                return 404, {"message": "no such measurement"}
            if method == "DELETE":
                self.cancelled.add(measurement_id)
                self.save()
                return 204, None
            return 200, self.state(measurement_id)

    def start(self, body: Any) -> tuple[int, Any]:
        if (
            not isinstance(body, dict)
            or not isinstance(body.get("id"), str)
            or not isinstance(body.get("config"), dict)
        ):
            return 400, {"message": "a measurement needs an id and a config"}
        if self.scenario == "refuse":
            return 422, {"message": "minConfidence is 700; expected a whole number 0..100"}
        known = body["id"] in self.started
        if not known:
            self.started[body["id"]] = time.time()
            self.bodies[body["id"]] = body
            self.save()
        return (200 if known else 201), self.state(body["id"])

    def state(self, measurement_id: str) -> dict[str, Any]:
        scenario = self.bodies[measurement_id]["config"].get("extraPrompt") or self.scenario
        if scenario not in VERDICTS and scenario not in ("error", "running", "overreach", "secretive"):
            scenario = "promote"
        done = time.time() - self.started[measurement_id] >= self.delay_s
        if measurement_id in self.cancelled:
            return {"id": measurement_id, "state": "error", "message": "cancelled"}
        if scenario == "running" or not done:
            return {"id": measurement_id, "state": "running"}
        if scenario == "error":
            return {"id": measurement_id, "state": "error", "message": "no pods match stableLabel role=stable"}
        return {"id": measurement_id, "state": "done", "measurement": self.measurement(measurement_id, scenario)}

    def measurement(self, measurement_id: str, scenario: str) -> dict[str, Any]:
        word = scenario if scenario in VERDICTS else "promote"
        score, confidence, reason = VERDICTS[word]
        found: dict[str, Any] = {
            "verdict": "pass" if scenario == "overreach" else word,
            "score": score,
            "confidence": confidence,
            "reason": reason,
            "summary": f"{word.capitalize()}: {reason}",
            "analysis": f"## What was measured\n\n{reason}\n",
            "rootCause": "a query lost its index" if word == "rollback" else "",
            "remediation": "restore the index on orders.customer_id" if word == "rollback" else "",
            "url": f"http://rollout-verdict.example/measurements/{measurement_id}",
            "digest": "sha256:" + "ab" * 32,
            "decidedBy": "both",
            "rationale": "rules and model agree",
            "models": [{"modelName": "gemini-2.5-flash", "promote": word == "promote", "confidence": confidence}],
            "warnings": [],
        }
        if scenario == "secretive":
            told = json.dumps(self.bodies[measurement_id]["config"])
            found |= {"reason": told, "summary": told, "analysis": told, "rootCause": told, "rationale": told}
            found |= {"url": f"http://x.example/{told}", "models": [{"modelName": told}], "warnings": [told]}
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Service

    def setup(self) -> None:
        super().setup()
        self.service.connections += 1

    def _answer(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(size)
        if self.service.scenario == "slow":
            time.sleep(10)
        if self.service.scenario == "redirect":
            self._send(302, None, Location="http://127.0.0.1:1/")
            return
        if self.service.token and self.headers.get("Authorization") != f"Bearer {self.service.token}":
            self._send(401, {"message": "a bearer token is needed"})
            return
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            self._send(400, {"message": "the body is not JSON"})
            return
        self._send(*self.service.answer(self.command, urlsplit(self.path).path, body))

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 -- http.server's names

    def _send(self, status: int, body: Any, **headers: str) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """A client that was killed in the middle of a request is what some tests are about."""


def server(service: Service, port: int = 0, tls: tuple[str, str] | None = None) -> ThreadingHTTPServer:
    """Return a listening server; the caller runs ``serve_forever``, on a thread or not."""
    handler = type("Handler", (_Handler,), {"service": service})
    found = _Server(("127.0.0.1", port), handler)
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        # The handshake belongs to the connection's own thread: a client that stalls must not stop the others.
        found.socket = context.wrap_socket(found.socket, server_side=True, do_handshake_on_connect=False)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="stand-in for the service")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    parser.add_argument("--token-file", type=Path)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--scenario", default="promote")
    parser.add_argument("--state", type=Path)
    given = parser.parse_args()
    token = given.token_file.read_text().strip() if given.token_file else ""
    service = Service(given.scenario, given.delay, token, given.state)
    found = server(service, given.port, tuple(given.tls) if given.tls else None)
    scheme = "https" if given.tls else "http"
    print(f"listening on {scheme}://127.0.0.1:{found.server_address[1]}", flush=True)
    try:
        found.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
