"""The credential plugin of a kubeconfig: what it is run for, and what is said of one that fails or hangs."""

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from rollout_verdict.adapters.kubernetes import ConnectionSettingsError, KubernetesCluster, connect, credentials
from rollout_verdict.adapters.kubernetes.credentials import OUTPUT
from rollout_verdict.core.target import Gathering, Target, TargetKind
from tests.adapters.kubernetes.conftest import NOW
from tests.fakes.kubernetes import Cluster, Stub, scenarios
from tests.fakes.kubernetes.objects import Place

VERSION = "client.authentication.k8s.io/v1"
TARGET = Target(kind=TargetKind.ROLLOUT, namespace="shop", name="checkout")
SECRET = "s3cr3t-of-the-plugin"
SHORT_S = 0.3
LONG_AGO = "2020-01-01T00:00:00Z"


def printing(token="by-exec", expires="", version=VERSION):
    """Return a line of shell that prints a credential."""
    expiry = f', "expirationTimestamp": "{expires}"' if expires else ""
    status = f'{{"token": "{token}"{expiry}}}'
    return f"""echo '{{"apiVersion": "{version}", "kind": "ExecCredential", "status": {status}}}'"""


class Plugin:
    """A kubeconfig whose credentials come from a script. ``calls`` is how often it was run."""

    def __init__(self, stub, folder):
        self.kubeconfig, self.command, self.pipe = folder / "kubeconfig", folder / "login", folder / "pipe"
        self.log, self._stub = folder / "calls", stub
        os.mkfifo(self.pipe)

    @property
    def calls(self):
        return self.log.read_text().count("run")

    def connect(self, script, plugin_s=None, **told):
        """Connect with a plugin that runs a line of shell; ``told`` is what the kubeconfig says of it besides."""
        self.command.write_text(f"#!/bin/sh\necho run >> {self.log}\n{script}\n")
        self.command.chmod(0o700)
        self._stub.kubeconfig(self.kubeconfig)
        tree = yaml.safe_load(self.kubeconfig.read_text())
        told = {"apiVersion": VERSION, "command": str(self.command), "args": [SECRET], **told}
        tree["users"][0]["user"] = {"exec": told}
        self.kubeconfig.write_text(yaml.safe_dump(tree))
        return connect(str(self.kubeconfig), plugin_s=plugin_s)

    def refused(self, script, plugin_s=None, **told):
        """Return what is said of a plugin that leads to no connection."""
        with pytest.raises(ConnectionSettingsError) as caught:
            self.connect(script, plugin_s, **told)
        assert SECRET not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def plugin(tmp_path):
    served = Cluster(tokens={"by-exec": "anna"})
    scenarios.canary(served, Place(now=NOW))
    with Stub(served) as stub:
        yield Plugin(stub, tmp_path)


def sides_of(client):
    adapter = KubernetesCluster(client)
    try:
        sides = adapter.find(TARGET, Gathering(), deadline_s=60)
    finally:
        adapter.close()
    return len(sides.scope.pods.canary), sides.gaps


def test_a_plugin_is_run_for_its_token(plugin):
    assert sides_of(plugin.connect(printing()))[0] == 2
    assert plugin.calls == 1


def test_a_token_that_has_expired_is_renewed(plugin):
    assert sides_of(plugin.connect(printing(expires=LONG_AGO)))[0] == 2
    assert plugin.calls > 1


def test_a_plugin_is_told_of_the_cluster_where_it_wants_to_know(plugin, tmp_path):
    """As kubectl does it: in the environment, beside variables of the kubeconfig."""
    told = tmp_path / "told"
    script = f'echo "$KUBERNETES_EXEC_INFO" > {told}; test "$REGION" = eu && {printing()}'
    client = plugin.connect(script, provideClusterInfo=True, env=[{"name": "REGION", "value": "eu"}])
    info = json.loads(told.read_text())
    assert (info["apiVersion"], info["kind"], info["spec"]["interactive"]) == (VERSION, "ExecCredential", False)
    assert info["spec"]["cluster"]["server"] == client.configuration.host


def test_a_plugin_that_hangs_costs_its_deadline(plugin):
    """It is named, without its arguments; and it does not go on running."""
    began = time.monotonic()
    said = plugin.refused(f"read line < {plugin.pipe}", SHORT_S)
    assert time.monotonic() - began < 20
    assert f"the credential plugin {plugin.command} of the kubeconfig did not answer within 0.3 s" in said
    assert "kubectl get namespaces" in said


def test_what_a_hung_plugin_has_started_ends_with_it(plugin):
    """A script that waits for another program: a writer to the pipe finds nobody there any more."""
    plugin.refused(f"cat {plugin.pipe} & wait", SHORT_S)
    with pytest.raises(OSError, match="No such device or address"):
        os.close(os.open(plugin.pipe, os.O_WRONLY | os.O_NONBLOCK))


def test_a_plugin_that_hangs_when_its_token_has_expired_is_a_gap(plugin):
    """In the midst of requests: it answers once, and then no more."""
    again = f"test $(wc -l < {plugin.log}) = 1 || read line < {plugin.pipe}"
    client = plugin.connect(f"{again}; {printing(expires=LONG_AGO)}", plugin_s=3.0)  # of which the first run has enough
    found, gaps = sides_of(client)
    assert found == 0
    assert any(f"plugin {plugin.command} of the kubeconfig did not answer within 3 s" in gap.reason for gap in gaps)
    assert SECRET not in repr(gaps)


def test_requests_at_the_same_time_wait_for_one_run(plugin, monkeypatch):
    """Else each thread that reads a log would start a program of its own."""
    count, come = 8, threading.Semaphore(0)

    class Counted:
        def __init__(self):
            self._lock = threading.Lock()

        def __enter__(self):
            come.release()
            self._lock.acquire()

        def __exit__(self, *_):
            self._lock.release()

    monkeypatch.setattr(credentials, "Lock", Counted)
    script = f"test $(wc -l < {plugin.log}) = 1 || read line < {plugin.pipe}; {printing(expires=LONG_AGO)}"
    client = plugin.connect(script)
    come.acquire()
    with ThreadPoolExecutor(count) as threads:
        keys = [threads.submit(client.configuration.get_api_key_with_prefix, "BearerToken") for _ in range(count)]
        for _ in range(count):
            assert come.acquire(timeout=30)
        plugin.pipe.write_text("go\n")
        assert {key.result(30) for key in keys} == {"Bearer by-exec"}
    assert plugin.calls == 2


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (f"echo {SECRET}; echo {SECRET} >&2; exit 3", "ended with code 3"),
        (f"echo {SECRET}", "printed no ExecCredential;"),
        ("true", "printed no ExecCredential;"),
        (printing(expires=SECRET), "printed no ExecCredential;"),
        (printing(version=f"{VERSION}beta1"), "printed no ExecCredential of the version that the kubeconfig names"),
        (printing().replace("token", "other"), "printed neither a token nor a certificate with its key"),
        (f"head -c {OUTPUT + 1} /dev/zero", "printed more than 1 MiB"),
    ],
)
def test_a_plugin_that_fails_is_told_without_what_it_printed(plugin, capfd, caplog, script, told):
    said = plugin.refused(script)
    assert told in said
    assert SECRET not in f"{capfd.readouterr()} {caplog.text}"


def test_a_plugin_that_is_not_there_is_told(plugin):
    assert "plugin /none/login of the kubeconfig cannot be run (No such file" in plugin.refused(
        "", command="/none/login"
    )
