"""Argo Rollouts' own client, as released, drives the plugin; see the Go module beside this file.

``wire`` and ``controller`` are Go test programs. They are built once into .cache and run here; each prints how many
statements it checked.
"""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, needs

HERE = Path(__file__).parent
CACHE = ROOT / ".cache" / "conformance"
# The whole suite takes about three minutes, most of it two waits that must exceed yamux's keepalive.
_RUN_TIMEOUT_S = 900
_BUILD_TIMEOUT_S = 1800


def build(name: str) -> Path:
    """Return the test program or plugin of that package, built when its sources or the compiler are new."""
    go = needs("go")
    CACHE.mkdir(parents=True, exist_ok=True)
    sources = [*HERE.glob("go.*"), *HERE.glob("*/*.go")]
    version = subprocess.run([go, "version"], check=True, capture_output=True).stdout
    state = hashlib.sha256(version + b"".join(path.read_bytes() for path in sorted(sources)))
    program = CACHE / f"{name}-{state.hexdigest()[:16]}"
    if not program.exists():
        for old in CACHE.glob(f"{name}-*"):
            old.unlink()
        verb = ["build"] if (HERE / name / "main.go").exists() else ["test", "-c"]
        # CGO_ENABLED=0: no C compiler needed, and less to build. -s -w: no symbols, a faster link.
        environment = {
            **os.environ,
            "CGO_ENABLED": "0",
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-mod=readonly -buildvcs=false",
        }
        built = subprocess.run(
            [go, *verb, "-ldflags=-s -w", "-o", program, f"./{name}"],
            cwd=HERE, env=environment, capture_output=True, text=True, timeout=_BUILD_TIMEOUT_S, check=False,
        )  # fmt: skip
        if built.returncode:
            pytest.fail(f"go could not build tests/conformance/{name}:\n{built.stderr[-4000:]}")
    return program


def plugin_file(path: Path, *lines: str, flags: str) -> Path:
    """Write a plugin file: a script whose first line names this interpreter, as the one that ships names its own."""
    script = "\n".join((f"#!{sys.executable} {flags}", "import sys", *lines, "raise SystemExit(main())", ""))
    path.write_text(script)
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of the test programs: which plugin files to drive."""
    folder = tmp_path_factory.mktemp("plugins")
    source = f"sys.path.insert(0, {str(ROOT / 'plugin')!r})"
    echo = plugin_file(
        folder / "echo", source, f"sys.path.insert(0, {str(HERE)!r})", "from echo_plugin import main", flags="-IBS"
    )
    ours = plugin_file(folder / "verdict", source, "from rollout_verdict.rpc.__main__ import main", flags="-IB")
    return {
        "CONFORMANCE_ECHO": str(echo),
        "CONFORMANCE_GO": str(build("goplugin")),
        "CONFORMANCE_PLUGIN": str(ours),
        "CONFORMANCE_BUNDLES": str(ROOT / "examples" / "bundles"),
    }


@pytest.mark.parametrize("suite", ["wire", "controller"])
def test_argos_own_client_cannot_tell_the_difference(suite: str, plugins: dict[str, str], tmp_path: Path) -> None:
    """Every statement of the suite holds, and their number is printed."""
    program = build(suite)
    log = tmp_path / "log"
    with log.open("wb") as out:
        run = subprocess.run(
            [program, "-test.v"],
            cwd=tmp_path, env={**os.environ, **plugins}, stdout=out, stderr=subprocess.STDOUT, timeout=_RUN_TIMEOUT_S, check=False,
        )  # fmt: skip
    text = log.read_text(errors="replace")
    count = re.search(r"^(\d+) passed, (\d+) failed$", text, re.MULTILINE)
    failures = re.findall(r".*(?:FAILED:|panic:|--- FAIL).*", text)
    assert count, f"the suite did not come to its end:\n{text[-4000:]}"
    print(f"conformance {suite}: {count[0]}")
    assert run.returncode == 0, "\n".join(failures[:40]) or text[-4000:]
    assert int(count[1]) > 0
    assert int(count[2]) == 0
