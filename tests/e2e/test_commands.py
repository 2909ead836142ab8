"""What a person types, against the real cluster."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.e2e.cluster import Cluster
from tests.e2e.looking import first_revision, paused, update
from tests.e2e.manifests import NAME, canary, rollout, template
from tests.e2e.traffic import traffic

TRAFFIC_S = 42  # 30 of them are warm-up
_TIMEOUT_S = 120


def run(cluster: Cluster, *words: str | Path) -> tuple[int, Any, str]:
    """Run the program with the reader's kubeconfig. Return its exit code, the JSON it prints, and its stderr."""
    environment = {**os.environ, "KUBECONFIG": str(cluster.reader), "PYTHONPATH": str(ROOT / "plugin")}
    done = subprocess.run(
        [sys.executable, "-m", "rollout_verdict", *map(str, words), "-o", "json"],
        env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout), done.stderr


def test_explain_and_the_bundle_it_saves(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """``explain`` says why a canary fails; ``judge`` says the same of the bundle that it saved, byte for byte."""
    cluster.create(rollout(namespace, canary({"setWeight": 50}, {"pause": {}}), replicas=4))
    first_revision(cluster, namespace)
    with traffic(cluster, namespace, each_second=15):
        update(cluster, namespace, template("v2", ERROR_SHARE="0.3"))
        paused(cluster, namespace)
        time.sleep(TRAFFIC_S)
    saved = tmp_path / "saved"
    options = ("--mode", "rules", "--exit-code")
    code, live, progress = run(
        cluster, "explain", NAME, "-n", namespace, "--prometheus", cluster.prometheus, "--save-bundle", saved, *options
    )
    assert (code, live["verdict"]["decision"]) == (10, "rollback"), progress
    assert "payments:8443" in json.dumps(live)
    again, judged, _ = run(cluster, "judge", saved, *options)
    assert again == code
    assert lasting(judged) == lasting(live)


def lasting(document: Any) -> Any:
    """Leave out how long the command took, and what it redacted: in what was saved nothing is left to be redacted."""
    return {key: value for key, value in document.items() if key not in ("timings", "tookSeconds", "redactions")}


def test_doctor(cluster: Cluster, namespace: str) -> None:
    """``doctor`` finds all that the reader's role is for."""
    code, document, errors = run(cluster, "doctor", "-n", namespace, "--prometheus", cluster.prometheus)
    assert code == 0, errors
    states = {check["name"]: check["state"] for check in document["checks"]}
    assert {state for name, state in states.items() if name.startswith("may ")} == {"ok"}
    assert states["prometheus"] == "ok"
