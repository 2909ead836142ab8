"""Whatever the model's service does ends in the verdict of the decision table, after a known number of calls."""

import logging

import pytest

from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.core.values import Decision
from tests.adapters import canaries
from tests.adapters.gemini import KEY, Time, calls, judge, model
from tests.fakes.gemini import SCENARIOS

ANSWERED = ""
BLOCKED = "answer blocked"
ERROR = "model error"
MALFORMED = "malformed answer"
UNGROUNDED = "ungrounded answer"
EMPTY = "empty answer"

# scenario: (class of the outcome, calls of each model of the chain, seconds waited)
EXPECTED = {
    "citing": (ANSWERED, (1,), []),
    "gullible": (ANSWERED, (1,), []),
    "thought_parts": (ANSWERED, (1,), []),
    "split_parts": (ANSWERED, (1,), []),
    "padded": (ANSWERED, (1,), []),
    "no_usage": (ANSWERED, (1,), []),
    "unknown_finish": (ANSWERED, (1,), []),
    "no_finish": (ANSWERED, (1,), []),
    "slow": (ANSWERED, (1,), []),
    "repaired_citation": (ANSWERED, (2,), [0]),
    "fenced": (MALFORMED, (2,), [0]),
    "prose": (MALFORMED, (2,), [0]),
    "duplicate_key": (MALFORMED, (2,), [0]),
    "not_a_number": (MALFORMED, (2,), [0]),
    "wrong_shape": (MALFORMED, (2,), [0]),
    "wrong_type": (MALFORMED, (2,), [0]),
    "extra_key": (MALFORMED, (2,), [0]),
    "hostile_key": (MALFORMED, (2,), [0]),
    "unknown_decision": (MALFORMED, (2,), [0]),
    "bad_sum": (MALFORMED, (2,), [0]),
    "zero_confidence": (MALFORMED, (2,), [0]),
    "uncited_promote": (UNGROUNDED, (2,), [0]),
    "hallucinated_citation": (UNGROUNDED, (2,), [0]),
    "hallucinated_quote": (UNGROUNDED, (2,), [0]),
    "truncated": ("answer truncated", (2,), [0]),
    "empty_max_tokens": ("answer truncated", (2,), [0]),
    "continuation": ("answer truncated", (2,), [0]),
    "function_call": (ERROR, (2,), [0]),
    "finish_other": (ERROR, (2,), [0]),
    "finish_malformed_function_call": (ERROR, (2,), [0]),
    "finish_unexpected_tool_call": (ERROR, (2,), [0]),
    "finish_too_many_tool_calls": (ERROR, (2,), [0]),
    "finish_missing_thought_signature": (ERROR, (2,), [0]),
    "finish_malformed_response": (ERROR, (2,), [0]),
    "finish_recitation": ("answer withheld as recitation", (2,), [0]),
    "finish_safety": (BLOCKED, (1,), []),
    "finish_language": (BLOCKED, (1,), []),
    "finish_blocklist": (BLOCKED, (1,), []),
    "finish_prohibited_content": (BLOCKED, (1,), []),
    "finish_spii": (BLOCKED, (1,), []),
    "finish_escalation": (BLOCKED, (1,), []),
    "finish_model_armor": (BLOCKED, (1,), []),
    **{name: ("prompt blocked", (1,), []) for name in SCENARIOS if name.startswith("block_")},
    "no_candidates": (EMPTY, (2, 2, 2), [1, 1, 1]),
    "no_parts": (EMPTY, (2, 2, 2), [1, 1, 1]),
    "empty_body": (EMPTY, (2, 2, 2), [1, 1, 1]),
    "empty_object": (EMPTY, (2, 2, 2), [1, 1, 1]),
    "empty_list": (EMPTY, (2, 2, 2), [1, 1, 1]),
    "candidates_not_a_list": (EMPTY, (2, 2, 2), [1, 1, 1]),
    "deep": ("garbled response", (2,), [1]),
    "endless": ("garbled response", (2,), [1]),
    "compressed": ("garbled response", (2,), [1]),
    "negative_usage": ("garbled response", (2,), [1]),
    "no_content": ("garbled response", (2,), [1]),
    "teapot": ("request refused", (1,), []),
    "html_200": ("garbled response", (2,), [1]),
    "html_502": ("server error", (3,), [1, 2]),
    "error_not_an_object": ("server error", (3,), [1, 2]),
    "internal": ("server error", (3,), [1, 2]),
    "bad_request": ("request refused", (1,), []),
    "bad_key": ("access refused", (1,), []),
    "unauthenticated": ("access refused", (1,), []),
    "forbidden": ("access refused", (1,), []),
    "not_found": ("model not found", (1, 1, 1), []),
    "rate_limited": ("rate limited", (3, 3, 2), [1, 2, 1, 2, 1]),
    "no_capacity": ("rate limited", (3, 3, 2), [1, 2, 1, 2, 1]),
    "rate_limited_22s": ("rate limited", (3, 3, 2), [22] * 5),
    "rate_limited_header": ("rate limited", (3, 3, 2), [7] * 5),
    "rate_limited_hour": ("rate limited", (1, 1, 1), []),
    "quota_per_day": ("quota spent", (1, 1, 1), []),
    "overloaded": ("model overloaded", (2, 2, 2), [1, 1, 1]),
    "server_deadline": ("timed out", (2,), [1]),
    "trickle": ("timed out", (2,), [1]),
    "stall": ("timed out", (2,), [1]),
    "reset": ("connection failed", (4,), [1, 2, 4]),
    "close": ("connection failed", (4,), [1, 2, 4]),
    "short_body": ("connection failed", (4,), [1, 2, 4]),
    "reset_mid_stream": ("connection failed", (4,), [1, 2, 4]),
    "error_mid_stream": ("connection failed", (4,), [1, 2, 4]),
}
DECIDING = {"always_promote", "always_rollback", "always_inconclusive"}  # answered whatever the evidence, see below
SHORT = {"trickle", "stall"}  # a real wait: the attempt's own deadline
UNKNOWN_ENUM = pytest.mark.filterwarnings("ignore:SOMETHING_NEW is not a valid FinishReason:UserWarning")


