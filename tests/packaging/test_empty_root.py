"""Both packagings work where the controller runs: an empty read-only root, user 999, no capabilities, no privileges."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import Any

import pytest

from tests.conformance.test_conformance import build as go_program
from tests.conftest import ROOT, missing, needs
from tests.packaging.conftest import Built
from tests.packaging.inside import UID, Settings

_TIMEOUT_S = 180
_MAX_RSS_KB = 30 * 1024
_UNSHARE = ("unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A CA of our own and a certificate of it for service.test."""
    needs("openssl")
    folder = tmp_path_factory.mktemp("ca")
    new = (
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    )
    ca = ("-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA", "-addext", "keyUsage=critical,keyCertSign")
    leaf = ("-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=service.test", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-addext", "subjectAltName=DNS:service.test", "-addext", "basicConstraints=critical,CA:FALSE")  # fmt: skip
    for words in (ca, leaf):
        subprocess.run([*new, *words], cwd=folder, check=True, capture_output=True)
    return {"ca": f"{folder}/ca.pem", "certificate": f"{folder}/cert.pem", "key": f"{folder}/key.pem"}


@pytest.fixture(scope="module", params=["tree", "file"])
def seen(
    request: pytest.FixtureRequest, built: Built, certificates: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What was seen of one packaging in the empty root."""
    needs("unshare")
    if subprocess.run([*_UNSHARE, "true"], capture_output=True, check=False).returncode or os.geteuid() != 0:
        missing("unshare needs root here")
    packaging = request.param
    settings = Settings(
        root=str(tmp_path_factory.mktemp("root")),
        plugin=str(built.tree / "plugin" if packaging == "tree" else built.file),
        tree=str(built.tree) if packaging == "tree" else "",
        port=8443, cycle=str(go_program("cycle")), noexec_tmp=packaging == "file", **certificates,
    )  # fmt: skip
    run = subprocess.run(
        [*_UNSHARE, sys.executable, "-m", "tests.packaging.inside", json.dumps(asdict(settings))],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT}/plugin:{ROOT}"},
        capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-4000:]
    found: dict[str, Any] = json.loads(run.stdout)
    print(f"{packaging}: first start {found['first']['seconds']:.3f} s, again {found['second_seconds']:.3f} s, "
          f"RSS {found['first']['rss_kb'] // 1024} MB, after a measurement over TLS {found['measured'].get('rssKb', 0) // 1024} MB")  # fmt: skip
    found["packaging"] = packaging
    return found


def test_the_root_is_empty(seen: dict[str, Any]) -> None:
    """Nothing of the machine helps: no lib, no bin."""
    assert seen["root"] == ["dev", "etc", "home", "opt", "proc", "tmp"]


def test_the_first_line_is_the_handshake(seen: dict[str, Any]) -> None:
    """It starts, and standard output begins with go-plugin's line."""
    assert seen["first"]["line"].startswith("1|1|unix|/tmp/plugin")
    assert seen["first"]["line"].endswith("|netrpc|\n")


def test_one_process_and_it_is_the_one_that_was_started(seen: dict[str, Any]) -> None:
    """What go-plugin kills is all there is."""
    assert seen["first"]["new_processes"] == [seen["first"]["pid"]]


def test_it_runs_without_any_right(seen: dict[str, Any]) -> None:
    """User 999, no capability in any set, no new privileges: the test's own promise."""
    status = seen["first"]["status"]
    assert status["Uid"] == status["Gid"] == [str(UID)] * 4
    assert status["Groups"] == []
    assert [int(status[key][0], 16) for key in ("CapEff", "CapPrm", "CapBnd")] == [0, 0, 0]
    assert status["NoNewPrivs"] == ["1"]


def test_memory_stays_small(seen: dict[str, Any]) -> None:
    """At most 30 MB, idle and after a measurement over TLS."""
    assert seen["first"]["rss_kb"] <= _MAX_RSS_KB
    assert 0 < seen["measured"]["rssKb"] <= _MAX_RSS_KB


def test_a_measurement_over_https(seen: dict[str, Any]) -> None:
    """Run and Resume reach the service by name, over TLS that the pod's CA file vouches for."""
    measured = seen["measured"]
    assert (measured["init"], measured["type"]) == ("", "RolloutVerdict")
    assert measured["run"]["phase"] == "Running"
    assert measured["final"]["phase"] == "Successful"
    assert json.loads(measured["final"]["value"])["verdict"] == "promote"
    assert measured["final"]["metadata"]["verdict.id"] == measured["run"]["metadata"]["verdict.id"]
    assert measured["metadata"]["serviceVersion"]


def test_a_certificate_for_another_name_is_refused(seen: dict[str, Any]) -> None:
    """The same service under a name that its certificate does not have measures nothing, and nothing passes."""
    assert seen["wrong_name"]["final"]["phase"] == "Inconclusive"
    assert "without the service" in seen["wrong_name"]["final"]["message"]


def test_every_end_leaves_nothing(seen: dict[str, Any]) -> None:
    """SIGTERM, a host that is gone, SIGKILL: no process and no file, but for the unpacked tree of the single file."""
    own = ["org/rollout-verdict"]
    if seen["packaging"] == "file":
        own = [name for name in seen["sigterm"]["plugin-bin"] if name.startswith("org/.verdict-")] + own
        assert len(own) == 2
    assert seen["sigterm"]["exit"] == 0
    assert seen["measured"]["exit"] == 0
    for when in ("sigterm", "after_measuring", "sigkill", "end"):
        assert (seen[when]["tmp"], seen[when]["plugin-bin"]) == ([], own), when
    assert seen["sigkill"]["new_processes"] == seen["end"]["new_processes"] == []
