"""A stub cluster over real sockets, and the adapter connected to it by a kubeconfig."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from rollout_verdict.adapters.kubernetes import KubernetesCluster, Patience, connect
from rollout_verdict.adapters.kubernetes.logs import LogLimits
from rollout_verdict.core.target import Gathering, Target, TargetKind
from tests.fakes.kubernetes import Cluster, Stub
from tests.fakes.kubernetes.objects import Place

NOW = datetime.now(UTC).replace(microsecond=0)
QUICK = Patience(wait_s=0.01, longest_wait_s=0.05)  # to try again; an answer has the usual time, as machines are slow
DEADLINE_S = 20.0


@dataclass
class World:
    """A cluster that is served, and how to ask it."""

    cluster: Cluster
    place: Place
    url: str
    adapter: KubernetesCluster
    waits: list[float] = field(default_factory=list)

    def find(self, name="checkout", kind=TargetKind.ROLLOUT, gathering=None, **target):
        asked = Target(kind=kind, namespace=self.place.namespace, name=name, **target)
        return self.adapter.find(asked, gathering or Gathering(), deadline_s=DEADLINE_S)

    def logs(self, sides, gathering=None, deadline_s=DEADLINE_S):
        told = []
        found = self.adapter.logs(
            sides, gathering or Gathering(), deadline_s=deadline_s, on_done=lambda *numbers: told.append(numbers)
        )
        return (*found, told)


@pytest.fixture
def served(tmp_path):
    """Return a function that serves a cluster and connects to it; all ends with the test."""
    opened = []

    def serve(cluster=None, *, now=None, patience=QUICK, limits=None, **kubeconfig):
        cluster = cluster or Cluster(clock=lambda: NOW)
        stub = Stub(cluster)
        stub.__enter__()
        waits = []
        adapter = KubernetesCluster(
            connect(str(stub.kubeconfig(tmp_path / "kubeconfig", **kubeconfig))),
            patience=patience,
            limits=limits or LogLimits(),
            now=now or (lambda: NOW),
            sleep=waits.append,
        )
        opened.append((adapter, stub))
        return World(cluster=cluster, place=Place(now=NOW), url=stub.url, adapter=adapter, waits=waits)

    yield serve
    for adapter, stub in opened:
        adapter.close()
        stub.close()
        assert not stub.problems


@pytest.fixture
def world(served):
    return served()
