"""The tables, on both databases: what is asked of them under contention, and what is refused."""

import base64
import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa

from rollout_verdict.core.ports import Judgement
from rollout_verdict.core.stage import Stage
from rollout_verdict.core.values import Decision, Gap, Opinion, SourceKind, Usage
from rollout_verdict.jobs import codec
from rollout_verdict.jobs.analysis import Gathered, Phase, Query
from rollout_verdict.jobs.answers import Limits, Spent
from rollout_verdict.jobs.asking import Asking
from rollout_verdict.jobs.database import DatabaseError, open_engines
from rollout_verdict.jobs.marks import StoredMarks
from rollout_verdict.jobs.running import Stop
from rollout_verdict.jobs.store import DAY_S, Store
from rollout_verdict.jobs.tables import SCHEMA, VERSION
from tests.jobs.conftest import BAD, GOOD
from tests.jobs.process import request

NOW = 1_790_000_000.0
SAID = Judgement(
    opinion=Opinion(judge="m", decision=Decision.PROMOTE, confidence=80),
    usage=Usage(model="m", attempts=1, prompt_tokens=100, output_tokens=20, thought_tokens=3, cost_usd=0.5),
    prompt="p",
    reply="r",
)
SILENT = Judgement(opinion=Gap(source=SourceKind.MODEL, what="the model's opinion", reason="no answer"))


def turn(store, call, limits, now=NOW, key="k", namespace="shop"):
    return store.take_turn(call, key=key, namespace=namespace, limits=limits, now=now, longest_s=60.0)


def test_tables_are_made_once_by_many(postgres):
    """Several replicas start at the same time on an empty database; each finds every table afterwards, marks too."""
    errors, together = [], threading.Barrier(4)
    engines = open_engines(postgres.create("empty"))

    def make():
        with engines[0].connect():
            together.wait()
        try:
            Store(*engines).create()
            assert StoredMarks(engines[0]).find(None) == ()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the test shows it
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for engine in engines:
        engine.dispose()
    assert errors == []


def test_a_later_schema_is_refused(store):
    """An older release must not write what it does not understand."""
    with store._engine.begin() as connection:
        connection.execute(sa.insert(SCHEMA).values(version=VERSION + 1))
    with pytest.raises(DatabaseError, match="later release"):
        store.create()


def test_many_starters_make_one_analysis(store):
    """Exactly one of them hears that it is new."""
    new = []

    def begin():
        with store.adding(request("one"), NOW, 600.0) as (_, first):
            new.append(first)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(new) == [False] * 7 + [True]


def test_an_end_is_final(store):
    """The first one counts, with its documents."""
    with store.adding(request("one"), NOW, 600.0):
        pass
    assert store.begin("one", NOW + 1).phase is Phase.RUNNING
    assert store.keep_gathered("one", b"x", NOW)
    store.progress({"one": (Stage(name="logs", done=1, total=2),), "none": ()})
    assert store.get("one").stages == (Stage(name="logs", done=1, total=2),)
    assert store.end("one", Phase.CANCELLED, NOW + 2, message="enough")
    assert not store.end("one", Phase.DONE, NOW + 3, result=b"late")
    store.progress({"one": ()})
    found = store.get("one")
    assert (found.phase, found.message, found.finished.timestamp()) == (Phase.CANCELLED, "enough", NOW + 2)
    assert found.stages
    assert store.document("one", "result") is None
    assert store.document("one", "evidence") is None
    assert store.begin("one", NOW + 4).phase is Phase.CANCELLED
    assert store.begin("two", NOW) is None


def test_who_begins_again_hears_of_it_and_finds_what_was_gathered(store):
    """The first evidence stays: what a replica that was taken for dead brings late is not what is judged."""
    with store.adding(request("one"), NOW, 600.0):
        pass
    assert not store.begin("one", NOW + 1).again
    assert store.gathered("one") is None
    first, late = (Gathered(evidence=evidence, redactions={"email": 2}) for evidence in (GOOD, BAD))
    assert store.keep_gathered("one", codec.packed(first), NOW + 2)
    assert not store.keep_gathered("one", codec.packed(late), NOW + 3)
    assert store.begin("one", NOW + 4).again
    assert store.gathered("one") == first


