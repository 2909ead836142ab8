"""The kubectl plugin: its name in the usage, its completion."""

import contextlib
import os
import socketserver
import subprocess
import sys
import threading
import time
import tomllib

import pytest
import yaml

from rollout_verdict.cli import complete, kubectl_complete, kubectl_main
from tests.cli.live import live
from tests.conftest import ROOT
from tests.fakes.kubernetes import Fault, scenarios
from tests.fakes.kubernetes.faults import ANSWERS

__all__ = ["live"]


def completed(capsys, *words):
    """Return the candidates for the last word, and kubectl's directive."""
    kubectl_complete([str(word) for word in words])
    *candidates, directive = capsys.readouterr().out.splitlines()
    return candidates, directive


def test_the_programs_have_the_names_that_kubectl_looks_for():
    """Underscores stand for dashes, since ``kubectl rollout`` is a command of its own."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["kubectl-rollout_verdict"] == "rollout_verdict.cli:kubectl_main"
    assert scripts["kubectl_complete-rollout_verdict"] == "rollout_verdict.cli:kubectl_complete"


@pytest.mark.parametrize("words", [["--help"], ["explain", "--help"]])
def test_usage_names_the_plugin_as_people_call_it(capsys, words):
    """Not by the name of the file."""
    with pytest.raises(SystemExit) as ended:
        kubectl_main(words)
    assert ended.value.code == 0
    assert "kubectl rollout-verdict" in capsys.readouterr().out


def test_complaints_name_the_plugin_too(capsys):
    """So that people know who complains."""
    with pytest.raises(SystemExit) as ended:
        kubectl_main(["explain", "pod/x"])
    assert ended.value.code == 2
    assert "kubectl rollout-verdict: pod/x: what is 'pod'?" in capsys.readouterr().err


def test_it_runs_as_a_program_of_its_own(tmp_path):
    """The way pip installs it: argv comes from the process."""
    code = "import sys; sys.argv[0] = 'kubectl-rollout_verdict'; from rollout_verdict.cli import kubectl_main; kubectl_main()"
    ran = subprocess.run(
        [sys.executable, "-c", code, "explain", "-h"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugin")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Usage: kubectl rollout-verdict explain" in ran.stdout


def test_commands_and_options_are_completed(capsys):
    """Beginning with what was typed."""
    assert completed(capsys, "ex") == (["explain"], ":4")
    assert "doctor" in completed(capsys, "")[0]
    assert completed(capsys, "explain", "--save") == (["--save-bundle"], ":4")
    assert completed(capsys, "explain", "-o", "y") == (["yaml"], ":4")
    assert completed(capsys, "explain", "--window", "") == ([], ":4")
    assert completed(capsys) == completed(capsys, "")


def test_names_come_from_the_cluster(capsys, live):
    """Rollouts by name, the others by their kind; a kind is not followed by a space."""
    served = live(lambda cluster, place: [scenarios.canary(cluster, place), scenarios.deployment(cluster, place)])
    kinds = ["rollout/", "analysisrun/", "experiment/", "deployment/"]
    assert completed(capsys, "explain", *served.options, "") == (["checkout", *kinds], ":6")
    assert completed(capsys, "explain", *served.options, "ro/c") == (["ro/checkout"], ":4")
    assert completed(capsys, "explain", *served.options, "deploy/") == (["deploy/checkout"], ":4")
    assert completed(capsys, "explain", *served.options, "-n", "other", "ro/") == ([], ":4")
    assert completed(capsys, "explain", f"--kubeconfig={served.kubeconfig}", "ro/") == (["ro/checkout"], ":4")
    assert completed(capsys, "explain", *served.options, "ro/checkout", "") == ([], ":4")
    assert completed(capsys, "explain", *served.options, "pod/") == ([], ":4")


def test_contexts_come_from_the_kubeconfig(capsys, live, tmp_path):
    """Of the one that is named."""
    assert completed(capsys, "explain", *live().options, "--context", "s") == (["stub"], ":4")
    assert completed(capsys, "explain", "--kubeconfig", tmp_path / "none", "--context", "") == ([], ":4")


@pytest.mark.parametrize("answer", ["401", "403", "404 path", "html"])
def test_a_cluster_that_does_not_tell_costs_nothing_but_its_names(capsys, live, answer):
    """Completion never complains: it would write into the line that is being typed."""
    served = live()
    served.cluster.faults = [Fault(answer=ANSWERS[answer])]
    kinds = ["rollout/", "analysisrun/", "experiment/", "deployment/"]
    assert completed(capsys, "explain", *served.options, "") == (kinds, ":6")
    assert capsys.readouterr().err == ""


@pytest.fixture
def dripping(tmp_path):
    """Give the kubeconfig of a server that sends its status line byte by byte, for twenty seconds."""
    over = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            with contextlib.suppress(OSError):
                self.request.sendall(b"HTTP/1.1 200 ")
                for _ in range(200):
                    if over.wait(0.1):
                        return
                    self.request.sendall(b"O")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        path = tmp_path / "kubeconfig"
        path.write_text(
            yaml.safe_dump(
                {
                    "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
                    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                    "current-context": "c",
                    "users": [{"name": "u", "user": {"token": "x"}}],
                }
            )
        )
        yield path
        over.set()
        server.shutdown()


def test_a_cluster_that_drips_costs_two_seconds_and_its_names(capsys, dripping):
    """No byte comes too late, and yet there is no end of them."""
    began = time.monotonic()
    assert completed(capsys, "explain", "--kubeconfig", dripping, "ro/") == ([], ":4")
    assert time.monotonic() - began < 12  # of twenty; a slow machine takes its time for the rest


def test_no_kubeconfig_is_no_complaint(capsys, tmp_path):
    """Nor a traceback."""
    assert completed(capsys, "explain", "--kubeconfig", tmp_path / "none", "ro/") == ([], ":4")


def test_a_credential_plugin_that_hangs_costs_nothing_but_the_names(capsys, live, tmp_path, monkeypatch):
    """It has as long as an answer has."""
    monkeypatch.setattr(complete, "ANSWER_S", 0.3)
    served = live()
    served.hung(tmp_path)
    assert completed(capsys, "explain", *served.options, "ro/") == ([], ":4")
