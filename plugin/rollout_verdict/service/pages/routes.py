"""The routes of the pages. What they show and do is what ``/v1`` shows and does, behind the same guard."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from rollout_verdict.core.target import TargetKind
from rollout_verdict.core.values import Decision
from rollout_verdict.jobs.analysis import Analysis, Phase
from rollout_verdict.jobs.analysis import Page as Found
from rollout_verdict.jobs.analysis import Query as Wanted
from rollout_verdict.jobs.analysis import UnavailableError as StoreUnavailableError
from rollout_verdict.service.analyses import begin, by_replay, by_target, known, new_id
from rollout_verdict.service.audit import audit
from rollout_verdict.service.auth import Principal
from rollout_verdict.service.guard import guard
from rollout_verdict.service.pages import assets
from rollout_verdict.service.pages.frame import page, problem
from rollout_verdict.service.pages.rows import DECISIONS, PHASES, in_url, row, tally
from rollout_verdict.service.pages.shown import exchange, shown
from rollout_verdict.service.problems import InvalidError, ProblemError, UnknownError, UnusableError
from rollout_verdict.service.rates import Kind
from rollout_verdict.service.requests import checked, demand_namespaces
from rollout_verdict.service.schemas import Namespace, Replay, Start
from rollout_verdict.service.services import Services
from rollout_verdict.service.tokens import Scope
from rollout_verdict.service.told import told
from rollout_verdict.service.uploads import Named, Uploads

ON_A_PAGE = 30
IN_A_HISTORY = 50
LONGEST = 253  # characters of a name, as Kubernetes has it
Text = Annotated[str, Query(max_length=LONGEST)]
Field = Annotated[str, Form(max_length=LONGEST)]
AnalysisId = Annotated[str, Path(max_length=64)]


@dataclass(frozen=True, slots=True)
class _Filters:
    """What of a list is wanted; "" is any."""

    namespace: Text = ""
    name: Text = ""
    verdict: Text = ""
    cursor: Annotated[str, Query(max_length=512)] = ""


@dataclass(frozen=True, slots=True)
class _Target:
    """The fields of the form that names what runs now."""

    namespace: Field
    name: Field
    kind: Field = "rollout"
    mode: Field = "auto"


class _PageRoute(APIRoute):
    """A route whose problems are told to people, as a page. Who is not logged in is the application's to lead."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with what it raises turned into a page."""
        handler = super().get_route_handler()

        async def told_as_page(request: Request) -> Response:
            try:
                return await handler(request)
            except ProblemError as error:
                if error.status == 401:
                    raise
                return problem(request, error.status, error.message)
            except RequestValidationError as error:
                return problem(request, 422, told(error))
            except StoreUnavailableError as error:
                return problem(request, 503, str(error))
            except HTTPException as error:
                return problem(request, error.status_code, str(error.detail))

        return told_as_page


def router(services: Services) -> APIRouter:
    """Return the routes of all pages and of their files."""
    routes = APIRouter(route_class=_PageRoute, include_in_schema=False)
    _reading(routes, services)
    _doing(routes, services)
    routes.include_router(assets.router())
    return routes


