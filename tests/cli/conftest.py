"""Fixtures of the command line's tests."""

import pytest

from rollout_verdict.adapters.bundle import read_bundle
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.engine import judge
from tests.cli.commands import run
from tests.test_golden import BUNDLES

__all__ = ["golden_result", "run"]


@pytest.fixture
def golden_result():
    """Return the result of a bundle that a veto settles."""
    return judge(read_bundle(BUNDLES / "crash_loop"), Policy(), None, Redactor())
