"""Argo's ``web`` provider: one call answers at once, with a verdict or with how far the work is.

The controller throws the body of any answer but 2xx away, and after five of those it aborts the rollout. So what people
must see, a wrong configuration too, goes out as 200 with ``"verdict": "error"``, which is neither success nor failure.
Who asks is still checked as everywhere.
"""

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from rollout_verdict.core.target import Target, TargetKind
from rollout_verdict.core.values import Pair
from rollout_verdict.jobs.analysis import Analysis
from rollout_verdict.jobs.analysis import Request as Asked
from rollout_verdict.service.answers import statuses
from rollout_verdict.service.audit import audit
from rollout_verdict.service.auth import Principal
from rollout_verdict.service.guard import guard
from rollout_verdict.service.problems import UnusableError
from rollout_verdict.service.requests import checked, demand_namespaces
from rollout_verdict.service.reuse import Reuse
from rollout_verdict.service.schemas import Poll, PollOut
from rollout_verdict.service.services import Services
from rollout_verdict.service.tokens import Scope
from rollout_verdict.service.told import told
from rollout_verdict.service.views import poll_out


def router(services: Services) -> APIRouter:
    """Return the route of the web provider."""
    routes = APIRouter(tags=["web provider"])
    runner = Depends(guard(services, Scope.RUN))
    reuse = Reuse(services)

    @routes.post(
        "/v1/analyses:poll",
        response_model_exclude_none=True,
        responses=statuses(408, 413),
        summary="Start or ask, for Argo's web provider",
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Poll"}}},
            }
        },
    )
    async def poll(request: Request, principal: Principal = runner) -> PollOut:
        """Return the verdict on a canary; the first call starts the analysis."""
        body = await request.body()
        try:
            wanted = Poll.model_validate_json(body)
        except ValidationError as error:
            return PollOut(verdict="error", reason=told(RequestValidationError(error.errors())))
        return await run_in_threadpool(_answer, wanted, principal)

    def _answer(wanted: Poll, principal: Principal) -> PollOut:
        demand_namespaces(principal, wanted.namespace)
        try:
            analysis = _start(wanted, principal)
        except UnusableError as error:
            return PollOut(verdict="error", reason=error.message[:240])
        return poll_out(analysis, services.settings)

    def _start(wanted: Poll, principal: Principal) -> Analysis:
        configuration, kept, warnings = checked(wanted.config, services.settings)
        namespace = configuration.namespace or wanted.namespace
        demand_namespaces(principal, namespace)
        stable, canary = configuration.selectors
        hashes = Pair(stable=wanted.stable_hash, canary=wanted.canary_hash)
        asked = Asked(
            id="",
            namespace=namespace,
            name=wanted.rollout,
            target=Target(
                kind=TargetKind.ROLLOUT,
                namespace=namespace,
                name=wanted.rollout,
                selectors=Pair(stable=stable, canary=canary),
                hashes=hashes,
            ),
            config=kept,
            origin="web",
            asked_by=principal.name,
            warnings=warnings,
        )
        analysis, new = reuse.start(asked, hashes.stable, hashes.canary, wanted.key, fresh_s=services.settings.reuse_s)
        services.metrics.started("web", new=new)
        if new:
            audit(principal, "started", analysis=analysis.request.id, namespace=namespace, rollout=wanted.rollout)
        return analysis

    return routes
