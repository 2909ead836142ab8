"""Three canaries as evidence: one like stable, one that fails, one that saw too little; and what judges them."""

from datetime import UTC, datetime, timedelta

from rollout_verdict import engine
from rollout_verdict.core.evidence import (
    Direction,
    Evidence,
    Level,
    LogEvidence,
    LogKind,
    LogPattern,
    LogSample,
    MetricEvidence,
    MetricMeta,
    MetricSeries,
    PodLog,
)
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.core.values import Pair, RolloutRef, Window

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
WINDOW = Window(start=START, end=START + timedelta(minutes=5))
STABLE = ("shop-5d9-a", "shop-5d9-b", "shop-5d9-c")
CANARY = ("shop-7f6-x", "shop-7f6-y")


def series(name, pods, level, swing):
    first = START.timestamp()
    return tuple(
        MetricSeries(
            name=name,
            labels=(),
            pod=pod,
            samples=tuple((first + 10 * n, level + swing * ((7 * n + 3 * p) % 5 - 2)) for n in range(30)),
        )
        for p, pod in enumerate(pods)
    )


def metrics(canary_errors, canary_latency=0.2):
    return MetricEvidence(
        series=Pair(
            stable=(
                *series("http_error_ratio", STABLE, 0.01, 0.001),
                *series("http_latency_p95_seconds", STABLE, 0.2, 0.01),
            ),
            canary=(
                *series("http_error_ratio", CANARY, canary_errors, 0.001),
                *series("http_latency_p95_seconds", CANARY, canary_latency, 0.01),
            ),
        ),
        meta=(
            MetricMeta(name="http_error_ratio", unit="ratio", direction=Direction.HIGHER_IS_WORSE),
            MetricMeta(name="http_latency_p95_seconds", unit="seconds", direction=Direction.HIGHER_IS_WORSE),
        ),
    )


def pattern(template, stable, canary, *, level=Level.INFO, sample="", pod=CANARY[0]):
    samples = (LogSample(pod=pod, container="app", time=START, text=sample),) if sample else ()
    return LogPattern(
        template=template,
        level=level,
        kind=LogKind.MESSAGE,
        status="",
        logger="shop",
        counts=Pair(stable=stable, canary=canary),
        buckets=Pair(stable=(), canary=()),
        samples=Pair(stable=(), canary=samples),
    )


def logs(*patterns, stable=STABLE, canary=CANARY):
    def pods(names, side):
        return tuple(
            PodLog(
                pod=name,
                containers=("app",),
                size_bytes=1000,
                lines=sum(getattr(p.counts, side)[n] for p in patterns),
                events=sum(getattr(p.counts, side)[n] for p in patterns),
                cut_lines=0,
                first=START,
                last=WINDOW.end,
            )
            for n, name in enumerate(names)
        )

    return LogEvidence(
        pods=Pair(stable=pods(stable, "stable"), canary=pods(canary, "canary")),
        patterns=tuple(sorted(patterns, key=lambda p: p.template)),
        bucket_edges=(),
    )


SERVED = pattern("order <*> served in <*> ms", (400, 410, 390), (402, 398))


def evidence(**parts):
    pods = parts.pop("pods", Pair(stable=STABLE, canary=CANARY))
    return Evidence(rollout=RolloutRef(namespace="shop", name="checkout"), window=WINDOW, pods=pods, **parts)


def healthy():
    """Rules say promote."""
    return evidence(metrics=metrics(0.01), logs=logs(SERVED))


def failing(text="could not charge card"):
    """Rules say rollback, without a veto. ``text`` is what the new error says, as far as a reducer keeps it."""
    text = text[:4000]
    failed = pattern(f"{text} <*>", (0, 0, 0), (60, 70), level=Level.ERROR, sample=f"{text} 17")
    return evidence(metrics=metrics(0.4), logs=logs(SERVED, failed))


def scarce():
    """Rules cannot tell."""
    return evidence(logs=logs(pattern("order <*> served in <*> ms", (400, 410, 390), (1, 1))))


def judged(evidence, model=None, policy=None):
    """Judge as the engine does."""
    return engine.judge(evidence, policy or Policy(), model, Redactor())
