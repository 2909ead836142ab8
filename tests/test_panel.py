"""Second opinions through the engine, the real client and the fake server: asked in doubt, counted, recorded, replayed."""

import json
from dataclasses import replace

import pytest

from rollout_verdict import engine
from rollout_verdict.adapters.bundle import read_bundle, read_record, write_bundle
from rollout_verdict.adapters.gemini.parse import parse
from rollout_verdict.adapters.recorded import RecordedJudge
from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.core.values import DecidedBy, Decision, SourceKind
from tests.adapters import canaries
from tests.adapters.gemini import FIRST, SECOND, judge
from tests.fakes.gemini import FakeGemini
from tests.fakes.gemini.scenarios import deciding

POLICY = Policy(second_opinions=(SECOND,))
PROMOTE, ROLLBACK, INCONCLUSIVE = Decision


def uneasy():
    """Rules say promote; the mean latency is a little higher, so that an objection has something to cite."""
    return canaries.evidence(metrics=canaries.metrics(0.01, 0.203), logs=canaries.logs(canaries.SERVED))


def panel(evidence, policy=POLICY, *, first, second="citing", **options):
    """Judge with a scenario for each of two models. Returns the result and the models that were asked, in order."""
    script = {FIRST: first if isinstance(first, list) else [first], SECOND: [second]}
    with FakeGemini(script=script) as fake, judge(base_url=fake.url, **options) as judging:
        result = engine.judge(evidence, policy, judging, Redactor())
    return result, [entry.model for entry in fake.journal]


def test_nobody_else_is_asked_without_doubt():
    result, asked = panel(uneasy(), first=deciding("promote", 0.9))
    assert asked == [FIRST]
    assert result.verdict.vote is None


@pytest.mark.parametrize("policy", [Policy(), replace(POLICY, mode=Mode.ADVISORY)])
def test_second_opinions_are_for_those_who_want_them_and_for_models_that_decide(policy):
    result, asked = panel(uneasy(), policy, first="always_rollback")
    assert asked == [FIRST]
    assert result.verdict.vote is None


def test_a_lone_objection_is_settled_by_a_vote():
    """Rules and second model say promote, the first is not sure of its rollback: two voices to one."""
    first = deciding("rollback", 0.6)
    alone, _ = panel(uneasy(), Policy(), first=first)
    assert alone.verdict.decision is INCONCLUSIVE
    result, asked = panel(uneasy(), first=first, second=deciding("promote", 0.9))
    verdict = result.verdict
    assert asked == [FIRST, SECOND]
    assert (verdict.decision, verdict.row, verdict.confidence) == (PROMOTE, 4, 90)
    assert [(said.judge, said.decision, said.confidence) for said in verdict.vote.opinions] == [
        (FIRST, ROLLBACK, 60),
        (SECOND, PROMOTE, 90),
    ]
    assert verdict.vote.why == f"the rules say promote, {FIRST} says rollback"
    assert verdict.opinions[1].judge == f"vote of {FIRST}, {SECOND}"
    assert verdict.opinions[1].confidence == 45  # the mean over both voters
    assert result.usage.attempts == 2
    assert result.usage.cost_usd > alone.usage.cost_usd


def test_a_sure_objection_stands_against_every_vote():
    sure = deciding("rollback", 0.9)
    alone, _ = panel(uneasy(), Policy(), first=sure)
    assert alone.verdict.decision is ROLLBACK
    result, _ = panel(uneasy(), first=sure, second=deciding("promote", 0.99))
    assert result.verdict.decision is INCONCLUSIVE
    assert "is sure of a rollback" in result.verdict.vote.rationale


def test_measured_harm_is_not_voted_away():
    """Every model says promote, the rules found harm: inconclusive as ever, unless the operator said otherwise."""
    votes = {"first": "always_promote", "second": "always_promote"}
    assert panel(canaries.failing(), **votes)[0].verdict.decision is INCONCLUSIVE
    allowed = replace(POLICY, model_may_override=True)
    assert panel(canaries.failing(), allowed, **votes)[0].verdict.decision is PROMOTE
    votes["second"] = deciding("promote", 0.7)
    assert panel(canaries.failing(), allowed, **votes)[0].verdict.decision is INCONCLUSIVE  # 82 in the mean, 85 needed


