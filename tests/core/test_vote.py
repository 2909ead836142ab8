"""A vote makes one opinion of several, and none that the decision table would allow more than its strongest voice."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.core.decide import Checked, decide
from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.core.rules import Assessment
from rollout_verdict.core.values import Citation, DecidedBy, Decision, Finding, Gap, Opinion, Severity, SourceKind
from rollout_verdict.core.vote import RATIONALE_LENGTH, count, doubt, usable, voices
from tests.adapters import canaries

P, R, N = Decision.PROMOTE, Decision.ROLLBACK, Decision.INCONCLUSIVE
POLICY = Policy(second_opinions=("b",))
RANK = {R: 0, N: 1, P: 2}


def said(decision, confidence, judge="a"):
    cited = (Citation(evidence_id="m1", claim=judge),)
    return Opinion(judge=judge, decision=decision, confidence=confidence, citations=cited, rationale=f"{judge} says so")


def gap(name="c"):
    return Gap(source=SourceKind.MODEL, what=f"the second opinion of {name}", reason="timed out")


def counted(*opinions, failed=(), policy=POLICY):
    return count(opinions, failed, "doubt", policy)


@pytest.mark.parametrize(
    ("rules", "first", "doubted"),
    [
        (P, said(P, 90), ""),
        (P, said(P, 69), "a is not sure of its promote (69)"),
        (R, said(R, 40), ""),  # others could only weaken it
        (P, said(R, 90), "the rules say promote, a says rollback"),
        (R, said(P, 90), "the rules say rollback, a says promote"),
        (N, said(P, 90), "the rules say inconclusive, a says promote"),
        (N, said(N, 40), "a is not sure of its inconclusive (40)"),
        (N, said(P, 0), ""),  # no usable opinion, hence none to check
    ],
)
def test_when_there_is_doubt(rules, first, doubted):
    opinion = said(rules, 75, "rules")
    assert doubt(opinion, first, POLICY) == doubted
    assert doubt(opinion, first, replace(POLICY, second_opinions=())) == ""
    assert doubt(opinion, first, replace(POLICY, mode=Mode.ADVISORY)) == ""


def test_the_heavier_side_wins_with_the_mean_of_its_confidences():
    opinion, vote = counted(said(P, 80), said(P, 90, "b"), said(N, 60, "c"))
    assert (opinion.decision, opinion.confidence) == (P, 57)
    assert opinion.judge == "vote of a, b, c"
    assert opinion.citations == said(P, 90, "b").citations  # of the surest alone: no answering findings by the sum
    assert vote.rationale == (
        "a promote 80; b promote 90; c inconclusive 60. By confidence: promote 170, inconclusive 60, hence promote"
    )


def test_equal_weights_decide_nothing():
    opinion, vote = counted(said(P, 60), said(R, 60, "b"))
    assert (opinion.decision, opinion.citations, opinion.rationale) == (N, (), vote.rationale)
    assert vote.rationale.endswith("hence inconclusive; an equal weight decides nothing")


def test_no_majority_waves_a_sure_rollback_away():
    """Two for promote, one who is sure of harm: a person should look."""
    opinion, vote = counted(said(P, 95), said(P, 95, "b"), said(R, 70, "c"))
    assert opinion.decision is N
    assert "c is sure of a rollback" in vote.rationale
    opinion, _ = counted(said(P, 95), said(P, 95, "b"), said(R, 69, "c"))
    assert (opinion.decision, opinion.confidence) == (P, 63)


def test_who_failed_counts_against_a_promote_only():
    assert counted(said(P, 80), failed=[gap()])[0] == replace(said(P, 80), confidence=40)
    opinion, vote = counted(said(R, 80), failed=[gap()])
    assert opinion == said(R, 80)
    assert vote.failed == (gap(),)
    assert "the second opinion of c missing" in vote.rationale


def test_a_promote_without_confidence_is_no_opinion():
    assert usable(said(R, 0))
    assert usable(said(P, 1))
    assert not usable(said(P, 0))


def test_the_rationale_is_bounded():
    _, vote = counted(*(said(P, 90, "x" * 200) for _ in range(6)))
    assert len(vote.rationale) == RATIONALE_LENGTH


def test_each_judge_for_itself():
    result = canaries.judged(canaries.failing())
    assert voices(result.verdict) == result.verdict.opinions
    opinion, vote = counted(said(P, 80), said(R, 75, "b"))
    voted = replace(result.verdict, opinions=(*result.verdict.opinions, opinion), vote=vote)
    assert [one.judge for one in voices(voted)] == ["rules", "a", "b"]


DECISIONS = st.sampled_from(list(Decision))
VOICES = st.lists(st.builds(said, DECISIONS, st.integers(1, 100), st.sampled_from("abcd")), min_size=1, max_size=4)
POLICIES = st.builds(
    Policy,
    model_may_override=st.booleans(),
    min_confidence=st.integers(0, 100),
    override_confidence=st.integers(0, 100),
)


def ruling(rules, opinion, policy, *, short=False):
    finding = Finding(code="log-new", severity=Severity.FAIL, source=SourceKind.LOGS, summary="s", evidence=("m1",))
    stated = Opinion(judge="rules", decision=rules, confidence=75, findings=(finding,) if rules is R else ())
    assessment = Assessment(opinion=stated, shortfalls=("few",) if short else (), score=50)
    return decide(assessment, Checked(opinion=opinion, holds=True, answers=True), policy)


@given(DECISIONS, VOICES, POLICIES, st.booleans())
def test_a_vote_promotes_only_what_a_single_voice_of_it_would_promote(rules, voices, policy, short):
    """The table is never widened: for each promote by vote there is a voter who alone would have got it."""
    opinion, _ = counted(*voices, policy=policy)
    if ruling(rules, opinion, policy, short=short).decision is P:
        alone = [ruling(rules, voice, policy, short=short).decision for voice in voices]
        assert P in alone


@given(DECISIONS, VOICES, POLICIES, st.integers(1, 3))
def test_a_failed_opinion_never_makes_a_promote_easier(rules, voices, policy, missing):
    """Ieither against the vote without it, nor against the first model alone where all others failed."""
    without, _ = counted(*voices, policy=policy)
    with_, _ = counted(*voices, failed=[gap()] * missing, policy=policy)
    assert RANK[ruling(rules, with_, policy).decision] <= RANK[ruling(rules, without, policy).decision]
    assert ruling(rules, with_, policy).decided_by in DecidedBy


@given(VOICES, POLICIES)
def test_the_order_of_asking_decides_nothing(voices, policy):
    there, _ = counted(*voices, policy=policy)
    back, _ = counted(*reversed(voices), policy=policy)
    assert (there.decision, there.confidence) == (back.decision, back.confidence)
