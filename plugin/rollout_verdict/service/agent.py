"""The agent of the Go plugin argoproj-labs/metric-ai: its requests and answers, with this service behind them.

That plugin knows two outcomes: 200 with ``promote``, and anything else, which is an error. So ``promote`` is true for
a verdict to promote and for nothing else, and where there is no verdict the status is not 200. Its client sends no
header; an address with a user, ``http://argo:TOKEN@HOST``, makes it send the token.
"""

from typing import Annotated

from fastapi import APIRouter, Body, Depends
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from rollout_verdict.core.target import Target, TargetKind
from rollout_verdict.core.values import Pair
from rollout_verdict.jobs.analysis import Analysis, Request
from rollout_verdict.service.answers import statuses
from rollout_verdict.service.audit import audit
from rollout_verdict.service.auth import Principal
from rollout_verdict.service.guard import guard
from rollout_verdict.service.rates import Kind
from rollout_verdict.service.requests import checked, demand_namespaces
from rollout_verdict.service.reuse import Reuse
from rollout_verdict.service.schemas import AgentAnswer, AgentRequest, Health, NoAgentAnswer
from rollout_verdict.service.services import Services
from rollout_verdict.service.tokens import Scope
from rollout_verdict.service.views import agent_answer, no_agent_answer
from rollout_verdict.service.waiting import Waiting


def router(services: Services) -> APIRouter:
    """Return the routes of the agent."""
    routes = APIRouter(tags=["agent of argoproj-labs/metric-ai"])
    starter = Depends(guard(services, Scope.RUN, Kind.START))
    reuse, waiting = Reuse(services), Waiting(services)

    @routes.get("/a2a/health", summary="Whether the agent is there")
    async def health() -> Health:
        """Return what the Go plugin's agent answers, to anybody."""
        return Health(version=services.about.version)

    @routes.post(
        "/a2a/analyze",
        response_model=AgentAnswer,
        responses={
            **statuses(body=True),
            202: {"model": NoAgentAnswer, "description": "Not done within the agent's time: no verdict yet."},
            424: {"model": NoAgentAnswer, "description": "The analysis failed, or was cancelled: no verdict."},
        },
        summary="Analyse a canary",
    )
    async def analyze(
        body: Annotated[AgentRequest, Body()], principal: Principal = starter
    ) -> AgentAnswer | JSONResponse:
        """Return the verdict when there is one. A second call while the work runs waits for the same analysis."""
        started = await run_in_threadpool(_start, body, principal)
        analysis = await waiting.end(started, services.settings.agent_wait_s)
        if not analysis.phase.final:
            return _without("the analysis is not done yet: ask again", 202)
        result = await run_in_threadpool(services.analyses.result, analysis.request.id)
        answer = agent_answer(analysis, result)
        if answer is None:
            return _without(analysis.message or "the analysis has no verdict", 424)
        return answer

    def _start(body: AgentRequest, principal: Principal) -> Analysis:
        namespace, name = body.rollout
        demand_namespaces(principal, namespace)
        first, *others = body.models_to_use or [""]
        given: dict[str, object] = {"model": first, "secondOpinions": others} if first else {}
        _, kept, warnings = checked(given, services.settings)
        selectors = Pair(stable=body.context.stable_selector, canary=body.context.canary_selector)
        asked = Request(
            id="",
            namespace=namespace,
            name=name,
            target=Target(kind=TargetKind.ROLLOUT, namespace=namespace, name=name, selectors=selectors),
            config=kept,
            origin="a2a",
            asked_by=principal.name,
            warnings=warnings,
        )
        analysis, new = reuse.start(asked, selectors.stable, selectors.canary, fresh_s=0)
        services.metrics.started("a2a", new=new)
        if new:
            audit(principal, "started", analysis=analysis.request.id, namespace=namespace, rollout=name)
        return analysis

    return routes


def _without(message: str, status: int) -> JSONResponse:
    return JSONResponse(no_agent_answer(message).model_dump(by_alias=True), status)
