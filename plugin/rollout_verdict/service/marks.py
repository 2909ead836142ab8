"""Marks: a person's word that a log message or a metric of a rollout is known and harmless, with who, when and why."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from rollout_verdict.core.recall import markable
from rollout_verdict.jobs.analysis import Phase
from rollout_verdict.jobs.marks import RolloutMark, TooManyError
from rollout_verdict.service.analyses import known
from rollout_verdict.service.answers import statuses
from rollout_verdict.service.audit import audit
from rollout_verdict.service.auth import Principal
from rollout_verdict.service.guard import guard
from rollout_verdict.service.problems import ConflictError, UnknownError, UnusableError
from rollout_verdict.service.requests import demand_namespaces
from rollout_verdict.service.schemas import MarkIn, MarkOut, MarksOut, Namespace
from rollout_verdict.service.services import Services
from rollout_verdict.service.tokens import Scope

LONGEST = timedelta(days=3653)  # ten years
MarkId = Annotated[str, Path(pattern=r"^[0-9a-f]{1,64}$", description="The mark's id.")]


def mark(services: Services, wanted: MarkIn, principal: Principal) -> RolloutMark:
    """Mark an item of an analysis. Raises UnknownError, ConflictError, UnusableError."""
    analysis = known(services, wanted.analysis, principal)
    result = services.analyses.result(wanted.analysis) if analysis.phase is Phase.DONE else None
    if result is None:
        raise ConflictError("the analysis is not done, or its evidence is no longer kept")
    if not analysis.request.name:
        raise UnusableError("it is not known which rollout the analysis is of: name it when you upload a bundle")
    expires = _expiry(wanted, services.clock())
    try:
        about = markable(result.comparison, wanted.item)
        namespace, name = analysis.request.namespace, analysis.request.name
        found = services.marks.add(namespace, name, about, who=principal.name, why=wanted.why, expires=expires)
    except ValueError as error:
        raise UnusableError(f"item: {error}") from None
    except TooManyError as error:
        raise ConflictError(str(error)) from None
    audit(principal, "marked", mark=found.mark.id, namespace=namespace, rollout=name, analysis=wanted.analysis)
    return found


def _expiry(wanted: MarkIn, now: datetime) -> datetime | None:
    """Return when a mark ends, aware UTC. Raises UnusableError; only what lies near can be converted and kept."""
    if wanted.expires is None:
        return None
    if wanted.expires <= now:
        raise UnusableError("expires: expected a time that is still to come")
    if wanted.expires > now + LONGEST:
        raise UnusableError("expires: expected a time within ten years; leave it out for a mark that does not end")
    return wanted.expires.astimezone(UTC)


def unmark(services: Services, mark_id: str, principal: Principal) -> RolloutMark:
    """Take a mark back. Raises UnknownError."""
    found = services.marks.get(mark_id)
    if found is None or not principal.sees(found.namespace) or services.marks.remove(mark_id) is None:
        raise UnknownError("there is no mark with this id")
    audit(principal, "unmarked", mark=mark_id, namespace=found.namespace, rollout=found.name)
    return found


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/v1/marks", tags=["marks"])
    reader = Depends(guard(services, Scope.READ))
    runner = Depends(guard(services, Scope.RUN))

    @routes.get("", responses=statuses(422), summary="List marks")
    def find(
        namespace: Annotated[Namespace | None, Query(description="Only this namespace.")] = None,
        name: Annotated[str, Query(max_length=253, description="Only this rollout.")] = "",
        principal: Principal = reader,
    ) -> MarksOut:
        """Return marks, newest first, those that have expired as well."""
        namespaces = principal.namespaces
        if namespace is not None:
            demand_namespaces(principal, namespace)
            namespaces = (namespace,)
        return MarksOut(marks=[_out(one) for one in services.marks.find(namespaces, name)])

    @routes.post("", status_code=201, responses=statuses(404, 409, body=True), summary="Mark as known to be benign")
    def add(wanted: MarkIn, principal: Principal = runner) -> MarkOut:
        """Mark a log message or a metric of an analysis: later verdicts on the rollout set it aside, and say so."""
        return _out(mark(services, wanted, principal))

    @routes.delete("/{mark_id}", status_code=204, responses=statuses(404, 422), summary="Take a mark back")
    def remove(mark_id: MarkId, principal: Principal = runner) -> None:
        """Have the thing count again."""
        unmark(services, mark_id, principal)

    return routes


def _out(found: RolloutMark) -> MarkOut:
    kept = found.mark
    return MarkOut(
        id=kept.id,
        namespace=found.namespace,
        name=found.name,
        kind=kept.about.kind.value,
        text=kept.about.text,
        who=kept.who,
        when=kept.when,
        why=kept.why,
        expires=kept.expires,
    )
