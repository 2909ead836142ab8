"""Marks are kept with who, when and why; the newest on a thing counts; there is an end to their number."""

from datetime import UTC, datetime, timedelta

import pytest

from rollout_verdict.core.memory import Marked, MarkKind
from rollout_verdict.jobs import marks as kept
from rollout_verdict.jobs.analysis import UnavailableError
from rollout_verdict.jobs.database import open_engines
from rollout_verdict.jobs.marks import StoredMarks, TooManyError
from rollout_verdict.jobs.tables import META
from tests.jobs.postgres import Postgres

LOG = Marked(kind=MarkKind.LOG, key="0a1b2c3d4e5f", text="charge of <*> failed")
METRIC = Marked(kind=MarkKind.METRIC, key="queue_depth", text="queue_depth")
START = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = START.timestamp()

    def __call__(self):
        self.now += 1.0
        return self.now


def opened(database):
    work, reader = open_engines(database)
    reader.dispose()
    META.create_all(work)
    return work


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request, tmp_path):
    if request.param == "sqlite":
        found = opened(str(tmp_path / "marks.sqlite"))
        yield found
        found.dispose()
        return
    with Postgres() as server:
        found = opened(server.create("marks"))
        yield found
        found.dispose()


def test_a_mark_is_kept_found_and_taken_back(engine):
    marks = StoredMarks(engine, Clock())
    expires = START + timedelta(days=30)
    first = marks.add("shop", "cart", LOG, who="alice", why="retried later", expires=expires)
    other = marks.add("shop", "cart", METRIC, who="bob", why="batch job")
    third = marks.add("pay", "cart", LOG, who="carol", why="known")
    assert (first.mark.about, first.mark.who, first.mark.when) == (LOG, "alice", START + timedelta(seconds=1))
    assert marks.get(first.mark.id) == first
    assert marks.find(("shop",), "cart") == (other, first)
    assert marks.find(None) == (third, other, first)
    assert marks.find(("pay", "none")) == (third,)
    assert marks.find((), "cart") == ()
    assert marks.remove(first.mark.id) == first
    assert marks.remove(first.mark.id) is None
    assert marks.get(first.mark.id) is None
    assert marks.find(("shop",), "cart") == (other,)


def test_a_thing_has_one_mark_of_a_rollout(engine, monkeypatch):
    marks = StoredMarks(engine, Clock())
    marks.add("shop", "cart", LOG, who="alice", why="for now")
    again = marks.add("shop", "cart", LOG, who="bob", why="for good")
    assert marks.find(("shop",), "cart") == (again,)
    monkeypatch.setattr(kept, "MOST", 2)
    marks.add("shop", "cart", METRIC, who="bob", why="known")
    with pytest.raises(TooManyError, match="cart has 2 marks"):
        marks.add("shop", "cart", Marked(kind=MarkKind.METRIC, key="a", text="a"), who="bob", why="known")
    marks.add("shop", "cart", METRIC, who="carol", why="in place of another")
    marks.add("shop", "till", LOG, who="carol", why="another rollout")


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_what_no_text_of_a_database_is_is_not_known(engine, text):
    """They come from addresses that people type; PostgreSQL's driver refuses them."""
    marks = StoredMarks(engine)
    assert marks.find(None, text) == marks.find((text,)) == ()
    assert marks.get(text) is None
    assert marks.remove(text) is None


def test_texts_are_bounded(tmp_path):
    marks = StoredMarks(opened(str(tmp_path / "m.sqlite")))
    long = Marked(kind=MarkKind.LOG, key="k", text="x" * 10_000)
    found = marks.add("shop", "cart", long, who="alice", why="y" * 10_000).mark
    assert (len(found.about.text), len(found.why)) == (kept.TEXT_LENGTH, kept.WHY_LENGTH)


def test_a_database_that_does_not_answer_is_said_so():
    with Postgres() as server:
        engine = opened(server.create("marks"))
        marks = StoredMarks(engine)
    for call in (lambda: marks.find(None), lambda: marks.get("a"), lambda: marks.remove("a")):
        with pytest.raises(UnavailableError, match="does not answer"):
            call()
    with pytest.raises(UnavailableError):
        marks.add("shop", "cart", LOG, who="alice", why="known")
    engine.dispose()