def test_places_among_those_who_ask(store):
    """No more at once than the limit; a place is free again with the answer, or when its holder must be dead."""
    limits = Limits(calls=2, calls_a_minute=None)
    assert turn(store, "a/0", limits)
    assert turn(store, "b/0", limits)
    assert not turn(store, "c/0", limits)
    assert turn(store, "a/0", limits)  # its own, after a restart
    store.keep_answer("a/0", SAID, NOW + 1)
    assert turn(store, "c/0", limits, NOW + 1)
    assert not turn(store, "d/0", limits, NOW + 59)
    assert turn(store, "d/0", limits, NOW + 60)


def test_the_first_answer_stays(store):
    """A replica that was taken for dead comes late: what it bought again must not replace what may have decided."""
    assert turn(store, "a/0", Limits(calls=2, calls_a_minute=None))
    store.keep_answer("a/0", SAID, NOW + 1)
    store.keep_answer("a/0", SILENT, NOW + 2)
    assert store.answer("a/0") == SAID


def test_a_turn_that_is_left_counts_for_nothing(store):
    """Neither among those who ask nor in the minute; an answer that is there stays."""
    limits = Limits(calls=1, calls_a_minute=1)
    assert turn(store, "a/0", limits)
    store.leave_turn("a/0")
    assert turn(store, "b/0", limits)
    store.keep_answer("b/0", SAID, NOW)
    store.leave_turn("b/0")
    assert store.answer("b/0") == SAID


def test_an_answer_that_another_process_kept_meanwhile_is_not_bought_again(store):
    """The one that was taken for dead answered between the first look and the turn."""

    class Late:
        answered, answer, leave_turn = store.answered, store.answer, store.leave_turn

        def take_turn(self, call, **named):
            assert store.take_turn(call, **named)
            store.keep_answer(call, SAID, NOW)
            return store.take_turn(call, **named)

    asking = Asking(
        analysis_id="a",
        namespace="shop",
        store=Late(),
        limits=Limits(),
        stop=Stop(),
        stopped=lambda: None,
        deadline=NOW + 60,
        longest_s=60.0,
        dearest_usd=lambda usage: 0.0,
        clock=lambda: NOW,
    )
    assert asking.call("k", pytest.fail) == SAID