@pytest.mark.parametrize("failure", ["prose", "hallucinated_citation", "not_found", "zero_confidence", "stall"])
def test_a_failed_second_opinion_is_a_gap_and_helps_no_promote(failure):
    """Whatever becomes of it, never more of a promote than without it; and the first model's rollback stays."""
    policy = replace(POLICY, second_opinion_s=0.5)
    found, asked = panel(canaries.scarce(), policy, first=deciding("promote", 0.9), second=failure)
    assert SECOND in asked
    assert found.verdict.decision is INCONCLUSIVE
    result, _ = panel(uneasy(), policy, first=deciding("rollback", 0.9), second=failure)
    assert result.verdict.decision is ROLLBACK
    gap = result.verdict.gaps[-1]
    assert (gap.source, gap.what) == (SourceKind.MODEL, f"the second opinion of {SECOND}")
    assert result.verdict.vote.failed == (gap,)
    assert result.verdict.decided_by is DecidedBy.MODEL


def test_the_deadline_of_a_second_opinion_is_its_own():
    result, _ = panel(uneasy(), replace(POLICY, second_opinion_s=0.3), first=deciding("rollback", 0.9), second="stall")
    assert "no usable answer within 0.3 s" in result.verdict.gaps[-1].reason


def test_without_a_first_opinion_nobody_else_is_asked():
    """The chain of models is for that; the rules stand."""
    result, asked = panel(uneasy(), first="bad_key")
    assert asked == [FIRST]
    assert result.verdict.decided_by is DecidedBy.RULES_FALLBACK


def test_a_veto_asks_nobody():
    from tests.test_golden import BUNDLES

    result, asked = panel(read_bundle(BUNDLES / "crash_loop"), first="always_promote", second="always_promote")
    assert asked == []
    assert result.verdict.row == 1


def test_a_count_asks_the_first_model_again():
    policy = replace(POLICY, second_opinions=("", ""))
    played = [deciding("rollback", 0.6), deciding("promote", 0.9), deciding("promote", 0.8)]
    result, asked = panel(uneasy(), policy, first=played)
    assert asked == [FIRST] * 3
    assert [said.judge for said in result.verdict.vote.opinions] == [FIRST, f"{FIRST} (2)", f"{FIRST} (3)"]
    assert result.verdict.decision is PROMOTE


@pytest.mark.parametrize("second", [deciding("promote", 0.9), "prose"])
def test_a_vote_is_recorded_and_replayed_to_the_byte(tmp_path, second):
    """From the bundle alone, without a call: the same verdict, vote and explanation."""
    result, _ = panel(uneasy(), first=deciding("rollback", 0.6), second=second)
    write_bundle(tmp_path / "b", result)
    record = read_record(tmp_path / "b")
    (exchange,) = record.exchanges
    assert exchange.judge == SECOND
    assert exchange.prompt == ""  # the same as the first one's
    assert exchange.reply
    again = engine.judge(read_bundle(tmp_path / "b"), POLICY, RecordedJudge(record=record, parse=parse), Redactor())
    assert again.verdict == result.verdict
    assert again.explanation == result.explanation
    document = json.loads((tmp_path / "b/result.json").read_bytes())
    document["exchanges"][0]["reply"] = document["exchanges"][0]["reply"].replace("promote", "rollback")
    (tmp_path / "b/result.json").write_text(json.dumps(document))
    changed = RecordedJudge(record=read_record(tmp_path / "b"), parse=parse)
    refused = engine.judge(read_bundle(tmp_path / "b"), POLICY, changed, Redactor()).verdict
    assert (second == "prose") or "is not what result.json was made from" in refused.gaps[-1].reason


def test_a_second_judge_that_breaks_takes_nothing_away():
    class Family:
        def __init__(self, first):
            self.judge = first.judge

        def named(self, model, within_s):
            return None

    with FakeGemini(script={FIRST: [deciding("rollback", 0.9)]}) as fake, judge(base_url=fake.url) as judging:
        result = engine.judge(uneasy(), POLICY, Family(judging), Redactor())
    assert result.verdict.decision is ROLLBACK
    assert result.verdict.gaps[-1].reason == "its judge broke (AttributeError)"
