"""Processes killed in the middle of analyses, a server that goes away: a few of the trials of tests/evals/kill_service."""

import time

from tests.evals.kill_service import Trials


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
