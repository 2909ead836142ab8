"""Analyses for people and other systems: start, list, look, stop."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from fastapi import Request as HttpRequest
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from rollout_verdict.core.target import Target
from rollout_verdict.core.values import Decision, Pair
from rollout_verdict.jobs.analysis import Analysis, Phase, Request
from rollout_verdict.jobs.analysis import Query as Wanted
from rollout_verdict.service.answers import statuses
from rollout_verdict.service.audit import audit
from rollout_verdict.service.auth import Principal
from rollout_verdict.service.guard import guard
from rollout_verdict.service.problems import ConflictError, InvalidError, MediaTypeError, UnknownError, UnusableError
from rollout_verdict.service.rates import Kind
from rollout_verdict.service.requests import checked, demand_namespaces, differing
from rollout_verdict.service.schemas import AnalysisOut, Id, Namespace, PageOut, Replay, Start
from rollout_verdict.service.services import Services
from rollout_verdict.service.tokens import Scope
from rollout_verdict.service.uploads import Named, Uploads
from rollout_verdict.service.views import analysis_out

AnalysisId = Annotated[Id, Path(description="The analysis's id.")]
MOST_LISTED = 200


def known(services: Services, analysis_id: str, principal: Principal) -> Analysis:
    """Return an analysis that whoever asks may see. Raises UnknownError (404)."""
    analysis = services.analyses.get(analysis_id)
    if analysis is None or not principal.sees(analysis.request.namespace):
        raise UnknownError("there is no analysis with this id")
    return analysis


def begin(services: Services, request: Request, principal: Principal) -> tuple[Analysis, bool]:
    """Start an analysis, or return the one with that id when it is the same. Raises ConflictError (409)."""
    demand_namespaces(principal, request.namespace)
    analysis, new = services.analyses.start(request)
    if not new and (other := differing(services, analysis.request, request, principal)):
        raise ConflictError(
            f"another analysis was started with this Idempotency-Key, with another {other}: "
            "repeat that request unchanged, or take another key"
        )
    services.metrics.started(request.origin, new=new)
    if new:
        action = "replayed" if request.replay_of else "started"
        about = {"namespace": request.namespace, "rollout": request.name, "of": request.replay_of}
        audit(principal, action, analysis=request.id, **{key: text for key, text in about.items() if text})
    return analysis, new


def by_target(start: Start, principal: Principal, services: Services, key: str = "") -> Request:
    """Return the request for an object of the cluster. Raises UnusableError, ForbiddenError."""
    configuration, kept, warnings = checked(start.config, services.settings)
    if configuration.namespace not in ("", start.namespace):
        raise UnusableError("config.namespace is not the namespace of what is to be judged: leave it out")
    stable, canary = configuration.selectors
    return Request(
        id=new_id(principal, key),
        namespace=start.namespace,
        name=start.name,
        target=Target(
            kind=start.kind,
            namespace=start.namespace,
            name=start.name,
            selectors=Pair(stable=start.selectors.stable or stable, canary=start.selectors.canary or canary),
            hashes=Pair(stable=start.hashes.stable, canary=start.hashes.canary),
        ),
        config=kept,
        origin="api",
        asked_by=principal.name,
        warnings=warnings,
    )


def by_replay(wanted: Replay, of: Analysis, principal: Principal, services: Services, key: str = "") -> Request:
    """Return the request to judge the evidence of an analysis again. Raises ConflictError, UnusableError."""
    if of.phase is not Phase.DONE:
        raise ConflictError("the analysis is not done: there is no evidence to judge again")
    given = {**wanted.config, **({"model": wanted.model} if wanted.model else {})}
    configuration, kept, warnings = checked(given, services.settings)
    if configuration.model and not services.about.model:
        raise UnusableError(
            "model: the service has no API key to ask it with; leave it out, or have its operator set GEMINI_API_KEY"
        )
    return Request(
        id=new_id(principal, key),
        namespace=of.request.namespace,
        name=of.request.name,
        config=kept,
        origin="api",
        asked_by=principal.name,
        replay_of=of.request.id,
        revision=of.request.revision,
        warnings=warnings,
    )


def new_id(principal: Principal, key: str = "") -> str:
    """Return an id: the same one for the same key of the same caller, a fresh one without a key."""
    return sha256(f"{principal.name}\0{key}".encode()).hexdigest()[:32] if key else uuid4().hex


@dataclass(frozen=True, slots=True)
class Filters:
    """What of the list is wanted."""

    namespace: Annotated[Namespace | None, Query(description="Only this namespace.")] = None
    name: Annotated[str, Query(max_length=253, description="Only this rollout.")] = ""
    phase: Annotated[Phase | None, Query(description="Only analyses that stand so.")] = None
    decision: Annotated[Decision | None, Query(description="Only this verdict.")] = None
    origin: Annotated[
        Literal["", "plugin", "api", "page", "a2a", "web", "mcp"], Query(description="Only from this door.")
    ] = ""
    cursor: Annotated[str, Query(max_length=512, description="As the page before gave it.")] = ""
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED, description="Analyses on a page.")] = 50


def listed(services: Services, filters: Filters, principal: Principal) -> PageOut:
    """Return a page of what whoever asks may see. Raises UnusableError for a cursor that is none of ours."""
    namespaces = principal.namespaces
    if filters.namespace is not None:
        demand_namespaces(principal, filters.namespace)
        namespaces = (filters.namespace,)
    wanted = Wanted(
        namespaces=namespaces,
        name=filters.name,
        phase=filters.phase,
        decision=filters.decision,
        origin=filters.origin,
        cursor=filters.cursor,
        limit=filters.limit,
    )
    try:
        page = services.analyses.find(wanted)
    except ValueError:
        raise UnusableError("cursor: expected the cursor that the page before gave, unchanged") from None
    return PageOut(analyses=[analysis_out(one) for one in page.analyses], cursor=page.cursor)


IdempotencyKey = Annotated[
    str,
    Header(
        max_length=200,
        pattern=r"^[\x21-\x7e]*$",
        description="The same key starts the same analysis once; for another target, bundle or config: 409.",
    ),
]


_BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
_BODIES: dict[str, Any] = {
    "application/json": {"schema": {"$ref": "#/components/schemas/Start"}},
    "application/gzip": {"schema": _BINARY},
    "multipart/form-data": {
        "schema": {"type": "object", "properties": {"bundle": _BINARY}, "required": ["bundle"]},
    },
}
_KNOWN: dict[int | str, dict[str, Any]] = {
    200: {"model": AnalysisOut, "description": "It was started with this key before."}
}


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/analyses", tags=["analyses"])
    reader = Depends(guard(services, Scope.READ))
    runner = Depends(guard(services, Scope.RUN))
    starter = Depends(guard(services, Scope.RUN, Kind.START))
    uploads = Uploads(services)

    @routes.post(
        "",
        status_code=201,
        responses={**_KNOWN, **statuses(409, 415, body=True)},
        summary="Start an analysis",
        openapi_extra={"requestBody": {"required": True, "content": _BODIES}},
    )
    async def start(
        http: HttpRequest,
        response: Response,
        named: Annotated[Named, Depends()],
        idempotency_key: IdempotencyKey = "",
        principal: Principal = starter,
    ) -> AnalysisOut:
        """Judge an object of the cluster (JSON), or an uploaded bundle (gzip, or the field ``bundle`` of a form)."""
        kind = http.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            request = by_target(_parsed(await http.body()), principal, services, idempotency_key)
        elif uploads.takes(kind):
            analysis_id = new_id(principal, idempotency_key)
            request = await uploads.request(http, principal, named, analysis_id)
        else:
            raise MediaTypeError("Content-Type: expected application/json, application/gzip or multipart/form-data")
        analysis, new = await run_in_threadpool(begin, services, request, principal)
        response.status_code = 201 if new else 200
        return analysis_out(analysis)

    @routes.get("", responses=statuses(422), summary="List analyses")
    def find(filters: Annotated[Filters, Depends()], principal: Principal = reader) -> PageOut:
        """Return analyses, newest first."""
        return listed(services, filters, principal)

    @routes.get("/{analysis_id}", responses=statuses(404, 422), summary="Look at an analysis")
    def get(analysis_id: AnalysisId, principal: Principal = reader) -> AnalysisOut:
        """Return how an analysis stands."""
        return analysis_out(known(services, analysis_id, principal))

    @routes.post("/{analysis_id}/cancel", responses=statuses(404, 422), summary="Cancel an analysis")
    def cancel(analysis_id: AnalysisId, principal: Principal = runner) -> AnalysisOut:
        """Stop an analysis, and its model call; nothing happens when it is over."""
        analysis = known(services, analysis_id, principal)
        if not analysis.phase.final:
            analysis = services.analyses.cancel(analysis_id) or analysis
            audit(principal, "cancelled", analysis=analysis_id, namespace=analysis.request.namespace)
        return analysis_out(analysis)

    @routes.post(
        "/{analysis_id}/replay",
        status_code=201,
        responses={**_KNOWN, **statuses(404, 409, body=True)},
        summary="Judge the same evidence again",
    )
    def replay(
        analysis_id: AnalysisId,
        wanted: Replay,
        response: Response,
        idempotency_key: IdempotencyKey = "",
        principal: Principal = starter,
    ) -> AnalysisOut:
        """Start an analysis of the same evidence with another model or policy."""
        of = known(services, analysis_id, principal)
        analysis, new = begin(services, by_replay(wanted, of, principal, services, idempotency_key), principal)
        response.status_code = 201 if new else 200
        return analysis_out(analysis)

    return routes


def _parsed(body: bytes) -> Start:
    try:
        return Start.model_validate_json(body)
    except ValidationError as error:
        if any(one["type"] == "json_invalid" for one in error.errors()):
            raise InvalidError("the body is not JSON") from None
        raise RequestValidationError(error.errors()) from None
