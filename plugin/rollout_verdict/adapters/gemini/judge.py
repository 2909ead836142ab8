"""The judge: one prompt, a chain of models, one retry layer, one deadline, and an opinion or a gap at the end."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from random import random
from typing import TYPE_CHECKING

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from rollout_verdict.adapters.gemini.breaker import Breaker
from rollout_verdict.adapters.gemini.loop import Loop
from rollout_verdict.adapters.gemini.options import Options, Thinking
from rollout_verdict.adapters.gemini.parse import parse
from rollout_verdict.adapters.gemini.prices import Prices
from rollout_verdict.adapters.gemini.trouble import Kind, TroubleError
from rollout_verdict.core.comparison import Comparison
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.model import citations
from rollout_verdict.core.model.neutral import plain
from rollout_verdict.core.model.prompt import Prompt, Templates, render
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


@dataclass(slots=True, kw_only=True)
class _Tally:
    """What one measurement has used up so far; read by the caller even when the deadline has struck."""

    prompt: Prompt
    deadline: float  # of the injected clock
    usage: Usage = field(default_factory=Usage)
    spent_tokens: int = 0  # told by the vendor, estimated where it told nothing
    reply: str = ""
    last: str = ""  # trouble met
    cost_known: bool = True
    seen: Counter[Kind] = field(default_factory=Counter)  # on the present model


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
        if not self._options.configured:
            gap = _gap("there is no API key and no Vertex AI project", "set GEMINI_API_KEY, or use mode rules")
            return Judgement(opinion=gap)
        if not self._breaker.admits():
            gap = _gap(f"not asked: it failed repeatedly, next try in {self._breaker.wait_s():.0f} s")
            return Judgement(opinion=gap)
        prompt = render(self._templates, evidence, comparison, rules, policy, budget=self._options.budget)
        total = self._options.total_timeout_s
        tally = _Tally(prompt=prompt, deadline=self._clock() + total)
        said: Opinion | Gap
        try:
            said = self._loop.run(lambda: self._within(total, tally, comparison), total)
        except TroubleError as trouble:
            self._count(trouble)
            said = _gap(str(trouble), _HINTS.get(trouble.kind, ""))
        except TimeoutError:
            self._breaker.failed()
            tally.cost_known = False
            said = _gap(f"no usable answer within {total:g} s" + (f", last {tally.last}" if tally.last else ""))
        else:
            self._breaker.succeeded()
        return Judgement(opinion=said, usage=self._priced(tally), prompt=prompt.text, reply=tally.reply)

    def close(self) -> None:
        """Close connections and end the background thread."""
        client, self._client = self._client, None
        if client is not None:
            self._loop.run(client.close, self._options.attempt_timeout_s)
        self._loop.close()

    def _count(self, trouble: TroubleError) -> None:
        if trouble.treatment.provider:
            self._breaker.failed()
        elif trouble.kind not in _LOCAL:
            self._breaker.succeeded()  # the provider answered; what it said is another matter

    async def _within(self, total_s: float, tally: _Tally, comparison: Comparison) -> Opinion:
        async with asyncio.timeout(total_s):
            return await self._along_the_chain(tally, comparison)

    async def _along_the_chain(self, tally: _Tally, comparison: Comparison) -> Opinion:
        """Ask the models in turn; move on only where the table says so. Raises the last TroubleError."""
        *others, last = self._options.models
        for model in others:
            try:
                return await self._with_retries(model, tally, comparison)
            except TroubleError as trouble:
                if not trouble.treatment.next_model or tally.usage.attempts >= self._options.attempts:
                    raise
        return await self._with_retries(last, tally, comparison)

    async def _with_retries(self, model: str, tally: _Tally, comparison: Comparison) -> Opinion:
        """Ask one model as often as the table allows: the one retry layer there is."""
        tally.seen.clear()
        asked = _Asked(prompt=tally.prompt, room=self._options.max_output_tokens, thinking=self._options.thinking)
        retrying = AsyncRetrying(
            sleep=self._sleep,
            wait=lambda state: self._wait_s(_trouble_of(state), state.attempt_number),
            retry=retry_if_exception(lambda error: self._again(error, tally)),
            reraise=True,
        )
        return await retrying(self._attempt, model, asked, tally, comparison)

    def _again(self, error: BaseException, tally: _Tally) -> bool:
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

    async def _attempt(self, model: str, asked: "_Asked", tally: _Tally, comparison: Comparison) -> Opinion:
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

    async def _one_call(self, model: str, asked: "_Asked", tally: _Tally, comparison: Comparison) -> Opinion:
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
        self._book(tally, model, asked, answer, usage)
        if isinstance(answer, TroubleError):
            raise answer
        _LOG.info("model %s answered as %s, response %s", model, answer.model_version, answer.response_id)
        if answer.noted:
            _LOG.warning("model %s: answer taken in spite of %s", model, answer.noted)
        tally.reply = answer.text
        try:
            reply = parse(answer.text)
        except ValueError as error:
            raise TroubleError(Kind.MALFORMED, plain(str(error), DETAIL_LENGTH)) from None
        said = opinion(reply, model, asked.prompt.shown)
        problems = citations.problems(said, comparison, asked.prompt.shown)
        if problems:
            raise TroubleError(Kind.UNGROUNDED, plain(problems[0], DETAIL_LENGTH), problems=problems)
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

    def _book(self, tally: _Tally, model: str, asked: "_Asked", answer: object, usage: Usage | None) -> None:
        """Add one call to the tally. A call that may have been billed unseen makes the cost unknown."""
        if isinstance(answer, TroubleError) and answer.kind in _LOCAL:
            tally.usage = replace(tally.usage, attempts=tally.usage.attempts - 1)  # it never left this process
        if usage is None:
            billed = not (isinstance(answer, TroubleError) and answer.treatment.unbilled)
            tally.cost_known = tally.cost_known and not billed
            tally.spent_tokens += asked.prompt.tokens if billed else 0
            return
        cost = self._prices.cost_usd(usage, model, self._today())
        tally.cost_known = tally.cost_known and cost is not None
        tally.spent_tokens += usage.prompt_tokens + usage.output_tokens + usage.thought_tokens
        total = tally.usage
        tally.usage = replace(
            total,
            prompt_tokens=total.prompt_tokens + usage.prompt_tokens,
            cached_tokens=total.cached_tokens + usage.cached_tokens,
            output_tokens=total.output_tokens + usage.output_tokens,
            thought_tokens=total.thought_tokens + usage.thought_tokens,
            cost_usd=(total.cost_usd or 0.0) + (cost or 0.0),
        )

    def _priced(self, tally: _Tally) -> Usage:
        """Return the usage with its cost, or without one where any part of it is unknown."""
        if not tally.usage.attempts:
            return tally.usage
        cost = (tally.usage.cost_usd or 0.0) if tally.cost_known else None
        return replace(tally.usage, cost_usd=cost, price_as_of=self._prices.as_of.isoformat())


@dataclass(slots=True, kw_only=True)
class _Asked:
    """What the next call to the present model sends; a failed one may change it."""

    prompt: Prompt
    room: int  # output tokens
    thinking: Thinking


_LOCAL = frozenset({Kind.CREDENTIALS, Kind.MISSING_CLIENT, Kind.OVER_BUDGET})  # tell nothing of the provider

_HINTS = {
    Kind.UNAUTHENTICATED: "check the API key and that the API is enabled for its project",
    Kind.CREDENTIALS: "check the credentials of the workload",
    Kind.INVALID_REQUEST: "check the model settings; the message says which field was refused",
    Kind.NOT_FOUND: "check the model names in the settings",
    Kind.QUOTA_SPENT: "raise the quota or wait until tomorrow",
    Kind.REDIRECTED: "check the base URL; redirects are not followed, since the key would go along",
    Kind.MISSING_CLIENT: "install google-genai, or use mode rules",
    Kind.OVER_BUDGET: "raise the measurement's token budget or the number of attempts",
}


def _gap(reason: str, hint: str = "") -> Gap:
    return Gap(source=SourceKind.MODEL, what="the model's opinion", reason=reason, hint=hint)


def _trouble_of(state: RetryCallState) -> TroubleError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, TroubleError):
        raise TypeError(f"only trouble with the model is retried, not {type(error).__name__}")
    return error
