"""What is remembered explains and warns; a mark sets a finding aside, in sight, and never a veto."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rollout_verdict.core.canonical import canonical, digest
from rollout_verdict.core.comparison import LogOutcome, MetricOutcome, PodFact
from rollout_verdict.core.memory import Earlier, Mark, Marked, MarkKind, Memory, Recalled
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.recall import counting, digested, earlier, key_of, markable, measured, with_memory
from rollout_verdict.core.rules import judge
from rollout_verdict.core.values import Decision, RolloutRef, Severity, Side, SourceKind
from tests.adapters import canaries
from tests.core import builders

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PROMOTE, ROLLBACK, INCONCLUSIVE = Decision
FAILED = builders.change("charge of <*> failed", outcome=LogOutcome.NEW, severity=Severity.FAIL, reason="9 events")
HIGH = builders.check(outcome=MetricOutcome.HIGH, severity=Severity.FAIL, stable=0.01, canary=0.4, reason="higher")
HELD = builders.comparison(logs=builders.logs(FAILED), metrics=builders.metrics(HIGH))


def mark(about, **parts):
    return Mark(**{"id": "k1", "about": about, "who": "alice", "when": NOON, "why": "retried later", **parts})


def before(decision, *findings, number=1, version="7f6"):
    return Earlier(
        id=f"a{number}",
        time=NOON - timedelta(hours=number),
        decision=decision,
        reason="it was so",
        version=version,
        digest="d",
        findings=tuple(Recalled(code="c", severity=Severity.FAIL, key=key) for key in findings),
    )


def remembering(*, marks=(), earlier=(), version="7f6"):
    found = builders.evidence(memory=Memory(earlier=earlier, marks=marks))
    return replace(found, rollout=RolloutRef(namespace="shop", name="checkout", canary_hash=version))


def judged(evidence, held=HELD):
    comparison = with_memory(held, evidence)
    return comparison, judge(evidence, comparison, Policy())


def test_an_empty_memory_has_the_digest_of_none():
    """The same bundle has the same digest, whether whoever judges it keeps a memory or not."""
    none = replace(remembering(), memory=None)
    assert digest(digested(remembering())) == digest(digested(none)) == digest(none)
    known = remembering(earlier=(before(PROMOTE),))
    assert digested(known) == known


# Marks


def test_what_is_marked_is_set_aside_in_sight():
    """The rules count it no more; the comparison keeps what it would have counted for, and whose word that rests on."""
    marks = (mark(markable(HELD, "l1")), mark(markable(HELD, "m1"), id="k2"))
    comparison, assessment = judged(remembering(marks=marks))
    assert [(one.id, one.severity, one.mark.id) for one in comparison.set_aside] == [
        ("l1", Severity.FAIL, "k1"),
        ("m1", Severity.FAIL, "k2"),
    ]
    assert comparison.logs.changes[0].severity is comparison.metrics.checks[0].severity is Severity.INFO
    assert assessment.opinion.decision is PROMOTE
    assert assessment.opinion.rationale.endswith("2 known to be benign and set aside")
    assert judged(builders.evidence())[1].opinion.decision is ROLLBACK


def test_other_findings_count_on():
    _, assessment = judged(remembering(marks=(mark(markable(HELD, "l1")),)))
    assert assessment.opinion.decision is ROLLBACK
    assert [finding.evidence for finding in assessment.opinion.findings] == [("m1",)]


@pytest.mark.parametrize(
    "change",
    [{"template": "charge of <*> refused"}, {"level": builders.Level.FATAL}, {"status": "5xx"}],
)
def test_a_mark_covers_nothing_else(change):
    """Another wording, level or status is another message."""
    other = replace(FAILED, pattern=replace(FAILED.pattern, **change))
    held = builders.comparison(logs=builders.logs(other), metrics=builders.metrics(builders.check()))
    comparison, assessment = judged(remembering(marks=(mark(markable(HELD, "l1")),)), held)
    assert comparison.set_aside == ()
    assert assessment.opinion.decision is ROLLBACK


def test_key_and_text_must_both_agree():
    """A key is 48 bits, which somebody could hit upon on purpose."""
    about = markable(HELD, "l1")
    for wrong in (replace(about, text="other"), replace(about, key="0" * 12), replace(about, kind=MarkKind.METRIC)):
        assert judged(remembering(marks=(mark(wrong),)))[0].set_aside == ()


def test_a_veto_is_never_set_aside():
    fatal = replace(FAILED, severity=Severity.VETO)
    held = builders.comparison(logs=builders.logs(fatal))
    comparison, assessment = judged(remembering(marks=(mark(markable(held, "l1")),)), held)
    assert comparison.set_aside == ()
    assert assessment.opinion.decision is ROLLBACK


def test_numbers_of_redacted_secrets_differ_from_day_to_day():
    def named(number):
        pattern = replace(FAILED.pattern, template=f"charge of <email:{number}> failed")
        return builders.comparison(logs=builders.logs(replace(FAILED, pattern=pattern)))

    about = markable(named(1), "l1")
    assert about.text == "charge of <email> failed"
    assert judged(remembering(marks=(mark(about),)), named(7))[0].set_aside[0].id == "l1"
    assert judged(remembering(marks=(mark(about),)), named("+"))[0].set_aside[0].id == "l1"


def test_what_does_not_count_and_is_no_worse_is_not_listed():
    held = builders.comparison(logs=builders.logs(builders.change("charge of <*> failed")))
    assert judged(remembering(marks=(mark(markable(HELD, "l1")),)), held)[0].set_aside == ()


def test_what_can_be_marked():
    assert markable(HELD, "m1") == Marked(kind=MarkKind.METRIC, key="http_error_ratio", text="http_error_ratio")
    assert markable(HELD, "l1").key == FAILED.pattern.key
    with pytest.raises(ValueError, match="there is no item 'l9'"):
        markable(HELD, "l9")
    for template in ("<*>", "<*> <*>: <*>", "<timestamp> 12 <*>"):
        wild = builders.comparison(logs=builders.logs(builders.change(template)))
        with pytest.raises(ValueError, match="no word of its own"):
            markable(wild, "l1")
    crash = PodFact(id="p1", code="crash-loop", side=Side.CANARY, pods=("c",), severity=Severity.VETO, detail="d")
    with pytest.raises(ValueError, match="state of a pod"):
        markable(builders.comparison(pods=builders.pods(crash)), "p1")


def test_marks_end():
    about = markable(HELD, "l1")
    kept = mark(about, id="b", expires=NOON + timedelta(seconds=1))
    assert counting((kept, mark(about, id="a"), mark(about, id="c", expires=NOON)), NOON) == (mark(about, id="a"), kept)


# Earlier verdicts


def test_what_was_found_before_is_told_and_changes_nothing():
    keys = (f"log:{FAILED.pattern.key}", "metric:http_error_ratio{}", "pod:gone")
    comparison, assessment = judged(
        remembering(
            earlier=(before(ROLLBACK, *keys), before(INCONCLUSIVE, number=2), before(ROLLBACK, keys[0], number=3))
        )
    )
    plain = judged(builders.evidence())[1]
    assert [one.again for one in comparison.before] == [("l1", "m1"), (), ("l1",)]
    assert [one.id for one in comparison.before] == ["e1", "e2", "e3"]
    told = [finding for finding in assessment.opinion.findings if finding.source is SourceKind.MEMORY]
    assert [(finding.severity, finding.evidence) for finding in told] == [
        (Severity.INFO, ("l1", "e1", "e3")),
        (Severity.INFO, ("m1", "e1")),
    ]
    assert told[0].summary.startswith("found in 2 of 3 earlier verdicts as well, the latest of them rollback on 2026")
    assert (assessment.opinion.decision, assessment.opinion.confidence, assessment.score) == (
        plain.opinion.decision, plain.opinion.confidence, plain.score,
    )  # fmt: skip


GOOD = builders.comparison(metrics=builders.metrics(builders.check()), logs=builders.logs(builders.change()))


@pytest.mark.parametrize(
    ("decisions", "wavering"),
    [
        ((PROMOTE, ROLLBACK, PROMOTE), True),
        ((ROLLBACK, INCONCLUSIVE, PROMOTE, ROLLBACK), True),
        ((PROMOTE, ROLLBACK, ROLLBACK), False),
        ((PROMOTE, INCONCLUSIVE, PROMOTE), False),
        ((), False),
    ],
)
def test_verdicts_that_alternate_on_one_version_are_for_a_person(decisions, wavering):
    verdicts = tuple(before(decision, number=n) for n, decision in enumerate(decisions, 1))
    _, assessment = judged(remembering(earlier=verdicts), GOOD)
    assert assessment.opinion.decision is (INCONCLUSIVE if wavering else PROMOTE)
    if wavering:
        assert "earlier verdicts on this version alternate: " in assessment.opinion.rationale
        _, harmed = judged(remembering(earlier=verdicts))
        assert harmed.opinion.decision is ROLLBACK


@pytest.mark.parametrize("version", ["", "other"])
def test_verdicts_on_other_versions_do_not_alternate(version):
    verdicts = tuple(before(decision, number=n) for n, decision in enumerate((PROMOTE, ROLLBACK, PROMOTE), 1))
    assert judged(remembering(earlier=verdicts, version=version), GOOD)[1].opinion.decision is PROMOTE


def test_alternating_verdicts_are_no_second_measurement():
    """One warning of a metric and unsteady verdicts make nobody roll back."""
    verdicts = tuple(before(decision, number=n) for n, decision in enumerate((PROMOTE, ROLLBACK, PROMOTE), 1))
    doubtful = builders.check(outcome=MetricOutcome.HIGH, severity=Severity.WARN)
    held = builders.comparison(metrics=builders.metrics(doubtful))
    assert judged(remembering(earlier=verdicts), held)[1].opinion.decision is INCONCLUSIVE


@pytest.mark.parametrize("decisions", [(PROMOTE,) * 5, (PROMOTE, INCONCLUSIVE), (ROLLBACK,)])
def test_no_past_promotes(decisions):
    verdicts = tuple(before(decision, number=n) for n, decision in enumerate(decisions, 1))
    assert judged(remembering(earlier=verdicts))[1].opinion.decision is ROLLBACK
    thin = builders.comparison(logs=builders.logs(adequate=False, reason="few"))
    assert judged(remembering(earlier=verdicts), thin)[1].opinion.decision is INCONCLUSIVE


def test_a_result_is_remembered_by_its_findings():
    result = canaries.judged(canaries.failing())
    kept = earlier(result, "id-1", NOON)
    assert (kept.id, kept.time, kept.decision, kept.reason) == ("id-1", NOON, ROLLBACK, result.verdict.reason)
    assert kept.digest == digest(canaries.failing())
    change = next(c for c in result.comparison.logs.changes if c.severity is Severity.FAIL)
    assert Recalled(code="log-new", severity=Severity.FAIL, key=key_of(change)) in kept.findings
    remembered = replace(canaries.failing(), memory=Memory(earlier=(kept,)))
    again = canaries.judged(remembered)
    assert earlier(again, "id-2", NOON) == replace(kept, id="id-2")  # what is remembered is not remembered again
    assert again.comparison.before[0].again


def test_pod_facts_are_remembered_by_what_they_are():
    """Pods have other names each time; and trouble of the stable side is not the canary's."""
    crash = PodFact(id="p1", code="crash-loop", side=Side.CANARY, pods=("c",), severity=Severity.VETO, detail="d")
    there = replace(crash, id="p2", side=Side.STABLE, code="oom-killed")
    held = builders.comparison(pods=builders.pods(crash, there))
    evidence = remembering(earlier=(before(ROLLBACK, "pod:crash-loop", "pod:oom-killed"),))
    assert key_of(crash) == "pod:crash-loop"
    assert judged(evidence, held)[0].before[0].again == ("p1",)


def test_without_memory_nothing_is_as_it_was_not():
    """Evidence has the bytes and the digest it had before there was a memory."""
    evidence = canaries.healthy()
    assert b"memory" not in canonical(evidence)
    assert measured(replace(evidence, memory=Memory())) == evidence
    result = canaries.judged(evidence)
    assert b"set_aside" not in canonical(result, unbounded=True)
    assert with_memory(result.comparison, evidence) is result.comparison


def test_memory_can_be_required():
    policy = Policy(required_sources=(SourceKind.MEMORY,))
    assert judge(builders.evidence(), GOOD, policy).opinion.decision is INCONCLUSIVE
    assert judge(remembering(), GOOD, policy).opinion.decision is PROMOTE
