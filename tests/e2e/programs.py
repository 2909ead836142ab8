"""The Go programs of the control plane, built once into .cache and kept until their sources or the compiler change.

The first build takes minutes of both cores. It begins beside the tests that come before, at a low priority, since
those seldom use more than one core.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, needs

HERE = Path(__file__).parent
CACHE = ROOT / ".cache" / "e2e"
PACKAGES = {
    "controlplane": "./controlplane",
    "rollouts-controller": "github.com/argoproj/argo-rollouts/cmd/rollouts-controller",
}
_BUILD_TIMEOUT_S = 1800
_NICENESS = "5"


class Builder:
    """The build beside the tests: a process of this module, and all that it starts."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Begin to build what is not there yet, where there is a compiler."""
        if self._process is not None or shutil.which("go") is None or all(built(name).exists() for name in PACKAGES):
            return
        self._process = subprocess.Popen(
            ["nice", "-n", _NICENESS, sys.executable, "-m", "tests.e2e.programs"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # whoever needs a program that this left unbuilt builds it and tells why not
            start_new_session=True,
        )

    def wait(self) -> None:
        """Wait for the end of the build."""
        if self._process is not None:
            self._process.wait(_BUILD_TIMEOUT_S)

    def stop(self) -> None:
        """End the build if it still runs."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


BUILDER = Builder()


def built(name: str) -> Path:
    """Return where a program is, or will be."""
    sources = [*HERE.glob("go.*"), *HERE.glob(f"{name}/*.go")]
    version = subprocess.run([needs("go"), "version"], check=True, capture_output=True).stdout
    state = hashlib.sha256(version + b"".join(path.read_bytes() for path in sorted(sources)))
    return CACHE / f"{name}-{state.hexdigest()[:16]}"


def program(name: str) -> Path:
    """Return a built program."""
    BUILDER.wait()
    path = built(name)
    if not path.exists():
        build(name, path)
    return path


def build(name: str, path: Path) -> None:
    """Build a program, and remove what was built of older sources."""
    CACHE.mkdir(parents=True, exist_ok=True)
    for old in CACHE.glob(f"{name}-*"):
        old.unlink()
    # Flags as in tests/conformance, so that the packages that both need are compiled once.
    _go("build", "-ldflags=-s -w", "-o", str(path), PACKAGES[name])


def definitions() -> Path:
    """Return the folder of Argo Rollouts' CustomResourceDefinitions, in the source its controller is built from."""
    folder = _go("list", "-m", "-f", "{{.Dir}}", "github.com/argoproj/argo-rollouts").strip()
    return Path(folder) / "manifests" / "crds"


def _go(*arguments: str) -> str:
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
    }
    done = subprocess.run(
        [needs("go"), *arguments],
        cwd=HERE, env=environment, capture_output=True, text=True, timeout=_BUILD_TIMEOUT_S, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.fail(f"go {arguments[0]} failed in tests/e2e:\n{done.stderr[-4000:]}")
    return done.stdout


if __name__ == "__main__":
    for one in PACKAGES:
        if not built(one).exists():
            build(one, built(one))
