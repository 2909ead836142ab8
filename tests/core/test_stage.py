"""A stage is handed from the threads that work to those that tell of it: it says what it is and never changes."""

from dataclasses import FrozenInstanceError

import pytest

from rollout_verdict.core.stage import Stage


def test_a_stage_that_has_begun_knows_no_total():
    stage = Stage(name="logs")
    assert (stage.done, stage.total, stage.note) == (0, 0, "")


def test_stages_that_tell_the_same_are_one():
    """Whoever shows them need not show the same twice."""
    assert len({Stage(name="logs", done=3, total=7), Stage(name="logs", done=3, total=7), Stage(name="logs")}) == 2


def test_a_stage_does_not_change():
    stage = Stage(name="logs", done=3, total=7)
    with pytest.raises(FrozenInstanceError):
        stage.done = 4


def test_its_numbers_are_named():
    """Of two numbers in a row nobody sees which is the whole."""
    with pytest.raises(TypeError):
        Stage("logs", 3, 7)
