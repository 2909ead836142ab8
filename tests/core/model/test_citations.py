"""Citations are checked by code: ids, quotes, what carries a decision, and words of direction."""

from dataclasses import replace

import pytest

from rollout_verdict.core.comparison import DiffItem, LogOutcome, MetricOutcome, PodFact
from rollout_verdict.core.evidence import Direction, TemplateChange
from rollout_verdict.core.model.citations import answers_all, hold, is_adverse, occurs, problems
from rollout_verdict.core.values import Citation, Decision, Finding, Opinion, Severity, Side, SourceKind
from tests.core import builders

HIGH = replace(
    builders.check(id="m1", outcome=MetricOutcome.HIGH, severity=Severity.FAIL, stable=0.012, canary=0.34),
    effect=0.328,
)
SAME = builders.check("latency", id="m2", stable=0.2, canary=0.2)
NEW = builders.change("payment <*> failed", id="l1", outcome=LogOutcome.NEW, severity=Severity.FAIL)
QUIET = builders.change("payment <*> done", id="l2", outcome=LogOutcome.UNCHANGED)
CRASH = PodFact(id="p1", code="oom", side=Side.CANARY, pods=("c-1",), severity=Severity.WARN, detail="killed")
STABLE = replace(CRASH, id="p2", side=Side.STABLE)
VETO = replace(CRASH, id="p3", severity=Severity.VETO)
DIFF = DiffItem(id="d1", change=TemplateChange(path="image", stable="a:1", canary="a:2"))
ALL = builders.comparison(
    metrics=builders.metrics(HIGH, SAME),
    logs=builders.logs(NEW, QUIET),
    pods=builders.pods(CRASH, STABLE, VETO),
    diff=(DIFF,),
)
NOTHING = builders.comparison()


def opinion(decision, *citations):
    return Opinion(
        judge="gemini",
        decision=decision,
        confidence=90,
        citations=tuple(Citation(evidence_id=i, claim=c, quote=q) for i, c, q in citations),
    )


@pytest.mark.parametrize(
    ("decision", "citations", "problem"),
    [
        ("rollback", [("m1", "errors rose", "stable 0.012, canary 0.34")], ""),
        ("rollback", [("l1", "a new failure", 'template "payment <*> failed"')], ""),
        ("rollback", [("p1", "", "")], ""),
        ("rollback", [], "a rollback must cite evidence"),
        ("rollback", [("m2", "", "")], "a rollback must cite something that got worse on the canary"),
        ("rollback", [("l2", "", "")], "a rollback must cite something that got worse on the canary"),
        ("rollback", [("p2", "", "")], "a rollback must cite something that got worse on the canary"),
        ("rollback", [("d1", "a new image", "a:2")], "a rollback must cite something that got worse on the canary"),
        ("promote", [("m2", "unchanged", "stable 0.2, canary 0.2")], ""),
        ("promote", [("m1", "noise", "0.34")], ""),
        ("promote", [], "a promote must cite evidence"),
        ("promote", [("d1", "harmless", "")], "a promote must cite a comparison of the two sides"),
        ("promote", [("p3", "", "")], "a promote cannot rest on p3, which is a failure that settles the matter"),
        ("promote", [("m9", "", "")], "there is no item m9"),
        ("inconclusive", [], ""),
        ("inconclusive", [("m9", "", "")], "there is no item m9"),
        ("rollback", [("m1", "", "0.35")], "m1 does not contain the quote 0.35"),
        ("rollback", [("m1", "errors fell", "")], "m1 went the other way than claimed: errors fell"),
        ("promote", [("l1", "fewer failures", "")], "l1 went the other way than claimed: fewer failures"),
    ],
)
def test_the_first_problem_of_an_opinion(decision, citations, problem):
    """A decision stands on items that exist, say what is quoted and can carry it."""
    said = opinion(Decision(decision), *citations)
    assert (problems(said, ALL) or ("",))[0] == problem
    assert hold(said, ALL, builders.evidence()) is (problem == "")


def test_only_what_was_shown_may_be_cited():
    """An id that exists but was left out of the prompt is a lucky guess."""
    said = opinion(Decision.ROLLBACK, ("m1", "", ""), ("l1", "", ""))
    assert problems(said, ALL, {"m1"}) == ("there is no item l1",)
    assert problems(said, ALL, {"m1", "l1"}) == ()


