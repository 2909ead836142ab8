"""The likely cause, by fixed rules."""

from dataclasses import replace

import pytest

from rollout_verdict.core.comparison import DiffItem, LogOutcome, MetricOutcome, PodFact
from rollout_verdict.core.evidence import Level, LogSample, TemplateChange
from rollout_verdict.core.explanation import cause
from rollout_verdict.core.explanation.cause import likely_cause
from rollout_verdict.core.explanation.statements import plain
from rollout_verdict.core.values import Pair, Severity, Side
from tests.core import builders


def diff(path, stable, canary, name="d1"):
    return DiffItem(id=name, change=TemplateChange(path=path, stable=stable, canary=canary))


def fact(code, *, side=Side.CANARY, severity=Severity.VETO):
    return PodFact(id="p1", code=code, side=side, pods=("c-1",), severity=severity, detail="told")


def error(template, *, outcome=LogOutcome.NEW, severity=Severity.FAIL, sample=""):
    change = builders.change(template, outcome=outcome, severity=severity)
    samples = (LogSample(pod="c", container="", time=None, text=sample),) if sample else ()
    pattern = replace(change.pattern, samples=Pair(stable=(), canary=samples))
    return replace(change, pattern=pattern)


HIGH = builders.check(outcome=MetricOutcome.HIGH, severity=Severity.FAIL)


@pytest.mark.parametrize(
    ("parts", "told", "ids"),
    [
        ({"pods": builders.pods(fact("oom-killed"))}, "The canary needs more memory than its limit allows.", ("p1",)),
        (
            {"pods": builders.pods(fact("oom-killed")), "diff": (diff("c/limits/memory", "256Mi", "64Mi"),)},
            'The canary needs more memory than its limit allows; the release changed "c/limits/memory" from "256Mi" to "64Mi".',
            ("p1", "d1"),
        ),
        (
            {"pods": builders.pods(fact("crash-loop")), "logs": builders.logs(error("no such table <*>"))},
            'The canary\'s process ends soon after it starts; its log says "no such table <*>".',
            ("p1", "l1"),
        ),
        (
            {
                "pods": builders.pods(fact("crash-loop")),
                "logs": builders.logs(error("cannot open ledger.db")),
                "diff": (diff("env/LOG", "a", "b"), diff("env/STORE", "sqlite", "ledger.db", "d2")),
            },
            ('The canary\'s process ends soon after it starts; the release changed "env/STORE" from "sqlite" to "ledger.db"; '
            'its log says "cannot open ledger.db".'),
            ("p1", "d2", "l1"),
        ),
        (
            {"logs": builders.logs(error("connect to <*> refused", sample="connect to payments:8443 refused")),
             "diff": (diff("env/PORT", "443", "8443"),)},
            ('The release changed "env/PORT" from "443" to "8443", and "8443" turns up in a message that is new on the '
            'canary: "connect to payments:8443 refused".'),
            ("d1", "l1"),
        ),
        (
            {"logs": builders.logs(error("payments unreachable", outcome=LogOutcome.RISEN)),
             "diff": (diff("env/PAYMENTS_URL", "", "x"),)},
            ('The release changed "env/PAYMENTS_URL" from "nothing" to "x", and "payments" turns up in a message that is '
            'more frequent on the canary: "payments unreachable".'),
            ("d1", "l1"),
        ),
        (
            {"logs": builders.logs(error("boom")), "metrics": builders.metrics(HIGH), "diff": (diff("env/A", "1", "2"),)},
            ('The canary runs into "boom", which goes with the change of "http_error_ratio". What in the release causes it '
            "is not in the evidence."),
            ("l1", "m1"),
        ),
        (
            {"logs": builders.logs(error("boom"))},
            'The canary runs into "boom". What in the release causes it is not in the evidence.',
            ("l1",),
        ),
        (
            {"metrics": builders.metrics(HIGH)},
            ('Only the metrics changed, "http_error_ratio" first of all, and no log message tells why: a slower code path, a '
            "slower dependency or another setting are all possible."),
            ("m1",),
        ),
    ],
    ids=["oom", "oom and limit", "crash and log", "crash, log and diff", "value", "name", "log and metric", "log", "metric"],
)  # fmt: skip
def test_what_ties_together_is_told(parts, told, ids):
    """The strongest tie is named, with the ids of all it rests on."""
    cause = likely_cause(builders.comparison(**parts))
    assert plain(cause) == told
    assert cause.evidence == ids


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"pods": builders.pods(fact("crash-loop", side=Side.STABLE), fact("unscheduled"))},
        {"pods": builders.pods(fact("restarts", severity=Severity.INFO))},
        {"logs": builders.logs(error("boom", outcome=LogOutcome.VANISHED))},
        {"logs": builders.logs(error("fine", severity=Severity.INFO))},
        {"metrics": builders.metrics(builders.check())},
    ],
    ids=["nothing", "stable's trouble", "shared trouble", "gone", "harmless", "passing"],
)
def test_nothing_is_made_up(parts):
    """Without a tie there is no cause."""
    if "logs" in parts:
        parts = {"logs": builders.logs(*(_quiet(change) for change in parts["logs"].changes))}
    assert likely_cause(builders.comparison(**parts)) is None


def _quiet(change):
    return replace(change, pattern=replace(change.pattern, level=Level.INFO))


def test_the_value_is_shown_in_the_message_around_it():
    """Out of a long message, the part that holds the value: masked, it would say nothing of it."""
    long = "first line\n" + "x" * 100 + " connect to payments:8443 refused " + "y" * 100
    cause = likely_cause(
        builders.comparison(
            logs=builders.logs(error("connect to <*>", sample=long)), diff=(diff("env/P", "443", "8443"),)
        )
    )
    assert plain(cause).endswith(': "…' + "x" * 49 + " connect to payments:8443 refused " + "y" * 21 + '…".')


def test_the_sample_that_holds_the_word_is_quoted_whichever_it_is():
    """The first sample of a pattern may be the one without the changed value."""
    samples = tuple(
        LogSample(pod="c-1", container="app", time=None, text=text)
        for text in ("dial db:5432 refused", "dial db:6543 refused")
    )
    new = builders.change("dial db:<*> refused")
    new = replace(new, pattern=replace(new.pattern, samples=Pair(stable=(), canary=samples)))
    assert cause._around(new, "6543") == "dial db:6543 refused"
    assert cause._around(new, "7777") == "dial db:<*> refused"


def test_what_was_redacted_ties_nothing_by_the_name_of_its_kind():
    cause = likely_cause(
        builders.comparison(logs=builders.logs(error("secret not found")), diff=(diff("env/X", "", "<secret:1>"),))
    )
    assert cause.evidence == ("l1",)
