"""Asking models within one analysis: each call has its turn, each answer is kept the moment it arrives.

A judge may ask several models, one after the other. The calls of an analysis are numbered in their order, which the
same evidence and the same answers make the same again: so after a crash those that were answered are not made anew.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from random import random
from threading import Lock

from rollout_verdict import engine
from rollout_verdict.core.comparison import Comparison
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.ports import Family, Judge, Judgement
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.core.stage import Stage
from rollout_verdict.core.values import Gap, Opinion, SourceKind, Usage
from rollout_verdict.jobs.answers import Limits
from rollout_verdict.jobs.outage import AWAY, lasting
from rollout_verdict.jobs.running import Stop
from rollout_verdict.jobs.store import Store

TURN_S = 0.25  # between two looks whether a model may be asked; only one analysis of a process looks at a time
LATE_S = 30.0  # so long after its deadline, a call whose process died holds its place among those who ask no longer
MODEL = "the model's opinion"
_LOOKING = Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model to ask. ``fingerprint`` names models and prompt: the same one gives the same question the same words.

    ``dearest_usd`` says what an answer may have cost whose price is not known.
    """

    judge: Judge
    fingerprint: str
    dearest_usd: Callable[[Usage], float] = lambda usage: 0.0  # noqa: ARG005 -- whose answers all have a price


@dataclass(slots=True, kw_only=True)
class Asking:
    """The calls of one analysis. ``deadline`` is seconds since the epoch, as ``clock`` tells them.

    ``reuse`` is False for whoever wants the model's word anew. ``others`` are the analyses whose answers were taken.
    """

    analysis_id: str
    namespace: str
    store: Store
    limits: Limits
    stop: Stop
    stopped: Callable[[], None]  # raises when the analysis has ended meanwhile
    deadline: float
    longest_s: float
    dearest_usd: Callable[[Usage], float]
    redact: tuple[tuple[str, str], ...] = ()
    reuse: bool = True
    on_stage: Callable[[Stage], None] = lambda stage: None  # noqa: ARG005 -- nobody listens
    took: Callable[[str, float], None] = lambda part, seconds: None  # noqa: ARG005 -- nobody counts
    clock: Callable[[], float] = time.time
    taken: int = 0
    others: dict[str, None] = field(default_factory=dict)

    def ask(self, model: Model, case: engine.Case) -> Judgement | None:
        """Return what the model, or several, say to a case."""
        asked = f"{case.evidence_digest} {case.policy_digest} {model.fingerprint}"
        key = sha256(asked.encode()).hexdigest()
        kind = _KeptFamily if isinstance(model.judge, Family) else _Kept
        return engine.ask(kind(judge_=model.judge, asking=self, key=key), case)

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to say of answers that came from elsewhere."""
        return tuple(
            f"the model's answer is that of analysis {one}, which had the same evidence" for one in self.others
        )

    def call(self, key: str, do: Callable[[], Judgement]) -> Judgement:
        """Return the next answer: the one that is kept, or that of a call."""
        own = f"{self.analysis_id}/{self.taken}"
        question = f"{key}/{self.taken}" if self.reuse else ""
        self.taken += 1
        if answer := self._without_a_call(own, question):
            return answer
        self.on_stage(Stage(name="model", note="waiting for a turn"))
        if not self._take_turn(own, question):
            self.stopped()
            return _refused("not asked: there was no turn for it before the deadline")
        if answer := self._without_a_call(own, question):  # of those before it in the queue, who have spent, too
            with suppress(*AWAY):
                self.store.leave_turn(own)
            return answer
        try:
            self.on_stage(Stage(name="model"))
            began = time.monotonic()
            judgement = do()
            self.took("model", time.monotonic() - began)
            self.stopped()  # what a stopped call says is no answer
            redactor = Redactor(custom=self.redact)
            kept = replace(judgement, opinion=redactor.tree(judgement.opinion), reply=redactor.text(judgement.reply))
            unpriced = self.dearest_usd(judgement.usage)
            lasting(lambda: self.store.keep_answer(own, kept, self.clock(), unpriced))
        except BaseException:
            self._give_back(own)
            raise
        self.on_stage(Stage(name="model", done=1, total=1, note=judgement.usage.model))
        return kept

    def _without_a_call(self, own: str, question: str) -> Judgement | None:
        """Return the answer that is kept, or the refusal of a call beyond the day's limit."""
        if found := lasting(lambda: self.store.answered(own, question)):
            kept = lasting(lambda: self.store.answer(found))
            if kept is not None:
                return self._paid(found, kept)
        return self._beyond_the_day()

    def _give_back(self, own: str) -> None:
        with suppress(*AWAY):  # nobody waits for this: the place is free in the end without it
            self.store.give_back(own, self.clock())

    def _beyond_the_day(self) -> Judgement | None:
        if not self.limits.daily:
            return None
        spent = lasting(lambda: self.store.spent(self.namespace, self.clock()))
        if beyond := spent.beyond(self.limits):
            return _refused(
                f"not asked: {beyond} in namespace {self.namespace or 'none'}",
                "it starts again at midnight UTC; raise the day's limit in the settings to have it sooner",
            )
        return None

    def _paid(self, found: str, judgement: Judgement) -> Judgement:
        """Return an answer with what it cost this analysis: nothing, if another one paid."""
        payer = found.split("/", maxsplit=1)[0]
        if payer == self.analysis_id:
            return judgement
        self.others[payer] = None
        return replace(judgement, usage=Usage(model=judgement.usage.model, cost_usd=0.0))

    def _take_turn(self, own: str, key: str) -> bool:
        """Wait until a model may be asked; False when the deadline comes first."""
        while not self.stop and self.clock() < self.deadline:
            if _LOOKING.acquire(timeout=TURN_S):
                try:
                    if lasting(lambda: self._turn(own, key)):
                        return True
                    self.stop.wait(TURN_S * (0.5 + random()))  # noqa: S311 -- spreads replicas, guards nothing
                finally:
                    _LOOKING.release()
        return False

    def _turn(self, own: str, key: str) -> bool:
        return self.store.take_turn(
            own,
            key=key,
            namespace=self.namespace,
            limits=self.limits,
            now=self.clock(),
            longest_s=self.longest_s + LATE_S,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A judge whose answers are kept."""

    judge_: Judge
    asking: Asking
    key: str

    def judge(self, evidence: Evidence, comparison: Comparison, rules: Opinion, policy: Policy) -> Judgement:
        return self.asking.call(self.key, lambda: self.judge_.judge(evidence, comparison, rules, policy))


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeptFamily(_Kept):
    """The same for a judge with others beside it."""

    def named(self, model: str, within_s: float) -> Judge:
        others = self.judge_
        if not isinstance(others, Family):
            raise TypeError(type(others).__name__)
        return _Kept(judge_=others.named(model, within_s), asking=self.asking, key=f"{self.key}/{model}")


def _refused(reason: str, hint: str = "") -> Judgement:
    return Judgement(opinion=Gap(source=SourceKind.MODEL, what=MODEL, reason=reason, hint=hint))
