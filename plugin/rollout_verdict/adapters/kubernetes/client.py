"""Requests to an API server: plain dicts out, every wait bounded, trouble as one kind of error.

The generated client is used for what it is good at (kubeconfig, exec plugins, rotated tokens, TLS) and for building
requests; answers stay JSON, since every decision here is a function of plain dicts.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential

from rollout_verdict.adapters.kubernetes.fields import Document, objects, text_of
from rollout_verdict.adapters.kubernetes.trouble import Access, ApiError, refused, unreached

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from kubernetes.client.rest import RESTResponse

T = TypeVar("T")

CHUNK = 65_536  # what is read from a connection at a time
_NOT_KUBERNETES = "check that the address in the kubeconfig is the API server's"
_USER = re.compile(r'User "([^"\s]{1,253})"')

Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long and how often. Times are seconds, sizes bytes."""

    connect_s: float = 5.0  # a server in the same cluster answers in milliseconds, one behind a VPN in one second
    read_s: float = 15.0  # between two bytes; the API server ends its own requests after 60
    operation_s: float = 20.0  # one request with all its attempts: what hangs must leave time for the rest
    attempts: int = 4  # 429 and 5xx of a restarting server pass within a few seconds
    wait_s: float = 0.3  # before the second attempt, then twice as long each time
    longest_wait_s: float = 10.0  # of a Retry-After; the API server asks for 1 s
    page: int = 500  # objects a request, as kubectl does it
    objects: int = 20_000  # of one list; far beyond a rollout's pods and a namespace's events
    document: int = 64 << 20  # of one answer; 500 large objects take about 10 MiB


