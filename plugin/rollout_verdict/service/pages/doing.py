"""Forms: start an analysis, cancel it, judge again, say that something is known to be harmless."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartException

from rollout_verdict.core.target import TargetKind
from rollout_verdict.jobs.analysis import Analysis
from rollout_verdict.service.analyses import begin, by_replay, by_target, known, new_id
from rollout_verdict.service.audit import audit
from rollout_verdict.service.auth import Principal
from rollout_verdict.service.guard import guard
from rollout_verdict.service.marks import mark, unmark
from rollout_verdict.service.pages.frame import page
from rollout_verdict.service.pages.route import LONGEST, AnalysisId, PageRoute, base_of, history_of, modes
from rollout_verdict.service.pages.rows import in_url
from rollout_verdict.service.problems import InvalidError, UnusableError
from rollout_verdict.service.rates import Kind
from rollout_verdict.service.requests import checked
from rollout_verdict.service.schemas import MarkIn, Replay, Start
from rollout_verdict.service.services import Services
from rollout_verdict.service.tokens import Scope
from rollout_verdict.service.told import told
from rollout_verdict.service.uploads import NAMED, Named, Uploads

Field = Annotated[str, Form(max_length=LONGEST)]


@dataclass(frozen=True, slots=True)
class _Target:
    """The fields of the form that names what runs now."""

    namespace: Field
    name: Field
    kind: Field = "rollout"
    mode: Field = "auto"


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)
    _starting(routes, services)
    _changing(routes, services)
    return routes


def _starting(routes: APIRouter, services: Services) -> None:
    runner = Depends(guard(services, Scope.RUN))
    starter = Depends(guard(services, Scope.RUN, Kind.START))
    uploads = Uploads(services)

    @routes.get("/analyses/new", dependencies=[runner])
    def new(request: Request) -> Response:
        """Offer the forms that start an analysis."""
        return _form(request, services, "")

    @routes.post("/analyses/upload")
    async def upload(request: Request, principal: Principal = starter) -> Response:
        """Judge an uploaded bundle."""
        try:
            form = await request.form(max_files=1, max_fields=10)
        except MultiPartException:
            raise InvalidError("the form cannot be read") from None
        fields = {key: text.strip() for key, text in form.items() if isinstance(text, str)}
        try:
            named = _named(fields.get("namespace", ""), fields.get("name", ""))
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
        shown = {**fields, "mode": target.mode, "form": "start"}
        try:
            body = Start.model_validate({**fields, "config": _config(services, target.mode)})
            asked = replace(by_target(body, principal, services), origin="page")
            analysis, _ = begin(services, asked, principal)
        except ValidationError as error:
            return _form(request, services, told(RequestValidationError(error.errors())), shown, status=422)
        except UnusableError as error:
            return _form(request, services, error.message, shown, status=422)
        return _to(request, analysis)


def _changing(routes: APIRouter, services: Services) -> None:
    runner = Depends(guard(services, Scope.RUN))
    starter = Depends(guard(services, Scope.RUN, Kind.START))

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

    @routes.post("/analyses/{analysis_id}/benign")
    def benign(
        analysis_id: AnalysisId,
        request: Request,
        item: Annotated[str, Form(max_length=10)],
        why: Annotated[str, Form(max_length=500)],
        principal: Principal = runner,
    ) -> Response:
        """Mark an item as known to be benign."""
        try:
            wanted = MarkIn(analysis=analysis_id, item=item, why=why.strip())
        except ValidationError as error:
            raise UnusableError(told(RequestValidationError(error.errors()))) from None
        mark(services, wanted, principal)
        return RedirectResponse(f"{base_of(request)}/analyses/{in_url(analysis_id)}#marks", 303)

    @routes.post("/marks/{mark_id}/remove")
    def remove(mark_id: AnalysisId, request: Request, principal: Principal = runner) -> Response:
        """Have what was marked count again."""
        return RedirectResponse(history_of(base_of(request), unmark(services, mark_id, principal)), 303)


def _named(namespace: str, name: str) -> Named:
    """Return whose a bundle is, held to what the API takes. Raises UnusableError."""
    try:
        return NAMED.validate_python({"namespace": namespace or None, "name": name})
    except ValidationError as error:
        raise UnusableError(told(RequestValidationError(error.errors()))) from None


def _config(services: Services, mode: str) -> dict[str, Any]:
    """Return the configuration that a choice of the form stands for. Raises UnusableError."""
    return checked({"mode": mode}, services.settings)[1] if mode != "auto" else {}


def _form(
    request: Request, services: Services, message: str, asked: Mapping[str, str] | None = None, *, status: int = 200
) -> Response:
    context = {
        "problem": message,
        "asked": {"namespace": "", "name": "", "kind": "rollout", "mode": "", "form": "upload", **(asked or {})},
        "kinds": TargetKind,
        "modes": modes(services),
        "most": f"{services.settings.upload_bytes >> 20} MiB",
    }
    return page(request, "new.html.j2", context, here="new", status=status)


def _to(request: Request, analysis: Analysis) -> Response:
    return RedirectResponse(f"{base_of(request)}/analyses/{in_url(analysis.request.id)}", 303)
