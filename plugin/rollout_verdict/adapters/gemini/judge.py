"""The judge: one prompt, a chain of models, one retry layer, one deadline, and an opinion or a gap at the end."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from random import random
from typing import TYPE_CHECKING

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from rollout_verdict.adapters.gemini.breaker import Breaker
from rollout_verdict.adapters.gemini.chain import Chain
from rollout_verdict.adapters.gemini.loop import Loop, Stoppable
from rollout_verdict.adapters.gemini.options import Options, Thinking
from rollout_verdict.adapters.gemini.parse import parse
from rollout_verdict.adapters.gemini.prices import Prices
from rollout_verdict.adapters.gemini.rounds import Rounds, standing
from rollout_verdict.adapters.gemini.tally import Asked, Tally
from rollout_verdict.adapters.gemini.trouble import Kind, TroubleError
from rollout_verdict.core.comparison import Comparison
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.model import citations
from rollout_verdict.core.model.neutral import plain
from rollout_verdict.core.model.prompt import Templates, render
from rollout_verdict.core.model.reply import opinion
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.ports import Judgement
from rollout_verdict.core.values import Gap, Opinion, SourceKind, Usage

if TYPE_CHECKING:
    from rollout_verdict.adapters.gemini.call import Client

_LOG = logging.getLogger(__name__)

BACKOFF_S = 1.0  # first wait without a hint from the server; doubles, with full jitter
BACKOFF_MOST_S = 8.0
DETAIL_LENGTH = 200  # of what is said about a bad answer
MOST_OUTPUT = 65_536  # tokens: what any model of the family can write


class GeminiJudge:
    """Judges by Gemini. Safe to share between threads; one for the process, so that the breaker remembers.

    ``clock`` is monotonic seconds, ``sleep`` awaits seconds, ``today`` is the day prices are looked up for, ``jitter``
    a number in [0, 1) for each back-off.
    """

    def __init__(
        self,
        templates: Templates,
        options: Options,
        prices: Prices,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
        jitter: Callable[[], float] = random,
    ) -> None:
        self._templates = templates
        self._options = options
        self._prices = prices
        self._clock = clock
        self._sleep = sleep
        self._today = today
        self._jitter = jitter
        self._breaker = Breaker(options.breaker_failures, options.breaker_pause_s, clock)
        self._loop = Loop()
        self._client: Client | None = None

    def judge(self, evidence: Evidence, comparison: Comparison, rules: Opinion, policy: Policy) -> Judgement:
        """Return the model's opinion, or the gap that stands for it, with its cost. Never raises for model trouble."""
        return self.within(self._options.total_timeout_s).judge(evidence, comparison, rules, policy)

    def within(self, within_s: float, stop: Stoppable | None = None, model: str = "") -> "ChainJudge":
        """Return this judge for one measurement: with less time, to be stopped, or by a model other than the first."""
        models = tuple(dict.fromkeys((model, *self._options.models))) if model else self._options.models
        chain = Chain(
            models=models, total_s=min(within_s, self._options.total_timeout_s), breaker=self._breaker, stop=stop
        )
        return ChainJudge(parent=self, chain=chain)

    def named(self, model: str, within_s: float) -> "NamedJudge":
        """Return a judge by one model alone, with a deadline of its own in seconds."""
        return NamedJudge(parent=self, model=model, within_s=within_s)

    def dearest_usd(self, usage: Usage) -> float:
        """Return what tokens cost at the dearest price that is known, in US dollars."""
        return self._prices.dearest_usd(usage)

    def along(
        self, chain: Chain, evidence: Evidence, comparison: Comparison, rules: Opinion, policy: Policy
    ) -> Judgement:
        """Ask the models of a chain in turn until one gives a usable answer."""
        if not self._options.configured:
            gap = _gap("there is no API key and no Vertex AI project", "set GEMINI_API_KEY, or use mode rules")
            return Judgement(opinion=gap)
        prompt = render(self._templates, evidence, comparison, rules, policy, budget=self._options.budget)
        tally = Tally(prompt=prompt, deadline=self._clock() + chain.total_s)
        rounds = Rounds(evidence=evidence, comparison=comparison, most=policy.evidence_rounds)
        said: Opinion | Gap
        try:
            said = self._loop.run(lambda: self._within(chain, tally, rounds), chain.total_s, chain.stop)
        except TroubleError as trouble:
            chain.count(trouble)
            said = _gap(str(trouble), _HINTS.get(trouble.kind, ""))
        except TimeoutError:
            if not chain.stop:
                chain.breaker.failed()
            tally.cost_known = False
            said = _gap(f"no usable answer within {chain.total_s:g} s" + (f", last {tally.last}" if tally.last else ""))
        else:
            chain.breaker.succeeded()
        if isinstance(said, Gap) and tally.standing is not None:
            said, tally.prompt, tally.reply = (
                tally.standing
            )  # the round for more evidence failed, not the answer before
        return Judgement(opinion=said, usage=tally.priced(self._prices), prompt=tally.prompt.text, reply=tally.reply)

    def close(self) -> None:
        """Close connections and end the background thread."""
        client, self._client = self._client, None
        if client is not None:
            self._loop.run(client.close, self._options.attempt_timeout_s)
        self._loop.close()

    async def _within(self, chain: Chain, tally: Tally, rounds: Rounds) -> Opinion:
        """Ask, and again with what an answer asked for, as often as the policy allows."""
        async with asyncio.timeout(chain.total_s):
            said = await self._along_the_chain(chain, tally, rounds.comparison)
            for number in range(1, rounds.most + 1):
                wanted = rounds.granted(tally.requests, tally.prompt)
                if not wanted:
                    break
                tally.standing = standing(said, tally)
                tally.prompt = tally.prompt.granted(wanted, rounds.blocks, again=number < rounds.most)
                models = dict.fromkeys((tally.usage.model, *chain.models))
                said = await self._along_the_chain(replace(chain, models=tuple(models)), tally, rounds.comparison)
            return said

    async def _along_the_chain(self, chain: Chain, tally: Tally, comparison: Comparison) -> Opinion:
        """Ask the models in turn; move on only where the table says so. Raises the last TroubleError."""
        *others, last = chain.models
        for model in others:
            try:
                return await self._with_retries(model, tally, comparison)
            except TroubleError as trouble:
                if not trouble.treatment.next_model or tally.usage.attempts >= self._options.attempts:
                    raise
        return await self._with_retries(last, tally, comparison)

    async def _with_retries(self, model: str, tally: Tally, comparison: Comparison) -> Opinion:
        """Ask one model as often as the table allows: the one retry layer there is."""
        tally.seen.clear()
        asked = Asked(prompt=tally.prompt, room=self._options.max_output_tokens, thinking=self._options.thinking)
        retrying = AsyncRetrying(
            sleep=self._sleep,
            wait=lambda state: self._wait_s(_trouble_of(state), state.attempt_number),
            retry=retry_if_exception(lambda error: self._again(error, tally)),
            reraise=True,
        )
        return await retrying(self._attempt, model, asked, tally, comparison)

    def _again(self, error: BaseException, tally: Tally) -> bool:
        """Tell whether to ask the same model again: the table, the attempts and the time left allow it."""
        if not isinstance(error, TroubleError) or tally.seen[error.kind] > error.treatment.retries:
            return False
        remaining_s = tally.deadline - self._clock()
        return tally.usage.attempts < self._options.attempts and (error.retry_after_s or 0.0) < remaining_s

    def _wait_s(self, trouble: TroubleError, attempt: int) -> float:
        """Return the server's hint, else full jitter on a doubling bound; nothing where the answer itself was bad."""
        if trouble.retry_after_s is not None:
            return trouble.retry_after_s
        if not trouble.treatment.provider:
            return 0.0
        return self._jitter() * min(BACKOFF_MOST_S, BACKOFF_S * 2.0 ** (attempt - 1))

    async def _attempt(self, model: str, asked: Asked, tally: Tally, comparison: Comparison) -> Opinion:
        """Make one call and check its answer. Raises TroubleError."""
        try:
            return await self._one_call(model, asked, tally, comparison)
        except TroubleError as trouble:
            tally.seen[trouble.kind] += 1
            tally.last = str(trouble)
            if trouble.kind is Kind.TRUNCATED:
                asked.room = min(2 * asked.room, MOST_OUTPUT)
                asked.thinking = Thinking.LOW
            if trouble.problems:
                asked.prompt = tally.prompt.repaired(trouble.problems)
            raise

    async def _one_call(self, model: str, asked: Asked, tally: Tally, comparison: Comparison) -> Opinion:
        options = self._options
        if tally.spent_tokens + asked.prompt.tokens + asked.room > options.measurement_tokens:
            raise TroubleError(Kind.OVER_BUDGET, f"{tally.spent_tokens} of {options.measurement_tokens} tokens used")
        client = self._connected()
        tally.usage = replace(tally.usage, model=model, attempts=tally.usage.attempts + 1)
        try:
            async with asyncio.timeout(options.attempt_timeout_s):
                answer, usage = await client.ask(model, asked.prompt, asked.room, asked.thinking)
        except TimeoutError:
            answer, usage = TroubleError(Kind.TIMED_OUT, f"no answer within {options.attempt_timeout_s:g} s"), None
        cost = self._prices.cost_usd(usage, model, self._today()) if usage is not None else None
        tally.book(asked, answer, usage, cost)
        if isinstance(answer, TroubleError):
            raise answer
        _LOG.info("model %s answered as %s, response %s", model, answer.model_version, answer.response_id)
        if answer.noted:
            _LOG.warning("model %s: answer taken in spite of %s", model, answer.noted)
        tally.reply = answer.text
        tally.usage = replace(tally.usage, model_version=answer.model_version, response_id=answer.response_id)
        given = asked.prompt.given
        try:
            reply = parse(answer.text, asking=asked.prompt.asking or bool(given))
        except ValueError as error:
            raise TroubleError(Kind.MALFORMED, plain(str(error), DETAIL_LENGTH)) from None
        said = opinion(reply, model, asked.prompt.shown)
        problems = citations.problems(said, comparison, asked.prompt.shown, lambda name: given.get(name, ""))
        if problems:
            raise TroubleError(Kind.UNGROUNDED, plain(problems[0], DETAIL_LENGTH), problems=problems)
        tally.requests = reply.requests
        return said

    def _connected(self) -> "Client":
        """Return the client, made at the first call: the SDK costs half a second and 40 MB."""
        if self._client is None:
            try:
                from rollout_verdict.adapters.gemini.call import Client
            except ImportError as error:
                raise TroubleError(Kind.MISSING_CLIENT, f"{error.name or 'google-genai'} is not installed") from None
            self._client = Client(self._options)
        return self._client


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainJudge:
    """A chain of models as the judge of one measurement."""

    parent: GeminiJudge
    chain: Chain

    def judge(self, evidence: Evidence, comparison: Comparison, rules: Opinion, policy: Policy) -> Judgement:
        """Return the model's opinion, or the gap that stands for it, with its cost."""
        breaker = self.chain.breaker
        if not breaker.admits():
            return Judgement(opinion=_gap(f"not asked: it failed repeatedly, next try in {breaker.wait_s():.0f} s"))
        return self.parent.along(self.chain, evidence, comparison, rules, policy)

    def named(self, model: str, within_s: float) -> "NamedJudge":
        """Return a judge by one model alone, with a deadline of its own in seconds."""
        return NamedJudge(parent=self.parent, model=model, within_s=within_s, stop=self.chain.stop)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedJudge:
    """One model as a judge beside others. Another one has just answered, so no breaker is asked or told."""

    parent: GeminiJudge
    model: str
    within_s: float
    stop: Stoppable | None = None

    def judge(self, evidence: Evidence, comparison: Comparison, rules: Opinion, policy: Policy) -> Judgement:
        """Return the model's opinion, or the gap that stands for it, with its cost."""
        breaker = Breaker(1, 0.0, time.monotonic)
        chain = Chain(models=(self.model,), total_s=self.within_s, breaker=breaker, stop=self.stop)
        return self.parent.along(chain, evidence, comparison, rules, policy)


_HINTS = {
    Kind.UNAUTHENTICATED: "check the API key and that the API is enabled for its project",
    Kind.CREDENTIALS: "check the credentials of the workload",
    Kind.INVALID_REQUEST: "check the model settings; the message says which field was refused",
    Kind.NOT_FOUND: "check the model names in the settings",
    Kind.QUOTA_SPENT: "raise the quota or wait until tomorrow",
    Kind.REDIRECTED: "check the base URL; redirects are not followed, since the key would go along",
    Kind.MISSING_CLIENT: "install google-genai, or use mode rules",
    Kind.NETWORK: "check that this machine reaches the model's address (network policy, proxy, base URL)",
    Kind.TIMED_OUT: "raise ROLLOUT_VERDICT_ATTEMPT_TIMEOUT if it goes on, and check the way to the model's address",
    Kind.OVER_BUDGET: "raise the measurement's token budget or the number of attempts",
}


def _gap(reason: str, hint: str = "") -> Gap:
    return Gap(source=SourceKind.MODEL, what="the model's opinion", reason=reason, hint=hint)


def _trouble_of(state: RetryCallState) -> TroubleError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, TroubleError):
        raise TypeError(f"only trouble with the model is retried, not {type(error).__name__}")
    return error
