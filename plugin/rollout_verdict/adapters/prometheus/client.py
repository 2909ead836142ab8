"""The HTTP client: one request, its retries, and the classification of whatever comes back.

Queries go as POST forms, since they are long; where something on the way refuses that, as GET. No redirect is followed,
no answer is read beyond its bound, and every request ends by its own deadline and by that of the measurement.
"""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import random
from urllib.parse import urlsplit

import httpx2
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from rollout_verdict.adapters.prometheus import answers
from rollout_verdict.adapters.prometheus.answers import Answer, Refusal
from rollout_verdict.adapters.prometheus.credentials import credentials, trust
from rollout_verdict.adapters.prometheus.options import Address, Server
from rollout_verdict.adapters.prometheus.trouble import Kind, TroubleError
from rollout_verdict.core.model.neutral import plain

LARGEST_ANSWER = 16 * 1024 * 1024  # bytes: 100 pods with 300 samples a series are a tenth of it
DETAIL_LENGTH = 200  # of the server's words: enough to act on
BACKOFF_S, BACKOFF_MOST_S = 0.25, 4.0  # doubles, with full jitter
_POST_REFUSED = frozenset({403, 404, 405, 501})  # proxies that map POST to another permission, or know GET alone


class Client:
    """Asks one server for one measurement. ``end`` is when it is over, on ``clock`` (monotonic seconds)."""

    def __init__(
        self,
        server: Server,
        address: Address,
        *,
        end: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random,
    ) -> None:
        """Read the credentials. Raises TroubleError when a file cannot be used."""
        self._server = server
        self._base = address.base
        self._end = end
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._gate = asyncio.Semaphore(server.concurrency)
        self._get = False
        self._lost: TroubleError | None = None  # what every further request would meet, too
        headers, auth, self._secrets = credentials(server) if address.own else ({}, None, ())
        self._http = httpx2.AsyncClient(
            headers={**headers, "accept": "application/json", "accept-encoding": "identity"},
            auth=auth,
            verify=trust(server) if address.base.startswith("https:") else False,
            timeout=server.timeout_s,
            follow_redirects=False,
            mounts=dict.fromkeys(("all://localhost", "all://127.0.0.1", "all://[::1]")),  # past any proxy
        )

    async def query(self, query: str, at: float) -> Answer:
        """Return the answer to an instant query at a time in unix seconds. Raises TroubleError."""
        return await self._ask("query", {"query": query, "time": f"{at:.3f}"})

    async def query_range(self, query: str, start: float, end: float, step: float) -> Answer:
        """Return the answer to a range query; both ends are evaluated. Raises TroubleError."""
        given = {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        return await self._ask("query_range", given)

    async def metric_names(self, match: str, start: float, end: float) -> frozenset[str]:
        """Return the names of the metrics that a selector finds. Raises TroubleError."""
        given = {"match[]": match, "start": f"{start:.3f}", "end": f"{end:.3f}"}
        answer = await self._ask(
            "label/__name__/values", given, get=True, decisive=False
        )  # queries may still be allowed
        return self.read(answers.names, answer)

    def read(self, reader: "Callable[[object], answers.T]", answer: Answer) -> "answers.T":
        """Return what a reader makes of a whole answer's data. Raises TroubleError for a part, or another shape."""
        if not answer.whole:  # what it lacks may be what is looked for
            raise TroubleError(Kind.PARTIAL, self._told("; ".join(answer.warnings)))
        try:
            return reader(answer.data)
        except ValueError as error:
            raise TroubleError(Kind.GARBLED, self._told(str(error))) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def left_s(self) -> float:
        """Return the seconds that are left."""
        return self._end - self._clock()

    async def _ask(self, path: str, form: dict[str, str], *, get: bool = False, decisive: bool = True) -> Answer:
        def stop(state: RetryCallState) -> bool:
            return state.attempt_number >= self._server.attempts or self._wait_s(state) >= self.left_s()

        retrying = AsyncRetrying(
            sleep=self._sleep,
            retry=retry_if_exception(lambda error: isinstance(error, TroubleError) and error.treatment.retry),
            wait=self._wait_s,
            stop=stop,
            reraise=True,
        )
        async with self._gate:
            if self._lost:
                raise self._lost
            try:
                return await retrying(self._once, path, form, get=get)
            except TroubleError as trouble:
                if decisive and trouble.treatment.everywhere:
                    self._lost = trouble
                raise

    def _wait_s(self, state: RetryCallState) -> float:
        """Return how long to wait before the next attempt: as the server says, else a jittered doubling."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TroubleError) and error.retry_after_s is not None:
            return error.retry_after_s
        return min(BACKOFF_MOST_S, BACKOFF_S * 2.0**state.attempt_number) * self._jitter()

    async def _once(self, path: str, form: dict[str, str], *, get: bool) -> Answer:
        if get or self._get:
            return await self._send("GET", path, form)
        try:
            return await self._send("POST", path, form)
        except _PostRefusedError as refused:
            try:
                answer = await self._send("GET", path, form)
            except TroubleError as trouble:
                raise trouble from refused
            self._get = True
            return answer

    async def _send(self, method: str, path: str, form: dict[str, str]) -> Answer:
        limit = min(self._server.timeout_s, self.left_s())
        url = f"{self._base}/api/v1/{path}"
        get = method == "GET"
        request = self._http.stream(method, url, params=form if get else None, data=None if get else form)
        try:
            async with asyncio.timeout(limit), request as response:
                body = await _body(response)
        except TimeoutError:
            raise TroubleError(Kind.TIMED_OUT, f"{max(limit, 0):.3g} s") from None
        except (httpx2.HTTPError, OSError) as error:  # an alert of TLS in mid-stream comes as it is
            raise _unreached(error, limit) from None
        except httpx2.InvalidURL:
            raise TroubleError(Kind.NOT_FOUND, "the address is no URL") from None
        return self._classified(method, response, body)

    def _classified(self, method: str, response: httpx2.Response, body: bytes) -> Answer:
        """Return a good answer. Raises TroubleError for any other."""
        status = response.status_code
        said: Answer | Refusal | None = None
        try:
            said = answers.parse(body)
        except ValueError as error:
            problem = str(error) if body.lstrip()[:1] in (b"{", b"[") else ""
        if 200 <= status < 300 and isinstance(said, Answer):
            return said
        if method == "POST" and status in _POST_REFUSED:
            raise _PostRefusedError(_BY_STATUS[status], f"HTTP {status}")
        if 300 <= status < 400:
            host = urlsplit(response.headers.get("location", "")).hostname
            raise TroubleError(Kind.REDIRECTED, self._told(f"HTTP {status} to {host}" if host else f"HTTP {status}"))
        refusal = said if isinstance(said, Refusal) else Refusal(kind="", text="")
        if status >= 300 or isinstance(said, Refusal):
            kind = _kind_of(status, refusal)
            detail = ": ".join(part for part in (f"HTTP {status}", refusal.kind, refusal.text) if part)
            raise TroubleError(kind, self._told(detail), retry_after_s=_retry_after_s(response))
        if problem:
            raise TroubleError(Kind.GARBLED, self._told(problem))
        media = response.headers.get("content-type", "").partition(";")[0]
        raise TroubleError(Kind.NO_JSON, self._told(f"{media or 'no content type'}, {len(body)} bytes"))

    def _told(self, text: str) -> str:
        """Return text from outside, bounded, without our secrets should anybody have echoed them."""
        for secret in self._secrets:
            text = text.replace(secret, "<secret>")
        return plain(text, DETAIL_LENGTH)


class _PostRefusedError(TroubleError):
    """A refusal that may be about the method and not about the request."""


_BY_STATUS = {
    400: Kind.BAD_QUERY,
    401: Kind.UNAUTHENTICATED,
    403: Kind.FORBIDDEN,
    404: Kind.NOT_FOUND,
    405: Kind.NOT_FOUND,
    407: Kind.UNAUTHENTICATED,
    408: Kind.TIMED_OUT,
    413: Kind.TOO_LONG,
    414: Kind.TOO_LONG,
    422: Kind.BAD_QUERY,
    429: Kind.RATE_LIMITED,
    431: Kind.TOO_LONG,
    501: Kind.NOT_FOUND,
    502: Kind.UNAVAILABLE,
    503: Kind.UNAVAILABLE,
    504: Kind.TIMED_OUT,
}
_HEAVY = re.compile(r"too many|limit|exceed|maximum|memory", re.IGNORECASE)


def _kind_of(status: int, refusal: Refusal) -> Kind:
    """Return the kind of an error answer: by the API's word for it, then by the status."""
    if refusal.kind == "timeout" or (refusal.kind == "canceled" and status >= 500):
        return Kind.QUERY_TIMED_OUT
    if status in (400, 422) and _HEAVY.search(refusal.text):
        return Kind.TOO_HEAVY
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return Kind.SERVER_ERROR if status >= 500 else Kind.BAD_QUERY


def _unreached(error: httpx2.HTTPError | OSError, limit_s: float) -> TroubleError:
    """Return the trouble of a request that brought no whole answer, told by types alone: texts may quote anything."""
    causes = list(_chain(error))
    if isinstance(error, httpx2.TimeoutException):
        return TroubleError(Kind.TIMED_OUT, f"{max(limit_s, 0):.3g} s")
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return TroubleError(Kind.NAME)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return TroubleError(Kind.TLS, plain(cause.verify_message or "certificate not accepted", DETAIL_LENGTH))
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
            return TroubleError(Kind.TLS, plain(cause.reason or "handshake failed", DETAIL_LENGTH))
    if isinstance(error, httpx2.ConnectError | httpx2.ProxyError | httpx2.UnsupportedProtocol):
        return TroubleError(Kind.CONNECTION, type(error).__name__)
    return TroubleError(Kind.CUT, type(error).__name__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


async def _body(response: httpx2.Response) -> bytes:
    """Return the body. Raises TroubleError beyond the bound, or for one that is compressed."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise TroubleError(Kind.GARBLED, "compressed, although that was not accepted")
    parts, size = [], 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > LARGEST_ANSWER:
            raise TroubleError(Kind.TOO_LARGE, f"more than {LARGEST_ANSWER // 2**20} MiB")
        parts.append(chunk)
    return b"".join(parts)


def _retry_after_s(response: httpx2.Response) -> float | None:
    """Return the server's hint in seconds (RFC 9110, 10.2.3), None without one."""
    told = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", told, re.ASCII):
        return float(told)
    if not told:
        return None
    try:
        due = parsedate_to_datetime(told)
    except ValueError:
        return None
    due = due if due.tzinfo else due.replace(tzinfo=UTC)
    return max(0.0, (due - datetime.now(UTC)).total_seconds())
