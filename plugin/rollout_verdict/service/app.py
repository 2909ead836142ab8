"""The application: every route, behind the same door.

Programs talk to ``/v1``, ``/a2a`` and ``/v1/analyses:poll``; people open ``/``, which leads to ``/analyses``, and
``/analyses/ID``. Every answer that is no success is ``{"message": …}``; a browser that is not logged in is led to the
form, and what it asks for in vain beside the interface for programs is told as a page.
"""

import logging
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from rollout_verdict import __version__
from rollout_verdict.jobs.analysis import UnavailableError as StoreUnavailableError
from rollout_verdict.service import agent, analyses, documents, login, marks, measurements, operation, pages, poll
from rollout_verdict.service.answers import statuses
from rollout_verdict.service.auth import Principal
from rollout_verdict.service.guard import guard
from rollout_verdict.service.middleware import Answered, BodyLimit
from rollout_verdict.service.pages import frame
from rollout_verdict.service.problems import ProblemError
from rollout_verdict.service.schemas import Health, Message, Poll, Start
from rollout_verdict.service.services import Services
from rollout_verdict.service.tokens import Scope
from rollout_verdict.service.told import told

_LOG = logging.getLogger(__name__)

_PROGRAMS = ("/v1/", "/a2a/")  # what is not found below these, programs have asked for
_ABOUT = """Decides, and explains, whether an Argo Rollouts canary goes on.

Show a token as `Authorization: Bearer TOKEN`. A token has a scope: `read`; `run`, which starts, replays and cancels as
well; `admin`. It may be bound to namespaces: what belongs to others is then not found. Every answer that is no success
is `{"message": "…"}`."""


def create_app(services: Services) -> FastAPI:
    """Return the application."""
    app = FastAPI(
        title="rollout-verdict",
        version=__version__,
        description=_ABOUT,
        openapi_url=None,  # served below, to those who have a token
        docs_url=None,  # its scripts come from elsewhere, which our content policy refuses
        redoc_url=None,
    )
    for module in (measurements, poll, analyses, documents, marks, agent, operation, login, pages):
        app.include_router(module.router(services))
    _root(app, services)
    _handlers(app)
    app.add_middleware(BodyLimit, settings=services.settings)
    app.add_middleware(Answered, metrics=services.metrics)
    return app


def _root(app: FastAPI, services: Services) -> None:
    reader = Depends(guard(services, Scope.READ))

    @app.get("/", response_model=Health, responses={303: {"description": "The page."}}, tags=["operation"])
    async def root(request: Request) -> Health | Response:
        """Lead browsers to the page; tell programs, the Go plugin's agent client among them, that somebody is there."""
        if _is_browser(request):
            return RedirectResponse("/analyses", 303)
        return Health(version=services.about.version)

    @app.get("/v1/openapi.json", responses=statuses(), tags=["operation"], summary="This description")
    def openapi(_: Principal = reader) -> dict[str, Any]:
        """Return the OpenAPI description."""
        return describe(app)


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description, with what bodies hold that routes read by themselves."""
    description = app.openapi()
    schemas = description.setdefault("components", {}).setdefault("schemas", {})
    for model in (Start, Poll):
        whole = model.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
        for name, schema in {**whole.pop("$defs", {}), model.__name__: whole}.items():
            schemas.setdefault(name, schema)
    # FastAPI describes errors of its own form, which no route answers with.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return description


def _handlers(app: FastAPI) -> None:
    @app.exception_handler(ProblemError)
    async def problem(request: Request, error: ProblemError) -> Response:
        if error.status == 401 and request.method == "GET" and _is_browser(request):
            return RedirectResponse(login.form_for(request), 303)
        return _answer(request, error.status, error.message, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return _answer(request, 422, told(error))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        nowhere = error.status_code == 404 and _is_for_people(request)
        message = "There is no page at this address." if nowhere else str(error.detail)
        return _answer(request, error.status_code, message, dict(error.headers or {}))

    @app.exception_handler(StoreUnavailableError)
    async def unavailable(request: Request, error: StoreUnavailableError) -> Response:
        return _answer(request, 503, str(error), {"Retry-After": "5"})

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        route = getattr(request.scope.get("route"), "path", "")
        _LOG.error("a request to %s broke", route, exc_info=error)
        return _answer(request, 500, "this should not have happened; the service's log says more")


def _answer(request: Request, status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    if not _is_for_people(request):
        return JSONResponse(Message(message=message).model_dump(), status, headers=headers)
    answer = frame.problem(request, status, message)
    answer.headers.update(headers or {})
    return answer


def _is_for_people(request: Request) -> bool:
    """Whether a browser asks for what is no part of the interface for programs, which is what the description has."""
    route = request.scope.get("route")
    described = request.url.path.startswith(_PROGRAMS) if route is None else route.include_in_schema
    return _is_browser(request) and not described


def _is_browser(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")
