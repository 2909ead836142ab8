"""The Go programs of the control plane, built once into .cache and kept until their sources or the compiler change."""

import hashlib
import os
import subprocess
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


def program(name: str) -> Path:
    """Return a built program."""
    go = needs("go")
    CACHE.mkdir(parents=True, exist_ok=True)
    sources = [*HERE.glob("go.*"), *HERE.glob(f"{name}/*.go")]
    version = subprocess.run([go, "version"], check=True, capture_output=True).stdout
    state = hashlib.sha256(version + b"".join(path.read_bytes() for path in sorted(sources)))
    built = CACHE / f"{name}-{state.hexdigest()[:16]}"
    if not built.exists():
        for old in CACHE.glob(f"{name}-*"):
            old.unlink()
        # Flags as in tests/conformance, so that the packages that both need are compiled once.
        _go("build", "-ldflags=-s -w", "-o", str(built), PACKAGES[name])
    return built


def definitions() -> Path:
    """Return the folder of Argo Rollouts' CustomResourceDefinitions, in the source that its controller is built from."""
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
