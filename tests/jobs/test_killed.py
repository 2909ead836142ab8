"""Processes killed in the middle of analyses, a server that goes away: a few of the trials of tests/evals/kill_service."""

import time

import pytest

from rollout_verdict.jobs.analysis import Phase, Query, UnavailableError
from tests.evals.kill_service import Trials
from tests.jobs.conftest import Live, ended, service, until
from tests.jobs.process import request


def test_a_process_on_a_file_killed_again_and_again(tmp_path):
    """Every analysis ends in one verdict, no stored answer is bought again, everybody is told."""
    figures = Trials(str(tmp_path / "analyses.sqlite"), ["local"], tmp_path, seed=3).run(4)
    assert figures.good, figures.line("SQLite")
    assert (figures.kills, figures.analyses) == (4, 24)
    assert figures.calls >= figures.analyses


def test_one_of_three_processes_stays_dead_and_the_server_goes_away(tmp_path, postgres):
    """The others take over what the dead one had; a server that is back finds nothing lost."""

    def away(trial):
        if trial == 1:
            postgres.stop()
            time.sleep(2.0)
            postgres.start()

    database = postgres.create("killed", template="launched")
    trials = Trials(database, ["one", "two", "three"], tmp_path, seed=5, beat_s=0.5, left_dead=1.0)
    figures = trials.run(2, away)
    assert figures.good, figures.line("PostgreSQL")
    assert len(figures.takeovers_s) == 2


def test_while_the_server_is_away_the_doors_hear_it_and_work_waits(postgres, fake, caplog):
    """Nobody is kept waiting, nothing of it is an answer, and what was under way ends when the server is back."""
    live = Live()
    live.go.clear()
    with service(postgres.create("away", template="launched"), live, fake) as analyses:
        analyses.start(request("one"))
        assert live.begun.wait(60)
        postgres.stop()
        try:
            for ask in (
                lambda: analyses.get("one"),
                lambda: analyses.find(Query()),
                lambda: analyses.start(request("two")),
                lambda: analyses.cancel("one"),
                lambda: analyses.result("one"),
            ):
                with pytest.raises(UnavailableError, match=r"^the database does not answer"):
                    ask()
            assert "does not answer" in analyses.ready()
            live.go.set()  # what was gathered waits to be kept
            until(lambda: not analyses._running.stages("one") or analyses._running.ids())
        finally:
            postgres.start()
        until(lambda: not analyses.ready())
        assert ended(analyses, "one").phase is Phase.DONE
        analyses.start(request("two"))
        assert ended(analyses, "two").phase is Phase.DONE
    assert "app@" not in caplog.text
    assert live.looked == ["one", "two"]
