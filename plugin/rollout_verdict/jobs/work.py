"""The work of one analysis, in steps: what a finished step came to is kept, and no crash makes it happen again.

    gather -> rules -> ask the model -> decide, explain, store -> notify

What was gathered, each answer of a model and the result are kept in the store the moment they are there: that is the
record of these steps. Each notification is a step of DBOS, which returns JSON. What lies between steps is arithmetic
on what they came to, so it may be done again.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from rollout_verdict import engine
from rollout_verdict.configuration import Configuration, InvalidConfigurationError, OnModelFailure, read_configuration
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.core.ports import Judgement
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.core.result import Result
from rollout_verdict.core.stage import Stage
from rollout_verdict.core.target import TargetError
from rollout_verdict.core.values import SourceKind
from rollout_verdict.jobs import codec
from rollout_verdict.jobs.analysis import Gathered, OnEnd, Phase, Request, Summary
from rollout_verdict.jobs.answers import tokens_of
from rollout_verdict.jobs.asking import Asking, Model
from rollout_verdict.jobs.outage import lasting
from rollout_verdict.jobs.running import Running, Stop
from rollout_verdict.jobs.settings import JobSettings
from rollout_verdict.jobs.store import Store

_LOG = logging.getLogger(__name__)

T = TypeVar("T")

MIB = 1 << 20

# Runs a named piece of work once in the life of an analysis.
Step = Callable[[str, Callable[[], Any]], Any]
Gather = Callable[[Request, Configuration, Callable[[Stage], None]], Evidence]


class Models(Protocol):
    """Gives the model for one measurement, None when none is set up; ``stop`` ends its calls."""

    def __call__(self, configuration: Configuration, stop: Stop, within_s: float) -> Model | None:
        """Return the model, which has ``within_s`` for an answer."""
        ...


class Notifier(Protocol):
    """Tells somebody of a verdict. What it raises is noted and changes nothing."""

    @property
    def name(self) -> str:
        """The name that ``notify`` of a template gives it."""
        ...

    def __call__(self, request: Request, result: Result) -> None:
        """Tell of the verdict."""
        ...


class Recall(Protocol):
    """Adds to evidence what is remembered of the rollout."""

    def __call__(self, request: Request, evidence: Evidence) -> Evidence:
        """Return the evidence with it."""
        ...


# Hears how many seconds a part of an analysis took: gather, rules, model (each call), decide, store, notify.
Took = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the work is done with. ``gather`` is for live targets; uploads and replays are read from the store."""

    gather: Gather
    models: Models = lambda configuration, stop, within_s: None  # noqa: ARG005 -- the rules alone
    notifiers: tuple[Notifier, ...] = ()
    recall: Recall = lambda request, evidence: evidence  # noqa: ARG005 -- nothing is remembered
    redact: tuple[tuple[str, str], ...] = ()
    on_end: OnEnd = lambda analysis_id, phase, result: None  # noqa: ARG005 -- nobody counts
    took: Took = lambda part, seconds: None  # noqa: ARG005 -- nobody counts


class Leave(BaseException):
    """The process is about to end and goes no further; what was begun waits for the next one."""


class _ProblemError(Exception):
    """The analysis cannot be done; the text is for people."""


