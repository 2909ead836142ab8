"""What is kept of an analysis, as the messages tell it."""

from urllib.parse import quote

from rollout_verdict.core.result import Result
from rollout_verdict.core.values import Decision, Opinion, Verdict
from rollout_verdict.core.vote import voices
from rollout_verdict.jobs.analysis import Analysis, Phase, Summary
from rollout_verdict.service.schemas import (
    AgentAnswer,
    AgentModel,
    AnalysisOut,
    Measurement,
    MeasurementState,
    ModelVote,
    NoAgentAnswer,
    PollOut,
    StageOut,
    VerdictOut,
)
from rollout_verdict.service.settings import ServiceSettings

POLL_BYTES = 1_800  # the answer to a poll is kept in the AnalysisRun, ten times over; 2 kB is what fits well
_REASON = 240
_CANCELLED = "cancelled"


def analysis_out(analysis: Analysis) -> AnalysisOut:
    """Return an analysis for the list and for its own address."""
    request = analysis.request
    return AnalysisOut(
        id=request.id,
        namespace=request.namespace,
        name=request.name,
        phase=analysis.phase,
        origin=request.origin,
        asked_by=request.asked_by,
        replay_of=request.replay_of,
        analysis_run=request.analysis_run,
        revision=request.revision,
        created=analysis.created,
        started=analysis.started,
        finished=analysis.finished,
        stages=[StageOut(name=one.name, done=one.done, total=one.total, note=one.note) for one in analysis.stages],
        message=analysis.message,
        warnings=list(request.warnings),
        verdict=None if analysis.summary is None else _verdict_out(analysis.summary),
    )


def _verdict_out(summary: Summary) -> VerdictOut:
    return VerdictOut(
        decision=summary.decision,
        score=summary.score,
        confidence=summary.confidence,
        decided_by=summary.decided_by,
        reason=summary.reason,
        headline=summary.headline,
        digest=summary.digest,
        model=summary.model,
        tokens=summary.tokens,
        cost_usd=summary.cost_usd,
        gaps=summary.gaps,
    )


def url_of(analysis_id: str, settings: ServiceSettings) -> str:
    """Return where people read of an analysis, "" when the service does not know its own address."""
    return f"{settings.public_url}/analyses/{quote(analysis_id, safe='')}" if settings.public_url else ""


def measurement_state(analysis: Analysis, result: Result | None, settings: ServiceSettings) -> MeasurementState:
    """Return how a measurement stands, as the plugin's door tells it. ``result`` is wanted when it is done."""
    request, summary = analysis.request, analysis.summary
    if analysis.phase is Phase.DONE and summary is not None:
        said = result.explanation if result else None
        return MeasurementState(
            id=request.id,
            state="done",
            measurement=Measurement(
                verdict=summary.decision,
                score=summary.score,
                confidence=summary.confidence,
                reason=summary.reason,
                summary=summary.headline,
                analysis=said.body if said else "",
                root_cause=said.root_cause if said else "",
                remediation="; ".join(said.next_steps) if said else "",
                url=url_of(request.id, settings),
                digest=summary.digest,
                decided_by=summary.decided_by,
                rationale=rationale(result) if result else "",
                models=[_vote(opinion) for opinion in voices(result.verdict)] if result else [],
                warnings=[*request.warnings, *(result.warnings if result else ())],
            ),
        )
    if analysis.phase.final:
        return MeasurementState(id=request.id, state="error", message=_why(analysis))
    return MeasurementState(id=request.id, state="running")


def rationale(result: Result) -> str:
    """Return how the verdict came about, in a line."""
    verdict = result.verdict
    votes = ", ".join(f"{one.judge} {one.decision.value} ({one.confidence} %)" for one in verdict.opinions)
    told = f"row {verdict.row} of the decision table: {votes}"
    return f"{told}; {verdict.vote.why}, so: {verdict.vote.rationale}" if verdict.vote else told


def _vote(opinion: Opinion) -> ModelVote:
    return ModelVote(
        model_name=opinion.judge, promote=opinion.decision is Decision.PROMOTE, confidence=opinion.confidence
    )


def _why(analysis: Analysis) -> str:
    cancelled = analysis.phase is Phase.CANCELLED
    return analysis.message or (_CANCELLED if cancelled else "the analysis could not be made")


def poll_out(analysis: Analysis, settings: ServiceSettings) -> PollOut:
    """Return the state for Argo's web provider."""
    request, summary, url = analysis.request, analysis.summary, url_of(analysis.request.id, settings)
    if analysis.phase is Phase.DONE and summary is not None:
        return PollOut(
            verdict=summary.decision.value,
            score=summary.score,
            confidence=summary.confidence,
            reason=_short(summary.reason),
            id=request.id,
            url=url,
        )
    if analysis.phase.final:
        return PollOut(verdict="error", reason=_short(_why(analysis)), id=request.id, url=url)
    return PollOut(verdict="running", reason=progress(analysis), id=request.id, url=url)


def progress(analysis: Analysis) -> str:
    """Return in a line how far an analysis is."""
    told = [f"{one.name} {one.done}/{one.total}" if one.total else one.name for one in analysis.stages]
    return _short(", ".join(told) or analysis.phase.value)


def _short(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _REASON else line[: _REASON - 1] + "…"


def agent_answer(analysis: Analysis, result: Result | None) -> AgentAnswer | None:
    """Return what the Go plugin takes for its agent's answer, None when there is no verdict to tell of.

    Promoting needs a verdict that says so; anything else, an inconclusive one too, does not.
    """
    summary = analysis.summary
    if analysis.phase is not Phase.DONE or summary is None:
        return None
    said = result.explanation if result else None
    body = said.body if said else summary.reason
    return AgentAnswer(
        analysis=f"{summary.headline}\n\n{body}",
        root_cause=(said.root_cause if said else "") or summary.reason,
        remediation="; ".join(said.next_steps) if said else "",
        promote=summary.decision is Decision.PROMOTE,
        confidence=summary.confidence,
        model_results=_agent_models(result.verdict) if result else [],
        voting_rationale=rationale(result) if result else f"{summary.decision.value}, by {summary.decided_by}",
    )


def _agent_models(verdict: Verdict) -> list[AgentModel]:
    """Return what each judge said; those that were asked and failed say why, and promote nothing."""
    silent = [
        AgentModel(
            model_name=gap.what,
            analysis="",
            root_cause="",
            remediation="",
            promote=False,
            confidence=0,
            execution_time_ms=0,
            error=gap.reason,
        )
        for gap in (verdict.vote.failed if verdict.vote else ())
    ]
    return [*(_agent_model(one) for one in voices(verdict)), *silent]


def _agent_model(opinion: Opinion) -> AgentModel:
    return AgentModel(
        model_name=opinion.judge,
        analysis=opinion.rationale,
        root_cause=opinion.root_cause,
        remediation="; ".join(opinion.next_steps),
        promote=opinion.decision is Decision.PROMOTE,
        confidence=opinion.confidence,
        execution_time_ms=0,
        error=None,
    )


def no_agent_answer(message: str) -> NoAgentAnswer:
    """Return the body of an answer that is none."""
    return NoAgentAnswer(
        message=message,
        analysis=message,
        root_cause="",
        remediation="",
        confidence=0,
        model_results=[],
        voting_rationale="no verdict",
    )
