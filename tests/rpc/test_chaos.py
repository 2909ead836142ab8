"""A few random kills; ``python -m tests.evals.chaos`` makes two hundred."""

from tests.evals.chaos import chaos


def test_no_kill_loses_a_measurement_or_lets_one_pass(tmp_path):
    found = chaos(tmp_path, kills=6, seed=3)
    assert sum(found["kills"].values()) == 6
    assert found["measurements"] >= 5