class _Ended(BaseException):
    """The analysis was ended from outside: cancelled, or past its deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Now:
    """One analysis under way."""

    request: Request
    configuration: Configuration
    warnings: tuple[str, ...]
    deadline: float
    again: bool  # it was begun before
    step: Step
    stop: Stop

    @property
    def id(self) -> str:
        return self.request.id


class Work:
    """Does analyses. Safe to use from many threads; ``clock`` is seconds since the epoch."""

    def __init__(
        self,
        store: Store,
        running: Running,
        parts: Parts,
        settings: JobSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._running = running
        self._parts = parts
        self._settings = settings
        self._clock = clock
        self._judging = threading.Semaphore(settings.judging)
        self._closing = False

    def run(self, analysis_id: str, step: Step) -> None:
        """Do one analysis from wherever it was left. Raises Leave, and what the database raises when it stays away."""
        begun = lasting(lambda: self._store.begin(analysis_id, self._clock()))
        if begun is None or begun.phase in (Phase.CANCELLED, Phase.ERROR):
            return
        with self._running.one(analysis_id) as stop:
            try:
                configuration, warnings = read_configuration(begun.request.config)
                now = _Now(
                    request=begun.request,
                    configuration=configuration,
                    warnings=tuple(dict.fromkeys((*begun.request.warnings, *warnings))),
                    deadline=begun.deadline,
                    again=begun.again,
                    step=step,
                    stop=stop,
                )
                self._run(now)
            except _Ended:
                if self._closing:
                    raise Leave from None
            except sa.exc.SQLAlchemyError:
                raise
            except (InvalidConfigurationError, TargetError, _ProblemError) as problem:
                self._fail(analysis_id, str(problem))
            except Exception as error:  # noqa: BLE001 -- whatever breaks here must not pass for a verdict
                self._fail(analysis_id, _broken("judging", error))

    def close(self) -> None:
        """Leave off: stop what runs, for another process to go on with."""
        self._closing = True
        for analysis_id in self._running.ids():
            self._running.stop(analysis_id)

    def _fail(self, analysis_id: str, message: str) -> None:
        if lasting(lambda: self._store.end(analysis_id, Phase.ERROR, self._clock(), message=message)):
            self._parts.on_end(analysis_id, Phase.ERROR, None)

    def _run(self, now: _Now) -> None:
        gathered = self._gathered(now)
        self._check(now)
        redactor = Redactor(custom=self._parts.redact)
        self._running.reached(now.id, Stage(name="judge"))
        with self._judging, self._timed("rules"):
            policy = _policy(now.configuration)
            case = engine.weigh(gathered.evidence, replace(policy, extra_prompt=redactor.text(policy.extra_prompt)))
        judgement, notes = self._judgement(now, case)
        self._check(now)
        with self._judging, self._timed("decide"):
            result = engine.conclude(case, judgement, redactor)
            result = replace(
                result,
                redactions=tuple(sorted({**gathered.redactions, **dict(result.redactions)}.items())),
                warnings=(*result.warnings, *now.warnings, *notes),
            )
            content = codec.packed(result)
        if _needs_model(now.configuration, case) and len(result.verdict.opinions) == 1:
            raise _ProblemError(f"onModelFailure is error, and {_unheard(result)}")
        if len(content) > self._settings.bundle_bytes:
            raise _ProblemError(_too_large(len(content), self._settings.bundle_bytes))
        self._running.reached(now.id, Stage(name="judge", done=1, total=1))
        with self._timed("store"):
            ended = lasting(
                lambda: self._store.end(
                    now.id,
                    Phase.DONE,
                    self._clock(),
                    stages=self._running.stages(now.id),
                    summary=summary(result),
                    result=content,
                )
            )
        if ended:
            self._parts.on_end(now.id, Phase.DONE, result)
        elif not self._done(now.id):
            raise _Ended
        self._running.tell(now.id)  # whoever listens hears of the verdict before the notifications are out
        for notifier in self._parts.notifiers:
            if notifier.name in now.configuration.notify:
                with self._timed("notify"):
                    now.step(f"notify {notifier.name}", partial(_told, notifier, now.request, result))

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self._parts.took(part, time.monotonic() - began)

    def _done(self, analysis_id: str) -> bool:
        """Whether it was done before: before a crash, or before an answer of the database that was lost."""
        analysis = lasting(lambda: self._store.get(analysis_id))
        return analysis is not None and analysis.phase is Phase.DONE

    def _check(self, now: _Now) -> None:
        if now.stop:
            raise _Ended

    # -- evidence -----------------------------------------------------------------------------------------------------

    def _gathered(self, now: _Now) -> Gathered:
        """Return what the analysis gathered before, or gathers now; the first evidence that is kept is the evidence."""
        if now.again and (kept := lasting(lambda: self._store.gathered(now.id))):
            return kept
        evidence = self._found(now)
        self._check(now)
        with self._judging:
            redactor = Redactor(custom=self._parts.redact)
            gathered = Gathered(evidence=redactor.tree(evidence), redactions=redactor.counts)
            content = codec.packed(gathered)
        if len(content) > self._settings.bundle_bytes:
            raise _ProblemError(_too_large(len(content), self._settings.bundle_bytes))
        if lasting(lambda: self._store.keep_gathered(now.id, content, self._clock())):
            return gathered
        self._check(now)
        if kept := lasting(lambda: self._store.gathered(now.id)):  # by who took it over, or before an answer was lost
            return kept
        raise _ProblemError("the evidence of this analysis is gone: start it again")

    def _found(self, now: _Now) -> Evidence:
        try:
            return self._parts.recall(now.request, self._looked_up(now))
        except (TargetError, _ProblemError, sa.exc.DBAPIError):
            raise
        except Exception as error:  # noqa: BLE001 -- foreign machinery; its text may quote anything
            raise _ProblemError(_broken("gathering", error)) from None

    def _looked_up(self, now: _Now) -> Evidence:
        request = now.request
        if request.target is not None:
            with self._timed("gather"):
                return self._parts.gather(request, now.configuration, lambda s: self._running.reached(request.id, s))
        stage = Stage(name="bundle", note="replay" if request.replay_of else "upload")
        self._running.reached(request.id, stage)
        if request.replay_of:
            result = lasting(lambda: self._store.result(request.replay_of))
            found = None if result is None else result.evidence
        else:
            found = lasting(lambda: self._store.uploaded(request.upload))
        if found is None:
            what = f"analysis {request.replay_of}" if request.replay_of else f"bundle {request.upload}"
            raise _ProblemError(f"{what} is not kept any more: upload the bundle again")
        self._running.reached(request.id, replace(stage, done=1, total=1))
        return found

    # -- the model ----------------------------------------------------------------------------------------------------

    def _judgement(self, now: _Now, case: engine.Case) -> tuple[Judgement | None, tuple[str, ...]]:
        """Return what a model says, and notes on how that came; None where none is to be asked."""
        within_s = max(1.0, min(now.configuration.deadlines.model, now.deadline - self._clock()))
        model = None if case.settled else self._parts.models(now.configuration, now.stop, within_s)
        if model is None:
            return None, ()
        asking = Asking(
            analysis_id=now.id,
            namespace=now.request.namespace,
            store=self._store,
            limits=self._settings.limits,
            stop=now.stop,
            stopped=lambda: self._check(now),
            deadline=now.deadline,
            longest_s=within_s,
            dearest_usd=model.dearest_usd,
            redact=self._parts.redact,
            reuse=not now.request.replay_of,  # who replays wants to hear what a model says now
            on_stage=lambda stage: self._running.reached(now.id, stage),
            took=self._parts.took,
            clock=self._clock,
        )
        return asking.ask(model, case), asking.notes


def summary(result: Result) -> Summary:
    """Return the verdict in the columns of a list."""
    verdict, usage = result.verdict, result.usage
    return Summary(
        decision=verdict.decision,
        score=verdict.score,
        confidence=verdict.confidence,
        decided_by=verdict.decided_by.value,
        reason=verdict.reason,
        headline=result.explanation.headline,
        digest=verdict.digests.evidence,
        model=usage.model,
        tokens=tokens_of(usage),
        cost_usd=usage.cost_usd,
        gaps=len(verdict.gaps),
    )


def _policy(configuration: Configuration) -> Policy:
    policy = configuration.policy()
    if configuration.on_model_failure is OnModelFailure.INCONCLUSIVE and policy.mode is not Mode.RULES:
        return replace(
            policy, required_sources=tuple({**dict.fromkeys(policy.required_sources), SourceKind.MODEL: None})
        )
    return policy


def _told(notifier: Notifier, request: Request, result: Result) -> dict[str, str]:
    """Notify. Whatever becomes of it, the verdict stands."""
    try:
        notifier(request, result)
    except Exception as error:  # noqa: BLE001 -- foreign machinery
        return {"problem": _broken(f"notifying {notifier.name}", error)}
    return {}


def _needs_model(configuration: Configuration, case: engine.Case) -> bool:
    """Whether the operator wants no verdict of the rules where the model is silent."""
    wanted = configuration.on_model_failure is OnModelFailure.ERROR and configuration.mode is Mode.AUTO
    return wanted and not case.settled


def _unheard(result: Result) -> str:
    """Say why there is no opinion of a model."""
    gaps = (gap for gap in result.verdict.gaps if gap.source is SourceKind.MODEL)
    return next((f"{gap.what} is missing: {gap.reason}" for gap in gaps), "there is no model to ask")


def _broken(what: str, error: Exception) -> str:
    kind = type(error).__name__  # not its text, which may quote anything
    _LOG.error("%s broke with %s", what, kind, exc_info=_LOG.isEnabledFor(logging.DEBUG))
    return f"{what} broke ({kind}); the log of the service says more"


def _too_large(size: int, most: int) -> str:
    return f"the evidence takes {size / MIB:.1f} MiB, more than the {most / MIB:.1f} that are kept: narrow the window"
