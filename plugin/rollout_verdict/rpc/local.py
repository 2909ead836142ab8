"""Measures in this process, for trying out and for small clusters: by the rules, without a model.

What is judged is the cluster that this process runs in or, where the configuration names one, a recorded bundle. The
engine and everything it needs are imported when the first measurement starts, on a thread of its own; it shares the
interpreter with the thread that serves the host, which is one more reason to prefer the service.
"""

import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from rollout_verdict.rpc.measurer import Broken, Job, Outcome, Running, State
from rollout_verdict.rpc.pool import BusyError, Pool
from rollout_verdict.rpc.settings import Settings

if TYPE_CHECKING:
    from rollout_verdict.configuration import Configuration
    from rollout_verdict.core.evidence import Evidence
    from rollout_verdict.core.ports import Cluster, Metrics
    from rollout_verdict.core.redaction.redact import Redactor
    from rollout_verdict.core.target import Target
    from rollout_verdict.settings import Settings as ProcessSettings

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
        # Reading a cluster is waiting, and is done by as many as there are.
        self._engine = threading.Lock()
        # Where live evidence comes from; set up when the first live measurement is made.
        self._cluster: Cluster | None = None
        self._metrics: Callable[[Configuration], Metrics | None] | None = None

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
            state = self._judge(job)
        except Exception as error:  # noqa: BLE001 -- a measurement that breaks must end as an error, not as silence
            state = Broken(reason=f"the measurement failed: {type(error).__name__}")
        self._put(job.id, state)

    def _judge(self, job: Job) -> Outcome | Broken:
        """Judge what the job names, by the rules. No model is asked: keys belong to the service, not into this pod."""
        from rollout_verdict.adapters.bundle import BundleError
        from rollout_verdict.configuration import InvalidConfigurationError, read_configuration
        from rollout_verdict.core.redaction.redact import Redactor
        from rollout_verdict.core.target import TargetError
        from rollout_verdict.settings import SettingsError, read_settings

        try:
            configuration, warnings = read_configuration(job.config)
            settings = read_settings(os.environ)
            redactor = Redactor(custom=settings.redact)
            if problem := _needs_more(job, configuration):
                return Broken(reason=problem)
            evidence = self._evidence(job, configuration, settings)
        except BundleError as error:
            return Broken(reason=f"cannot read the bundle: {error}")
        except (InvalidConfigurationError, SettingsError, TargetError) as error:
            return Broken(reason=str(error))
        with self._engine:
            return _judged(evidence, configuration, redactor, warnings)

    def _evidence(self, job: Job, configuration: "Configuration", settings: "ProcessSettings") -> "Evidence":
        """Return the recorded bundle that the configuration names, else what the cluster tells now."""
        from pathlib import Path

        from rollout_verdict.adapters.bundle import read_bundle
        from rollout_verdict.gather import gather
        from rollout_verdict.wiring import live_cluster, live_metrics

        with self._engine:
            if configuration.bundle:
                return read_bundle(Path(configuration.bundle))
            if self._cluster is None or self._metrics is None:
                self._cluster, self._metrics = live_cluster(), live_metrics(settings)
            cluster, metrics = self._cluster, self._metrics
        return gather(_target(job, configuration), cluster, metrics(configuration), configuration.gathering())


def _target(job: Job, configuration: "Configuration") -> "Target":
    """Return what a job is about: its AnalysisRun, and the canary that Argo started it for."""
    from rollout_verdict.core.target import Target, TargetKind
    from rollout_verdict.core.values import Pair

    stable, canary = configuration.selectors
    return Target(
        kind=TargetKind.ANALYSIS_RUN,
        namespace=job.namespace,
        name=job.analysis_run,
        selectors=Pair(stable=stable, canary=canary),
        hashes=Pair(stable="", canary=job.template_hash),
    )


def _needs_more(job: Job, configuration: "Configuration") -> str:
    """Return what a configuration asks for that there is only in the service, "" when it can be served here."""
    from rollout_verdict.configuration import OnModelFailure
    from rollout_verdict.core.policy import Mode
    from rollout_verdict.core.values import SourceKind

    if SourceKind.MODEL in configuration.required_sources:
        return "requiredSources asks for the model, and --local asks none: use the service"
    if configuration.mode is Mode.AUTO and configuration.on_model_failure is OnModelFailure.ERROR:
        return "onModelFailure is error, and --local asks no model: use the service"
    if configuration.namespace not in ("", job.namespace):
        # This process reads with the controller's rights: who may write a template here may not read logs elsewhere.
        return f"namespace is not the AnalysisRun's ({job.namespace}), and --local reads no other: use the service"
    return ""


def _judged(
    evidence: "Evidence", configuration: "Configuration", redactor: "Redactor", warnings: tuple[str, ...]
) -> Outcome:
    from rollout_verdict.configuration import OnModelFailure
    from rollout_verdict.core.policy import Mode
    from rollout_verdict.core.values import Decision
    from rollout_verdict.engine import judge

    insists = configuration.mode is Mode.AUTO and configuration.on_model_failure is OnModelFailure.INCONCLUSIVE
    result = judge(evidence, configuration.policy(), None, redactor)
    verdict, explanation = result.verdict, result.explanation
    decision, reason = verdict.decision, verdict.reason
    if insists and decision is Decision.PROMOTE:
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