def test_without_sources_nothing_can_be_cited():
    """Only an inconclusive opinion holds where there is no evidence."""
    assert hold(opinion(Decision.INCONCLUSIVE), NOTHING, builders.evidence())
    assert not hold(opinion(Decision.PROMOTE, ("m1", "", "")), NOTHING, builders.evidence())


@pytest.mark.parametrize(
    ("quote", "text", "there"),
    [
        ("0.50", "mean 0.5, p95 1", True),
        ("1,200 events", "events: 1200 events", True),
        ("5e-05", "p 0.00005", True),
        ("5", "15 events", False),
        ("mean 0.5", "mean stable 0.5", False),
        ("KeyError: 'x'", 'template "KEYERROR: \\"X\\""', True),
        ("first second", '"first\\nsecond"', True),
        ("a system b", '"a \\u003csystem> b"', True),
        ("!!!", "wow!!!", False),
        ("", "anything", False),
        ("errors errors", "errors", False),
        ("naïve", "NAÏVE", True),
        ("1٫5²", "1٫5²", True),
    ],
)
def test_quotes_are_compared_by_words_and_values(quote, text, there):
    """Punctuation, case and the writing of a number do not matter; their order and borders do."""
    assert occurs(quote, text) is there


def test_every_finding_must_be_answered():
    """A finding is answered by a citation of one of the items it rests on."""
    findings = [
        Finding(code="a", severity=Severity.FAIL, source=SourceKind.METRICS, summary="", evidence=("m1", "m2")),
        Finding(code="b", severity=Severity.FAIL, source=SourceKind.LOGS, summary="", evidence=("l1",)),
    ]
    assert answers_all(opinion(Decision.PROMOTE, ("m2", "", ""), ("l1", "", "")), findings)
    assert not answers_all(opinion(Decision.PROMOTE, ("m1", "", ""), ("m2", "", "")), findings)
    assert answers_all(opinion(Decision.PROMOTE), [])


@pytest.mark.parametrize(
    ("item", "adverse"),
    [
        (HIGH, True),
        (replace(HIGH, direction=Direction.LOWER_IS_WORSE), False),
        (replace(HIGH, direction=Direction.NEUTRAL), True),
        (replace(HIGH, effect=-0.1), True),  # its figures disagree: one of them got worse
        (SAME, False),
        (builders.check(stable=None, canary=1.0), False),
        (NEW, True),
        (replace(NEW, outcome=LogOutcome.VANISHED), True),
        (replace(NEW, outcome=LogOutcome.REWORDED), False),
        (QUIET, False),
        (CRASH, True),
        (STABLE, False),
    ],
)
def test_what_can_speak_against_a_canary(item, adverse):
    """Something differs, and not for the better."""
    assert is_adverse(item) is adverse


@pytest.mark.parametrize(
    ("item", "claim", "wrong"),
    [
        (HIGH, "the error ratio rose", False),
        (HIGH, "the error ratio decreased", True),
        (HIGH, "the ratio rose while latency fell", False),
        (HIGH, "the ratio has not decreased", False),
        (HIGH, "it didn't fall, it is lower", False),
        (HIGH, "an upstream dropped the connection", False),
        (replace(HIGH, effect=-0.1), "the ratio fell", False),
        (SAME, "latency increased", False),
        (NEW, "failures increased", False),
        (NEW, "failures disappeared", True),
        (replace(NEW, outcome=LogOutcome.FALLEN), "failures increased", True),
        (replace(NEW, outcome=LogOutcome.TOO_FEW), "failures increased", False),
        (CRASH, "restarts decreased", False),
    ],
)
def test_words_of_direction_agree_with_the_sign(item, claim, wrong):
    """A claim of a fall where there was a rise is refused; doubtful wording is let pass."""
    part = {"m": "metrics", "l": "logs", "p": "pods"}[item.id[0]]
    comparison = builders.comparison(**{part: getattr(builders, part)(item)})
    said = opinion(Decision.INCONCLUSIVE, (item.id, claim, ""))
    assert bool(problems(said, comparison)) is wrong
