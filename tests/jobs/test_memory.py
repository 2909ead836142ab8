"""What an analysis is told of its rollout's past, and what of the past does not count."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rollout_verdict import wiring
from rollout_verdict.core.memory import Marked, MarkKind
from rollout_verdict.core.recall import key_of
from rollout_verdict.jobs import memory as remembering
from rollout_verdict.settings import Settings
from tests.adapters import canaries
from tests.jobs.conftest import Live, ended, service, settings
from tests.jobs.process import request
from tests.jobs.test_durable import packed

METRIC = Marked(kind=MarkKind.METRIC, key="http_error_ratio", text="http_error_ratio")


CHECKOUT = replace(request("any"), name="checkout", config={})


def at(rate):
    return replace(canaries.failing(), metrics=canaries.metrics(rate))


@pytest.fixture
def live():
    return Live(at(0.40))


@pytest.fixture
def memory(sqlite):
    found = wiring.rollout_memory(Settings(), settings(sqlite))
    yield found
    found.close()


@pytest.fixture
def analyses(sqlite, live, memory):
    with service(sqlite, live, recall=memory) as found:
        yield found


def judge(analyses, analysis_id, **changes):
    analyses.start(replace(CHECKOUT, id=analysis_id, **changes))
    ended(analyses, analysis_id)
    return analyses.result(analysis_id)


def told(result):
    return [one.id for one in result.evidence.memory.earlier]


def test_the_latest_verdicts_are_told_latest_first(analyses, live):
    """As many as the configuration wants, five by default, with what they found."""
    for number in range(7):
        live.evidence = at(0.40 + number / 100)
        judge(analyses, f"a{number}")
    live.evidence = at(0.5)
    result = judge(analyses, "last")
    assert told(result) == ["a6", "a5", "a4", "a3", "a2"]
    assert key_of(result.comparison.metrics.checks[0]) in {
        found.key for found in result.evidence.memory.earlier[0].findings
    }
    live.evidence = at(0.51)
    assert told(judge(analyses, "two", config={"memory": 2})) == ["last", "a6"]
    live.evidence = at(0.52)
    assert told(judge(analyses, "none", config={"memory": 0})) == []


def test_other_rollouts_and_namespaces_are_strangers(analyses, live):
    judge(analyses, "a")
    live.evidence = at(0.41)
    assert told(judge(analyses, "b", name="another")) == []
    assert told(judge(analyses, "c", namespace="elsewhere")) == []
    assert told(judge(analyses, "d")) == ["a"]


def test_judging_the_same_evidence_again_is_no_experience(analyses, live):
    """Neither a second time nor as a replay, which is told what its original was told."""
    judge(analyses, "a")
    live.evidence = at(0.41)
    judge(analyses, "b")
    again = judge(analyses, "c")
    assert told(again) == ["a"]
    replayed = judge(analyses, "d", target=None, replay_of="b")
    assert told(replayed) == ["a"]
    assert replayed.evidence == analyses.result("b").evidence
    live.evidence = at(0.42)
    assert told(judge(analyses, "e")) == ["c", "a"]


def test_uploads_tell_nothing_about_what_runs(analyses, live):
    """The other way round they may be told of it."""
    key = analyses.keep_upload(packed("bad")).key
    judge(analyses, "uploaded", target=None, upload=key)
    assert told(judge(analyses, "a")) == []
    other = analyses.keep_upload(packed("good")).key
    assert told(judge(analyses, "again", target=None, upload=other)) == ["a", "uploaded"]


def test_a_request_that_names_no_rollout_has_no_memory(analyses):
    assert judge(analyses, "a", name="").evidence.memory is None


def test_marks_that_expired_do_not_count(sqlite, live):
    now = [datetime(2026, 11, 23, 12, tzinfo=UTC)]
    found = remembering.RolloutMemory(sqlite, clock=lambda: now[0].timestamp())  # noqa: PLW0108 -- the time changes
    with service(sqlite, live, recall=found) as analyses:
        found.marks.add(
            CHECKOUT.namespace, CHECKOUT.name, METRIC, who="alice", why="known", expires=now[0] + timedelta(hours=1)
        )
        assert [mark.about for mark in judge(analyses, "a").evidence.memory.marks] == [METRIC]
        now[0] += timedelta(hours=1)
        live.evidence = at(0.41)
        assert judge(analyses, "b").evidence.memory.marks == ()
    found.close()


def test_a_result_is_taken_apart_once_and_only_so_many_are_held(analyses, live, memory, monkeypatch):
    monkeypatch.setattr(remembering, "KEPT", 1)
    read = []
    original = memory._store.result
    monkeypatch.setattr(memory._store, "result", lambda name: read.append(name) or original(name))
    judge(analyses, "a")
    for number, name in enumerate(("b", "c")):
        live.evidence = at(0.41 + number / 100)
        judge(analyses, name, config={"memory": 1})
    live.evidence = at(0.45)
    judge(analyses, "d", config={"memory": 1})
    assert read == ["a", "b", "c"]
    memory(replace(CHECKOUT, id="x", config={"memory": 1}), at(0.46))
    assert read == ["a", "b", "c", "d"]
    memory(replace(CHECKOUT, id="y", config={"memory": 1}), at(0.46))
    assert read == ["a", "b", "c", "d"]
    assert len(memory._kept) == 1


def test_what_was_deleted_is_forgotten(analyses, live, memory, monkeypatch):
    judge(analyses, "a")
    monkeypatch.setattr(memory._store, "result", lambda name: None)
    live.evidence = at(0.41)
    assert told(judge(analyses, "b")) == []
