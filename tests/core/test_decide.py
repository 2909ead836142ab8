"""The decision table of the architecture, row by row."""

import itertools

import pytest

from rollout_verdict.core.decide import Checked, decide
from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.core.rules import Assessment
from rollout_verdict.core.values import DecidedBy, Decision, Finding, Gap, Opinion, Severity, SourceKind

PROMOTE, ROLLBACK, INCONCLUSIVE = Decision.PROMOTE, Decision.ROLLBACK, Decision.INCONCLUSIVE
NO_REPLY = Gap(source=SourceKind.MODEL, what="model", reason="timed out")
ENOUGH, SHORT = (), ("there are no canary pods",)


def rules(decision, *, severity=None, shortfalls=ENOUGH):
    findings = ()
    if severity:
        findings = (Finding(code="x", severity=severity, source=SourceKind.LOGS, summary="x", evidence=("l1",)),)
    opinion = Opinion(judge="rules", decision=decision, confidence=80, findings=findings)
    return Assessment(opinion=opinion, shortfalls=shortfalls, score=50)


def model(decision, confidence=90, *, holds=True, answers=False):
    return Checked(
        opinion=Opinion(judge="model", decision=decision, confidence=confidence), holds=holds, answers=answers
    )


VETO = rules(ROLLBACK, severity=Severity.VETO)
FAIL = rules(ROLLBACK, severity=Severity.FAIL)
CLEAR = rules(PROMOTE)
UNCLEAR = rules(INCONCLUSIVE)
TOO_LITTLE = rules(INCONCLUSIVE, shortfalls=SHORT)
MAY = Policy(model_may_override=True)
ASKED = Policy(required_sources=(SourceKind.MODEL,))

TABLE = [
    # rules, model, policy, row, decision, decided by
    (VETO, None, Policy(), 1, ROLLBACK, DecidedBy.RULES),
    (VETO, model(PROMOTE, 100, answers=True), MAY, 1, ROLLBACK, DecidedBy.RULES),
    (TOO_LITTLE, None, Policy(), 2, INCONCLUSIVE, DecidedBy.RULES),
    (TOO_LITTLE, NO_REPLY, Policy(), 2, INCONCLUSIVE, DecidedBy.RULES),
    (TOO_LITTLE, model(PROMOTE, 100, answers=True), MAY, 2, INCONCLUSIVE, DecidedBy.RULES),
    (TOO_LITTLE, model(INCONCLUSIVE), Policy(), 2, INCONCLUSIVE, DecidedBy.RULES),
    (TOO_LITTLE, model(ROLLBACK, holds=False), Policy(), 2, INCONCLUSIVE, DecidedBy.RULES),
    (CLEAR, NO_REPLY, ASKED, 2, INCONCLUSIVE, DecidedBy.RULES),
    (CLEAR, None, ASKED, 2, INCONCLUSIVE, DecidedBy.RULES),
    (FAIL, model(PROMOTE, holds=False), ASKED, 2, INCONCLUSIVE, DecidedBy.RULES),
    (VETO, NO_REPLY, ASKED, 1, ROLLBACK, DecidedBy.RULES),
    (CLEAR, model(PROMOTE, 10), ASKED, 4, PROMOTE, DecidedBy.BOTH),
    (TOO_LITTLE, model(ROLLBACK, 90), Policy(), 8, ROLLBACK, DecidedBy.MODEL),
    (TOO_LITTLE, model(ROLLBACK, 69), Policy(), 9, INCONCLUSIVE, DecidedBy.BOTH),
    (CLEAR, None, Policy(), 3, PROMOTE, DecidedBy.RULES),
    (CLEAR, NO_REPLY, Policy(), 3, PROMOTE, DecidedBy.RULES_FALLBACK),
    (FAIL, NO_REPLY, Policy(), 3, ROLLBACK, DecidedBy.RULES_FALLBACK),
    (UNCLEAR, NO_REPLY, Policy(), 3, INCONCLUSIVE, DecidedBy.RULES_FALLBACK),
    (FAIL, model(PROMOTE, holds=False, answers=True), MAY, 3, ROLLBACK, DecidedBy.RULES_FALLBACK),
    (UNCLEAR, model(PROMOTE, 0), Policy(min_confidence=0), 3, INCONCLUSIVE, DecidedBy.RULES_FALLBACK),
    (CLEAR, model(ROLLBACK, 95), Policy(mode=Mode.ADVISORY), 3, PROMOTE, DecidedBy.RULES),
    (FAIL, model(PROMOTE, 95, answers=True), Policy(mode=Mode.ADVISORY), 3, ROLLBACK, DecidedBy.RULES),
    (CLEAR, model(PROMOTE, 10), Policy(), 4, PROMOTE, DecidedBy.BOTH),
    (FAIL, model(ROLLBACK, 10), Policy(), 5, ROLLBACK, DecidedBy.BOTH),
    (CLEAR, model(ROLLBACK, 70), Policy(), 6, ROLLBACK, DecidedBy.MODEL),
    (CLEAR, model(ROLLBACK, 69), Policy(), 9, INCONCLUSIVE, DecidedBy.BOTH),
    (FAIL, model(PROMOTE, 85, answers=True), MAY, 7, PROMOTE, DecidedBy.MODEL),
    (FAIL, model(PROMOTE, 85, answers=True), Policy(), 7, INCONCLUSIVE, DecidedBy.BOTH),
    (FAIL, model(PROMOTE, 84, answers=True), MAY, 9, INCONCLUSIVE, DecidedBy.BOTH),
    (FAIL, model(PROMOTE, 100, answers=False), MAY, 9, INCONCLUSIVE, DecidedBy.BOTH),
    (UNCLEAR, model(PROMOTE, 70), Policy(), 8, PROMOTE, DecidedBy.MODEL),
    (UNCLEAR, model(ROLLBACK, 70), Policy(), 8, ROLLBACK, DecidedBy.MODEL),
    (UNCLEAR, model(PROMOTE, 69), Policy(), 9, INCONCLUSIVE, DecidedBy.BOTH),
    (CLEAR, model(INCONCLUSIVE, 100), Policy(), 9, INCONCLUSIVE, DecidedBy.BOTH),
    (FAIL, model(INCONCLUSIVE, 100), Policy(), 9, INCONCLUSIVE, DecidedBy.BOTH),
    (UNCLEAR, model(INCONCLUSIVE, 100), Policy(), 9, INCONCLUSIVE, DecidedBy.BOTH),
]


