"""What people set aside and what was said before stand in the explanation, as what they are."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rollout_verdict.core.comparison import MetricOutcome
from rollout_verdict.core.explanation.cause import likely_cause
from rollout_verdict.core.memory import Earlier, Mark, Memory, Recalled
from rollout_verdict.core.recall import key_of, markable
from rollout_verdict.core.values import Decision, Opinion, Severity, Vote
from rollout_verdict.render import html, markdown, text
from tests.adapters import canaries
from tests.core import builders
from tests.core.explanation.test_explain import told

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLAIN = canaries.judged(canaries.failing())


def marked(*ids, expires=None):
    comparison = PLAIN.comparison
    return tuple(
        Mark(
            id=name, about=markable(comparison, name), who="alice", when=NOON, why="known, [TEAM-7](x)", expires=expires
        )
        for name in ids
    )


def remembering(**memory):
    evidence = canaries.failing()
    rollout = replace(evidence.rollout, canary_hash="7f6")
    return canaries.judged(replace(evidence, rollout=rollout, memory=Memory(**memory)))


def test_what_is_set_aside_is_listed_with_whose_word_that_is():
    result = remembering(marks=marked("l1", "m1", expires=NOON + timedelta(days=30)))
    assert result.verdict.decision is Decision.PROMOTE
    assert told(result, "Set aside") == [
        (
            "`could not charge card <*>` would have counted: fail; marked as benign by `alice` on 2026-11-23, until "
            "2026-12-23: `known, [TEAM-7](x)` ('l1',)"
        ),
        (
            "`http_error_ratio` would have counted: fail; marked as benign by `alice` on 2026-11-23, until 2026-12-23: "
            "`known, [TEAM-7](x)` ('m1',)"
        ),
    ]
    for shown in (html.render(result), markdown.render(result), text.render(result)):
        assert "alice" in shown
        assert "et aside" in shown


def test_what_would_not_have_counted_is_said_so():
    mild = builders.check(outcome=MetricOutcome.HIGH, stable=0.01, canary=0.02)
    evidence = builders.evidence(memory=Memory(marks=marked("m1")))
    from rollout_verdict.core.explanation.remembered import set_aside
    from rollout_verdict.core.explanation.statements import plain
    from rollout_verdict.core.recall import with_memory

    comparison = with_memory(builders.comparison(metrics=builders.metrics(mild)), evidence)
    (line,) = map(plain, set_aside(comparison))
    assert line.startswith('"http_error_ratio" would not have counted; marked as benign by "alice"')


def test_the_cause_is_not_sought_in_what_was_set_aside():
    assert "could not charge" in str(likely_cause(PLAIN.comparison))
    left = remembering(marks=marked("l1"))
    assert "could not charge" not in str(likely_cause(left.comparison))


def verdict(number, decision, *keys, version="7f6"):
    found = tuple(Recalled(code="log-new", severity=Severity.FAIL, key=key) for key in keys)
    return Earlier(
        id=f"a{number}", time=NOON - timedelta(hours=number), decision=decision, reason="so *it* was", version=version,
        digest=str(number), findings=found,
    )  # fmt: skip


def test_earlier_verdicts_are_listed_and_what_comes_again():
    key = key_of(PLAIN.comparison.logs.changes[0])
    result = remembering(earlier=(verdict(1, Decision.ROLLBACK, key), verdict(2, Decision.PROMOTE, version="x")))
    assert told(result, "Earlier verdicts") == [
        "found in 1 of 2 earlier verdicts as well, the latest of them rollback on 2026-11-23 11:00 ('l1', 'e1')",
        "2026-11-23 11:00 UTC, this version: rollback, `so *it* was` ('e1',)",
        "2026-11-23 10:00 UTC, another version: promote, `so *it* was` ('e2',)",
    ]
    assert not any("found in" in line for line in told(result, "Why"))
    many = remembering(earlier=tuple(verdict(n, Decision.PROMOTE) for n in range(1, 10)))
    assert told(many, "Earlier verdicts")[-1] == "and 3 more verdicts"
    for shown in (html.render(result), markdown.render(result), text.render(result)):
        assert "arlier verdicts" in shown


def test_nothing_remembered_nothing_said():
    assert told(PLAIN, "Set aside") == told(PLAIN, "Earlier verdicts") == []


def test_a_vote_is_explained():
    one = Opinion(judge="a", decision=Decision.ROLLBACK, confidence=60)
    vote = Vote(why="the rules say promote", rationale="a rollback 60", opinions=(one,))
    voted = replace(PLAIN.verdict, opinions=(*PLAIN.verdict.opinions, one), vote=vote)
    assert told(replace(PLAIN, verdict=voted), "The model (a)")[-1] == (
        "More than one was asked, since the rules say promote: a rollback 60"
    )
