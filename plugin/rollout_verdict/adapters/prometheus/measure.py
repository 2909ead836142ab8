"""One measurement against one server: choose presets, ask for both sides, hand the answers on to be weighed."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from rollout_verdict.adapters.prometheus import answers, own, report, shapes
from rollout_verdict.adapters.prometheus.answers import Answer
from rollout_verdict.adapters.prometheus.choose import Chooser, until
from rollout_verdict.adapters.prometheus.client import Client
from rollout_verdict.adapters.prometheus.memory import Memory
from rollout_verdict.adapters.prometheus.notes import Notes
from rollout_verdict.adapters.prometheus.options import OwnQuery, Wanted, matching
from rollout_verdict.adapters.prometheus.placeholders import values
from rollout_verdict.adapters.prometheus.probe import SCRAPES, Flag, Probed, Span, form_of, step_s
from rollout_verdict.adapters.prometheus.shapes import Ask
from rollout_verdict.adapters.prometheus.trouble import TroubleError
from rollout_verdict.adapters.prometheus.weigh import Found, Plan, Series, weighed
from rollout_verdict.core.evidence import MetricEvidence, MetricSeries
from rollout_verdict.core.metrics.series import matrix_series, metric_evidence
from rollout_verdict.core.target import Scope
from rollout_verdict.core.values import Gap, Pair, Side

T = TypeVar("T")

MOST_SERIES = 2000  # of one query: 100 pods with 20 label sets; more cannot be shown, nor judged one by one
USUAL_INTERVAL_S = 15.0  # between scrapes, where no preset told


class Measurement:
    """Everything between a client and the evidence; for one use. ``now`` is unix seconds."""

    def __init__(
        self,
        *,
        client: Client,
        wanted: Wanted,
        memory: Memory,
        base: str,
        now: float,
        on_done: Callable[[int, int], None],
    ) -> None:
        self._client = client
        self._wanted = wanted
        self._matchers = matching(wanted.matchers)
        self._chooser = Chooser(client, memory, base=base, now=now, matchers=self._matchers)
        self._now = now
        self._on_done = on_done
        self._asked = self._answered = 0
        self._notes = Notes()
        self._gaps: list[Gap] = []

    async def run(self, scope: Scope) -> tuple[MetricEvidence | None, tuple[Gap, ...]]:
        """Return the evidence, None where there is none, and what is missing of it."""
        span = Span(start=scope.window.start.timestamp(), end=scope.window.end.timestamp())
        try:
            probed, gaps = await self._chooser.choose(scope, span, self._wanted.presets)
        except TroubleError as trouble:
            probed, gaps = [], [report.of_trouble("metrics", trouble)]
            if trouble.treatment.everywhere:
                return None, tuple(gaps)
        self._gaps += gaps
        answering = any(one.flag is Flag.OK and not one.about_pods for one in probed)
        read = [one for one in probed if one.flag is Flag.OK or not answering]
        plans = [plan for one in read if (plan := self._plan(one, scope, span))]
        questions = self._questions(scope, span, plans)
        found, told = await asyncio.gather(
            asyncio.gather(*(self._read(plan, scope) for plan in plans)),
            asyncio.gather(*(self._own(question, scope, span) for question in questions)),
        )
        late = any(one.flag is Flag.DELAYED for one in probed)
        series, metas, gaps = weighed(list(found), list(told), wanted=self._wanted, late=late)
        self._gaps += (*gaps, *self._notes.gaps())
        evidence = None
        if series.stable or series.canary:
            evidence = metric_evidence(series, meta=metas)
        # Answers come in any order.
        return evidence, tuple(sorted(set(self._gaps), key=lambda gap: (gap.what, gap.reason, gap.side or "")))

    def _plan(self, probed: Probed, scope: Scope, window: Span) -> Plan | None:
        reading = probed.reading
        if reading is None:
            return None
        span = until(probed.preset, window, self._now)
        stable, canary = (values(scope, side, self._matchers) for side in Side)
        chosen = shapes.selections(reading.way, Pair(stable=stable, canary=canary))
        form = form_of(reading, span.seconds)
        if form is None:
            samples = span.seconds / reading.interval_s
            reason = f"the window of {span.seconds} s holds about {samples:.0f} samples a series"
            self._gaps.append(report.of_preset(replace(probed, flag=Flag.INSUFFICIENT, reason=reason)))
        if chosen is None:  # what was found out some minutes ago no longer holds
            reason = f"the rollout no longer has what {reading.way.name} tells the sides apart by"
            self._gaps.append(report.of_preset(replace(probed, flag=Flag.NOT_SEPARABLE, reason=reason)))
        if form is None or chosen is None:
            return None
        how, step = form
        return Plan(
            probed=probed,
            reading=reading,
            chosen=chosen,
            asks=shapes.asks(reading.variant, chosen, how, reading),
            span=span,
            start=span.start + how.rate_s,
            step=step,
        )

    def _questions(self, scope: Scope, span: Span, plans: list[Plan]) -> list[own.Question]:
        interval = max((plan.reading.interval_s for plan in plans if not plan.reading.total), default=USUAL_INTERVAL_S)
        step = step_s(span.seconds, interval)
        rate = min(max(math.ceil(SCRAPES * interval), step), max(1, span.seconds // 2))
        found: list[own.Question] = []
        for query in self._wanted.queries:
            try:
                found += own.questions(query, scope, rate_s=rate, step_s=step, matchers=self._matchers)
            except ValueError as error:
                self._gaps.append(report.gap(_query(query), str(error), "correct the query in the template"))
        return found

    async def _read(self, plan: Plan, scope: Scope) -> Found:
        """Ask for all quantities of a preset, on both sides at once."""
        jobs = [self._range(ask, plan, scope, side) for ask in plan.asks for side in Side]
        counts = [] if plan.probed.about_pods else [self._counts(plan, side) for side in Side]
        rows, numbers = await asyncio.gather(asyncio.gather(*jobs), asyncio.gather(*counts))
        pairs = {
            ask.name: Pair(stable=rows[2 * place], canary=rows[2 * place + 1]) for place, ask in enumerate(plan.asks)
        }
        stable, canary = numbers or [(None, None)] * 2
        return Found(
            plan=plan,
            series=pairs,
            requests=Pair(stable=stable[0], canary=canary[0]),
            failures=Pair(stable=stable[1], canary=canary[1]),
        )

    async def _range(self, ask: Ask, plan: Plan, scope: Scope, side: Side) -> Series:
        answer = await self._done(
            self._client.query_range(ask.queries.of(side), plan.start, plan.span.last, plan.step),
            report.what(plan.probed.preset),
            side,
        )
        if answer is None:
            return ()
        self._notes.hear(answer, side, preset=True)
        if not answer.whole:
            return ()  # what is missing of it may be the failures
        return self._series(
            answer, ask.name, report.what(plan.probed.preset), side, by=ask.by, pod_of=_pod_of(scope, side)
        )

    async def _counts(self, plan: Plan, side: Side) -> tuple[float | None, float | None]:
        """Return requests and failures in the whole window."""
        reading, chosen, seconds = plan.reading, plan.chosen.of(side), plan.span.seconds
        parts = [shapes.marked(shapes.served(reading.variant, chosen, seconds, total=reading.total), "all")]
        if reading.errors:
            failed = shapes.served(reading.variant, chosen, seconds, total=reading.total, errors=reading.errors)
            parts.append(shapes.marked(failed, "failed"))
        subject = report.what(plan.probed.preset)
        answer = await self._done(self._client.query(" or ".join(parts), plan.span.last), subject, side)
        if answer is None:
            return None, None
        if not answer.whole:
            self._notes.hear(answer, side, preset=True)
            return None, None
        try:
            marks = {labels.get(shapes.PROBE): value for labels, value in self._client.read(answers.vector, answer)}
        except TroubleError as trouble:
            self._notes.fail(subject, trouble, side)
            return None, None
        return marks.get("all", 0.0), marks.get("failed", 0.0)

    async def _own(self, question: own.Question, scope: Scope, span: Span) -> tuple[OwnQuery, Pair[Series]]:
        subject, side = _query(question.own), question.side
        request = self._client.query_range(question.text, span.start + question.offset_s, span.last, question.step_s)
        answer = await self._done(request, subject, side)
        if answer is None:
            return question.own, Pair(stable=(), canary=())
        self._notes.hear(answer, side, preset=False)
        if not answer.whole:
            return question.own, Pair(stable=(), canary=())
        if side is not None:
            series = self._series(answer, question.own.name, subject, side)
            if not series:
                self._gaps.append(report.gap(subject, f"no series of the {side.value} side", _EMPTY, side))
            return question.own, _only(side, series)
        return question.own, self._dealt(answer, question.own, scope)

    def _dealt(self, answer: Answer, query: OwnQuery, scope: Scope) -> Pair[Series]:
        """Deal the series of a query without a side out to the sides, by their labels."""
        subject = _query(query)
        dealt: dict[Side, list[MetricSeries]] = {side: [] for side in Side}
        seen = 0
        for one in answer.data.get("result", ()) if isinstance(answer.data, dict) else ():
            seen += 1
            alone = replace(answer, data={**answer.data, "result": [one]})
            labels = one.get("metric") if isinstance(one, dict) else None
            for series in self._series(alone, query.name, subject, None):
                side = own.side_of(labels or {}, series, scope)
                if side:
                    dealt[side].append(series)
        pair = Pair(stable=tuple(dealt[Side.STABLE]), canary=tuple(dealt[Side.CANARY]))
        if not (pair.stable and pair.canary):
            lacking = " and ".join(side.value for side in Side if not pair.of(side))
            reason = f"none of its {seen} series has a pod or template hash of {lacking}"
            self._gaps.append(report.gap(subject, reason, _EMPTY))
        return pair

    async def _done(self, request: Awaitable[T], subject: str, side: Side | None) -> T | None:
        """Await a request, count it, and note its failure."""
        self._asked += 1
        try:
            return await request
        except TroubleError as trouble:
            self._notes.fail(subject, trouble, side)
            return None
        finally:
            self._answered += 1
            self._on_done(self._answered, self._asked)

    def _series(
        self,
        answer: Answer,
        name: str,
        subject: str,
        side: Side | None,
        *,
        by: str = "",
        pod_of: Callable[[str], str] = str,
    ) -> Series:
        def read(data: object) -> Series:
            matrix = answers.matrix(data, name, pod_label=by, pod_of=pod_of)
            if len(matrix["result"]) > MOST_SERIES:
                raise ValueError(f"{len(matrix['result'])} series, at most {MOST_SERIES} are taken: aggregate more")
            return tuple(one for one in matrix_series(matrix, path="the answer") if one.samples)

        try:
            return self._client.read(read, answer)
        except TroubleError as trouble:
            self._notes.fail(subject, trouble, side)
            return ()


_EMPTY = "keep the label pod (or rollouts_pod_template_hash) in the query, or use ${pods}, ${hash} or ${service} in it"


def _only(side: Side, series: Series) -> Pair[Series]:
    return Pair(stable=series if side is Side.STABLE else (), canary=series if side is Side.CANARY else ())


def _query(query: OwnQuery) -> str:
    return f"metrics of query {query.name}"


def _pod_of(scope: Scope, side: Side) -> Callable[[str], str]:
    """Return how a label that stands for a pod leads to its name: an address and port, or a name with its namespace."""
    by_address = {
        address: pod for address, pod in zip(scope.addresses.of(side), scope.pods.of(side), strict=False) if address
    }

    def pod_of(value: str) -> str:
        host = value[1:].partition("]")[0] if value.startswith("[") else value.partition(":")[0]
        return by_address.get(host) or value.removeprefix(f"{scope.rollout.namespace}/")

    return pod_of