@pytest.mark.parametrize(("said", "heard", "policy", "row", "decision", "by"), TABLE)
def test_the_first_row_that_applies_wins(said, heard, policy, row, decision, by):
    ruling = decide(said, heard, policy)
    assert (ruling.row, ruling.decision, ruling.decided_by) == (row, decision, by)


def test_every_row_is_tested():
    assert {case[3] for case in TABLE} == set(range(1, 10))


EVERYTHING = list(
    itertools.product(
        [VETO, FAIL, CLEAR, UNCLEAR, TOO_LITTLE],
        [None, NO_REPLY]
        + [
            model(d, c, holds=h, answers=a)
            for d, c, h, a in itertools.product(Decision, (0, 69, 70, 84, 85, 100), (True, False), (True, False))
        ],
        [Policy(mode=m, model_may_override=o) for m, o in itertools.product(Mode, (True, False))],
    )
)


def test_a_promote_always_has_somebody_who_saw_enough():
    """Over the whole table: no promote on a veto, on too little evidence, or on an unusable reply alone."""
    for said, heard, policy in EVERYTHING:
        ruling = decide(said, heard, policy)
        if ruling.decision is not PROMOTE:
            continue
        assert said is not VETO
        assert not said.shortfalls
        if said.opinion.decision is not PROMOTE:
            assert policy.mode is Mode.AUTO
            assert isinstance(heard, Checked)
            assert heard.holds
            assert heard.opinion.decision is PROMOTE
        if said is FAIL:
            assert policy.model_may_override
            assert heard.answers


def test_without_the_model_the_rules_word_stands():
    for said, heard, policy in EVERYTHING:
        if heard is None or isinstance(heard, Gap):
            assert decide(said, heard, policy).decision is said.opinion.decision