def test_no_more_than_the_limit_get_a_place_however_many_rush(store):
    """Counting and taking are one."""
    got = []
    limits = Limits(calls=3, calls_a_minute=None)
    threads = [
        threading.Thread(target=lambda number=number: got.append(turn(store, f"a{number}/0", limits)))
        for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 9 + [True] * 3


def test_calls_of_a_minute(store):
    """A window that slides."""
    limits = Limits(calls=None, calls_a_minute=2)
    assert turn(store, "a/0", limits)
    store.keep_answer("a/0", SAID, NOW + 1)
    assert turn(store, "b/0", limits, NOW + 30)
    assert not turn(store, "c/0", limits, NOW + 59)
    assert turn(store, "c/0", limits, NOW + 60)


def test_every_request_of_an_answer_counts_in_the_minute(store):
    """Retries, other models of the chain and rounds for more evidence: from when the answer came, and but once."""
    limits = Limits(calls=1, calls_a_minute=3)
    assert turn(store, "a/0", limits)
    for _ in range(2):
        store.keep_answer("a/0", replace(SAID, usage=replace(SAID.usage, attempts=3)), NOW + 10)
    assert not turn(store, "b/0", limits, NOW + 59)
    assert turn(store, "b/0", limits, NOW + 60)
    assert not turn(store, "c/0", limits, NOW + 61)
    store.keep_answer("b/0", SAID, NOW + 62)
    assert turn(store, "c/0", limits, NOW + 70)
    assert store.spent("shop", NOW + 80).tokens == 2 * 123


def test_an_answer_is_found_by_its_call_and_by_its_question(store):
    """Its own always; another's only when it is usable; none without a key."""
    limits = Limits(calls=None, calls_a_minute=None)
    assert turn(store, "a/0", limits)
    assert store.answered("a/0", "k") == ""
    assert store.answer("a/0") is None
    store.keep_answer("a/0", SILENT, NOW)
    assert store.answered("a/0", "k") == "a/0"
    assert store.answer("a/0") == SILENT
    assert store.answered("b/0", "k") == ""
    assert turn(store, "b/0", limits)
    store.keep_answer("b/0", SAID, NOW + 1)
    assert store.answered("c/0", "k") == "b/0"
    assert store.answered("a/0", "k") == "a/0"
    assert store.answered("c/0", "other") == ""
    assert turn(store, "d/0", limits, key="")
    store.keep_answer("d/0", SAID, NOW)
    assert store.answered("c/0", "") == ""
    assert store.answer("b/0") == SAID
    assert turn(store, "b/0", limits)  # an answer that is there is never taken back
    assert store.answer("b/0") == SAID


def test_what_a_namespace_spent_since_midnight(store):
    """Tokens of all kinds and dollars; an unknown cost counts with what whoever keeps the answer says."""
    limits = Limits(calls=None, calls_a_minute=None)
    midnight = NOW - NOW % DAY_S
    for call, namespace, at in (("a/0", "shop", 0), ("b/0", "shop", 5), ("c/0", "shop", -1), ("d/0", "other", 5)):
        assert turn(store, call, limits, midnight + at, namespace=namespace)
        store.keep_answer(call, SAID, midnight + at)
    assert turn(store, "e/0", limits, midnight)
    store.keep_answer("e/0", SILENT, midnight, unpriced_usd=0.25)
    assert store.spent("shop", NOW) == Spent(tokens=246, cost_usd=1.25)
    assert store.spent("none", NOW) == Spent(tokens=0, cost_usd=0.0)


def test_what_was_forgotten_still_counts_for_its_day(store):
    """Retention gives nobody his money back; two days later the row is gone, too."""
    with store.adding(request("a"), NOW, 600.0):
        pass
    assert turn(store, "a/0", Limits(calls=None, calls_a_minute=None))
    store.keep_answer("a/0", SAID, NOW)
    store.forget(["a"], NOW + 1)
    assert store.get("a") is None
    assert store.answer("a/0") is None
    assert store.answered("b/0", "k") == ""
    assert store.spent("shop", NOW + 1).tokens == 123
    store.forget([], NOW + 3 * DAY_S)
    assert store.spent("shop", NOW + 1).tokens == 0


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (Limits(), ""),
        (Limits(tokens_a_day=101), ""),
        (Limits(tokens_a_day=100), "100 of 100 tokens a day are used up"),
        (Limits(cost_a_day_usd=0.5), "$0.50 of $0.50 a day are used up"),
        (Limits(cost_a_day_usd=0.51), ""),
    ],
)
def test_when_a_day_is_spent(limits, told):
    """At the limit, not after it."""
    assert Spent(tokens=100, cost_usd=0.5).beyond(limits) == told


def test_what_no_text_of_a_database_is_is_not_known(store):
    """NUL and half a surrogate pair come from addresses that people type; PostgreSQL's driver refuses them."""
    for text in ("a\0b", "\ud800"):
        assert store.get(text) is None
        assert store.find(Query(name=text)).analyses == ()
        assert store.find(Query(namespaces=(text,))).analyses == ()
    for place in (b"1.0 a\0b", b"nan a", b"1.0"):
        with pytest.raises(ValueError, match="none that a page"):
            store.find(Query(cursor=base64.urlsafe_b64encode(place).decode()))
