"""How soon ``explain`` says something on a live rollout, and how soon all is told: processes of their own, stub cluster.

Run as ``python -m tests.bench.explain``.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.conftest import ROOT
from tests.fakes.kubernetes import Cluster, Stub, scenarios
from tests.fakes.kubernetes.objects import Place

RUNS = 5
LIMIT_S = 1.0  # of the first line of progress


def measure() -> tuple[list[float], list[float], list[float]]:
    """Return seconds to the first line, seconds to the end, and seconds in which Python itself starts."""
    cluster = Cluster()
    scenarios.canary(cluster, Place(now=datetime.now(UTC)))
    env = {**os.environ, "PYTHONPATH": str(ROOT / "plugin")}
    first, whole, bare = [], [], []
    with tempfile.TemporaryDirectory() as name, Stub(cluster) as stub:
        kubeconfig = stub.kubeconfig(Path(name) / "kubeconfig")
        command = [sys.executable, "-m", "rollout_verdict", "explain", "rollout/checkout", "--mode", "rules"]
        for _ in range(RUNS):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", "pass"], env=env, check=True)
            bare.append(time.perf_counter() - started)
            started = time.perf_counter()
            with subprocess.Popen(
                [*command, "--kubeconfig", str(kubeconfig)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            ) as process:
                process.stderr.readline()
                first.append(time.perf_counter() - started)
                process.stderr.read()
            whole.append(time.perf_counter() - started)
            assert process.returncode == 0
    return first, whole, bare


def main() -> None:
    """Print the medians of some runs."""
    first, whole, bare = (statistics.median(figures) for figures in measure())
    print(f"first line of progress: {first:.2f} s (limit {LIMIT_S:g} s), {first / bare:.1f} x the start of Python")
    print(f"report on 5 pods: {whole:.2f} s")


if __name__ == "__main__":
    main()
