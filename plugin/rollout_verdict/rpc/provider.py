"""The metric provider: the seven methods Argo calls, over a ``Measurer``.

Everything a measurement needs to go on is in its metadata, so that it survives a restart of the plugin, the
controller and the service. Nothing here waits for a measurement: Run hands it over and returns, Resume asks once.

Source of the life cycle: argo-rollouts ``analysis/analysis.go``, ``metricproviders/metricproviders.go``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rollout_verdict import __version__
from rollout_verdict.rpc import messages, report
from rollout_verdict.rpc.log import Log
from rollout_verdict.rpc.measurer import Broken, Job, Measurer, Outcome, Owner, Running, State, UnavailableError
from rollout_verdict.rpc.messages import AnalysisRun, Measurement, Time
from rollout_verdict.rpc.shape import ConfigurationError, Options, read_options
from rollout_verdict.wire.gob import Named, Only
from rollout_verdict.wire.gob_encode import TEXT, Schema

TYPE = "RolloutVerdict"
# Half of the time that has passed, within these bounds: a quick verdict is fetched soon, a slow one seldom asked for.
_FIRST_POLL_S, _LAST_POLL_S = 2.0, 15.0
_ID_LENGTH = 32  # hex digits
# The controller waits for every call with a worker of its own: an answer takes less than a second, come what may.
_ANSWER_S = 0.9
_ABOUT_S = 0.4
# Nobody waits for these.
_BACKGROUND_S = 10.0


class Method(NamedTuple):
    """One method of the plugin.

    ``argument`` is the name of the argument's concrete type, "" when the argument is not looked at; ``only`` what is
    wanted of it. ``call`` gets the argument's fields and returns a value for ``reply``. One that ``blocks`` runs in
    the pool, any other on the thread that serves the connection.
    """

    argument: str
    only: Only | None
    reply: Schema
    call: Callable[[Mapping[str, Any]], Any]
    blocks: bool


class _Context(NamedTuple):
    """What every method learns from its arguments."""

    options: Options
    run: AnalysisRun
    job: Job


class Provider:
    """Speaks for a measurer. ``submit`` runs a function elsewhere, soon; ``now`` is the clock."""

    def __init__(
        self, measurer: Measurer, *, now: Callable[[], Time], submit: Callable[[Callable[[], None]], None], log: Log
    ) -> None:
        self._measurer = measurer
        self._now = now
        self._submit = submit
        self._log = log
        self._problem = ""

    def methods(self) -> dict[str, Method]:
        """Return the methods by the names they have on the wire."""
        resume = messages.RESUME_ARGS
        return {
            "Plugin.InitPlugin": Method(
                argument="", only=Only(), reply=messages.RPC_ERROR, call=self._init, blocks=False
            ),
            "Plugin.Type": Method(argument="", only=Only(), reply=TEXT, call=lambda _: TYPE, blocks=False),
            "Plugin.GetMetadata": Method(
                argument="GetMetadataArgs",
                only=messages.METADATA_ARGS,
                reply=messages.METADATA,
                call=self._get_metadata,
                blocks=True,
            ),
            "Plugin.Run": Method(
                argument="RunArgs",
                only=messages.RUN_ARGS,
                reply=messages.MEASUREMENT,
                call=lambda args: self._run(args).fields(),
                blocks=False,
            ),
            "Plugin.Resume": Method(
                argument="TerminateAndResumeArgs",
                only=resume,
                reply=messages.MEASUREMENT,
                call=lambda args: self._resume(args).fields(),
                blocks=True,
            ),
            "Plugin.Terminate": Method(
                argument="TerminateAndResumeArgs",
                only=resume,
                reply=messages.MEASUREMENT,
                call=lambda args: self._terminate(args).fields(),
                blocks=True,
            ),
            "Plugin.GarbageCollect": Method(
                argument="GarbageCollectArgs",
                only=messages.GARBAGE_ARGS,
                reply=messages.RPC_ERROR,
                call=self._garbage_collect,
                blocks=False,
            ),
        }

    # The seven methods

    def _init(self, _: Mapping[str, Any]) -> dict[str, str]:
        # The controller reports this once and goes on with the process, so it is kept for every Run to come.
        self._problem = report.one_line(self._measurer.problem())
        if self._problem:
            self._log.error("the plugin is not set up", problem=self._problem)
        return {"ErrorString": self._problem}

    def _run(self, arguments: Mapping[str, Any]) -> Measurement:
        now = self._now()
        try:
            context = self._context(arguments)
        except ConfigurationError as error:
            return _failed(str(error), now, Measurement(phase="", started_at=now))
        job = context.job
        self._log.debug("measurement asked for", id=job.id, analysisRun=job.analysis_run, metric=job.metric)
        self._submit(lambda: self._start_quietly(context))
        old = Measurement(phase="", started_at=now, metadata={report.ID_KEY: job.id})
        return _running("measuring", now, now, old, context.run.secrets)

    def _resume(self, arguments: Mapping[str, Any]) -> Measurement:
        now = self._now()
        old = _begun(messages.measurement(arguments), now)
        try:
            context = self._context(arguments, old)
        except ConfigurationError as error:
            return _failed(str(error), now, old)
        job = context.job
        old = old._replace(metadata={**old.metadata, report.ID_KEY: job.id})
        try:
            state = self._measurer.get(job, within=_ANSWER_S)
            if state is None:
                self._log.warning("measurement not known, starting it again", id=job.id)
                left = _ANSWER_S - self._now().since(now)  # more than all of it when the clock was set back
                state = self._measurer.start(job, within=min(max(left, 0.1), _ANSWER_S))
        except UnavailableError as error:
            return self._absorb(str(error), now, old, context)
        known = {key: text for key, text in old.metadata.items() if key != report.UNAVAILABLE_KEY}
        return self._answer(state, now, old._replace(metadata=known), context)

    def _terminate(self, arguments: Mapping[str, Any]) -> Measurement:
        now = self._now()
        old = _begun(messages.measurement(arguments), now)
        secrets: Sequence[str] = ()
        try:
            context = self._context(arguments, old)
            secrets = context.run.secrets
            old = old._replace(metadata={**old.metadata, report.ID_KEY: context.job.id})
            self._measurer.cancel(context.job, within=_ANSWER_S)
        except (ConfigurationError, UnavailableError) as error:
            self._log.warning("could not cancel", problem=report.redact(str(error), secrets))
        return _final(messages.INCONCLUSIVE, "stopped before there was a verdict", now, old, secrets)

    def _garbage_collect(self, arguments: Mapping[str, Any]) -> dict[str, str]:
        run, metric = messages.analysis_run(arguments, report.ID_KEY), messages.metric(arguments)
        if run is not None:
            limit = max(arguments.get("Limit", 0), 0)
            ids = run.measurement_ids.get(metric.name, ())
            self._measurer.forget(tuple(i for i in ids[: max(len(ids) - limit, 0)] if i))
        return {"ErrorString": ""}  # an error here would stop the controller from trimming measurements

    def _get_metadata(self, arguments: Mapping[str, Any]) -> dict[str, str]:
        about = self._measurer.about(within=_ABOUT_S)
        metadata = {"pluginVersion": __version__}
        try:
            # There is no AnalysisRun to tell secrets by, so of the configuration only the mode, one of three words.
            metadata["mode"] = read_options(messages.metric(arguments), ()).mode
        except ConfigurationError:
            metadata["mode"] = "invalid configuration"
        known = {key: report.one_line(about.get(key, "")) for key in ("model", "promptDigest", "serviceVersion")}
        return metadata | {key: text for key, text in known.items() if text}

    # Their parts

    def _context(self, arguments: Mapping[str, Any], old: Measurement | None = None) -> _Context:
        if self._problem:
            raise ConfigurationError(self._problem)
        run, metric = messages.analysis_run(arguments, report.ID_KEY), messages.metric(arguments)
        if run is None:
            raise ConfigurationError("the controller sent no AnalysisRun, so there is nothing to judge")
        options = read_options(metric, run.secrets)
        identity = (run.uid or f"{run.namespace}/{run.name}", metric.name, str(run.completed.get(metric.name, 0)))
        known = old.metadata.get(report.ID_KEY, "") if old is not None else ""
        job = Job(
            id=known if _is_id(known) else _derive_id(identity),
            plugin=options.plugin,
            metric=metric.name,
            namespace=run.namespace,
            analysis_run=run.name,
            analysis_run_uid=run.uid,
            owner=run.owner or Owner(),
            revision=run.revision,
            template_hash=run.template_hash,
            arguments=run.arguments,
            dry_run=metric.name in run.dry_run,
            config=options.config,
        )
        return _Context(options=options, run=run, job=job)

    def _start_quietly(self, context: _Context) -> None:
        try:
            self._measurer.start(context.job, within=_BACKGROUND_S)
        except UnavailableError as error:
            # Not lost: Resume finds the measurement unknown and starts it.
            problem = report.redact(str(error), context.run.secrets)
            self._log.warning("could not start the measurement yet", id=context.job.id, problem=problem)

    def _absorb(self, reason: str, now: Time, old: Measurement, context: _Context) -> Measurement:
        """Go on for a while when nobody can be asked, then end; never in a pass."""
        options, secrets = context.options, context.run.secrets
        since = min(messages.parse_time(old.metadata.get(report.UNAVAILABLE_KEY, "")) or now, now)
        self._log.warning("measurement waits", id=context.job.id, problem=report.redact(reason, secrets))
        if now.since(since) < options.unavailable_grace_s and not _is_late(now, old, options):
            old = old._replace(metadata={**old.metadata, report.UNAVAILABLE_KEY: since.text()})
            return _running(f"waiting: {reason}", now, now, old, secrets)
        phase = messages.ERROR if options.unavailable_is_error else _inconclusive(options)
        return _final(phase, f"no verdict, {now.since(since):.0f} s without the service: {reason}", now, old, secrets)

    def _answer(self, state: State, now: Time, old: Measurement, context: _Context) -> Measurement:
        options, secrets = context.options, context.run.secrets
        match state:
            case Outcome():
                outcome = report.redacted(state, secrets)
                phase = report.phase_of(outcome, inconclusive_is_failure=options.inconclusive_is_failure)
                found = report.metadata_of(outcome, options.warnings)
                value = report.value_of(outcome, number=options.number_value)
                old = old._replace(value=value, metadata={**old.metadata, **found})
                return _final(phase, outcome.reason or outcome.verdict, now, old, secrets)
            case Broken(reason=reason):
                return _failed(reason, now, old, secrets)
            case Running() if _is_late(now, old, options):
                self._submit(lambda: self._cancel_quietly(context))
                reason = f"no verdict within {options.deadline_s:.0f} s"
                return _final(_inconclusive(options), reason, now, old, secrets)
            case Running():
                return _running("measuring", old.started_at or now, now, old, secrets)

    def _cancel_quietly(self, context: _Context) -> None:
        try:
            self._measurer.cancel(context.job, within=_BACKGROUND_S)
        except UnavailableError as error:
            problem = report.redact(str(error), context.run.secrets)
            self._log.warning("could not cancel", id=context.job.id, problem=problem)


def _inconclusive(options: Options) -> str:
    return messages.FAILED if options.inconclusive_is_failure else messages.INCONCLUSIVE


def _derive_id(identity: tuple[str, str, str]) -> str:
    """Return the id of a measurement: the same for the same AnalysisRun, metric and ordinal, wherever it is asked."""
    import hashlib

    text = "\0".join(identity).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=_ID_LENGTH // 2).hexdigest()


def _is_id(text: str) -> bool:
    return len(text) == _ID_LENGTH and all(c in "0123456789abcdef" for c in text)


def _begun(old: Measurement, now: Time) -> Measurement:
    """Return a measurement that began before ``now``. A clock set back must not put its deadline off."""
    return old._replace(started_at=min(old.started_at or now, now))


def _is_late(now: Time, old: Measurement, options: Options) -> bool:
    return old.started_at is not None and now.since(old.started_at) > options.deadline_s


def _running(message: str, started: Time, now: Time, old: Measurement, secrets: Sequence[str]) -> Measurement:
    wait = min(max(now.since(started) / 2, _FIRST_POLL_S), _LAST_POLL_S)
    return _sealed(old._replace(phase=messages.RUNNING, message=message, value="", resume_at=now.plus(wait)), secrets)


def _final(phase: str, message: str, now: Time, old: Measurement, secrets: Sequence[str] = ()) -> Measurement:
    return _sealed(old._replace(phase=phase, message=message, finished_at=now, resume_at=None), secrets)


def _failed(reason: str, now: Time, old: Measurement, secrets: Sequence[str] = ()) -> Measurement:
    return _final(messages.ERROR, reason, now, old._replace(value=""), secrets)


def _sealed(found: Measurement, secrets: Sequence[str]) -> Measurement:
    """Return a measurement fit to leave: bounded, one line, without secrets."""
    return found._replace(
        message=report.one_line(report.redact(found.message, secrets)),
        value=report.redact(found.value, secrets),
        # Our own keys stay as they are: a secret such as "2026" would make the time unreadable, and the grace endless.
        metadata=report.bounded(
            {
                key: text if key in report.OWN_KEYS else report.redact(text, secrets)
                for key, text in found.metadata.items()
            }
        ),
    )


def argument_of(method: Method, argument: Any) -> Mapping[str, Any] | str:
    """Return the fields of an argument, or the text of the error that its type deserves (rpc.go: "invalid args")."""
    if not method.argument:
        return {}
    if isinstance(argument, Named) and argument.name == method.argument and isinstance(argument.value, dict):
        return argument.value
    found = argument.name if isinstance(argument, Named) else type(argument).__name__
    return f"invalid args {found[:100]}, expected {method.argument}"
