"""The built packagings: scripts/build runs once for all tests, into .cache."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT, missing, needs

_BUILD_TIMEOUT_S = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """``tree`` is the runtime tree, ``file`` the single file, ``launcher`` the launcher alone."""

    tree: Path
    file: Path
    launcher: Path


def build(work: Path, out: Path, arch: str = "amd64") -> Built:
    """Run scripts/build; packages that are in ``work`` are not downloaded again."""
    run = subprocess.run(
        [ROOT / "scripts/build", "--arch", arch, "--work", work, "--out", out],
        capture_output=True, text=True, timeout=_BUILD_TIMEOUT_S, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-4000:]
    return Built(tree=work / arch / "tree", file=out / f"rollout-verdict_linux_{arch}", launcher=work / arch / "launch")


@pytest.fixture(scope="session")
def built() -> Built:
    """Both packagings, built from this checkout."""
    for program in ("apt-get", "dpkg-deb", "gcc"):
        needs(program)
    if os.uname().machine != "x86_64":
        missing("the packagings are built on amd64")
    return build(ROOT / ".cache/package", ROOT / ".cache/package/dist")
