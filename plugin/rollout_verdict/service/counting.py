"""What the counters hear of analyses."""

import logging

from rollout_verdict.core.result import Result
from rollout_verdict.jobs.analysis import Analyses, Phase
from rollout_verdict.jobs.durable import DurableAnalyses
from rollout_verdict.service.metrics import Metrics
from rollout_verdict.service.tracing import Tracer

_LOG = logging.getLogger(__name__)


class Ends:
    """Hears how analyses end (``jobs.analysis.OnEnd``): counts them, and writes a line and a trace of each.

    ``analyses``, set once they exist, tells the times of an analysis.
    """

    def __init__(self, metrics: Metrics, tracer: Tracer | None = None) -> None:
        self.analyses: Analyses | None = None
        self._metrics = metrics
        self._tracer = tracer

    def __call__(self, analysis_id: str, phase: Phase, result: Result | None) -> None:
        """Take note of an end. What goes wrong here must not touch the analysis."""
        try:
            self._count(analysis_id, phase, result)
        except Exception:  # noqa: BLE001 -- counting is no reason for an analysis to fail
            _LOG.exception("an end was not counted", extra={"analysis": analysis_id})

    def _count(self, analysis_id: str, phase: Phase, result: Result | None) -> None:
        self._metrics.ended(phase)
        analysis = self.analyses.get(analysis_id) if self.analyses is not None else None
        seconds = None
        if analysis is not None and analysis.finished is not None:
            seconds = (analysis.finished - analysis.created).total_seconds()
            self._metrics.stage("total", seconds)
            if self._tracer is not None:
                self._tracer.analysis(analysis, result)
        if result is not None:
            self._metrics.judged(result)
        verdict = result.verdict if result is not None else None
        _LOG.info(
            "an analysis ended",
            extra={
                "analysis": analysis_id,
                "phase": phase.value,
                "decision": verdict.decision.value if verdict else "",
                "decided_by": verdict.decided_by.value if verdict else "",
                "reason": verdict.reason if verdict else (analysis.message if analysis else ""),
                "seconds": seconds,
            },
        )


def watch(metrics: Metrics, analyses: DurableAnalyses) -> None:
    """Add gauges for what waits and runs, over all replicas."""
    metrics.watch("queue_depth", "Analyses that wait", lambda: float(analyses.counts().get(Phase.QUEUED, 0)))
    metrics.watch("running", "Analyses that are at work", lambda: float(analyses.counts().get(Phase.RUNNING, 0)))
