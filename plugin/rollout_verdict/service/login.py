"""Browsers: a session for whoever shows a token, or opens the link of the first start."""

import re
from html import escape
from typing import Annotated, Any
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from rollout_verdict.service.answers import statuses
from rollout_verdict.service.audit import audit
from rollout_verdict.service.auth import COOKIE
from rollout_verdict.service.guard import demand_same_origin
from rollout_verdict.service.problems import ProblemError, UnauthenticatedError
from rollout_verdict.service.services import Services

_POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
_FORM = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in - rollout-verdict</title><link rel="stylesheet" href="/static/pages.css"></head>
<body><main><h1>Log in</h1>
<p{role}>{message}</p>
<form method="post" action="/login"><input type="hidden" name="next" value="{after}">
<p><label for="token">Token</label><br>
<input id="token" name="token" type="password" autocomplete="current-password" required></p>
<p><button type="submit">Log in</button></p></form></main></body></html>
"""
_OURS = re.compile(r"/(?![/\\])[!-\[\]-~]*")  # browsers take //HOST and /\HOST for another site
_LONGEST = 2_000  # characters of an address that is led back to
_ASK = "Paste a token of the token file. The first start of the service printed where that file is."
_HTML = {"text/html": {"schema": {"type": "string"}}}
_NOT: dict[str, Any] = {"content": _HTML, "description": "Not logged in, and why."}
_IN: dict[str, Any] = {"description": "Logged in."}
_DOCUMENTED = statuses(408, 413, 422)
_OPENED: dict[int | str, dict[str, Any]] = {303: _IN, 401: _NOT, 422: _DOCUMENTED[422]}
_ENTERED: dict[int | str, dict[str, Any]] = {
    303: _IN, 401: _NOT, 403: _NOT, 429: _NOT, 503: _NOT, 408: _DOCUMENTED[408], 413: _DOCUMENTED[413],
}  # fmt: skip
_LOGOUT: dict[int | str, dict[str, Any]] = {303: {"description": "Logged out."}, 403: _DOCUMENTED[403]}


def form_for(request: Request) -> str:
    """Return where a browser logs in to be led back to what it asked for."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"/login?next={quote(asked, safe='')}" if len(asked) <= _LONGEST else "/login"


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["login"])
    secure = services.settings.public_url.startswith("https:")

    def welcome(cookie: str, after: str = "/") -> Response:
        audit(services.auth.authenticate({}, {COOKIE: cookie}, ""), "logged in")
        response = RedirectResponse(after, 303)
        age = int(services.settings.session_s)
        response.set_cookie(COOKIE, cookie, max_age=age, httponly=True, samesite="lax", secure=secure, path="/")
        return response

    @routes.get(
        "/login",
        response_class=HTMLResponse,
        responses=_OPENED,
        summary="Log a browser in",
    )
    def form(
        code: Annotated[str, Query(max_length=200, description="Of the link of the first start.")] = "",
        after: Annotated[str, Query(alias="next", description="The page to be led to, a path of the service.")] = "",
    ) -> Response:
        """Take the code of a link, or ask for a token."""
        if not code:
            return _page(_ASK, after=_ours(after))
        try:
            return welcome(services.auth.redeem(code))
        except UnauthenticatedError as error:
            return _page(error.message, 401)

    @routes.post(
        "/login",
        response_class=HTMLResponse,
        status_code=303,
        responses=_ENTERED,
        openapi_extra={
            "requestBody": {
                "content": {
                    "application/x-www-form-urlencoded": {
                        "schema": {
                            "type": "object",
                            "properties": {"token": {"type": "string"}, "next": {"type": "string"}},
                        }
                    }
                }
            }
        },
        summary="Log a browser in with a token",
    )
    async def enter(request: Request) -> Response:
        """Make a session for whoever shows a token."""
        address = request.client.host if request.client else ""
        body = (await request.body()).decode("utf-8", "replace")
        try:
            fields = parse_qs(body, max_num_fields=10)
        except ValueError:  # more fields than a form of ours has
            return _page(_ASK, 401)
        token, after = (fields.get(name, [""])[0].strip() for name in ("token", "next"))
        try:
            demand_same_origin(request)
            return welcome(services.auth.session(token, address), _ours(after))
        except ProblemError as error:
            return _page(error.message, error.status, _ours(after))

    @routes.post("/logout", status_code=303, responses=_LOGOUT, summary="End a browser's session")
    async def leave(request: Request) -> Response:
        """Forget the session in this browser."""
        demand_same_origin(request)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax", secure=secure)
        return response

    return routes


def _ours(path: str) -> str:
    """Return a path of ours, "/" for anything else."""
    return path if len(path) <= _LONGEST and _OURS.fullmatch(path) else "/"


def _page(message: str, status: int = 200, after: str = "/") -> Response:
    role = ' role="alert"' if status != 200 else ""
    page = _FORM.format(message=escape(message), role=role, after=escape(after))
    return HTMLResponse(page, status, headers={"Content-Security-Policy": _POLICY})