class Api:
    """The requests we make. Safe to use from many threads. ``clock`` is monotonic seconds, ``now`` the time of day."""

    def __init__(
        self,
        client: "ApiClient",
        *,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
        patience: Patience | None = None,
    ) -> None:
        self.clock, self.patience = clock, patience or Patience()
        self._client = client
        self._now, self._sleep = now, sleep
        self._lock = Lock()
        self._skew: tuple[float, float] | None = None  # of the quickest answer: how long it took, skew in seconds

    @property
    def skew_s(self) -> float:
        """Seconds that the API server's clock is ahead of ours, by its Date header, which is good to a second."""
        with self._lock:
            return self._skew[1] if self._skew else 0.0

    def get(self, access: Access, *, end: float) -> Document:
        """Return one object. Raises ApiError. ``end`` is a time of ``clock``."""
        return self._retried(partial(self._document, access, ()), end)

    def listed(self, access: Access, query: Query = (), *, end: float) -> tuple[list[Document], bool]:
        """Return the objects of a list, and whether that is all of them. Raises ApiError."""
        items: list[Document] = []
        token, again = "", True
        while True:
            paged = [*query, ("limit", str(self.patience.page)), *([("continue", token)] if token else [])]
            try:
                page = self._retried(partial(self._document, access, paged), end)
            except ApiError as error:
                if error.status != 410 or not again:
                    raise
                items, token, again = [], "", False  # the list changed too much since its first page: once more
                continue
            if not isinstance(page.get("items"), list | None):
                raise ApiError("the answer is no list of objects", _NOT_KUBERNETES)
            items += objects(page, "items")
            token = text_of(page, "metadata", "continue")
            if not token or len(items) >= self.patience.objects:
                return items[: self.patience.objects], not token

    @contextmanager
    def stream(
        self, access: Access, query: Query, *, open_end: float, end: float, read_s: float
    ) -> Iterator[Iterator[bytes]]:
        """Give the bytes of an answer as they come; ``read_s`` is the longest wait for more. Raises ApiError."""
        response = self._retried(lambda last: self._opened(access, query, last, read_s), open_end)
        try:
            yield self._chunks(response, end)
        finally:
            _drop(response)

    def _retried(self, request: Callable[[float], T], end: float) -> T:
        """Make a request again while that may help and there is time left; it is given its own end."""
        patience = self.patience
        last = min(end, self.clock() + patience.operation_s)
        growing = wait_exponential(multiplier=patience.wait_s, max=patience.longest_wait_s)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after_s if isinstance(error, ApiError) else 0.0
            return min(patience.longest_wait_s, max(asked, growing(state)))

        def stop(state: RetryCallState) -> bool:
            return state.attempt_number >= patience.attempts or self.clock() + state.upcoming_sleep >= last

        return Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, ApiError) and error.transient),
            wait=wait,
            stop=stop,
            sleep=self._sleep,
            reraise=True,
        )(request, last)

    def _document(self, access: Access, query: Query, end: float) -> Document:
        response = self._opened(access, query, end, self.patience.read_s)
        try:
            body = bytearray()
            for chunk in self._chunks(response, end):
                body += chunk
                if len(body) > self.patience.document:
                    raise ApiError(f"an answer of more than {self.patience.document >> 20} MiB was not read")
        finally:
            _drop(response)
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise ApiError("the answer is no Kubernetes object", _NOT_KUBERNETES)
        return document

    def _opened(self, access: Access, query: Query, end: float, read_s: float) -> "RESTResponse":
        """Send a request and return the answer, its body still to be read."""
        left = end - self.clock()
        if left <= 0:
            raise ApiError("there was no time left to ask", "raise deadlines.gather")
        resource = access.resource
        path = f"{resource.root}/namespaces/{{namespace}}/{resource.plural}"
        path += "/{name}" if access.name else ""
        path += f"/{resource.sub}" if resource.sub else ""
        started = self.clock()
        try:
            request = self._client.param_serialize(
                method="GET",
                resource_path=path,
                path_params={"namespace": access.namespace, **({"name": access.name} if access.name else {})},
                query_params=list(query),
                header_params={"Accept": "*/*" if resource.sub else "application/json"},
                auth_settings=["BearerToken"],
            )
            timeout = (min(self.patience.connect_s, left), min(read_s, left))
            response = self._client.call_api(*request, _request_timeout=timeout)
        except Exception as error:  # noqa: BLE001 -- exec plugins, token files, TLS and sockets fail in many ways
            raise unreached(error) from None
        self._note_date(response, started)
        if not 200 <= response.status < 300:
            try:
                raise self._refused(access, response)
            finally:
                _drop(response)
        return response

    def _refused(self, access: Access, response: "RESTResponse") -> ApiError:
        try:
            body = response.response.read1(16_384)
        except Exception:  # noqa: BLE001 -- what cannot be read adds nothing to the status
            body = b""
        try:
            status = json.loads(body)
        except (ValueError, RecursionError):
            status = None
        typed = text_of(status, "kind") == "Status"
        message = text_of(status, "message") if typed else body.decode("utf-8", "replace")
        user = _USER.search(message)
        after = response.headers.get("Retry-After", "")
        wait_s = float(after) if after.isascii() and after.isdigit() and len(after) < 6 else 0.0
        error = refused(access, response.status, message, user[1] if user else "", wait_s)
        error.typed = typed
        return error

    def _chunks(self, response: "RESTResponse", end: float) -> Iterator[bytes]:
        while True:
            try:
                chunk = response.response.read1(CHUNK)
            except Exception as error:  # noqa: BLE001 -- TLS, sockets and chunks break in many ways
                raise unreached(error) from None
            if not chunk:
                return
            yield chunk
            if self.clock() >= end:
                raise ApiError("the answer was not complete at the deadline", "raise deadlines.gather")

    def _note_date(self, response: "RESTResponse", started: float) -> None:
        try:
            date = parsedate_to_datetime(response.headers.get("Date", ""))
        except ValueError:
            return
        took = self.clock() - started
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        middle = self._now() - timedelta(seconds=took / 2)
        skew = (date - middle).total_seconds() + 0.5  # the header's fraction of a second is cut off
        with self._lock:
            if self._skew is None or took < self._skew[0]:
                self._skew = took, skew

    def now(self) -> datetime:
        """Return our own time of day."""
        return self._now()

    def close(self) -> None:
        """Close all connections."""
        self._client.rest_client.close()


def _drop(response: "RESTResponse") -> None:
    """Give a connection back when the answer was read to its end, close it otherwise."""
    raw = response.response
    if raw.length_remaining == 0 or (raw.chunked and raw.closed):
        raw.release_conn()
    else:
        raw.close()
