"""Measures by asking the service over HTTP. What is said is told in ``docs/remote.md``.

Standard library only; ``http.client`` and ``ssl`` are imported when the first request is made, so that an idle
plugin stays small. Redirects are not followed: the token must not wander. Proxies from the environment are not used:
the service is in the cluster.
"""
# pathlib is not imported in the controller's pod for two files:
# ruff: noqa: PTH110, PTH123

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from rollout_verdict import __version__
from rollout_verdict.rpc.measurer import Broken, Job, Outcome, Running, State, UnavailableError
from rollout_verdict.rpc.pool import BusyError, Pool
from rollout_verdict.rpc.settings import Settings
from rollout_verdict.rpc.shape import is_nested_too_deep

if TYPE_CHECKING:
    from http.client import HTTPConnection
    from ssl import SSLContext
    from urllib.parse import SplitResult

T = TypeVar("T")

MAX_ANSWER = 1 << 20  # bytes; a measurement is 8 KiB
_MAX_TOKEN = 16384  # a service account token has about 1 KB
_MAX_IDLE = 8  # connections kept open; the controller has 30 workers, seldom busy at once
# A request that nobody waits for any more still ends: each step of it within this.
_STEP_S = 5.0
# The image of the controller has its certificates here, and OpenSSL of another system looks elsewhere.
_SYSTEM_CA = "/etc/ssl/certs/ca-certificates.crt"
# Answers that asking again will not change (RFC 9110): the request itself is wrong.
_REFUSED = frozenset({400, 409, 413, 415, 422})
_UNKNOWN = frozenset({404, 410})
_VERDICTS = frozenset({"promote", "rollback", "inconclusive"})


class _Request(NamedTuple):
    """One request, with the address of the service it goes to."""

    base: str
    method: str
    path: str
    data: bytes | None
    headers: Mapping[str, str]


