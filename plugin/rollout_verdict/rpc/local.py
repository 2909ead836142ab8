"""Measures in this process, for trying out: judges the recorded bundle that the configuration names.

The engine and everything it needs are imported when the first measurement starts, on a thread of its own; it shares
the interpreter with the thread that serves the host, which is one more reason to prefer the service. Live
sources (pods, Prometheus) are the service's: a configuration without ``bundle`` is an error here, never a verdict.
"""

import threading
from collections.abc import Mapping

from rollout_verdict.rpc.measurer import Broken, Job, Outcome, Running, State
from rollout_verdict.rpc.pool import BusyError, Pool
from rollout_verdict.rpc.settings import Settings

# Measurements kept when the controller never asks to forget them. A result is a few KB.
_MAX_KEPT = 1000


class LocalMeasurer:
    """A ``Measurer`` over the engine, safe to use from many threads. State lives and dies with the process."""

    def __init__(self, settings: Settings, pool: Pool) -> None:
        self._settings = settings
        self._pool = pool
        self._states: dict[str, State] = {}
        self._lock = threading.Lock()
        # One at a time: the engine is arithmetic, so more at once would only wait for the interpreter, and for longer.
        self._engine = threading.Lock()

    def problem(self) -> str:
        """Return what is wrong with the settings, "" when nothing is."""
        return self._settings.problem

    def start(self, job: Job, *, within: float) -> State:  # noqa: ARG002 -- the pool takes it at once
        """Start a measurement, or return its state when it exists."""
        with self._lock:
            known = self._states.get(job.id)
            if known is not None:
                return known
            while len(self._states) >= _MAX_KEPT:
                del self._states[next(iter(self._states))]
            self._states[job.id] = Running()
        try:
            self._pool.submit(lambda: self._measure(job))
        except BusyError as error:
            self._put(job.id, Broken(reason=str(error)))
        return Running()

    def get(self, job: Job, *, within: float) -> State | None:  # noqa: ARG002 -- answered from memory
        """Return the state of a measurement, None when this process does not know it."""
        with self._lock:
            return self._states.get(job.id)

    def cancel(self, job: Job, *, within: float) -> None:  # noqa: ARG002 -- answered from memory
        """Forget a measurement; one that is being made ends unseen."""
        self.forget((job.id,))

    def forget(self, measurement_ids: tuple[str, ...]) -> None:
        """Drop what is kept about measurements."""
        with self._lock:
            for measurement_id in measurement_ids:
                self._states.pop(measurement_id, None)

    def about(self, *, within: float) -> Mapping[str, str]:  # noqa: ARG002 -- answered from memory
        """Return nothing: which model is asked depends on the measurement."""
        return {}

    def _put(self, measurement_id: str, state: State) -> None:
        with self._lock:
            if measurement_id in self._states:  # else: cancelled, or forgotten
                self._states[measurement_id] = state

    def _measure(self, job: Job) -> None:
        try:
            with self._engine:
                state = _judge(job)
        except Exception as error:  # noqa: BLE001 -- a measurement that breaks must end as an error, not as silence
            state = Broken(reason=f"the measurement failed: {type(error).__name__}")
        self._put(job.id, state)


def _judge(job: Job) -> Outcome | Broken:
    """Judge the job's bundle by the rules. No model is asked: keys belong to the service, not into this pod."""
    from pathlib import Path

    from rollout_verdict.adapters.bundle import BundleError, read_bundle
    from rollout_verdict.configuration import InvalidConfigurationError, OnModelFailure, read_configuration
    from rollout_verdict.core.policy import Mode
    from rollout_verdict.core.redaction.redact import Redactor
    from rollout_verdict.core.values import Decision, SourceKind
    from rollout_verdict.engine import judge

    try:
        configuration, warnings = read_configuration(job.config)
    except InvalidConfigurationError as error:
        return Broken(reason=str(error))
    if SourceKind.MODEL in configuration.required_sources:
        return Broken(reason="requiredSources asks for the model, and --local asks none: use the service")
    needs_model = configuration.mode is Mode.AUTO and configuration.on_model_failure
    if needs_model is OnModelFailure.ERROR:
        return Broken(reason="onModelFailure is error, and --local asks no model: use the service")
    if not configuration.bundle:
        return Broken(reason="--local judges recorded bundles only: set bundle to the path of one, or use the service")
    try:
        evidence = read_bundle(Path(configuration.bundle))
    except BundleError as error:
        return Broken(reason=f"cannot read the bundle: {error}")
    result = judge(evidence, configuration.policy(), None, Redactor())
    verdict, explanation = result.verdict, result.explanation
    decision, reason = verdict.decision, verdict.reason
    if needs_model is OnModelFailure.INCONCLUSIVE and decision is Decision.PROMOTE:
        decision, reason = Decision.INCONCLUSIVE, f"no model was asked, and onModelFailure is inconclusive: {reason}"
    return Outcome(
        verdict=decision.value,
        score=verdict.score,
        confidence=verdict.confidence,
        reason=reason,
        summary=explanation.headline,
        analysis=explanation.body,
        root_cause=explanation.root_cause,
        remediation="; ".join(explanation.next_steps),
        digest=verdict.digests.evidence,
        decided_by=verdict.decided_by.value,
        rationale=f"row {verdict.row} of the decision table",
        models=tuple(
            {
                "modelName": opinion.judge,
                "promote": opinion.decision is Decision.PROMOTE,
                "confidence": opinion.confidence,
            }
            for opinion in verdict.opinions
        ),
        warnings=warnings,
    )
