"""The explanation stands on its own: what was compared, what differs, what is the same, what was missing."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.core.comparison import LogOutcome, MetricOutcome
from rollout_verdict.core.evidence import Progress
from rollout_verdict.core.explanation.basis import GAPS
from rollout_verdict.core.explanation.explain import explain, headline, sections
from rollout_verdict.core.explanation.terms import level_of, model_opinion, series_names, shift_of
from rollout_verdict.core.values import Decision, Gap, Pair, Severity, Side, SourceKind
from tests.core import builders
from tests.render import results


def told(result, title):
    """Return the lines of one section as plain text with their ids."""
    parts = sections(result.evidence, result.comparison, result.verdict)
    section = next((part for part in parts if part.title == title), None)
    if section is None:
        return []
    lines = []
    for said in section.statements:
        text = "".join(part if isinstance(part, str) else f"`{part.text}`" for part in said.parts)
        lines.append(f"{text} {said.evidence}" if said.evidence else text)
    return lines


FULL = results.result()
BARE = results.bare()


def test_the_headline_says_what_and_who():
    """Decision, rollout, score, confidence and judge on one line."""
    assert headline(FULL.evidence, FULL.verdict) == (
        "Roll back checkout in shop: score 12 of 100, confidence 92, decided by both"
    )
    assert headline(BARE.evidence, BARE.verdict).startswith("Inconclusive the canary: ")


def test_why_cites_the_evidence_and_names_the_message():
    """Each finding of the rules with its ids; a log finding with the message it is about."""
    assert told(FULL, "Why") == [
        "http_error_ratio: 25.0% of requests fail, 1.0% on stable ('m1',)",
        "`connect() failed (<*>: Connection refused) to payments:<*> [5xx]`: new: 212 on the canary, none on stable ('l1',)",
    ]


def test_why_falls_back_to_the_reason():
    """Without findings, and for any other decision than a rollback, the verdict's reason comes first."""
    assert told(BARE, "Why") == ["no data"]
    promoted = results.result(decision=Decision.PROMOTE)
    assert told(promoted, "Why")[0] == promoted.verdict.reason


def test_many_findings_are_counted():
    """A long list ends with the number of the rest."""
    rules = FULL.verdict.opinions[0]
    verdict = replace(FULL.verdict, opinions=(replace(rules, findings=rules.findings * 5),))
    assert told(replace(FULL, verdict=verdict), "Why")[-1] == "and 4 more findings, listed with the evidence"


def test_the_model_is_kept_apart():
    """What the model says is marked as such, with its citations."""
    section = next(s for s in sections(FULL.evidence, FULL.comparison, FULL.verdict) if s.title.startswith("The model"))
    assert section.note == "its words, not measured"
    assert told(FULL, section.title) == [
        "Says rollback, confidence 92: Requests fail because payments is called on another port.",
        "Root cause: The canary calls payments on port 8443; stable uses 443.",
        "payments refuses: `Connection refused` ('l1',)",
        "the port changed ('d1',)",
        "Suggests: set PAYMENTS_PORT back to 443",
    ]
    assert model_opinion(BARE.verdict) is None


def test_what_differs_has_numbers():
    """Every difference with both sides' numbers and its id; harmless ones say so."""
    lines = told(FULL, "What differs")
    assert lines[0] == "1 of 1 canary pods: container api restarted, 4 restarts ('p1',)"
    assert lines[1] == (
        '`http_error_ratio{route="/pay/m1"}` is high: canary 25.0 %, stable 1 %, shift +24.0 pp '
        "(95 %: +20.0 to +∞ pp), p < 0.001 ('m1',)"
    )
    assert lines[3] == (
        "new ERROR `connect() failed (<*>: Connection refused) to payments:<*> [5xx]`: "
        "212 events on the canary in 1 pod, 0 on stable in 0 pods ('l1',)"
    )
    assert lines[4] == "Pod template: `containers/api/env/PAYMENTS_PORT` from `443` to `8443` ('d1',)"
    assert lines[5] == "Pod template: `spec/image` from `nothing` to `app:2` ('d2',)"


def test_long_lists_are_cut_and_counted():
    """Six of a kind, then the number of the rest."""
    check = builders.check(outcome=MetricOutcome.HIGH, reason="x", canary=None)
    risen = replace(
        builders.change(outcome=LogOutcome.RISEN), events=Pair(stable=3, canary=9), ratio=3.0, significant=True
    )
    comparison = builders.comparison(metrics=builders.metrics(*[check] * 8), logs=builders.logs(*[risen] * 9))
    lines = told(replace(FULL, comparison=comparison), "What differs")
    assert (
        lines[0]
        == "`http_error_ratio` is high: canary no data, stable 1 % (95 %: +0 to +0 pp); not held against the canary ('m1',)"
    )
    assert lines[6] == "and 2 more metrics"
    assert lines[7].endswith("3 on stable in 0 pods, rate × 3; not held against the canary ('l1',)")
    assert lines[-1] == "and 3 more log messages"