class RemoteMeasurer:
    """A ``Measurer`` over the service's HTTP interface, safe to use from many threads."""

    def __init__(self, settings: Settings, pool: Pool) -> None:
        self._settings = settings
        self._pool = pool
        self._idle: list[tuple[str, HTTPConnection]] = []
        self._lock = threading.Lock()

    def problem(self) -> str:
        """Return what is wrong with the settings, "" when nothing is."""
        if self._settings.problem:
            return self._settings.problem
        try:
            if self._settings.service:
                _split(self._settings.service)
            self._token()
            if self._settings.ca_file:
                _read(self._settings.ca_file, 1 << 22)
        except UnavailableError as error:
            return str(error)
        return ""

    def start(self, job: Job, *, within: float) -> State:
        """Start a measurement, or return its state when it exists."""
        status, answer = self._request("POST", "/v1/measurements", job, _job_body(job), within)
        if status in _REFUSED:
            return Broken(reason=_refusal(status, answer))
        if status not in (200, 201, 202):
            raise UnavailableError(_odd_status(status))
        return read_state(answer)

    def get(self, job: Job, *, within: float) -> State | None:
        """Return the state of a measurement, None when the service does not know it."""
        status, answer = self._request("GET", f"/v1/measurements/{job.id}", job, None, within)
        if status in _UNKNOWN:
            return None
        if status != 200:
            raise UnavailableError(_odd_status(status))
        return read_state(answer)

    def cancel(self, job: Job, *, within: float) -> None:
        """Stop a measurement."""
        status, _ = self._request("DELETE", f"/v1/measurements/{job.id}", job, None, within)
        if status not in (200, 202, 204) and status not in _UNKNOWN:
            raise UnavailableError(_odd_status(status))

    def forget(self, measurement_ids: tuple[str, ...]) -> None:
        """Do nothing: nothing is kept here, and the service has a retention of its own."""

    def about(self, *, within: float) -> Mapping[str, str]:
        """Return what the service says of itself, nothing when it cannot be asked."""
        if not self._settings.service:
            return {}
        try:
            status, answer = self._request("GET", "/v1/about", None, None, within)
        except UnavailableError:
            return {}
        if status != 200 or not isinstance(answer, dict):
            return {}
        known = {"model": "model", "promptDigest": "promptDigest", "version": "serviceVersion"}
        return {ours: answer[theirs] for theirs, ours in known.items() if isinstance(answer.get(theirs), str)}

    # One request

    def _request(
        self, method: str, path: str, job: Job | None, body: Mapping[str, Any] | None, within: float
    ) -> tuple[int, Any]:
        """Return status and decoded JSON (None when there is none). Raises UnavailableError after ``within``."""
        base, headers = self._address(job)
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        request = _Request(base=base, method=method, path=path, data=data, headers=headers)
        # Looking up a name cannot be interrupted: so another thread does it all, and this one stops waiting. It then
        # cuts the line, or a server that sends a byte a second would have one thread of the pool after the other.
        attempt = _Attempt()
        return _within(within, self._pool, lambda: self._exchange(request, attempt), attempt.give_up)

    def _address(self, job: Job | None) -> tuple[str, dict[str, str]]:
        headers = {"Accept": "application/json", "User-Agent": f"rollout-verdict-plugin/{__version__}"}
        if self._settings.service:
            token = self._token()
            if token:
                headers["Authorization"] = f"Bearer {token}"
            return self._settings.service, headers
        # An address from a template never sees the operator's token.
        address = job.config.get("agentUrl") if job is not None else None
        if not address:
            raise UnavailableError("no service to ask: set --service for the plugin, or agentUrl in the template")
        return address, headers

    def _token(self) -> str:
        """Return the token, read anew each time: it rotates. "" when none is set."""
        if not self._settings.token_file:
            return ""
        token = _read(self._settings.token_file, _MAX_TOKEN).strip()
        if not token or not all(33 <= byte <= 126 for byte in token):
            raise UnavailableError(f"the token file {self._settings.token_file} does not hold one line of plain text")
        return token.decode("ascii")

    def _exchange(self, request: _Request, attempt: "_Attempt") -> tuple[int, Any]:
        from http.client import HTTPException

        idle = self._take_idle(request.base)
        try:
            if idle is not None:
                # It may have been closed in the meantime. Every request means the same when it comes twice.
                with contextlib.suppress(HTTPException, OSError):
                    return self._talk(request, idle, attempt)
            return self._talk(request, self._connect(request.base), attempt)
        except (HTTPException, OSError, ValueError) as error:
            raise UnavailableError(f"cannot reach the service: {_reason(error)}") from error

    def _talk(self, request: _Request, connection: "HTTPConnection", attempt: "_Attempt") -> tuple[int, Any]:
        keep = False
        try:
            attempt.use(connection)
            path = _split(request.base).path.rstrip("/") + request.path
            connection.request(request.method, path, request.data, dict(request.headers))
            response = connection.getresponse()
            body = response.read(MAX_ANSWER + 1)
            if len(body) > MAX_ANSWER:
                raise UnavailableError(f"the service's answer exceeds {MAX_ANSWER} bytes")
            if response.length:  # http.client returns what there is when the connection ends early
                raise UnavailableError("the service's answer was cut off")
            keep = response.isclosed() and not response.will_close
        finally:
            if not keep:
                connection.close()
        if keep:
            self._give_back(request.base, connection)
        return response.status, read_json(body)

    def _connect(self, base: str) -> "HTTPConnection":
        from http.client import HTTPConnection, HTTPSConnection

        url = _split(base)
        host = str(url.hostname)
        if url.scheme == "https":
            return HTTPSConnection(host, url.port, timeout=_STEP_S, context=self._tls())
        return HTTPConnection(host, url.port, timeout=_STEP_S)

    def _tls(self) -> "SSLContext":
        """Return a fresh context for a fresh connection, so that certificates may rotate."""
        import os
        import ssl

        cafile = self._settings.ca_file or os.environ.get("SSL_CERT_FILE") or _SYSTEM_CA
        return ssl.create_default_context(cafile=cafile if self._settings.ca_file or os.path.exists(cafile) else None)

    def _take_idle(self, base: str) -> "HTTPConnection | None":
        with self._lock:
            for number in range(len(self._idle) - 1, -1, -1):
                if self._idle[number][0] == base:
                    return self._idle.pop(number)[1]
        return None

    def _give_back(self, base: str, connection: "HTTPConnection") -> None:
        with self._lock:
            self._idle.append((base, connection))
            oldest = self._idle.pop(0)[1] if len(self._idle) > _MAX_IDLE else None
        if oldest is not None:
            oldest.close()


