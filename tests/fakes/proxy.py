"""A reverse proxy that misbehaves: a real server behind it, the faults of ``tests.fakes.kubernetes.faults`` before it.

A fault's ``resource`` is the last part of the path ("query_range"), its ``verb`` the method.
"""

import contextlib
import http.client
import json
import socket
import ssl
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from tests.fakes.kubernetes.faults import Fault
from tests.fakes.kubernetes.tls import Certificates

if TYPE_CHECKING:
    from collections.abc import Callable

PIECES = 8


class Proxy:
    """Use as a context manager. ``change`` edits the JSON of answers that no fault has met."""

    def __init__(self, behind: str, *, tls: Certificates | None = None) -> None:
        self.behind = behind
        self.faults: tuple[Fault, ...] = ()
        self.change: Callable[[str, Any], Any] | None = None
        self.asked: list[str] = []
        self.stopped = threading.Event()
        proxy = self

        class Handler(_Handler):
            served_by = proxy

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # clients that went away are what this is about
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._http.server_address[1]}"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.certificate, tls.key)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)

    def strike(self, method: str, last: str) -> Fault | None:
        """Return the fault that meets a request."""
        self.asked.append(last)
        return next((fault for fault in self.faults if fault.matches(method, last, "")), None)


class _Handler(BaseHTTPRequestHandler):
    served_by: Proxy

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        """Pass on, or not."""
        with contextlib.suppress(OSError):
            self._pass_on()

    do_POST = do_GET  # noqa: N815 -- the name http.server asks for

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        last = urlsplit(self.path).path.rsplit("/", 1)[-1]
        fault = self.served_by.strike(self.command, last)
        if fault is not None and fault.answer is not None:
            answer = fault.answer
            raw = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            return self._send(answer.code, {"Content-Type": answer.content_type, **answer.headers}, raw, None)
        where = urlsplit(self.served_by.behind)
        connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        connection.request(self.command, self.path, body, headers)
        response = connection.getresponse()
        raw = response.read()
        connection.close()
        if self.served_by.change is not None and fault is None:
            raw = json.dumps(self.served_by.change(last, json.loads(raw))).encode()
        return self._send(response.status, {"Content-Type": response.headers["Content-Type"]}, raw, fault)

    def _send(self, status: int, headers: dict[str, str], raw: bytes, fault: Fault | None) -> None:
        if fault is not None and fault.then == "hang" and not fault.share:
            self.served_by.stopped.wait()
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        going = raw if fault is None else raw[: int(len(raw) * fault.share)]
        size = max(1, -(-len(going) // PIECES)) if fault and fault.pause_s else len(going) or 1
        for start in range(0, len(going), size):
            self.wfile.write(going[start : start + size])
            if fault and fault.pause_s and self.served_by.stopped.wait(fault.pause_s):
                return
        self.wfile.flush()
        if fault is not None and fault.then == "hang":
            self.served_by.stopped.wait()
        elif fault is not None and fault.then == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