def test_what_is_the_same_is_counted():
    """Passing metrics, unchanged messages and ready pods."""
    assert told(FULL, "What is the same") == [
        "1 of 5 metrics as on stable",
        "2 of 4 log messages as on stable (1 of them reworded)",
        "ready pods: 1 of 1 canary, 2 of 2 stable",
    ]
    plain = replace(FULL, comparison=builders.comparison(logs=builders.logs(builders.change())))
    assert told(plain, "What is the same") == ["1 of 1 log message as on stable"]


def test_what_was_compared():
    """Pods with their versions, the window, lines and samples."""
    assert told(FULL, "What was compared") == [
        "stable: 2 pods of version `5b8f9c`: `checkout-5b8f9c-aaa`, `checkout-5b8f9c-bbb`",
        "canary: 1 pod of version `7d4cc1`: `checkout-7d4cc1-x2v`",
        "window: 2026-01-01 12:00:00 to 12:05:00 UTC, 5 min",
        "logs: 1,000 lines of the canary, 2,000 of stable, 2 different messages",
        "metrics: 5 metrics, 20 samples of the canary, 40 of stable",
        "pod states and events: 1 canary pod, 2 stable",
        "pod template: 2 changes",
    ]
    many = replace(FULL, evidence=replace(FULL.evidence, pods=Pair(stable=("a", "b", "c", "d"), canary=())))
    assert told(many, "What was compared")[:2] == [
        "stable: 4 pods of version `5b8f9c`: `a`, `b`, `c` and 1 more",
        "canary: 0 pods of version `7d4cc1`",
    ]


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        (Progress(strategy="canary"), "rollout: of unknown state"),
        (
            Progress(
                strategy="canary", situation="paused", step=3, steps=6, weight=25, revision="12", message="by hand"
            ),
            "rollout: paused, step 4 of 6, weight 25 %, revision `12`; `by hand`",
        ),
        (Progress(strategy="canary", situation="promoted", step=6, steps=6), "rollout: promoted, step 6 of 6"),
        (Progress(strategy="canary", situation="progressing", step=0), "rollout: progressing, step 1"),
    ],
)
def test_how_far_the_rollout_had_come_is_told(progress, said):
    """Counted from 1, as people count; what is not known is left out."""
    live = replace(FULL, evidence=replace(FULL.evidence, progress=progress))
    assert said in told(live, "What was compared")


def test_why_the_window_is_what_it_is():
    """In the source's words, after the window."""
    progress = Progress(strategy="canary", window_basis="since the canary was ready")
    live = replace(FULL, evidence=replace(FULL.evidence, progress=progress))
    assert "window: 2026-01-01 12:00:00 to 12:05:00 UTC, 5 min: since the canary was ready" in told(
        live, "What was compared"
    )


def test_what_was_not_looked_at():
    """Gaps with their hints, metrics without data, rare messages, partial logs."""
    assert told(FULL, "What was not looked at") == [
        "metric memory: query returned no data (check the query)",
        "metrics with no data: `memory{route=\"/pay/m4\"}` ('m4',)",
        "metrics with too few samples: `restarts{route=\"/pay/m5\"}` ('m5',)",
        "1 log message seen too rarely to be judged",
        "log of `checkout-5b8f9c-aaa` read in part: the deadline passed",
        "log of `checkout-5b8f9c-bbb` read in part: the deadline passed",
        "log of `checkout-7d4cc1-x2v` read in part: the deadline passed",
        "the ends of 6 overlong log lines",
        "3 log events beyond the table of messages, counted coarsely",
    ]


def test_a_log_whose_end_is_missing_is_told_once():
    """The gap says it with a hint; the other pods' logs are still told of."""
    gap = Gap(
        source=SourceKind.LOGS, what="rest of the log of stable pod checkout-5b8f9c-aaa", reason="the deadline passed"
    )
    verdict = replace(FULL.verdict, gaps=(gap,))
    said = [line for line in told(replace(FULL, verdict=verdict), "What was not looked at") if "deadline" in line]
    assert said == [
        "rest of the log of stable pod checkout-5b8f9c-aaa: the deadline passed",
        "log of `checkout-5b8f9c-bbb` read in part: the deadline passed",
        "log of `checkout-7d4cc1-x2v` read in part: the deadline passed",
    ]


