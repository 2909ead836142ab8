"""The server: real sockets, so that clients meet real faults. In-process for tests, or on its own port for people."""

import contextlib
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.fakes.gemini import validate
from tests.fakes.gemini.scenarios import SCENARIOS, Answer, Call, Fault, Scenario, citing, error, violation

DEVELOPER = re.compile(r"/(v1|v1beta)/models/([\w.-]+):(\w+)")
VERTEX = re.compile(r"/(v1|v1beta1)/projects/([\w-]+)/locations/([\w-]+)/publishers/google/models/([\w.-]+):(\w+)")
MODEL = re.compile(r"/(v1|v1beta)/models(?:/([\w.-]+))?")
LARGEST = 4 * 1024 * 1024
STALL_S = 30.0  # longer than any test waits; ended early when the server stops


@dataclass(frozen=True)
class Entry:
    """One request as it came, its secrets replaced by "<redacted>"."""

    method: str
    path: str
    model: str
    headers: Mapping[str, str]
    body: Any
    status: int | str

    @property
    def prompt(self) -> str:
        """All text of the turns."""
        return "\n".join(p.get("text", "") for turn in self.body["contents"] for p in turn["parts"])


@dataclass
class FakeGemini:
    """A Gemini API on a loopback port. Use as a context manager.

    ``script`` maps a model to scenarios played in order, ``"*"`` for all models; the last one is repeated when
    ``repeat``, otherwise ``responder`` answers once a script has run out.
    """

    responder: Scenario = citing
    script: dict[str, Sequence[str | Scenario]] = field(default_factory=dict)
    repeat: bool = True
    key: str = ""
    port: int = 0
    journal: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self.calls: dict[str, int] = {}
        fake = self

        class Handler(_Handler):
            server_fake = fake

        self._http = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]

    @property
    def url(self) -> str:
        """Base URL for clients."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)
        if self.problems:
            raise AssertionError(f"the fake server failed: {self.problems}")

    def serve_forever(self) -> None:
        """Serve in this thread until interrupted."""
        self._http.serve_forever()

    def next_scenario(self, model: str) -> tuple[Scenario, int]:
        """Return what happens to the next call of a model, and its number."""
        with self.lock:
            number = self.calls[model] = self.calls.get(model, 0) + 1
        scenes = self.script.get(model, self.script.get("*", ()))
        if not scenes or (number > len(scenes) and not self.repeat):
            return self.responder, number
        scene = scenes[min(number, len(scenes)) - 1]
        return (SCENARIOS[scene] if isinstance(scene, str) else scene), number

    def answered_by(self, handle: Callable[[], None]) -> None:
        """Run a handler; what goes wrong in it fails the test that started the server."""
        try:
            handle()
        except Exception as error:
            self.problems.append(f"{type(error).__name__}: {error}")
            raise

    def record(self, entry: Entry) -> None:
        """Keep a request."""
        with self.lock:
            self.journal.append(entry)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_fake: FakeGemini

    def log_message(self, *_: object) -> None:
        """Stay silent: a request line may hold what a caller should not have sent."""

    def do_GET(self) -> None:
        """Answer a GET."""
        self.server_fake.answered_by(self._get)

    def do_POST(self) -> None:
        """Answer a POST."""
        self.server_fake.answered_by(self._post)

    def _get(self) -> None:
        """List models, or describe one."""
        path = urlsplit(self.path).path
        match = MODEL.fullmatch(path)
        if match is None or (match[2] and match[2] not in validate.MODELS):
            return self._send(error(404, "NOT_FOUND", f"{path} is not found."), "", None)
        if (refused := self._unauthorised()) is not None:
            return self._send(refused, match[2] or "", None)
        described = [
            {
                "name": f"models/{name}",
                "inputTokenLimit": 1_048_576,
                "outputTokenLimit": 65_536,
                "supportedGenerationMethods": ["generateContent", "countTokens"],
            }
            for name in validate.MODELS
        ]
        body = next(m for m in described if m["name"] == f"models/{match[2]}") if match[2] else {"models": described}
        return self._send(Answer(body, checked=False), match[2] or "", None)

    def _post(self) -> None:
        """Answer a call as the script says."""
        length = int(self.headers.get("content-length", "0"))
        if length > LARGEST:
            return self._send(error(400, "INVALID_ARGUMENT", "Request payload size exceeds the limit."), "", None)
        raw = self.rfile.read(length)
        url = urlsplit(self.path)
        developer, vertex = DEVELOPER.fullmatch(url.path), VERTEX.fullmatch(url.path)
        if developer:
            model, method = developer[2], developer[3]
        elif vertex:
            model, method = vertex[4], vertex[5]
        else:
            return self._send(error(404, "NOT_FOUND", f"The requested URL {url.path} was not found."), "", None)
        try:
            body = json.loads(raw)
        except ValueError:
            return self._send(error(400, "INVALID_ARGUMENT", "Invalid JSON payload received."), model, None)
        if (refused := self._unauthorised()) is not None:
            return self._send(refused, model, body)
        if model not in validate.MODELS:
            message = f"models/{model} is not found for API version {(developer or vertex)[1]}"
            return self._send(error(404, "NOT_FOUND", message), model, body)
        if method == "countTokens":
            return self._send(Answer({"totalTokens": len(raw) // 4}, checked=False), model, body)
        if method not in ("generateContent", "streamGenerateContent"):
            return self._send(error(404, "NOT_FOUND", f"Method {method} not found."), model, body)
        try:
            request = validate.check_request(body, model, vertex=vertex is not None)
        except validate.ViolationError as refusal:
            return self._send(violation(refusal.message, refusal.field), model, body)
        scenario, number = self.server_fake.next_scenario(model)
        action = scenario(Call(model, request, number))
        if method == "streamGenerateContent":
            if parse_qs(url.query).get("alt") != ["sse"]:
                return self._send(error(400, "INVALID_ARGUMENT", "alt=sse is expected."), model, body)
            return self._stream(action, model, body)
        return self._send(action, model, body)

    def _unauthorised(self) -> Answer | None:
        """Refuse a caller without exactly one credential, with a key in the URL, or that is not the SDK."""
        key, bearer = self.headers.get("x-goog-api-key"), self.headers.get("authorization", "")
        if "key" in parse_qs(urlsplit(self.path).query):
            return error(400, "INVALID_ARGUMENT", "The key belongs into a header: URLs are logged.")
        if bool(key) == bearer.startswith("Bearer "):
            message = "Method doesn't allow unregistered callers (callers without established identity)."
            return error(403, "PERMISSION_DENIED", message)
        if not self.headers.get("x-goog-api-client", "").startswith("google-genai-sdk/"):
            return error(400, "INVALID_ARGUMENT", "x-goog-api-client must name the SDK.")
        if self.server_fake.key and key and key != self.server_fake.key:
            return SCENARIOS["bad_key"](Call("", {}, 0))  # type: ignore[return-value]
        return None

    def _record(self, status: int | str, model: str, body: Any) -> None:
        secret = ("x-goog-api-key", "authorization")
        headers = {k.lower(): "<redacted>" if k.lower() in secret else v for k, v in self.headers.items()}
        self.server_fake.record(Entry(self.command, self.path, model, headers, body, status))

    def _send(self, action: Answer | Fault, model: str, body: Any) -> None:
        self.close_connection = True
        if isinstance(action, Fault):
            self._record(action.kind, model, body)
            return self._fault(action)
        if action.checked and action.status == 200:
            validate.check_response(json.loads(json.dumps(action.body)))
        elif action.checked:
            validate.check_error(action.status, action.body)
        self._record(action.status, model, body)
        payload = (
            action.body if isinstance(action.body, bytes) else json.dumps(action.body, ensure_ascii=False).encode()
        )
        self.server_fake.stopped.wait(action.delay_s)
        try:
            self.send_response(action.status)
            for name, value in {**action.headers, "Content-Type": action.content_type}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(payload)))
            self.send_header("Connection", "close")
            self.end_headers()
            if not action.trickle_s:
                self.wfile.write(payload)
                return None
            for byte in payload:
                self.wfile.write(bytes([byte]))
                if self.server_fake.stopped.wait(action.trickle_s):
                    return None
        except OSError:  # the caller has had enough, which some scenarios are about
            pass
        return None

    def _stream(self, action: Answer | Fault, model: str, body: Any) -> None:
        """Send the answer as server-sent events; an error before the first byte is an ordinary response."""
        if isinstance(action, Answer) and (action.status != 200 or isinstance(action.body, bytes)):
            return self._send(action, model, body)
        faulty = isinstance(action, Fault)
        if faulty and action.kind not in ("reset_mid_stream", "error_mid_stream"):
            return self._send(action, model, body)
        whole = citing(Call(model, validate.check_request(body, model), 1)).body if faulty else action.body
        self._record(action.kind if faulty else action.status, model, body)
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        events = _events(whole)
        for event in events[:1] if faulty else events:
            validate.check_response(json.loads(json.dumps(event)))
            self._event(event)
        if faulty and action.kind == "reset_mid_stream":
            return self._reset()
        if faulty:
            self._event(error(503, "UNAVAILABLE", "The model is overloaded. Please try again later.").body)
        self.wfile.write(b"0\r\n\r\n")
        return None

    def _event(self, body: Any) -> None:
        data = f"data: {json.dumps(body)}\r\n\r\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _fault(self, action: Fault) -> None:
        if action.kind == "reset":
            return self._reset()
        if action.kind == "short":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "5000")
            self.end_headers()
            self.wfile.write(b'{"candidates": [')
            self.wfile.flush()
        elif action.kind == "stall":
            self.server_fake.stopped.wait(STALL_S)
        return None

    def _reset(self) -> None:
        """End the connection by RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def finish(self) -> None:
        """Close quietly, also after a reset."""
        with contextlib.suppress(OSError):
            super().finish()


def _events(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Cut a response into events: text in three pieces, finish reason and usage in the last."""
    parts = body.get("candidates", [{}])[0].get("content", {}).get("parts", [])
    text = "".join(part.get("text", "") for part in parts)
    third = max(1, len(text) // 3)
    pieces = [text[:third], text[third : 2 * third], text[2 * third :]]
    common = {key: body[key] for key in ("modelVersion", "responseId") if key in body}
    events: list[dict[str, Any]] = [
        {"candidates": [{"content": {"parts": [{"text": piece}], "role": "model"}, "index": 0}], **common}
        for piece in pieces
    ]
    events[-1]["candidates"][0]["finishReason"] = "STOP"
    events[-1]["usageMetadata"] = body.get("usageMetadata", {})
    return events
