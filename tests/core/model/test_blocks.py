"""Every compared item as text: what a reader needs, nothing that could pass for another item."""

import re
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_verdict.core.comparison import Before, DiffItem, Interval, LogOutcome, MetricOutcome, PodFact, SetAside
from rollout_verdict.core.evidence import Level, LogKind, LogSample, TemplateChange
from rollout_verdict.core.memory import Earlier, Mark, Marked, MarkKind
from rollout_verdict.core.model.blocks import TRACE_LENGTH, blocks
from rollout_verdict.core.values import Decision, Pair, Severity, Side
from tests.core import builders

FAIL = Severity.FAIL
FACT = PodFact(id="p1", code="crash-loop", side=Side.CANARY, pods=("c-1",), severity=Severity.VETO, detail="exit 1")


def text(**parts):
    (block,) = blocks(builders.comparison(**parts))
    return block.text


def metric(**fields):
    return text(metrics=builders.metrics(replace(builders.check(), **fields)))


def log(change):
    return text(logs=builders.logs(change))


def sample(text, pod="c-1"):
    return LogSample(pod=pod, container="app", time=None, text=text)


def test_a_passing_metric_is_one_line():
    """What did not change costs one line."""
    assert metric() == 'metric "http_error_ratio" pass info: mean stable 0.01, canary 0.01'


def test_a_failing_metric_tells_its_numbers():
    """Both sides, shift, interval, strength, chance, reason and course over time."""
    summary = builders.check(stable=0.01, canary=0.2).summary
    assert metric(
        labels=(("route", "/pay"),),
        outcome=MetricOutcome.HIGH,
        severity=FAIL,
        summary=summary,
        effect=0.19,
        relative=19.0,
        interval=Interval(low=0.1, high=float("inf"), level=0.95),
        strength=8.25,
        p=0.00012,
        reason="errors rose",
        trend=Pair(stable=tuple((float(n), n / 10) for n in range(30)), canary=((0.0, 1.0),)),
    ).split("\n") == [
        'metric "http_error_ratio" {"route"="/pay"} high fail: mean stable 0.01, canary 0.2; unit "ratio", higher is worse',
        "stable n 10, series 2, median 0.01, p95 0.01, range 0.01 to 0.01",
        "canary n 10, series 2, median 0.2, p95 0.2, range 0.2 to 0.2",
        "shift 0.19 (+1900 %), 95 % interval 0.1 to inf, 8.25 times the usual spread, p 0.00012",
        'reason "errors rose"',
        "stable over time 0 0.4 0.8 1.2 1.7 2.1 2.5 2.9",
    ]


def test_a_side_without_samples_says_so():
    """No samples is not zero."""
    summary = builders.check(stable=None, canary=0.2).summary
    shown = metric(severity=Severity.WARN, summary=summary, interval=None, effect=0.5, relative=None)
    assert "mean stable none, canary 0.2" in shown
    assert "stable no samples\n" in shown
    assert "\nshift 0.5\n" in shown
    assert "(+" not in shown


def test_small_relative_shifts_keep_a_digit():
    """+0.4 % is not 0 %."""
    shown = metric(severity=FAIL, effect=0.00004, relative=0.004, interval=None)
    assert "shift 4e-05 (+0.4 %)" in shown


def test_a_quiet_log_pattern_is_one_line():
    """Counts and wording, no sample."""
    assert (
        log(builders.change()) == 'log unchanged info ERROR: events 0 stable, 9 canary; template "request <*> failed"'
    )


def test_a_new_log_pattern_has_a_sample():
    """Rates, ratio, chance, and one event as it was printed."""
    change = builders.change(outcome=LogOutcome.NEW, severity=FAIL)
    pattern = replace(
        change.pattern,
        status="5xx",
        kind=LogKind.ACCESS,
        level=Level.INFO,
        samples=Pair(stable=(), canary=(sample("request 7 failed"), sample("request 8 failed"))),
    )
    change = replace(
        change, pattern=pattern, ratio=80.0, q=0.001, interval=Interval(low=9, high=float("inf"), level=0.9)
    )
    assert log(change).split("\n") == [
        'log new fail INFO access status "5xx": events 0 stable, 9 canary; template "request <*> failed"',
        'seen in 0 stable and 1 canary pods; rate 0 to 0.1 per "events", ratio 80, 90 % interval 9 to inf, q 0.001',
        'sample of pod "c-1": "request 7 failed"',
    ]


def test_no_sample_where_it_adds_nothing():
    """A sample equal to its template, or of what vanished, is left out; so is a rate that is not known."""
    change = builders.change("boom", outcome=LogOutcome.NEW, severity=FAIL)
    change = replace(change, rate=Pair(stable=None, canary=0.1))
    same = replace(change, pattern=replace(change.pattern, samples=Pair(stable=(), canary=(sample("boom"),))))
    gone = replace(same, outcome=LogOutcome.VANISHED)
    assert log(change).split("\n")[1:] == ["seen in 0 stable and 1 canary pods"]
    assert "sample" not in log(same)
    assert "sample" not in log(gone)


def test_a_long_trace_keeps_both_ends():
    """Some languages print the error first, others last."""
    trace = "Traceback\n" + "frame\n" * 500 + "KeyError: 'currency'"
    change = builders.change(outcome=LogOutcome.NEW, severity=FAIL)
    pattern = replace(change.pattern, kind=LogKind.TRACE, samples=Pair(stable=(), canary=(sample(trace),)))
    shown = log(replace(change, pattern=pattern)).split("\n")[2]
    assert "Traceback" in shown
    assert "KeyError: 'currency'\"" in shown
    assert len(shown) < 2 * TRACE_LENGTH
    short = replace(change, pattern=replace(pattern, samples=Pair(stable=(), canary=(sample("a\nb"),))))
    assert log(short).endswith('"a\\nb"')