def test_whole_logs_leave_nothing_to_say():
    """A log that was read whole is not among what was not looked at."""
    logs = FULL.evidence.logs
    whole = logs.pods.map(lambda pods: tuple(replace(pod, partial="", cut_lines=0) for pod in pods))
    evidence = replace(FULL.evidence, logs=replace(logs, pods=whole, coarse_events=0))
    assert not any("log" in line for line in told(replace(FULL, evidence=evidence), "What was not looked at")[4:])


def test_a_source_without_a_gap_is_still_named():
    """What is simply not there is said to be not there."""
    assert told(BARE, "What was not looked at") == [
        "logs: not in the evidence",
        "metrics: not in the evidence",
        "pod states and events: not in the evidence",
        "changes of the pod template: not in the evidence",
        "no model was asked: this is statistics and rules alone",
    ]


def test_many_gaps_and_missing_metrics_are_counted():
    """Neither list grows without end; a part that could not be judged says why."""
    gaps = tuple(Gap(source=SourceKind.MODEL, what=f"part {n}", reason="slow") for n in range(GAPS + 2))
    checks = [builders.check(id=f"m{n}", outcome=MetricOutcome.NO_DATA) for n in range(8)]
    comparison = builders.comparison(metrics=builders.metrics(*checks, adequate=False, reason="no traffic"))
    result = replace(FULL, verdict=replace(FULL.verdict, gaps=gaps), comparison=comparison)
    lines = told(result, "What was not looked at")
    assert lines[GAPS - 1 : GAPS + 1] == [f"part {GAPS - 1}: slow", "and 2 more gaps"]
    assert "metrics could not be judged: no traffic" in lines
    assert any(line.startswith("metrics with no data: ") and " and 2 more " in line for line in lines)


def test_names_leave_out_the_labels_that_all_share():
    """A label that tells nothing apart is noise; PromQL's form for the rest."""
    assert series_names(FULL.comparison)["m1"] == 'http_error_ratio{route="/pay/m1"}'
    assert series_names(BARE.comparison) == {}


def test_the_explanation_carries_cause_steps_and_citations():
    """The parts for machines agree with the text for people."""
    explanation = FULL.explanation
    assert explanation.root_cause.startswith("The canary's process ends again and again")
    assert explanation.next_steps[0].startswith("kubectl logs checkout-7d4cc1-x2v -n shop")
    cited = {citation.evidence_id for citation in explanation.citations}
    assert {"m1", "l1", "p1", "d1"} <= cited <= FULL.comparison.ids
    assert "**Likely cause** (inferred by rules, not measured)" in explanation.body


def test_the_root_cause_may_be_the_models():
    """Where the rules tie nothing together, the model's cause stands; without a model there is none."""
    empty = builders.comparison()
    assert explain(FULL.evidence, empty, FULL.verdict).root_cause == results.opinion().root_cause
    assert BARE.explanation.root_cause == ""


def test_no_cause_is_looked_for_without_harm():
    """A promotion has no likely cause, and neither has a verdict without findings that weigh."""
    assert told(results.result(decision=Decision.PROMOTE), "Likely cause") == []
    rules = FULL.verdict.opinions[0]
    calm = tuple(replace(finding, severity=Severity.INFO) for finding in rules.findings)
    verdict = replace(FULL.verdict, opinions=(replace(rules, findings=calm),))
    assert told(replace(FULL, verdict=verdict), "Likely cause") == []


def test_a_model_that_says_little_is_quoted_little():
    """No root cause, no citations, no steps: one line."""
    little = replace(results.opinion(), root_cause="", citations=(), next_steps=())
    verdict = replace(FULL.verdict, opinions=(FULL.verdict.opinions[0], little))
    assert len(told(replace(FULL, verdict=verdict), "The model (gemini-flash)")) == 1


@pytest.mark.parametrize("decision", Decision)
def test_it_is_the_same_every_time(decision):
    """Explaining twice gives the same bytes."""
    assert results.result(decision=decision) == results.result(decision=decision)


@given(st.text(max_size=30))
def test_any_text_can_be_explained(text):
    """No text in any field makes the explanation fail."""
    results.result(lambda _: text)


def test_a_shift_is_named_for_what_it_is():
    """Where the two levels do not give it, it is an estimate; of growth, neither level tells."""
    check = replace(builders.check(), effect=-0.5, unit="s")
    levels = Pair(stable=1.0, canary=0.5)
    assert shift_of(check) == shift_of(replace(check, levels=levels)) == "−500 ms"
    assert shift_of(replace(check, levels=replace(levels, canary=0.3))) == "−500 ms (estimated)"
    assert shift_of(replace(check, method="growth")) == "−500 ms (growth)"
    assert shift_of(replace(check, effect=None)) == ""
    assert [level_of(replace(check, levels=levels), side) for side in Side] == ["1 s", "500 ms"]