def _reading(routes: APIRouter, services: Services) -> None:
    reader = Depends(guard(services, Scope.READ))
    runner = Depends(guard(services, Scope.RUN))

    @routes.get("/analyses")
    def listing(request: Request, filters: Annotated[_Filters, Depends()], principal: Principal = reader) -> Response:
        """List analyses, newest first."""
        asked = {"namespace": filters.namespace.strip(), "name": filters.name.strip(), "verdict": filters.verdict}
        found = _found(services, _wanted(principal, **asked, cursor=filters.cursor))
        base, now = request.scope.get("root_path", ""), services.clock()
        rows = [row(one, base, now) for one in found.analyses]
        here = f"{base}/analyses?" + "&".join(f"{key}={in_url(text)}" for key, text in asked.items() if text)
        context = {
            "rows": rows,
            "asked": asked,
            "filtered": any(asked.values()),
            "choices": (("", "any"), *DECISIONS, *PHASES),
            "live": any(one.live for one in rows),
            "later": here.rstrip("?") if filters.cursor else "",
            "older": f"{here}&cursor={in_url(found.cursor)}".replace("?&", "?") if found.cursor else "",
        }
        return page(request, "list.html.j2", context, here="analyses")

    @routes.get("/analyses/new", dependencies=[runner])
    def new(request: Request) -> Response:
        """Offer the forms that start an analysis."""
        return _form(request, services, "")

    @routes.get("/analyses/{analysis_id}")
    def one(analysis_id: AnalysisId, request: Request, principal: Principal = reader) -> Response:
        """Show an analysis: its verdict, or how far it is."""
        analysis = known(services, analysis_id, principal)
        base, now = request.scope.get("root_path", ""), services.clock()
        context: dict[str, Any] = {"analysis": analysis, "row": row(analysis, base, now), "modes": _modes(services)}
        result = services.analyses.result(analysis_id) if analysis.phase is Phase.DONE else None
        if result is None:
            return page(request, "running.html.j2", context)
        context |= shown(result)
        context["history"] = _history(base, analysis) if 0 < len(analysis.request.name) <= LONGEST else ""
        return page(request, "analysis.html.j2", context)

    @routes.get("/analyses/{analysis_id}/exchange")
    def texts(analysis_id: AnalysisId, request: Request, principal: Principal = reader) -> Response:
        """Show what was sent to the model and what came back."""
        known(services, analysis_id, principal)
        result = services.analyses.result(analysis_id)
        if result is None:
            raise UnknownError("the analysis is not done, or its evidence is no longer kept")
        return page(request, "exchange.html.j2", {"id": analysis_id, "texts": exchange(result)})

    @routes.get("/history")
    def history(request: Request, filters: Annotated[_Filters, Depends()], principal: Principal = reader) -> Response:
        """Show the verdicts of a rollout, newest first."""
        namespace, name = filters.namespace, filters.name
        if not name:
            raise UnusableError("name: expected the rollout whose history is wanted")
        wanted = _wanted(principal, namespace=namespace, name=name, cursor=filters.cursor)
        wanted = replace(wanted, limit=IN_A_HISTORY)
        found = _found(services, wanted)
        base, now = request.scope.get("root_path", ""), services.clock()
        # without a namespace the rollout is one of those that name none, not all of that name
        rows = [row(one, base, now) for one in found.analyses if one.request.namespace == namespace]
        older = f"{base}/history?namespace={in_url(namespace)}&name={in_url(name)}&cursor={in_url(found.cursor)}"
        context = {
            "name": name,
            "namespace": namespace,
            "rows": rows,
            "tally": tally(rows),
            "older": older if found.cursor else "",
        }
        return page(request, "history.html.j2", context)


