"""What runs in this process: who hears of it, how it is stopped, how often it is saved."""

import threading

from rollout_verdict.core.stage import Stage
from rollout_verdict.jobs.running import Running, Stop


def test_a_word_to_stop_calls_back_once_and_late_comers_at_once():
    """Taking back works before it is given, and does no harm after."""
    stop, heard = Stop(), []
    undo = stop.then(lambda: heard.append("never"))
    stop.then(lambda: heard.append("one"))
    undo()
    undo()
    assert not stop
    assert not stop.wait(0.0)
    stop.give()
    stop.give()
    assert stop
    assert stop.wait(0.0)
    stop.then(lambda: heard.append("late"))()
    assert heard == ["one", "late"]


def test_progress_is_handed_out_once():
    """All stages of the moment of what moved since, and nothing of what does not run here or has ended."""
    running = Running()
    running.reached("one", Stage(name="stray"))
    with running.one("one"), running.one("two"):
        assert running.moved() == {}
        running.reached("one", Stage(name="logs", done=1))
        running.reached("one", Stage(name="metrics"))
        running.reached("one", Stage(name="logs", done=2))
        assert running.stages("one") == (Stage(name="logs", done=2), Stage(name="metrics"))
        assert running.moved() == {"one": (Stage(name="logs", done=2), Stage(name="metrics"))}
        assert running.moved() == {}
        assert running.ids() == ("one", "two")
        running.reached("two", Stage(name="logs"))
    assert running.moved() == {}
    assert running.stages("one") == running.ids() == ()


def test_listeners_hear_of_their_analysis_until_they_leave():
    """Of progress, of a stop and of the end; a listener that comes back is heard again."""
    heard = []
    running = Running()
    undo = running.listen("one", lambda: heard.append("one"))
    running.listen("two", lambda: heard.append("two"))
    with running.one("one"):
        running.reached("one", Stage(name="logs"))
        running.stop("one")
    assert heard == ["one"] * 3
    undo()
    undo()
    running.stop("one")
    running.tell("two")
    assert heard == ["one"] * 3 + ["two"]


def test_a_second_run_of_the_same_analysis_is_not_ended_by_the_first():
    """One that was presumed dead leaves late."""
    running = Running()
    first, second = running.one("one"), running.one("one")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert running.ids() == ("one",)
    second.__exit__(None, None, None)
    assert running.ids() == ()


def test_many_threads():
    """No stage is lost, none breaks another."""
    running = Running()
    with running.one("one"):
        threads = [
            threading.Thread(target=lambda name=name: [running.reached("one", Stage(name=name)) for _ in range(200)])
            for name in ("a", "b", "c", "d")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {stage.name for stage in running.stages("one")} == {"a", "b", "c", "d"}
