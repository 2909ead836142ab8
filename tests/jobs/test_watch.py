"""The watch: who is dead, what is overdue, what is too old; with the real store and clocks that a test moves."""

from dataclasses import replace

from rollout_verdict.core.stage import Stage
from rollout_verdict.jobs.analysis import Phase, Query
from rollout_verdict.jobs.running import Running
from rollout_verdict.jobs.store import UNUSED_S
from rollout_verdict.jobs.watch import DEAD_AFTER, Keeping, Watch
from tests.jobs.process import request

NOW = 1_790_000_000.0


class Clock:
    now = NOW

    def __call__(self):
        return self.now


def watch(store, replica="one", **changes):
    taken, forgotten = [], []
    built = Watch(
        replica,
        store,
        changes.pop("running", None) or Running(),
        changes.pop("keeping", Keeping()),
        beat_s=60.0,
        take_over=taken.append,
        forget=forgotten.extend,
        on_end=lambda *_: None,
        clock=changes.pop("clock", Clock()),
    )
    return built, taken, forgotten


def add(store, analysis_id, *, at=NOW, deadline_s=600.0, end=None, upload=""):
    asked = replace(request(analysis_id), target=None, upload=upload) if upload else request(analysis_id)
    with store.adding(asked, at, deadline_s):
        pass
    if end is not None:
        assert store.end(analysis_id, end, at + 1)


def test_progress_reaches_the_other_replicas_with_a_look(store):
    """That of every analysis that runs here, in the state of the moment."""
    running = Running()
    looking, *_ = watch(store, running=running)
    for one in ("one", "two"):
        add(store, one)
        store.begin(one, NOW)
    with running.one("one"), running.one("two"):
        running.reached("one", Stage(name="logs", done=1, total=2))
        running.reached("two", Stage(name="metrics"))
        running.reached("one", Stage(name="logs", done=2, total=2))
        looking.look()
    assert store.get("one").stages == (Stage(name="logs", done=2, total=2),)
    assert store.get("two").stages == (Stage(name="metrics"),)


def test_a_replica_without_a_pulse_is_taken_over_once(store):
    """After so many looks in a row, and never oneself; the dead one's row is gone then."""
    one, taken, _ = watch(store, "one")
    two, taken_too, _ = watch(store, "two")
    store.beat("dead")
    for _ in range(DEAD_AFTER):
        one.beat()
        two.beat()
    assert taken == taken_too == []
    one.beat()
    two.beat()
    assert taken == ["dead"]
    assert taken_too == []
    for _ in range(2 * DEAD_AFTER):
        one.beat()
        two.beat()
    assert taken == ["dead"]


def test_a_pulse_at_any_time_is_life(store):
    """A slow one that beats just before the last look is left alone."""
    one, taken, _ = watch(store)
    store.beat("slow")
    for _ in range(5):
        for _ in range(DEAD_AFTER):
            one.beat()
        store.beat("slow")
    assert taken == []


def test_one_that_was_away_for_long_takes_nobody_over_at_its_first_look(store):
    """What it knew of the others' pulses before is no sign of death."""
    one, taken, _ = watch(store)
    store.beat("other")
    one.beat()
    one.beat()
    assert taken == []


def test_what_is_overdue_is_cancelled_and_stopped(store):
    """Queued or running, here or elsewhere; what has ended stays as it is."""
    clock = Clock()
    running = Running()
    one, _, _ = watch(store, running=running, clock=clock)
    add(store, "late", deadline_s=10.0)
    add(store, "early", deadline_s=60.0)
    add(store, "done", deadline_s=10.0, end=Phase.DONE)
    store.begin("late", NOW)
    clock.now = NOW + 10
    with running.one("late") as stop, running.one("early") as other:
        one.look()
        assert stop
        assert not other
    assert {name: store.get(name).phase for name in ("late", "early", "done")} == {
        "late": Phase.CANCELLED,
        "early": Phase.QUEUED,
        "done": Phase.DONE,
    }
    assert "deadline" in store.get("late").message


def test_what_another_replica_cancelled_is_stopped_here(store):
    """Within a look."""
    running = Running()
    one, _, _ = watch(store, running=running)
    add(store, "one")
    with running.one("one") as stop:
        one.look()
        assert not stop
        store.end("one", Phase.CANCELLED, NOW)
        one.look()
        assert stop


def test_the_old_and_the_many_are_forgotten_but_never_what_runs(store):
    """By age and by count, oldest first, with all that belongs to them."""
    clock = Clock()
    for number in range(6):
        add(store, f"a{number}", at=NOW + number, end=Phase.DONE)
    add(store, "running", at=NOW - 1000)
    store.keep("a0", "result", b"x", NOW)
    by_count, _, forgotten = watch(store, keeping=Keeping(age_s=1e6, count=4), clock=clock)
    by_count.tidy()
    assert sorted(forgotten) == ["a0", "a1"]
    assert store.document("a0", "result") is None
    clock.now = NOW + 3.5 + 100
    by_age, _, forgotten = watch(store, keeping=Keeping(age_s=100, count=1000), clock=clock)
    by_age.tidy()
    assert sorted(forgotten) == ["a2", "a3"]
    assert [one.request.id for one in store.find(Query()).analyses] == ["a5", "a4", "running"]


def test_an_upload_is_kept_as_long_as_an_analysis_of_it(store):
    """However many of them; one that was never judged, or whose analyses are forgotten, goes at the next look."""
    clock = Clock()
    clock.now = NOW + UNUSED_S + 10
    for key in ("shared", "gone", "unused"):
        store.keep(key, "upload", b"x", NOW)
    store.keep("new", "upload", b"x", clock.now - 1)
    for number, key in enumerate(("gone", "shared", "shared")):
        add(store, f"a{number}", at=NOW + number, end=Phase.DONE, upload=key)
    watching, _, forgotten = watch(store, keeping=Keeping(count=1), clock=clock)
    watching.tidy()
    assert sorted(forgotten) == ["a0", "a1"]
    kept = [key for key in ("shared", "gone", "unused", "new") if store.document(key, "upload")]
    assert kept == ["shared", "new"]


def test_a_look_that_breaks_does_not_end_the_watch(store, caplog):
    """It is said once that the database is away, and once that it is back."""
    one, _, _ = watch(store)

    def away():
        from sqlalchemy.exc import OperationalError

        raise OperationalError("select", {}, Exception("secret"))

    def broken():
        raise KeyError("secret")

    for work in (away, away, one.look, broken, one.look):
        one._try(work)
    said = [record.getMessage() for record in caplog.records]
    assert [line.split(" ")[:2] for line in said] == [["the", "database"], ["the", "database"], ["the", "watch"]]
    assert "secret" not in caplog.text