class _Attempt:
    """The connection that a request is under way on, for the thread that waits to cut it."""

    def __init__(self) -> None:
        self._connection: HTTPConnection | None = None
        self._over = False

    def use(self, connection: "HTTPConnection") -> None:
        """Connect unless connected, and go on unless nobody waits any more. Raises UnavailableError then."""
        self._connection = connection
        if connection.sock is None and not self._over:
            connection.connect()  # each of its steps ends within _STEP_S
        if self._over:
            raise UnavailableError("nobody waits for the service's answer any more")

    def give_up(self) -> None:
        """Have whatever is read or written end at once."""
        self._over = True
        sock = self._connection.sock if self._connection is not None else None
        if sock is not None:
            with contextlib.suppress(OSError):
                # The socket's own method: TLS would want to say goodbye, and the other thread is in the middle of it.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _within(seconds: float, pool: Pool, function: Callable[[], T], give_up: Callable[[], None]) -> T:
    """Return what ``function`` returns, or raise what it raises, on another thread; or ``give_up`` waiting for it."""
    done = threading.Event()
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(function())
        except Exception as error:  # noqa: BLE001 -- raised again below, on the thread that waits
            errors.append(error)
        done.set()

    try:
        pool.submit(run)
    except BusyError as error:
        raise UnavailableError(str(error)) from None
    if not done.wait(seconds):
        give_up()
        raise UnavailableError(f"the service did not answer within {seconds:.1f} s")
    if errors:
        raise errors[0]
    return results[0]


def _split(url: str) -> "SplitResult":
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username is not None or parts.query or parts.fragment:
        raise UnavailableError("the service's address must be http(s)://HOST[:PORT][/PATH], without user or query")
    return parts


def _read(path: str, limit: int) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > limit:
        raise UnavailableError(f"{path} is larger than {limit} bytes")
    return data


def _reason(error: Exception) -> str:
    """Return what is wrong. Other texts than the system's may quote the address or the answer: they stay here."""
    return (error.strerror if isinstance(error, OSError) else "") or type(error).__name__


def read_json(body: bytes) -> Any:
    """Return what the JSON of an answer says, None when it is none."""
    if is_nested_too_deep(body):
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None


def _odd_status(status: int) -> str:
    if status in (401, 403):
        return f"the service refused our token ({status}): check --token-file"
    if 300 <= status < 400:
        return f"the service answered with a redirect ({status}), which is not followed: set its final address"
    if status == 404:
        return "nothing at this address knows /v1/measurements (404): check --service"
    return f"the service answered with status {status}"


def _refusal(status: int, answer: Any) -> str:
    message = answer.get("message") if isinstance(answer, dict) else None
    return message if isinstance(message, str) and message else f"the service refused the measurement ({status})"


def _job_body(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "plugin": {"name": job.plugin, "version": __version__},
        "metric": {"name": job.metric, "dryRun": job.dry_run},
        "analysisRun": {
            "namespace": job.namespace,
            "name": job.analysis_run,
            "uid": job.analysis_run_uid,
            "owner": {"kind": job.owner.kind, "name": job.owner.name, "uid": job.owner.uid},
            "revision": job.revision,
            "templateHash": job.template_hash,
            "arguments": list(job.arguments),
        },
        "config": dict(job.config),
    }


def read_state(answer: Any) -> State:
    """Return the state in an answer. One that is not understood is as good as none: never a verdict."""
    kind = answer.get("state") if isinstance(answer, dict) else None
    if kind == "running":
        return Running()
    if kind == "error":
        return Broken(reason=_text(answer, "message") or "the service says that the measurement failed")
    if kind == "done" and isinstance(answer.get("measurement"), dict):
        return _outcome(answer["measurement"])
    raise UnavailableError("the service's answer was not understood: are its version and the plugin's the same?")


def _outcome(found: Mapping[str, Any]) -> Outcome:
    verdict = found.get("verdict")
    if not isinstance(verdict, str) or verdict not in _VERDICTS:
        raise UnavailableError("the service's answer holds no verdict")
    models = found.get("models", ())
    warnings = found.get("warnings", ())
    return Outcome(
        verdict=verdict,
        score=_percent(found, "score"),
        confidence=_percent(found, "confidence"),
        reason=_text(found, "reason"),
        summary=_text(found, "summary"),
        analysis=_text(found, "analysis"),
        root_cause=_text(found, "rootCause"),
        remediation=_text(found, "remediation"),
        url=_text(found, "url"),
        digest=_text(found, "digest"),
        decided_by=_text(found, "decidedBy"),
        rationale=_text(found, "rationale"),
        models=tuple(model for model in models if isinstance(model, dict)) if isinstance(models, list) else (),
        warnings=tuple(w for w in warnings if isinstance(w, str)) if isinstance(warnings, list) else (),
    )


def _percent(found: Mapping[str, Any], key: str) -> int:
    value = found.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 100:
        raise UnavailableError(f"the service's answer holds no {key} 0..100")
    return value


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key, "")
    return value if isinstance(value, str) else ""