def _doing(routes: APIRouter, services: Services) -> None:
    runner = Depends(guard(services, Scope.RUN))
    starter = Depends(guard(services, Scope.RUN, Kind.START))
    uploads = Uploads(services)

    @routes.post("/analyses/upload")
    async def upload(request: Request, principal: Principal = starter) -> Response:
        """Judge an uploaded bundle."""
        try:
            form = await request.form(max_files=1, max_fields=10)
        except MultiPartException:
            raise InvalidError("the form cannot be read") from None
        fields = {key: text.strip() for key, text in form.items() if isinstance(text, str)}
        try:
            named = Named(namespace=_namespace(fields.get("namespace", "")), name=fields.get("name", ""))
            config = _config(services, fields.get("mode", "auto"))
            asked = await uploads.request(request, principal, named, new_id(principal), origin="page")
            analysis, _ = await run_in_threadpool(begin, services, replace(asked, config=config), principal)
        except UnusableError as error:
            return _form(request, services, error.message, fields, status=422)
        finally:
            await form.close()
        return _to(request, analysis)

    @routes.post("/analyses/start")
    def start(request: Request, target: Annotated[_Target, Depends()], principal: Principal = starter) -> Response:
        """Judge an object of the cluster."""
        fields = {"kind": target.kind, "namespace": target.namespace.strip(), "name": target.name.strip()}
        try:
            body = Start.model_validate({**fields, "config": _config(services, target.mode)})
            asked = replace(by_target(body, principal, services), origin="page")
            analysis, _ = begin(services, asked, principal)
        except ValidationError as error:
            return _form(request, services, told(RequestValidationError(error.errors())), fields, status=422)
        except UnusableError as error:
            return _form(request, services, error.message, fields, status=422)
        return _to(request, analysis)

    @routes.post("/analyses/{analysis_id}/cancel")
    def cancel(analysis_id: AnalysisId, request: Request, principal: Principal = runner) -> Response:
        """Stop an analysis."""
        analysis = known(services, analysis_id, principal)
        if not analysis.phase.final:
            services.analyses.cancel(analysis_id)
            audit(principal, "cancelled", analysis=analysis_id, namespace=analysis.request.namespace)
        return _to(request, analysis)

    @routes.post("/analyses/{analysis_id}/replay")
    def replay(
        analysis_id: AnalysisId, request: Request, mode: Field = "auto", principal: Principal = starter
    ) -> Response:
        """Judge the same evidence again."""
        of = known(services, analysis_id, principal)
        asked = by_replay(Replay(config=_config(services, mode)), of, principal, services)
        analysis, _ = begin(services, replace(asked, origin="page"), principal)
        return _to(request, analysis)


def _wanted(principal: Principal, *, namespace: str, name: str, verdict: str = "", cursor: str) -> Wanted:
    namespaces = principal.namespaces
    if namespace:
        demand_namespaces(principal, namespace)
        namespaces = (namespace,)
    if verdict and verdict not in dict((*DECISIONS, *PHASES)):
        raise UnusableError("verdict: expected one of the list's choices")
    decision = Decision(verdict) if verdict in dict(DECISIONS) else None
    phase = Phase(verdict) if verdict in dict(PHASES) else None
    return Wanted(namespaces=namespaces, name=name, phase=phase, decision=decision, cursor=cursor, limit=ON_A_PAGE)


def _found(services: Services, wanted: Wanted) -> Found:
    try:
        return services.analyses.find(wanted)
    except ValueError:
        raise UnusableError("this page of the list is no longer known; start from the newest") from None


def _namespace(text: str) -> str | None:
    if not text:
        return None
    try:
        return TypeAdapter(Namespace).validate_python(text)
    except ValidationError:
        raise UnusableError("namespace: expected lower-case letters, digits and dashes, at most 63") from None


def _config(services: Services, mode: str) -> dict[str, Any]:
    """Return the configuration that a choice of the form stands for. Raises UnusableError."""
    return checked({"mode": mode}, services.settings)[1] if mode != "auto" else {}


def _modes(services: Services) -> tuple[tuple[str, str], ...]:
    if not services.about.model:
        return (("auto", "by rules"),)
    return (
        ("auto", "by rules and model"),
        ("rules", "by rules alone"),
        ("advisory", "by rules, explained by the model"),
    )


def _form(
    request: Request, services: Services, message: str, asked: Mapping[str, str] | None = None, *, status: int = 200
) -> Response:
    context = {
        "problem": message,
        "asked": {"namespace": "", "name": "", "kind": "rollout", **(asked or {})},
        "kinds": TargetKind,
        "modes": _modes(services),
        "most": f"{services.settings.upload_bytes >> 20} MiB",
    }
    return page(request, "new.html.j2", context, here="new", status=status)


def _history(base: str, analysis: Analysis) -> str:
    asked = analysis.request
    return f"{base}/history?namespace={in_url(asked.namespace)}&name={in_url(asked.name)}"


def _to(request: Request, analysis: Analysis) -> Response:
    base = request.scope.get("root_path", "")
    return RedirectResponse(f"{base}/analyses/{in_url(analysis.request.id)}", 303)
