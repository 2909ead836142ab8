"""The plugin's door, as ``docs/remote.md`` tells it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from rollout_verdict.core.target import Target, TargetKind
from rollout_verdict.core.values import Pair
from rollout_verdict.jobs.analysis import Analysis, Phase, Request
from rollout_verdict.service.answers import statuses
from rollout_verdict.service.audit import audit
from rollout_verdict.service.auth import Principal
from rollout_verdict.service.guard import guard
from rollout_verdict.service.problems import ConflictError, ForbiddenError, UnknownError
from rollout_verdict.service.rates import Kind
from rollout_verdict.service.requests import checked, demand_namespaces, differing
from rollout_verdict.service.schemas import AboutOut, Id, Measure, MeasurementState
from rollout_verdict.service.services import Services
from rollout_verdict.service.tokens import Scope
from rollout_verdict.service.views import measurement_state

_OWNERS = {"Rollout": TargetKind.ROLLOUT, "Experiment": TargetKind.EXPERIMENT}
MeasurementId = Annotated[Id, Path(description="The id that the measurement was started with.")]


def router(services: Services) -> APIRouter:
    """Return the routes of the plugin's door."""
    routes = APIRouter(tags=["plugin"])
    reader = Depends(guard(services, Scope.READ))
    runner = Depends(guard(services, Scope.RUN))
    starter = Depends(guard(services, Scope.RUN, Kind.START))

    @routes.post(
        "/v1/measurements",
        status_code=201,
        response_model_exclude_none=True,
        responses={
            200: {"model": MeasurementState, "description": "The measurement exists; its state."},
            **statuses(409, body=True),
        },
        summary="Start a measurement",
    )
    def start(body: Measure, response: Response, principal: Principal = starter) -> MeasurementState:
        """Start a measurement, or return its state when it exists; with another run or configuration it is refused."""
        request = _request(body, principal, services)
        analysis, new = services.analyses.start(request)
        if not new and (other := differing(services, analysis.request, request, principal)):
            raise ConflictError(
                f"another measurement has this id, with another {other}: start it as it was, or under another id"
            )
        services.metrics.started("plugin", new=new)
        response.status_code = 201 if new else 200
        if new:
            audit(principal, "started", analysis=request.id, namespace=request.namespace, rollout=request.name)
        return _state(services, analysis)

    @routes.get(
        "/v1/measurements/{measurement_id}",
        response_model_exclude_none=True,
        responses=statuses(404, 422),
        summary="Ask for a measurement",
    )
    def get(measurement_id: MeasurementId, principal: Principal = reader) -> MeasurementState:
        """Return the state of a measurement."""
        return _state(services, _known(services, measurement_id, principal))

    @routes.delete(
        "/v1/measurements/{measurement_id}",
        status_code=204,
        responses=statuses(404, 422),
        summary="Cancel a measurement",
    )
    def cancel(measurement_id: MeasurementId, principal: Principal = runner) -> None:
        """Stop a measurement; nothing happens when it is over."""
        analysis = _known(services, measurement_id, principal)
        if not analysis.phase.final:
            services.analyses.cancel(measurement_id)
            audit(principal, "cancelled", analysis=measurement_id, namespace=analysis.request.namespace)

    @routes.get("/v1/about", responses=statuses(), summary="What the service says of itself")
    def about(_: Principal = reader) -> AboutOut:
        """Return version, model and prompt."""
        told = services.about
        return AboutOut(version=told.version, model=told.model, prompt_digest=told.prompt_digest)

    return routes


def _request(body: Measure, principal: Principal, services: Services) -> Request:
    configuration, kept, warnings = checked(body.config, services.settings)
    run = body.analysis_run
    namespace = configuration.namespace or run.namespace
    demand_namespaces(principal, run.namespace, namespace)
    if namespace != run.namespace and principal.namespaces is None:
        # The plugin asks for all of the cluster; who may write a template here may not read logs everywhere.
        raise ForbiddenError(
            f"config.namespace is not the AnalysisRun's ({run.namespace}): it takes a token that names both namespaces"
        )
    stable, canary = configuration.selectors
    kind = _OWNERS.get(run.owner.kind, TargetKind.ANALYSIS_RUN) if run.owner.name else TargetKind.ANALYSIS_RUN
    name = run.owner.name if kind is not TargetKind.ANALYSIS_RUN else run.name
    return Request(
        id=body.id,
        namespace=namespace,
        name=name,
        target=Target(
            kind=kind,
            namespace=namespace,
            name=name,
            selectors=Pair(stable=stable, canary=canary),
            hashes=Pair(stable="", canary=run.template_hash),
            run=run.name if kind is TargetKind.ROLLOUT and namespace == run.namespace else "",
        ),
        config=kept,
        origin="plugin",
        asked_by=principal.name,
        analysis_run=run.name,
        revision=run.revision,
        warnings=warnings,
    )


def _known(services: Services, measurement_id: str, principal: Principal) -> Analysis:
    analysis = services.analyses.get(measurement_id)
    if analysis is None or not principal.sees(analysis.request.namespace):
        raise UnknownError("there is no measurement with this id")
    return analysis


def _state(services: Services, analysis: Analysis) -> MeasurementState:
    done = analysis.phase is Phase.DONE
    result = services.analyses.result(analysis.request.id) if done else None
    return measurement_state(analysis, result, services.settings)
