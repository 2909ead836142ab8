"""The guard before every route: who asks, whether they may, whether too often, and whether it was their own page."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Request, Security
from fastapi.security import APIKeyCookie, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials
from starlette.concurrency import run_in_threadpool

from rollout_verdict.service.auth import COOKIE, Principal
from rollout_verdict.service.problems import ForbiddenError, TooManyError
from rollout_verdict.service.rates import Kind
from rollout_verdict.service.services import Services
from rollout_verdict.service.tokens import Scope

# They only describe the interface: what they find is not used, since ``Authenticator`` looks for itself.
_BEARER = HTTPBearer(auto_error=False, description="A token of the token file, or of a Kubernetes service account.")
_COOKIE = APIKeyCookie(name=COOKIE, auto_error=False, description="A browser's session.")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

Guard = Callable[..., Awaitable[Principal]]


def guard(services: Services, scope: Scope, kind: Kind = Kind.READ) -> Guard:
    """Return the dependency that lets through whoever has that scope."""

    async def caller(
        request: Request,
        _bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
        _cookie: Annotated[str | None, Security(_COOKIE)],
    ) -> Principal:
        principal = await identify(services, request, scope)
        if principal.session and request.method not in _SAFE:
            demand_same_origin(request)
        if not services.rates.allow(kind, principal.name):
            raise TooManyError(f"{principal.name} asks too often; wait a minute")
        request.state.principal = principal
        return principal

    return caller


async def identify(services: Services, request: Request, scope: Scope) -> Principal:
    """Return who sent a request, at this moment and with at least that scope. Raises ProblemError."""
    address = request.client.host if request.client else ""
    headers, cookies = request.headers, request.cookies
    if services.auth.asks_kubernetes:
        principal = await run_in_threadpool(services.auth.authenticate, headers, cookies, address)
    else:  # in memory: a thread for it would cost more than it does
        principal = services.auth.authenticate(headers, cookies, address)
    principal.demand(scope)
    return principal


def demand_same_origin(request: Request) -> None:
    """Raise ForbiddenError unless the request comes from a page of ours: a cookie alone is no proof of intent.

    Browsers say so in Sec-Fetch-Site (W3C Fetch Metadata), without TLS and older ones in Origin; a request with neither
    is refused.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        ours = site == "same-origin"
    else:
        try:
            ours = urlsplit(request.headers.get("origin", "")).netloc == request.headers.get("host", "")
        except ValueError:
            ours = False
    if not ours:
        raise ForbiddenError("a session may change things only from the service's own pages; use a bearer token")
