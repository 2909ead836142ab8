"""What every request and every answer goes through: bounds on the body, headers that keep browsers safe, a count."""

import asyncio
import time
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rollout_verdict.service.metrics import Metrics
from rollout_verdict.service.settings import ServiceSettings

# Answers for programs: nothing in them may ever run or be framed. Pages bring a policy of their own.
POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with none at all our own forms would come from "null", which may be anybody
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_LARGE = (
    b"multipart/form-data",
    b"application/gzip",
    b"application/x-gzip",
    b"application/x-tar",
    b"application/octet-",
)
_UPLOADS = ("/v1/analyses", "/analyses/upload")  # they read no body before they know who sends it; others do


class BodyLimit:
    """Ends requests whose body is too large (413) or comes too slowly (408)."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its body watched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        large = headers.get(b"content-type", b"").lower().startswith(_LARGE)
        uploaded = large and scope["path"].endswith(_UPLOADS)
        most = self._settings.upload_bytes if uploaded else self._settings.body_bytes
        declared = headers.get(b"content-length", b"0")
        loop = asyncio.get_running_loop()
        end: float | None = None  # counted from when the body is asked for: who waits for a place is not slow
        seen, whole = 0, False

        async def bounded() -> Message:
            nonlocal end, seen, whole
            if whole:  # what comes now is the end of the connection, and that may take its time
                return await receive()
            if declared.isdigit() and int(declared[:18]) > most:
                raise _too_large(most)
            end = end or loop.time() + self._settings.upload_timeout_s
            try:
                async with asyncio.timeout_at(end):
                    message = await receive()
            except TimeoutError:
                limit = f"{self._settings.upload_timeout_s:g} s"
                raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, f"the body did not come within {limit}") from None
            seen += len(message.get("body", b""))
            whole = message["type"] != "http.request" or not message.get("more_body", False)
            if seen > most:
                raise _too_large(most)
            return message

        await self._app(scope, bounded, send)


def _too_large(most: int) -> HTTPException:
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body is larger than {most >> 20} MiB" if most >> 20 else f"the body is larger than {most} bytes",
        headers={"Connection": "close"},
    )


class Answered:
    """Puts the headers on every answer, and counts it by its route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            route = scope.get("route")
            path = getattr(route, "path", None) or "none"
            self._metrics.request(path, status, time.monotonic() - began)
