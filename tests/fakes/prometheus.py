"""A stand-in for the Prometheus HTTP API on loopback: answers every query with something, and fails as it is told to.

For faults only; what queries mean is tested against a real server.
"""

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

NAMES = (
    "nginx_ingress_controller_requests",
    "nginx_ingress_controller_response_duration_seconds_bucket",
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked: ``stage`` is names, sides, details, counts or range."""

    method: str
    path: str
    form: dict[str, str]
    headers: dict[str, str]

    @property
    def stage(self) -> str:
        query = self.form.get("query", "")
        if self.path.endswith("/values") or query.startswith("count by (__name__)"):
            return "names"
        if self.path.endswith("/query_range"):
            return "range"
        if '"errors 0 stable"' in query or '"latency 0"' in query:
            return "details"
        return "counts" if '"all"' in query else "sides"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer. ``cut`` ends the connection after so many bytes of the body; ``wait_s`` passes before it begins."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    cut: int | None = None
    wait_s: float = 0.0
    drip: bool = False  # one byte at a time, for ever


def success(data, **more) -> Reply:
    return Reply(body=json.dumps({"status": "success", "data": data, **more}).encode())


def failure(status: int, kind: str, text: str, **headers: str) -> Reply:
    body = {"status": "error", "errorType": kind, "error": text}
    return Reply(status=status, body=json.dumps(body).encode(), headers={"content-type": "application/json", **headers})


def usual(request: Request) -> Reply:
    """What a server with nginx series of both sides would say, roughly."""
    if request.path.endswith("/values"):
        return success(list(NAMES))
    query = request.form.get("query", "")
    if query.startswith("count by (__name__)"):
        return success(_vector([({"__name__": name}, 1) for name in NAMES]))
    if request.path.endswith("/query_range"):
        start, end, step = (float(request.form[name]) for name in ("start", "end", "step"))
        value = "0.3" if "histogram_quantile" in query else "0.01" if "status" in query else "20"
        times = [start + step * n for n in range(int((end - start) / step) + 1)]
        return success({"resultType": "matrix", "result": [{"metric": {}, "values": [[at, value] for at in times]}]})
    marks = re.findall(r'"probe", "([^"]+)"', query)
    rows = [
        ({"probe": mark, **({"le": "1.0"} if "latency" in mark else {})}, 4000 if mark == "all" else 40)
        for mark in marks
        if not mark.startswith("clusters")  # the series have no such label
    ]
    return success(_vector(rows))


def _vector(rows):
    return {
        "resultType": "vector",
        "result": [{"metric": labels, "value": [1.0, str(value)]} for labels, value in rows],
    }


@contextlib.contextmanager
def served(behave: Callable[[Request], Reply] = usual, *, tls=None) -> Iterator[tuple[str, list[Request]]]:
    """Serve until the block ends; yield the address and the requests that came."""
    seen: list[Request] = []
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are two writes

        def do_GET(self):
            self._answer(urlsplit(self.path).query)

        def do_POST(self):
            self._answer(self.rfile.read(int(self.headers.get("content-length", 0))).decode())

        def _answer(self, text):
            request = Request(
                method=self.command,
                path=urlsplit(self.path).path,
                form={key: values[0] for key, values in parse_qs(text).items()},
                headers={key.lower(): value for key, value in self.headers.items()},
            )
            seen.append(request)
            reply = behave(request)
            if reply.wait_s:
                closing.wait(reply.wait_s)
            with contextlib.suppress(OSError):
                self._send(reply)

        def _send(self, reply):
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(10**6 if reply.drip else len(reply.body)))
            self.end_headers()
            if reply.drip:
                while not closing.wait(0.02):
                    self.wfile.write(b" ")
                    self.wfile.flush()
            self.wfile.write(reply.body if reply.cut is None else reply.body[: reply.cut])
            if reply.cut is not None:
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True

        def log_message(self, *args):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request, client_address):
            pass  # clients that went away in the middle are the point of these tests

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}", seen
    finally:
        closing.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


__all__ = ["NAMES", "Reply", "Request", "failure", "served", "success", "usual"]