def test_every_scenario_is_expected_to_end_somehow():
    """A scenario added to the server has its outcome here."""
    assert set(EXPECTED) | DECIDING == set(SCENARIOS)


@UNKNOWN_ENUM
@pytest.mark.parametrize("scenario", EXPECTED)
def test_a_scenario_ends_in_its_class_and_in_the_verdict_of_the_table(scenario, caplog):
    """Class, calls and waits as expected; good and bad canaries end as the rules say, with or without the model."""
    caplog.set_level(logging.DEBUG)
    kind, expected_calls, waits = EXPECTED[scenario]
    for canary in (canaries.healthy, canaries.failing):
        alone = canaries.judged(canary(), policy=Policy(mode=Mode.RULES))
        time = Time()
        timeout = {"attempt_timeout_s": 0.2} if scenario in SHORT else {}
        with model(scenario, time=time, **timeout) as (fake, judging):
            result = canaries.judged(canary(), judging)
            assert calls(fake) == expected_calls
        verdict = result.verdict
        assert result.usage.attempts == sum(expected_calls)
        assert time.slept == waits
        assert time.now - 1000 < 120
        assert verdict.decision is alone.verdict.decision
        if kind is ANSWERED:
            assert (verdict.decided_by, verdict.row) == ("both", 4 if verdict.decision is Decision.PROMOTE else 5)
        else:
            assert (verdict.decided_by, verdict.row) == ("rules (fallback)", 3)
            assert verdict.confidence == alone.verdict.confidence
            assert verdict.score == alone.verdict.score
            gap = verdict.gaps[-1]
            assert gap.reason.startswith(kind)
            assert "\u202e" not in gap.reason
            assert len(gap.reason) < 300
        assert KEY not in repr(result)
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("canary", "said", "decision", "by", "row"),
    [
        ("healthy", "always_promote", "promote", "both", 4),
        ("healthy", "always_rollback", "promote", "rules (fallback)", 3),  # nothing got worse that it could cite
        ("healthy", "always_inconclusive", "inconclusive", "both", 9),
        ("failing", "always_promote", "inconclusive", "both", 7),
        ("failing", "always_rollback", "rollback", "both", 5),
        ("failing", "always_inconclusive", "inconclusive", "both", 9),
        ("scarce", "always_promote", "inconclusive", "rules", 2),
        ("scarce", "always_inconclusive", "inconclusive", "rules", 2),
    ],
)
def test_a_model_that_disagrees_ends_where_the_table_says(canary, said, decision, by, row):
    """The model may stop a promotion; against measured harm it gets no further than a person's desk."""
    with model(said) as (_, judging):
        verdict = canaries.judged(getattr(canaries, canary)(), judging).verdict
    assert (verdict.decision, verdict.decided_by, verdict.row) == (decision, by, row)


def test_an_operator_may_let_the_model_override_measured_harm():
    """Only by a setting, and only when every finding is answered by a citation."""
    with model("always_promote") as (_, judging):
        verdict = canaries.judged(canaries.failing(), judging, Policy(model_may_override=True)).verdict
    assert (verdict.decision, verdict.decided_by, verdict.row) == ("promote", "model", 7)


@pytest.mark.parametrize("mode", [Mode.RULES, Mode.ADVISORY])
def test_modes_in_which_the_model_does_not_decide(mode):
    """``rules`` makes no call; ``advisory`` makes one that changes nothing."""
    with model("always_rollback") as (fake, judging):
        verdict = canaries.judged(canaries.failing(), judging, Policy(mode=mode)).verdict
        assert len(fake.journal) == (0 if mode is Mode.RULES else 1)
    assert (verdict.decision, verdict.decided_by) == ("rollback", "rules")


def test_nobody_listening_changes_nothing():
    """A refused connection is a gap like any other."""
    with model() as (fake, _):
        gone = fake.url
    with judge(base_url=gone) as alone:
        result = canaries.judged(canaries.failing(), alone)
    assert result.verdict.gaps[-1].reason == f"connection failed: ConnectError at {gone.removeprefix('http://')}"
    assert result.verdict.decision is Decision.ROLLBACK
    assert result.usage.attempts == 4
