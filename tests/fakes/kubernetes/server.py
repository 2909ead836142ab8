"""The sockets: requests in, answers and faults out."""

import contextlib
import json
import socket
import ssl
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import yaml

from tests.fakes.kubernetes import answers, status
from tests.fakes.kubernetes.answers import Request
from tests.fakes.kubernetes.cluster import Cluster, Entry
from tests.fakes.kubernetes.faults import Fault
from tests.fakes.kubernetes.status import Refusal
from tests.fakes.kubernetes.tls import Certificates

PIECE = 64 * 1024
SLOW_PIECES = 8
READS = ("get", "list", "watch")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # a burst of log reads must not be dropped by the accept queue

    def handle_error(self, *_: object) -> None:
        """Stay silent about clients that went away; what else goes wrong is in ``Stub.problems``."""


class Stub:
    """An API server for a cluster on a loopback port. Use as a context manager.

    A request that would change anything, and any failure of the stub's own, is in ``problems`` and fails the test that
    started it.
    """

    def __init__(self, cluster: Cluster, *, tls: Certificates | None = None, port: int = 0) -> None:
        self.cluster = cluster
        self.tls = tls
        self.problems: list[str] = []
        self.stopped = threading.Event()
        stub = self

        class Handler(_Handler):
            served_by = stub

        self._http = _Server(("127.0.0.1", port), Handler)
        self.port = self._http.server_address[1]
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.certificate, tls.key)
            self._context: ssl.SSLContext | None = context
        else:
            self._context = None

    @property
    def url(self) -> str:
        """The address for a kubeconfig."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        if self.problems:
            raise AssertionError(f"the stub API server: {self.problems}")

    def close(self) -> None:
        """Stop serving; connections to the port are refused from here on."""
        self.stopped.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)

    def kubeconfig(
        self, path: Path, *, namespace: str = "shop", token: str = "", ca: Path | None = None, server: str = ""
    ) -> Path:
        """Write a kubeconfig for this server with one context, "stub"; ``server`` instead of its address if given."""
        cluster: dict[str, Any] = {"server": server or self.url}
        trusted = ca or (self.tls.ca if self.tls else None)
        if trusted:
            cluster["certificate-authority"] = str(trusted)
        tree = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "stub",
            "clusters": [{"name": "stub", "cluster": cluster}],
            "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "stub", "namespace": namespace}}],
            "users": [{"name": "stub", "user": {"token": token} if token else {}}],
        }
        path.write_text(yaml.safe_dump(tree), encoding="utf-8")
        return path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served_by: Stub

    def setup(self) -> None:
        """Shake hands in this thread, so that a client that does not cannot keep the others waiting."""
        if self.served_by._context:
            self.request.settimeout(5)
            self.request = self.served_by._context.wrap_socket(self.request, server_side=True)
            self.request.settimeout(None)
        super().setup()

    def finish(self) -> None:
        """Close quietly, also after a reset."""
        with contextlib.suppress(OSError, ValueError):
            super().finish()
        if self.served_by._context:
            self.request.close()  # the server itself knows only the socket below

    def log_message(self, *_: object) -> None:
        """Stay silent: pytest shows what fails."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the Date header by the cluster's clock."""
        return super().date_time_string(self.served_by.cluster.clock().timestamp() if timestamp is None else timestamp)

    def do_GET(self) -> None:
        """Read."""
        self._handle()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 -- the names http.server asks for

    def _handle(self) -> None:
        try:
            self._answer()
        except OSError:  # the client went away, which some tests are about
            self.close_connection = True
        except Exception as error:
            self.served_by.problems.append(f"{self.path}: {type(error).__name__}: {error}")
            raise

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        cluster = self.served_by.cluster
        request = Request(verb=self.command.lower(), resource=url.path)
        fault: Fault | None = None
        try:
            request = answers.understood(self.command, url.path, query)
            fault = cluster.strike(request.verb, request.qualified, request.name)
            if fault is not None and fault.answer is not None:
                raise fault.answer
            self._authenticate()
            answers.checked(cluster, request)
            if request.verb == "watch":
                self._note(request, query, 200)
                return self._watch(request, query)
            answer, kind = self._found(request, query, body)
        except Refusal as refusal:
            self._note(request, query, refusal.code)
            return self._send(_encoded(refusal.body), refusal.content_type, None, refusal.code, refusal.headers)
        self._note(request, query, fault.then if fault else 200)
        code = 201 if request.verb == "create" else 200
        return self._send(answer, kind, fault, code, {})

    def _authenticate(self) -> None:
        """Refuse a caller whose token is none of those there are."""
        tokens = self.served_by.cluster.tokens
        given = self.headers.get("authorization", "").rpartition(" ")[2]  # "Bearer" in any case, as RFC 7235 has it
        if tokens and given not in tokens:
            raise status.unauthorized()

    def _found(self, request: Request, query: dict[str, str], body: bytes) -> tuple[bytes, str]:
        """Return the answer's bytes and type. Raises Refusal."""
        cluster = self.served_by.cluster
        if request.verb == "create" and request.group.startswith("auth"):
            return _encoded(answers.reviewed(cluster, request, json.loads(body))), "application/json"
        if request.verb not in READS:
            self.served_by.problems.append(
                f"a {request.verb} of {request.qualified}: nothing here may change the cluster"
            )
            raise status.bad_request("the stub is read-only")
        if request.resource.startswith("/"):
            answer = answers.about(cluster, request.resource)
            return _encoded(answer), "text/plain" if isinstance(answer, bytes) else "application/json"
        if request.resource == "pods/log":
            return answers.log(cluster, request, query), "text/plain"
        if request.verb == "get":
            return _encoded(answers.get(cluster, request)), "application/json"
        return _encoded(answers.listed(cluster, request, query)), "application/json"

    def _note(self, request: Request, query: dict[str, str], outcome: int | str) -> None:
        entry = Entry(
            verb=request.verb,
            resource=request.qualified,
            namespace=request.namespace,
            name=request.name,
            query=query,
            status=outcome,
        )
        with self.served_by.cluster.lock:
            self.served_by.cluster.journal.append(entry)

    def _send(self, payload: bytes, kind: str, fault: Fault | None, code: int, headers: dict[str, str]) -> None:
        """Send an answer, or as much of it as the fault leaves. Texts, which are logs, go out in chunks."""
        chunked = kind == "text/plain"
        if fault is not None and fault.then == "hang" and not fault.share:
            self.served_by.stopped.wait()  # not even a status line
            self.close_connection = True
            return
        self.send_response(code)
        self.send_header("Content-Type", kind)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(payload)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        going = payload if fault is None else payload[: int(len(payload) * fault.share)]
        size = max(1, -(-len(going) // SLOW_PIECES)) if fault and fault.pause_s else PIECE
        for start in range(0, len(going), size):
            piece = going[start : start + size]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            if fault and fault.pause_s and self.served_by.stopped.wait(fault.pause_s):
                return
        self.wfile.flush()
        if fault is not None and (fault.then != "end" or (fault.share < 1 and not chunked)):
            self._break(fault)
        elif chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _break(self, fault: Fault) -> None:
        """End as the fault has it."""
        self.close_connection = True
        if fault.then == "hang":
            self.served_by.stopped.wait()
        elif fault.then == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _watch(self, request: Request, query: dict[str, str]) -> None:
        """Stream changes, the present state first where no resource version is given, until the time is up."""
        cluster = self.served_by.cluster
        wanted = (request.group, request.resource)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        ends = threading.Event()
        timer = threading.Timer(float(query.get("timeoutSeconds", "3600")), ends.set)
        timer.daemon = True
        timer.start()
        try:
            seen = int(query.get("resourceVersion") or 0)
            if not seen:
                for tree in answers.selected(cluster, request, query):
                    self._event("ADDED", tree)
                seen = cluster.revision
            while not (ends.is_set() or self.served_by.stopped.is_set()):
                with cluster.lock:
                    cluster.lock.wait(0.05)
                    fresh = [change for change in cluster.changes if change[0] > seen and change[1] == wanted]
                for revision, _, what, tree in fresh:
                    seen = revision
                    chosen = answers.selected(cluster, request, query)
                    if what == "DELETED" or any(one["metadata"]["name"] == tree["metadata"]["name"] for one in chosen):
                        self._event(what, tree)
            self.wfile.write(b"0\r\n\r\n")
        finally:
            timer.cancel()

    def _event(self, what: str, tree: dict[str, Any]) -> None:
        line = _encoded({"type": what, "object": tree}) + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.flush()


def _encoded(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
