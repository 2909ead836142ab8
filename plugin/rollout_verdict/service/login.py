"""Browsers: a session for whoever shows a token, or opens the link of the first start."""

from html import escape
from typing import Annotated, Any
from urllib.parse import parse_qs

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
<form method="post" action="/login">
<p><label for="token">Token</label><br>
<input id="token" name="token" type="password" autocomplete="current-password" required></p>
<p><button type="submit">Log in</button></p></form></main></body></html>
"""
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


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["login"])
    secure = services.settings.public_url.startswith("https:")

    def welcome(cookie: str) -> Response:
        audit(services.auth.authenticate({}, {COOKIE: cookie}, ""), "logged in")
        response = RedirectResponse("/", 303)
        age = int(services.settings.session_s)
        response.set_cookie(COOKIE, cookie, max_age=age, httponly=True, samesite="strict", secure=secure, path="/")
        return response

    @routes.get(
        "/login",
        response_class=HTMLResponse,
        responses=_OPENED,
        summary="Log a browser in",
    )
    def form(
        code: Annotated[str, Query(max_length=200, description="Of the link of the first start.")] = "",
    ) -> Response:
        """Take the code of a link, or ask for a token."""
        if not code:
            return _page(_ASK)
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
                        "schema": {"type": "object", "properties": {"token": {"type": "string"}}}
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
            demand_same_origin(request)
            token = (parse_qs(body, max_num_fields=10).get("token") or [""])[0].strip()
            response = welcome(services.auth.session(token, address))
        except ProblemError as error:
            return _page(error.message, error.status)
        except ValueError:  # more fields than a form of ours has
            return _page(_ASK, 401)
        return response

    @routes.post("/logout", status_code=303, responses=_LOGOUT, summary="End a browser's session")
    async def leave(request: Request) -> Response:
        """Forget the session in this browser."""
        demand_same_origin(request)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=secure)
        return response

    return routes


def _page(message: str, status: int = 200) -> Response:
    role = ' role="alert"' if status != 200 else ""
    page = _FORM.format(message=escape(message), role=role)
    return HTMLResponse(page, status, headers={"Content-Security-Policy": _POLICY})
