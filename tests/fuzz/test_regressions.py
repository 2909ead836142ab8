"""Replays what fuzzing found, and what it started from, without a fuzzer."""

from pathlib import Path

import pytest

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"


def recorded():
    return sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", recorded(), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_recorded_input_keeps_the_promises(path):
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_the_starting_inputs_and_their_beginnings_keep_the_promises(target):
    for content in seeds()[target]:
        TARGETS[target](content)
        for end in range(0, len(content), 7):
            TARGETS[target](content[:end])


def test_every_folder_of_inputs_belongs_to_a_target():
    assert {path.parent.name for path in recorded()} <= set(TARGETS)
