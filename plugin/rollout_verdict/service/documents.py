"""What an analysis leaves behind, to read and to keep: events while it runs, the report, the bundle, a comparison."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from rollout_verdict.core.canonical import plain
from rollout_verdict.core.result import Result
from rollout_verdict.jobs.analysis import Analysis, Phase
from rollout_verdict.render import html, markdown
from rollout_verdict.render import json as document
from rollout_verdict.render.difference import difference
from rollout_verdict.service.analyses import AnalysisId, known
from rollout_verdict.service.answers import statuses
from rollout_verdict.service.auth import Principal
from rollout_verdict.service.guard import guard, identify
from rollout_verdict.service.problems import ConflictError, ProblemError
from rollout_verdict.service.schemas import ComparisonOut
from rollout_verdict.service.services import Services
from rollout_verdict.service.tokens import Scope
from rollout_verdict.service.views import analysis_out
from rollout_verdict.service.waiting import Waiting

# The report says itself, by digest, which style it has; on top of that it may not do anything here either.
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"
_FORMS = {
    "html": ("text/html; charset=utf-8", html.render),
    "markdown": ("text/markdown; charset=utf-8", markdown.render),
    "json": ("application/json", document.render),
}


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/analyses/{analysis_id}", tags=["analyses"])
    reader = Depends(guard(services, Scope.READ))
    waiting = Waiting(services, services.settings.streams)

    @routes.get(
        "/events",
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "Server-sent events: `progress` with the analysis whenever it changes, `verdict` with "
                "it when it is over. Each carries the analysis as JSON. A comment every 15 s keeps proxies patient.",
                "content": {"text/event-stream": {}},
            },
            **statuses(404, 422),
        },
        summary="Watch an analysis",
    )
    async def events(analysis_id: AnalysisId, request: Request, principal: Principal = reader) -> StreamingResponse:
        """Stream progress, then the verdict, for as long as whoever asks may see it."""
        analysis = await run_in_threadpool(known, services, analysis_id, principal)
        waiting.demand_place(principal.name)  # before the answer begins: a status, and not a broken stream

        async def stream() -> AsyncIterator[bytes]:
            # What a place or a token that is gone raises ends the stream; it is too late for a status.
            with suppress(ProblemError):
                async with waiting.place(principal.name):
                    async for change in waiting.changes(analysis, services.settings.stream_s):
                        (await identify(services, request, Scope.READ)).demand_namespace(analysis.request.namespace)
                        yield _event(change)

        return StreamingResponse(stream(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    @routes.get(
        "/report",
        response_class=Response,
        responses={
            200: {
                "description": "The report.",
                "content": {
                    "text/html": {"schema": {"type": "string"}},
                    "text/markdown": {"schema": {"type": "string"}},
                    "application/json": {"schema": {"type": "object"}},
                },
            },
            **statuses(404, 409, 422),
        },
        summary="Read the report",
    )
    def report(
        analysis_id: AnalysisId,
        form: Annotated[Literal["html", "markdown", "json"], Query(alias="format", description="Its form.")] = "html",
        principal: Principal = reader,
    ) -> Response:
        """Return the report as one file."""
        media_type, render = _FORMS[form]
        text = render(_result(services, known(services, analysis_id, principal)))
        return Response(text, media_type=media_type, headers={"Content-Security-Policy": REPORT_POLICY})

    @routes.get(
        "/bundle",
        response_class=Response,
        responses={
            200: {
                "description": "Evidence and result, as .tar.gz; `rollout-verdict replay` takes it.",
                "content": {"application/gzip": {"schema": {"type": "string", "format": "binary"}}},
            },
            **statuses(404, 409, 422),
        },
        summary="Download evidence and result",
    )
    def bundle(analysis_id: AnalysisId, principal: Principal = reader) -> Response:
        """Return the bundle."""
        known(services, analysis_id, principal)
        content = services.analyses.bundle(analysis_id)
        if content is None:
            raise ConflictError("the analysis is not done, or its evidence is no longer kept")
        name = f'attachment; filename="{analysis_id}.tar.gz"'
        return Response(content, media_type="application/gzip", headers={"Content-Disposition": name})

    @routes.get("/compare/{other_id}", responses=statuses(404, 409, 422), summary="Compare two analyses")
    def compare(analysis_id: AnalysisId, other_id: AnalysisId, principal: Principal = reader) -> ComparisonOut:
        """Return what differs between two verdicts."""
        before = _result(services, known(services, analysis_id, principal))
        after = _result(services, known(services, other_id, principal))
        changed: dict[str, Any] = plain(difference(before.verdict, after.verdict), unbounded=True)
        return ComparisonOut(before=analysis_id, after=other_id, changed=changed)

    return routes


def _result(services: Services, analysis: Analysis) -> Result:
    result = services.analyses.result(analysis.request.id) if analysis.phase is Phase.DONE else None
    if result is None:
        raise ConflictError("the analysis is not done, or its evidence is no longer kept")
    return result


def _event(analysis: Analysis | None) -> bytes:
    if analysis is None:
        return b": still at it\n\n"
    kind = "verdict" if analysis.phase.final else "progress"
    data = json.dumps(analysis_out(analysis).model_dump(mode="json", by_alias=True), separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()
