"""Pages to read: the list, a verdict or how far it is, the texts exchanged with models, a rollout's history."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from rollout_verdict.core.values import Decision
from rollout_verdict.jobs.analysis import Page as Found
from rollout_verdict.jobs.analysis import Phase
from rollout_verdict.jobs.analysis import Query as Wanted
from rollout_verdict.jobs.marks import RolloutMark
from rollout_verdict.service.analyses import known
from rollout_verdict.service.auth import Principal
from rollout_verdict.service.guard import guard
from rollout_verdict.service.pages.frame import page
from rollout_verdict.service.pages.route import LONGEST, AnalysisId, PageRoute, base_of, history_of, modes
from rollout_verdict.service.pages.rows import DECISIONS, PHASES, in_url, row, tally
from rollout_verdict.service.pages.shown import exchange, shown
from rollout_verdict.service.problems import UnknownError, UnusableError
from rollout_verdict.service.requests import demand_namespaces
from rollout_verdict.service.services import Services
from rollout_verdict.service.tokens import Scope

ON_A_PAGE = 30
IN_A_HISTORY = 50
Text = Annotated[str, Query(max_length=LONGEST)]


@dataclass(frozen=True, slots=True)
class _Filters:
    """What of a list is wanted; "" is any."""

    namespace: Text = ""
    name: Text = ""
    verdict: Text = ""
    cursor: Annotated[str, Query(max_length=512)] = ""


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)
    reader = Depends(guard(services, Scope.READ))

    @routes.get("/analyses")
    def listing(request: Request, filters: Annotated[_Filters, Depends()], principal: Principal = reader) -> Response:
        """List analyses, newest first."""
        asked = {"namespace": filters.namespace.strip(), "name": filters.name.strip(), "verdict": filters.verdict}
        found = _found(services, _wanted(principal, **asked, cursor=filters.cursor))
        base, now = base_of(request), services.clock()
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

    @routes.get("/analyses/{analysis_id}")
    def one(analysis_id: AnalysisId, request: Request, principal: Principal = reader) -> Response:
        """Show an analysis: its verdict, or how far it is."""
        analysis = known(services, analysis_id, principal)
        base, now = base_of(request), services.clock()
        context: dict[str, Any] = {"analysis": analysis, "row": row(analysis, base, now), "modes": modes(services)}
        result = services.analyses.result(analysis_id) if analysis.phase is Phase.DONE else None
        if result is None:
            return page(request, "running.html.j2", context)
        context |= shown(result)
        context["marks"] = _marks(services, analysis.request.namespace, analysis.request.name)
        context["history"] = history_of(base, analysis.request) if 0 < len(analysis.request.name) <= LONGEST else ""
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
        demand_namespaces(principal, namespace)
        # without a namespace the rollout is one of those that name none, not all of that name
        wanted = Wanted(namespaces=(namespace,), name=name, cursor=filters.cursor, limit=IN_A_HISTORY)
        found = _found(services, wanted)
        base, now = base_of(request), services.clock()
        rows = [row(one, base, now) for one in found.analyses]
        older = f"{base}/history?namespace={in_url(namespace)}&name={in_url(name)}&cursor={in_url(found.cursor)}"
        context = {
            "name": name,
            "namespace": namespace,
            "rows": rows,
            "tally": tally(rows),
            "marks": _marks(services, namespace, name),
            "older": older if found.cursor else "",
        }
        return page(request, "history.html.j2", context)

    return routes


def _marks(services: Services, namespace: str, name: str) -> tuple[RolloutMark, ...]:
    return services.marks.find((namespace,), name) if name else ()


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
