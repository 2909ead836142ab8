"""For those who run the service: is it there, can it work, what has it counted, who may do what."""

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse

from rollout_verdict.service.answers import statuses
from rollout_verdict.service.auth import Principal
from rollout_verdict.service.guard import guard
from rollout_verdict.service.metrics import CONTENT_TYPE
from rollout_verdict.service.schemas import Health, Ready, TokenOut, TokensOut
from rollout_verdict.service.services import Services
from rollout_verdict.service.tokens import Scope


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["operation"])
    reader = Depends(guard(services, Scope.READ))
    admin = Depends(guard(services, Scope.ADMIN))

    @routes.get("/healthz", summary="Whether the process answers")
    async def healthz() -> Health:  # in the loop, as its like: a thread may be long in coming when the database hangs
        """Answer, to anybody."""
        return Health(version=services.about.version)

    @routes.get(
        "/readyz",
        response_model=Ready,
        responses={503: {"model": Ready, "description": "It cannot, and why."}},
        summary="Whether the service can work",
    )
    def readyz() -> Ready | JSONResponse:
        """Say whether requests may be sent here, to anybody."""
        problem = services.ready()
        if problem:
            return JSONResponse({"ready": False, "message": problem}, 503)
        return Ready(ready=True, message="")

    @routes.get(
        "/metrics",
        response_class=Response,
        responses={
            200: {"description": "Counters.", "content": {"text/plain": {"schema": {"type": "string"}}}},
            **statuses(),
        },
        summary="Counters for Prometheus",
    )
    def metrics(_: Principal = reader) -> Response:
        """Return what was counted, in Prometheus' text format."""
        return Response(services.metrics.text(), media_type=CONTENT_TYPE)

    @routes.get("/v1/tokens", responses=statuses(), summary="Who may do what")
    def tokens(_: Principal = admin) -> TokensOut:
        """Return the entries of the token file without their tokens."""
        grants = services.auth.grants()
        kinds = (("token", grants.tokens), ("serviceaccount", grants.accounts))
        found = [
            TokenOut.model_validate(
                {
                    "name": grant.name,
                    "kind": kind,
                    "scope": grant.scope.value,
                    "namespaces": None if grant.namespaces is None else list(grant.namespaces),
                    "expires": grant.expires,
                }
            )
            for kind, entries in kinds
            for grant in entries.values()
        ]
        return TokensOut(tokens=found, problem=services.auth.problem())

    return routes
