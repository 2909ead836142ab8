"""The example bundles: complete, small, free of anything of the machine they were recorded on."""

import gzip
import re
import subprocess
import sys

import pytest

from rollout_verdict.adapters.bundle import read_bundle
from tests.conftest import ROOT

BUNDLES = ROOT / "examples" / "bundles"
BOTH = [BUNDLES / "bad", BUNDLES / "good"]


@pytest.mark.parametrize("bundle", BOTH, ids=lambda path: path.name)
def test_an_example_is_complete(bundle):
    evidence = read_bundle(bundle)
    assert evidence.gaps == ()
    assert (len(evidence.pods.stable), len(evidence.pods.canary)) == (3, 2)
    assert all(
        log.lines > 400 and log.outside_lines == 0
        for side in ("stable", "canary")
        for log in getattr(evidence.logs.pods, side)
    )
    assert {series.name for series in evidence.metrics.series.canary} == {
        "container_cpu_usage_cores", "container_memory_working_set_bytes", "http_4xx_ratio", "http_5xx_ratio",
        "http_request_time_p95_seconds", "http_requests_per_second", "kube_pod_status_ready",
    }  # fmt: skip
    assert evidence.rollout.stable_hash != evidence.rollout.canary_hash


def test_both_share_their_stable_side():
    bad, good = map(read_bundle, BOTH)
    assert bad.pods.stable == good.pods.stable
    assert bad.metrics.series.stable == good.metrics.series.stable


@pytest.mark.parametrize("bundle", BOTH, ids=lambda path: path.name)
def test_an_example_is_small_and_tells_nothing_of_its_machine(bundle):
    files = [path for path in bundle.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 300_000
    for path in files:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        assert not re.search(rb"/(?:tmp|root|home|work|usr|etc|var)/", content), path
        addresses = set(re.findall(rb"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])", content))
        assert addresses <= {b"127.0.0.1"}, path


def test_the_recorder_explains_itself():
    command = [sys.executable, str(ROOT / "examples/record.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--seconds" in done.stdout
