"""A reply becomes an opinion only when it does not contradict itself, and then bounded and cleaned."""

from dataclasses import replace

import pytest

from rollout_verdict.core.model.reply import Reply, contradiction, opinion
from rollout_verdict.core.values import Citation, Decision, Severity, SourceKind


def reply(decision=Decision.PROMOTE, chances=(0.9, 0.06, 0.04), **fields):
    base = Reply(
        decision=decision,
        probabilities=tuple(zip(Decision, chances, strict=True)),
        summary="all as on stable",
        root_cause="",
        next_steps=(),
        citations=(Citation(evidence_id="m1", claim="same", quote="0.01"),),
        suspicious=(),
    )
    return replace(base, **fields)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (reply(), ""),
        (reply(chances=(0.5, 0.5, 0.0)), ""),
        (reply(chances=(0.9, 0.06, 0.08)), ""),
        (reply(chances=(0.9, 0.9, 0.9)), "probabilities add up to 2.7"),
        (reply(chances=(0.0, 0.0, 0.0)), "probabilities add up to 0"),
        (reply(chances=(0.2, 0.7, 0.1)), "promote is not the most probable decision by its own figures"),
        (reply(chances=(0.0, 0.5, 0.5)), "promote is not the most probable decision by its own figures"),
    ],
)
def test_contradictions(said, problem):
    """Chances must be a distribution with the decision on top, so a promote never has confidence 0."""
    assert contradiction(said) == problem


def test_confidence_is_the_chance_of_the_decision():
    """Rounding errors of the model cannot push it over 100."""
    assert opinion(reply(), "gemini", {"m1"}).confidence == 90
    assert opinion(reply(chances=(1.0, 0.04, 0.0)), "gemini", {"m1"}).confidence == 96


def test_texts_are_bounded_and_cleaned():
    """The model may repeat hostile evidence in its own words; it gets no further than its text."""
    hostile = "see [here](https://evil.example) \u202e\u200b" + "x" * 10_000
    said = opinion(
        reply(
            summary=hostile,
            root_cause=hostile,
            next_steps=(hostile, " \u200b ", "look", "a", "b", "c", "d"),
            citations=(Citation(evidence_id="m1" + hostile, claim=hostile, quote=hostile),) * 50,
        ),
        "gemini",
        {"m1"},
    )
    assert said.judge == "gemini"
    assert said.decision is Decision.PROMOTE
    assert len(said.citations) == 20
    assert said.next_steps[1:] == ("look", "a", "b")
    texts = (said.rationale, said.root_cause, *said.next_steps)
    texts += tuple(text for c in said.citations for text in (c.claim, c.quote, c.evidence_id))
    for text in texts:
        assert len(text) <= 600
        assert "evil" not in text
        assert "\u202e" not in text


def test_suspicions_become_a_finding_about_items_that_were_shown():
    """What the model was not shown it cannot suspect; nothing shown is no finding."""
    said = opinion(reply(suspicious=("l1", "x9", "l1")), "gemini", {"m1", "l1"})
    (finding,) = said.findings
    assert finding.code == "addresses-the-model"
    assert finding.evidence == ("l1",)
    assert (finding.severity, finding.source) == (Severity.WARN, SourceKind.MODEL)
    assert opinion(reply(suspicious=("x9",)), "gemini", {"m1"}).findings == ()
