"""Shared fixtures. A missing component skips with its reason; with CI=true it is a failure."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

# No time limit on an example: on a busy machine it would fail what is right.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

ROOT = Path(__file__).resolve().parent.parent


def missing(reason: str) -> None:
    """Skip for a missing component, or fail where everything is supposed to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have it: {reason}")
    pytest.skip(reason)


def needs(program: str) -> str:
    """Return the path of a program, or skip (fail in CI) when it is not installed."""
    found = shutil.which(program)
    if found is None:
        missing(f"{program} is not installed")
    return str(found)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The labelled data beside the repository."""
    folder = Path(os.environ.get("ROLLOUT_VERDICT_SHARED", ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        missing("the labelled data is not beside this checkout (../shared/data)")
    return folder
