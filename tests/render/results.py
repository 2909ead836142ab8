"""A result with something in every field. Each text from outside passes ``words``, so that a test can poison them all."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from rollout_verdict.core.comparison import (
    Comparison,
    DiffItem,
    Interval,
    LogChange,
    LogComparison,
    LogOutcome,
    MetricCheck,
    MetricComparison,
    MetricOutcome,
    PodComparison,
    PodFact,
    Summary,
)
from rollout_verdict.core.evidence import (
    ContainerState,
    ContainerStatus,
    Direction,
    Evidence,
    KubernetesEvidence,
    Level,
    LogEvidence,
    LogKind,
    LogPattern,
    LogSample,
    MetricEvidence,
    MetricMeta,
    MetricSeries,
    PodEvent,
    PodLog,
    PodState,
    TemplateChange,
    TemplateDiff,
)
from rollout_verdict.core.explanation.explain import explain
from rollout_verdict.core.result import Result
from rollout_verdict.core.values import (
    Citation,
    DecidedBy,
    Decision,
    Digests,
    Finding,
    Gap,
    Opinion,
    Pair,
    RolloutRef,
    Severity,
    Side,
    SourceKind,
    Usage,
    Verdict,
)
from tests.core.builders import NOON, WINDOW

Words = Callable[[str], str]
START = NOON.timestamp()


def as_it_is(text: str) -> str:
    """Leave a text as the example has it."""
    return text


def evidence(words: Words = as_it_is) -> Evidence:
    """Evidence of every source, with gaps."""
    pods = Pair(
        stable=(words("checkout-5b8f9c-aaa"), words("checkout-5b8f9c-bbb")), canary=(words("checkout-7d4cc1-x2v"),)
    )
    return Evidence(
        rollout=RolloutRef(
            namespace=words("shop"), name=words("checkout"), stable_hash=words("5b8f9c"), canary_hash=words("7d4cc1")
        ),
        window=WINDOW,
        pods=pods,
        logs=LogEvidence(
            pods=pods.map(lambda names: tuple(_pod_log(name, words) for name in names)),
            patterns=(new_error(words), steady(words)),
            bucket_edges=tuple(NOON + timedelta(minutes=minute) for minute in range(6)),
            coarse_events=3,
        ),
        metrics=MetricEvidence(
            series=Pair(
                stable=tuple(_series(pod, 0.01, words) for pod in pods.stable),
                canary=tuple(_series(pod, 0.25, words) for pod in pods.canary),
            ),
            meta=(
                MetricMeta(name=words("http_error_ratio"), unit=words("ratio"), direction=Direction.HIGHER_IS_WORSE),
            ),
        ),
        kubernetes=KubernetesEvidence(
            pods=Pair(
                stable=tuple(_pod(name, words, failing=False) for name in pods.stable),
                canary=tuple(_pod(name, words, failing=True) for name in pods.canary),
            )
        ),
        diff=TemplateDiff(
            changes=(_port(words), TemplateChange(path=words("spec/image"), stable="", canary=words("app:2")))
        ),
        gaps=(
            Gap(
                source=SourceKind.METRICS,
                what=words("metric memory"),
                reason=words("query returned no data"),
                hint=words("check the query"),
                side=Side.CANARY,
            ),
        ),
    )


def comparison(words: Words = as_it_is) -> Comparison:
    """Hold the two sides against each other: something of every outcome."""
    return Comparison(
        logs=LogComparison(
            changes=(
                _change("l1", new_error(words), LogOutcome.NEW, Severity.FAIL, words),
                _change("l2", steady(words), LogOutcome.REWORDED, Severity.INFO, words, words("was: <*>")),
                _change("l3", steady(words), LogOutcome.UNCHANGED, Severity.INFO, words),
                _change("l4", steady(words), LogOutcome.TOO_FEW, Severity.INFO, words),
            ),
            events=Pair(stable=2100, canary=1212),
            exposure=Pair(stable=600.0, canary=300.0),
            exposure_unit="requests",
            dispersion=1.5,
            adequate=True,
            reason="",
        ),
        metrics=MetricComparison(
            checks=(
                _check("m1", words("http_error_ratio"), MetricOutcome.HIGH, Severity.FAIL, words),
                _check("m2", words("queue_depth"), MetricOutcome.LOW, Severity.WARN, words),
                _check("m3", words("latency_p95"), MetricOutcome.PASS, Severity.INFO, words),
                _check("m4", words("memory"), MetricOutcome.NO_DATA, Severity.INFO, words),
                _check("m5", words("restarts"), MetricOutcome.TOO_FEW, Severity.INFO, words),
            ),
            adequate=True,
            reason="",
        ),
        pods=PodComparison(
            facts=(
                PodFact(
                    id="p1",
                    code="restarts",
                    side=Side.CANARY,
                    pods=(words("checkout-7d4cc1-x2v"),),
                    severity=Severity.FAIL,
                    detail=words("1 of 1 canary pods: container api restarted, 4 restarts"),
                ),
                PodFact(
                    id="p2",
                    code="warning-events",
                    side=Side.STABLE,
                    pods=(words("checkout-5b8f9c-aaa"),),
                    severity=Severity.INFO,
                    detail=words("1 of 2 stable pods: warning event Unhealthy x3"),
                ),
            ),
            total=Pair(stable=2, canary=1),
            ready=Pair(stable=2, canary=1),
        ),
        diff=(
            DiffItem(id="d1", change=_port(words)),
            DiffItem(id="d2", change=TemplateChange(path=words("spec/image"), stable="", canary=words("app:2"))),
        ),
    )


def opinion(words: Words = as_it_is) -> Opinion:
    """Say what a model might say."""
    return Opinion(
        judge=words("gemini-flash"),
        decision=Decision.ROLLBACK,
        confidence=92,
        rationale=words("Requests fail because payments is called on another port."),
        citations=(
            Citation(evidence_id="l1", claim=words("payments refuses"), quote=words("Connection refused")),
            Citation(evidence_id="d1", claim=words("the port changed")),
        ),
        root_cause=words("The canary calls payments on port 8443; stable uses 443."),
        next_steps=(words("set PAYMENTS_PORT back to 443"),),
    )


def verdict(words: Words = as_it_is, decision: Decision = Decision.ROLLBACK) -> Verdict:
    """Decide, with two opinions."""
    findings = tuple(
        Finding(code="x", severity=Severity.FAIL, source=source, summary=words(text), evidence=(name,))
        for source, text, name in (
            (SourceKind.METRICS, "http_error_ratio: 25.0% of requests fail, 1.0% on stable", "m1"),
            (SourceKind.LOGS, "new: 212 on the canary, none on stable", "l1"),
        )
    )
    rules = Opinion(judge="rules", decision=decision, confidence=85, findings=findings)
    return Verdict(
        decision=decision,
        score=12,
        confidence=92,
        decided_by=DecidedBy.BOTH,
        row=5,
        reason=words("http_error_ratio: 25.0% of requests fail, 1.0% on stable"),
        opinions=(rules, opinion(words)),
        gaps=evidence(words).gaps,
        digests=Digests(evidence="ab" * 32, policy="cd" * 32, prompt="ef" * 32, reply="01" * 32),
    )


def result(words: Words = as_it_is, decision: Decision = Decision.ROLLBACK) -> Result:
    """Put it all together."""
    gathered, held, decided = evidence(words), comparison(words), verdict(words, decision)
    return Result(
        evidence=gathered,
        comparison=held,
        verdict=decided,
        explanation=explain(gathered, held, decided),
        usage=Usage(
            model=words("gemini-flash"),
            attempts=2,
            prompt_tokens=3214,
            cached_tokens=100,
            output_tokens=420,
            thought_tokens=80,
            cost_usd=0.0021,
            price_as_of="2026-01-01",
        ),
        redactions=(("email", 2), ("password", 1)),
        warnings=(words("the key of the store is missing"),),
    )


def bare(decision: Decision = Decision.INCONCLUSIVE) -> Result:
    """Make a result of nothing: no source could be had."""
    gathered = Evidence(rollout=RolloutRef(namespace="", name=""), window=None, pods=Pair(stable=(), canary=()))
    held = Comparison(logs=None, metrics=None, pods=None)
    rules = Opinion(judge="rules", decision=decision, confidence=50)
    decided = replace(
        verdict(decision=decision), opinions=(rules,), gaps=(), decided_by=DecidedBy.RULES, row=2, reason="no data"
    )
    return Result(
        evidence=gathered,
        comparison=held,
        verdict=decided,
        explanation=explain(gathered, held, decided),
        usage=Usage(),
        redactions=(),
    )


def new_error(words: Words = as_it_is) -> LogPattern:
    """Return the message that is new on the canary."""
    text = "connect() failed (111: Connection refused) to payments:8443"
    sample = LogSample(pod=words("checkout-7d4cc1-x2v"), container=words("api"), time=NOON, text=words(text))
    return LogPattern(
        template=words("connect() failed (<*>: Connection refused) to payments:<*>"),
        level=Level.ERROR,
        kind=LogKind.MESSAGE,
        status=words("5xx"),
        logger=words("http"),
        counts=Pair(stable=(0, 0), canary=(212,)),
        buckets=Pair(stable=((0,) * 5, (0,) * 5), canary=((10, 20, 50, 60, 72),)),
        samples=Pair(stable=(), canary=(sample, replace(sample, time=None, container=""))),
    )


def steady(words: Words = as_it_is) -> LogPattern:
    """Return a message that both sides print."""
    return LogPattern(
        template=words("order <*> placed"),
        level=Level.INFO,
        kind=LogKind.MESSAGE,
        status="",
        logger="",
        counts=Pair(stable=(1000, 1100), canary=(1000,)),
        buckets=Pair(stable=(), canary=()),
        samples=Pair(
            stable=(
                LogSample(pod=words("checkout-5b8f9c-aaa"), container="", time=None, text=words("order 7 placed")),
            ),
            canary=(),
        ),
    )


def _change(
    id: str, pattern: LogPattern, outcome: LogOutcome, severity: Severity, words: Words, before: str = ""
) -> LogChange:
    events = Pair(stable=sum(pattern.counts.stable), canary=sum(pattern.counts.canary))
    return LogChange(
        id=id,
        pattern=pattern,
        outcome=outcome,
        severity=severity,
        events=events,
        pods_seen=Pair(stable=2 if events.stable else 0, canary=1),
        rate=Pair(stable=0.1 if events.stable else None, canary=0.7),
        ratio=1.0 if events.stable else None,
        interval=None,
        q=0.001 if outcome is LogOutcome.NEW else None,
        significant=outcome in (LogOutcome.NEW, LogOutcome.REWORDED),
        reason=words(f"{outcome.value}: told with numbers"),
        reworded_from=before,
    )


def _check(id: str, name: str, outcome: MetricOutcome, severity: Severity, words: Words) -> MetricCheck:
    there = outcome is not MetricOutcome.NO_DATA
    level = Summary(n=10, pods=1, mean=0.25, median=0.25, p95=0.3, low=0.2, high=0.3)
    trend = tuple((START + 30 * step, 0.2 + 0.01 * step) for step in range(10) if step not in (4, 5, 6))
    return MetricCheck(
        id=id,
        name=name,
        labels=((words("service"), words("checkout")), (words("route"), words(f"/pay/{id}"))),
        unit=words("ratio"),
        direction=Direction.HIGHER_IS_WORSE,
        outcome=outcome,
        severity=severity,
        summary=Pair(stable=replace(level, mean=0.01) if there else None, canary=level if there else None),
        effect=0.24 if there else None,
        interval=Interval(low=0.2, high=float("inf"), level=0.95) if there else None,
        relative=24.0 if there else None,
        strength=9.0 if there else None,
        p=0.0004 if there else None,
        method=words("exact binomial"),
        reason=words(f"{outcome.value}: told with numbers"),
        trend=Pair(stable=tuple((t, 0.01) for t, _ in trend), canary=trend) if there else Pair(stable=(), canary=()),
    )


def _pod_log(name: str, words: Words) -> PodLog:
    return PodLog(
        pod=name,
        containers=(words("api"),),
        size_bytes=10_000,
        lines=1000,
        events=900,
        cut_lines=2,
        first=NOON,
        last=NOON + timedelta(minutes=4),
        partial=words("the deadline passed"),
    )


def _series(pod: str, level: float, words: Words) -> MetricSeries:
    return MetricSeries(
        name=words("http_error_ratio"),
        labels=((words("service"), words("checkout")),),
        pod=pod,
        samples=tuple((START + 15.0 * step, level + 0.001 * (step % 3)) for step in range(20)),
    )


def _pod(name: str, words: Words, *, failing: bool) -> PodState:
    ended = ContainerStatus(status="terminated", reason=words("Error"), message=words("exited"), exit_code=1)
    container = ContainerState(
        name=words("api"),
        image=words("registry.example/app:2"),
        ready=not failing,
        restart_count=4 if failing else 0,
        state=ContainerStatus(status="running", started=NOON),
        last_state=ended if failing else ContainerStatus(status=""),
        limits=(("memory", words("64Mi")),),
    )
    happened = PodEvent(type="Warning", reason=words("BackOff"), message=words("Back-off restarting"), count=7)
    return PodState(
        name=name,
        phase=words("Running"),
        start_time=NOON,
        containers=(container,),
        conditions=(("Ready", "False" if failing else "True"),),
        events=(happened,) if failing else (),
        node=words("node-1"),
    )


def _port(words: Words) -> TemplateChange:
    return TemplateChange(path=words("containers/api/env/PAYMENTS_PORT"), stable=words("443"), canary=words("8443"))
