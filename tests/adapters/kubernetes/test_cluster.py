"""Which cluster is connected to, and what is said when there is none."""

import pytest
import yaml
from kubernetes.config import incluster_config

from rollout_verdict.adapters.kubernetes import ConnectionSettingsError, KubernetesCluster, connect
from rollout_verdict.core.target import Gathering, Target, TargetKind
from rollout_verdict.settings import SettingsError
from rollout_verdict.wiring import live_cluster
from tests.adapters.kubernetes.conftest import NOW
from tests.fakes.kubernetes import Cluster, Stub, scenarios, tls
from tests.fakes.kubernetes.objects import Place

TARGET = Target(kind=TargetKind.ROLLOUT, namespace="shop", name="checkout")


def cluster():
    found = Cluster(tokens={"in-pod": "system:serviceaccount:rv:rv", "in-file": "bob"})
    scenarios.canary(found, Place(now=NOW))
    return found


@pytest.fixture
def stub():
    with Stub(cluster()) as served:
        yield served


def pods_of(client):
    adapter = KubernetesCluster(client)
    sides = adapter.find(TARGET, Gathering(), deadline_s=20)
    adapter.close()
    return len(sides.scope.pods.canary), sides.gaps


@pytest.fixture
def in_pod(monkeypatch, tmp_path):
    """Make this process look like one in a pod, with a service account."""
    certificates, token = tls.make(tmp_path / "tls"), tmp_path / "token"
    token.write_text("in-pod")
    with Stub(cluster(), tls=certificates) as served:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(served.port))
        monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
        monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(certificates.ca))
        yield served


def test_in_a_pod_its_service_account_is_used(in_pod):
    assert pods_of(connect()) == (2, ())
    assert {entry.status for entry in in_pod.cluster.journal} == {200}


def test_a_server_with_a_certificate_of_somebody_else_is_not_trusted(in_pod, tmp_path):
    other = tls.make(tmp_path / "other")
    found, gaps = pods_of(connect(str(in_pod.kubeconfig(tmp_path / "kubeconfig", ca=other.ca))))
    assert found == 0
    assert "certificate is not trusted" in gaps[0].reason
    assert "certificate-authority-data" in gaps[0].hint


def test_a_certificate_need_not_be_trusted_where_the_kubeconfig_says_so(in_pod, tmp_path):
    path = in_pod.kubeconfig(tmp_path / "kubeconfig", token="in-file")
    tree = yaml.safe_load(path.read_text())
    tree["clusters"][0]["cluster"] = {"server": in_pod.url, "insecure-skip-tls-verify": True}
    path.write_text(yaml.safe_dump(tree))
    assert pods_of(connect(str(path))) == (2, ())


def test_a_kubeconfig_that_is_named_wins_over_the_pod(in_pod, stub, tmp_path):
    client = connect(str(stub.kubeconfig(tmp_path / "kubeconfig", token="in-file")))
    assert client.configuration.host == stub.url
    assert pods_of(client)[0] == 2


def test_outside_a_pod_the_users_kubeconfig_is_used(stub, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(stub.kubeconfig(tmp_path / "kubeconfig", token="in-file")))
    assert pods_of(connect())[0] == 2
    assert pods_of(connect(context="stub"))[0] == 2


def test_without_any_kubeconfig_the_path_that_was_tried_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    told = r"^no kubeconfig found at .*/none, and this is no pod: set KUBECONFIG, or for a command --kubeconfig$"
    with pytest.raises(ConnectionSettingsError, match=told):
        connect()
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConnectionSettingsError, match=r"^no kubeconfig found at ~/\.kube/config, "):
        connect()


@pytest.mark.parametrize(
    ("content", "context", "told"),
    [
        (None, "", "is no file: name one that exists"),
        ("clusters: [", "", "no connection to a cluster by kubeconfig .*: it is not YAML; try kubectl config view$"),
        ("hello", "", "kubeconfig .*: it cannot be read"),
        ("", "", "kubeconfig .*file is empty; try"),
        ("[]", "", "no connection to a cluster by kubeconfig"),
        ("{}", "", "no connection to a cluster by kubeconfig"),
        ("good", "elsewhere", "context elsewhere"),
    ],
)
def test_a_kubeconfig_that_is_of_no_use_is_told(stub, tmp_path, content, context, told):
    path = tmp_path / "kubeconfig"
    if content == "good":
        stub.kubeconfig(path)
    elif content is not None:
        path.write_text(content)
    with pytest.raises(ConnectionSettingsError, match=told):
        connect(str(path), context)
    with pytest.raises(SettingsError, match=told):
        live_cluster(str(path), context)
