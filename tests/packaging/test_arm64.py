"""The arm64 packagings, as far as they run on amd64: user-mode emulation of single programs, no arm64 kernel.

Emulation cannot follow an exec into another arm64 program, so the launcher is watched up to there, and the
interpreter is started by its loader.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, missing, needs
from tests.packaging.conftest import Built, build

sys.path.insert(0, str(ROOT / "scripts" / "package"))
import debian

_WORK = ROOT / ".cache/package"
_TIMEOUT_S = 120


@pytest.fixture(scope="module")
def arm(built: Built) -> Built:  # the amd64 build comes first: its interpreter makes the byte code
    """The arm64 packagings."""
    if shutil.which("aarch64-linux-gnu-gcc") is None and os.geteuid() != 0:
        missing("aarch64-linux-gnu-gcc is not installed, and only root could install it")
    return build(_WORK, _WORK / "dist-arm64", "arm64")


@pytest.fixture(scope="module")
def emulator() -> str:
    """The emulator of single programs: installed, or unpacked from Debian's package."""
    installed = shutil.which("qemu-aarch64-static")
    if installed:
        return installed
    folder = _WORK / "qemu"
    unpacked = folder / "system/usr/bin/qemu-aarch64-static"
    if not unpacked.exists():
        debian.unpack(debian.fetch(("qemu-user-static",), "amd64", folder), folder / "system")
    return str(unpacked)


def python(arm: Built, emulator: str, code: str) -> subprocess.CompletedProcess[str]:
    interpreter = arm.tree / "bin/python3"
    loader = [arm.tree / "lib/ld.so", "--library-path", arm.tree / "lib", "--argv0", interpreter, interpreter]
    return subprocess.run(
        [emulator, *loader, "-IBS", "-c", code], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, env={}
    )


def test_the_interpreter_runs(arm: Built, emulator: str) -> None:
    """Python and OpenSSL start, and every module of the plugin can be imported."""
    code = f"import sys; sys.path.insert(0, {str(arm.tree / 'app')!r}); import platform, ssl, http.client, json, threading;"
    code += (
        "import rollout_verdict.rpc.process, rollout_verdict.rpc.remote; print(platform.machine(), ssl.OPENSSL_VERSION)"
    )
    run = python(arm, emulator, code)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("aarch64 OpenSSL 3.")


def test_the_plugin_refuses_to_run_without_a_host(arm: Built, emulator: str) -> None:
    """The entry point itself: no cookie, a friendly text, exit code 1."""
    code = f"import sys; sys.path.insert(0, {str(arm.tree / 'app')!r})\n"
    code += "from rollout_verdict.rpc.__main__ import main\nraise SystemExit(main())"
    run = python(arm, emulator, code)
    assert (run.returncode, run.stdout) == (1, "")
    assert "Traceback" not in run.stderr


def test_everything_is_for_arm64(arm: Built) -> None:
    """No file of the other architecture has found its way in, and the byte code is that of the amd64 tree."""
    needs("readelf")
    for path in (arm.launcher, arm.tree / "bin/python3", *sorted((arm.tree / "lib").rglob("*.so*"))):
        header = subprocess.run(["readelf", "-hW", path], check=True, capture_output=True, text=True).stdout
        assert "AArch64" in header, path
    other = _WORK / "amd64/tree"
    compiled = [path.relative_to(arm.tree) for path in arm.tree.rglob("*.pyc") if "_sysconfigdata" not in path.name]
    assert len(compiled) > 100
    assert all((arm.tree / path).read_bytes() == (other / path).read_bytes() for path in compiled)


def test_the_launcher_unpacks(arm: Built, emulator: str, tmp_path: Path) -> None:
    """It finds its payload and puts the whole tree in place; the exec that follows needs an arm64 kernel."""
    file = tmp_path / "plugin"
    shutil.copy(arm.file, file)
    run = subprocess.run([emulator, file], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, env={})
    assert run.returncode != 0
    assert "lib/ld.so" in run.stderr
    (cache,) = tmp_path.glob(".verdict-*")
    unpacked = {path.relative_to(cache) for path in cache.rglob("*")}
    assert unpacked == {path.relative_to(arm.tree) for path in arm.tree.rglob("*")}