def test_a_reworded_pattern_names_both_wordings():
    """Without the old wording the reader cannot tell that it is the same message."""
    change = replace(builders.change("paid <*>", outcome=LogOutcome.REWORDED), reworded_from="payment <*> ok")
    assert log(change).endswith('template "paid <*>" reworded from "payment <*> ok"')


def test_pod_facts_and_template_changes():
    """Code, weight, side, the first pods and how many more; old and new text of a change."""
    fact = replace(FACT, pods=("a", "b", "c", "d", "e"))
    assert text(pods=builders.pods(fact)) == 'pod "crash-loop" veto on canary "a" "b" "c" and 2 more: "exit 1"'
    item = DiffItem(id="d1", change=TemplateChange(path="image", stable="app:1", canary="app:2"))
    assert text(diff=(item,)) == 'template change "image": "app:1" -> "app:2"'


def test_the_most_important_comes_first_and_kinds_take_turns():
    """Veto, failure, warning, unexplained difference, the rest; a crowd of metrics does not hide the logs."""
    calm = [builders.check(f"m{n}", id=f"m{n}") for n in range(2, 6)]
    failing = builders.check(id="m1", severity=FAIL)
    missing = builders.check(id="m6", outcome=MetricOutcome.NO_DATA)
    odd = builders.change(id="l2", outcome=LogOutcome.RISEN)
    found = blocks(
        builders.comparison(
            metrics=builders.metrics(failing, *calm, missing),
            logs=builders.logs(builders.change(id="l1", severity=Severity.WARN), odd, builders.change(id="l3")),
            pods=builders.pods(FACT, replace(FACT, id="p2", severity=Severity.INFO)),
            diff=(DiffItem(id="d1", change=TemplateChange(path="image", stable="a", canary="b")),),
        )
    )
    assert [b.id for b in found] == ["p1", "m1", "l1", "p2", "d1", "l2", "m6", "m2", "m3", "l3", "m4", "m5"]
    assert [b.rank for b in found] == [0, 1, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4]


HOSTILE = st.text(st.sampled_from('[]@"\\\n\r\u2028\u200b</>l1 evidence-0a1b2c3d{}:'), max_size=80) | st.text(
    max_size=80
)


@settings(deadline=None)  # a slow machine is no failure
@given(HOSTILE)
def test_no_text_of_the_evidence_can_begin_a_line(hostile):
    """Whatever evidence says stands inside quotes, so that every line begins with our own words."""
    change = builders.change(hostile, outcome=LogOutcome.NEW, severity=FAIL)
    pattern = replace(
        change.pattern, status=hostile, samples=Pair(stable=(), canary=(sample(hostile + "!", pod=hostile),))
    )
    found = blocks(
        builders.comparison(
            logs=builders.logs(replace(change, pattern=pattern, reworded_from=hostile)),
            metrics=builders.metrics(
                replace(
                    builders.check(hostile, severity=FAIL, reason=hostile), unit=hostile, labels=((hostile, hostile),)
                )
            ),
            pods=builders.pods(replace(FACT, code=hostile, pods=(hostile,) * 4, detail=hostile)),
            diff=(DiffItem(id="d1", change=TemplateChange(path=hostile, stable=hostile, canary=hostile)),),
        )
    )
    ours = r"(log|metric|pod|template change|seen|sample|stable|canary|shift|95|reason)\b"
    for block in found:
        unquoted = re.sub(r'"(?:[^"\\]|\\.)*"', '""', block.text)
        assert all(re.match(ours, line) for line in unquoted.split("\n"))
        assert not set(unquoted) & {"[", "<", "\\", "@"}
        assert "\r" not in block.text


NOON = builders.NOON
MARK = Mark(
    id="k", about=Marked(kind=MarkKind.LOG, key="k", text="t"), who="alice", when=NOON, why='known\n[l9@00000000] "x"'
)


def test_what_people_set_aside_says_so():
    """In a line of its own after what was measured, with the reason in quotes; who said it is nobody's business here."""
    aside = tuple(SetAside(id=name, severity=FAIL, mark=MARK) for name in ("l1", "m1"))
    held = builders.comparison(
        logs=builders.logs(builders.change(outcome=LogOutcome.NEW)), metrics=builders.metrics(builders.check())
    )
    for block in blocks(replace(held, set_aside=aside)):
        last = block.text.split("\n")[-1]
        assert last == 'set aside as known and harmless since 2026-01-01: "known\\n[l9@00000000] \\"x\\""'
        assert "alice" not in block.text
    assert all("set aside" not in block.text for block in blocks(held))


def test_an_earlier_verdict_is_one_line():
    verdict = Earlier(
        id="a", time=NOON, decision=Decision.ROLLBACK, reason="it\n[l9@0] failed", version="7f", digest="d"
    )
    before = Before(id="e1", verdict=verdict, same_version=True, again=("l1", "m2"))
    (block,) = blocks(replace(builders.comparison(), before=(before,)))
    told = 'earlier verdict rollback on the same version, 2026-01-01 12:00 UTC; then as now l1 m2: "it\\n[l9@0] failed"'
    assert (block.id, block.kind, block.text, block.brief) == ("e1", "earlier verdicts", told, told)
    other = replace(before, same_version=False, again=())
    (block,) = blocks(replace(builders.comparison(), before=(other,)))
    assert block.text.startswith("earlier verdict rollback on another version, 2026-01-01 12:00 UTC: ")
