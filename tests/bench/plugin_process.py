"""The plugin process against an equivalent plugin in Go, in one run, through Argo's own RPC client.

``python``  the provider that ships over a measurer that does nothing: Type, and Run with a 20 KB AnalysisRun
``echo``    the conformance suite's provider, which decodes every field and can sleep: 500 concurrent Runs of 1 s
``file``    the single file that ships (when it is built): start and memory, with its own interpreter
``go``      Argo's own server side: what the others are compared with

Ratios are taken within one run on one machine: absolute figures move with its load.
Run as ``python -m tests.bench.plugin_process``.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path

from tests.conformance.test_conformance import HERE, build, plugin_file
from tests.conftest import ROOT

SINGLE_FILE = ROOT / "dist" / "rollout-verdict_linux_amd64"
# Issue and design name these; the figure on the right is what was measured.
LIMITS = {"type": 2.5, "run": 2.5, "start": 8.0, "start_ms": 100.0, "rss": 0.8, "many_s": 1.5}


def measure(single_file: Path | None) -> dict[str, dict[str, float]]:
    """Return the figures of every plugin, by name."""
    source = f"sys.path.insert(0, {str(ROOT / 'plugin')!r})"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench = f"sys.path.insert(0, {str(Path(__file__).parent)!r})"
        conformance = f"sys.path.insert(0, {str(HERE)!r})"
        plugins = {
            "python": plugin_file(folder / "python", source, bench, "from _provider_plugin import main", flags="-IBS"),
            "go": build("goplugin"),
            "echo": plugin_file(folder / "echo", source, conformance, "from echo_plugin import main", flags="-IBS"),
        }
        if single_file is not None:
            plugins["file"] = folder / "file"
            plugins["file"].write_bytes(single_file.read_bytes())
            plugins["file"].chmod(0o700)
        words = [f"{name}={file}" for name, file in plugins.items()]
        # The file that ships needs a service; nobody listens there, and nobody asks it for a verdict.
        environment = {
            **os.environ, "LOG_LEVEL": "error", "TMPDIR": name, "ROLLOUT_VERDICT_SERVICE": "http://127.0.0.1:1",
        }  # fmt: skip
        run = subprocess.run([build("bench"), *words], env=environment, stdout=subprocess.PIPE, timeout=600, check=True)
    figures: dict[str, dict[str, float]] = json.loads(run.stdout)
    return figures


def line(what: str, ours: float, limit: float, detail: str, unit: str = "x") -> None:
    """Print one figure beside its limit."""
    print(f"{what:<38} {ours:6.2f}{unit:<2} (limit {limit:g}{unit})  {'ok ' if ours <= limit else 'OVER'}  {detail}")


def main() -> None:
    """Print the figures as ratios to the Go plugin."""
    found = measure(SINGLE_FILE if SINGLE_FILE.exists() else None)
    python, go, echo = found["python"], found["go"], found["echo"]
    shipped = found.get("file", python)
    line("Type, p50", python["type_us"] / go["type_us"], LIMITS["type"],
         f"{python['type_us']:.0f} / {go['type_us']:.0f} us")  # fmt: skip
    line(f"Run, AnalysisRun of {go['run_bytes'] / 1000:.0f} KB, p50", python["run_us"] / go["run_us"], LIMITS["run"],
         f"{python['run_us']:.0f} / {go['run_us']:.0f} us (every field decoded: {echo['run_us']:.0f} us)")  # fmt: skip
    for name in ("python", "file") if "file" in found else ("python",):
        line(f"start to dispensed, p50, {name}", found[name]["start_ms"] / go["start_ms"], LIMITS["start"],
             f"{found[name]['start_ms']:.0f} / {go['start_ms']:.0f} ms")  # fmt: skip
        line(f"start to dispensed, p50, {name}", found[name]["start_ms"], LIMITS["start_ms"], "", unit="ms")
        line(f"idle memory, {name}", found[name]["idle_rss_kb"] / go["idle_rss_kb"], LIMITS["rss"],
             f"{found[name]['idle_rss_kb'] / 1024:.1f} / {go['idle_rss_kb'] / 1024:.1f} MB")  # fmt: skip
    line("500 concurrent Runs of 1 s", echo["many_s"], LIMITS["many_s"], f"Go {go['many_s']:.2f} s", unit="s")
    print(f"memory after {3000} Runs: {shipped['after_rss_kb'] / 1024:.1f} / {go['after_rss_kb'] / 1024:.1f} MB")


if __name__ == "__main__":
    main()
