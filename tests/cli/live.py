"""A cluster to look at: the stub API server with a rollout in it, and a kubeconfig that leads there."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from tests.fakes.kubernetes import Cluster, Stub, scenarios
from tests.fakes.kubernetes.objects import Place, requests


class Live:
    """A served cluster. ``options`` are the words that lead a command to it."""

    def __init__(self, stub: Stub, kubeconfig: Path) -> None:
        self.stub, self.cluster, self.kubeconfig = stub, stub.cluster, kubeconfig
        self.options = ["--kubeconfig", str(kubeconfig)]

    def hung(self, folder: Path) -> Path:
        """Make the kubeconfig ask a credential plugin that never answers; returns its path."""
        command, pipe = folder / "login", folder / "pipe"
        os.mkfifo(pipe)
        command.write_text(f"#!/bin/sh\nread line < {pipe}\n", encoding="utf-8")
        command.chmod(0o700)
        tree = yaml.safe_load(self.kubeconfig.read_text(encoding="utf-8"))
        told = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(command), "args": ["s3cr3t"]}
        tree["users"][0]["user"] = {"exec": told}
        self.kubeconfig.write_text(yaml.safe_dump(tree), encoding="utf-8")
        return command


def healthy(cluster, place, **situation):
    """Add a canary that does as well as stable."""
    return scenarios.canary(cluster, place, **situation)


def failing(cluster, place, **situation):
    """Add a canary whose requests fail."""
    lines = requests(failing=0.2, error="connect to payments:8443 failed: connection refused")
    return scenarios.canary(cluster, place, newest=replace(scenarios.CANARY, lines=lines), **situation)


@pytest.fixture
def live(tmp_path):
    """Return a function that serves a cluster with what ``build`` puts into it."""
    running = []

    def serve(build=healthy, *, certificates=None, place=None, **given):
        cluster = Cluster()
        build(cluster, place or Place(now=datetime.now(UTC)))
        stub = Stub(cluster, tls=certificates).__enter__()
        running.append(stub)
        return Live(stub, stub.kubeconfig(tmp_path / f"kubeconfig{len(running)}", **given))

    yield serve
    for stub in running:
        stub.__exit__()
