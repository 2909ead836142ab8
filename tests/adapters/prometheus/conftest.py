"""One server for all families: each in three namespaces, whole, with too few requests, and with inseparable sides."""

import dataclasses

import pytest

from rollout_verdict.core.values import Side
from tests.adapters.prometheus.families import FAMILIES, write
from tests.adapters.prometheus.server import Tsdb, prometheus
from tests.adapters.prometheus.world import World

THIN = 0.005  # of the canary's traffic: 30 requests in ten minutes


def world(family, kind):
    number = [one.id for one in FAMILIES].index(family.id)
    return World(namespace=f"{kind}{number}", number=number)


@pytest.fixture(scope="session")
def families(tmp_path_factory):
    """The address of a Prometheus with all families."""
    from tests.adapters.prometheus import kubernetes_series, odd_series

    folder = tmp_path_factory.mktemp("families")
    tsdb = Tsdb()
    for family in FAMILIES:
        bare = dataclasses.replace(family, latency=None)
        write(tsdb, family, world(family, "shop"))
        write(tsdb, bare, world(family, "thin"), share=THIN)
        write(tsdb, bare, world(family, "lone"), sides=(Side.STABLE,))
        if family.merged or family.blind:
            write(tsdb, bare, world(family, "same"), merged=family.merged is not None)
        if family.id in ("nginx", "app-status"):
            write(tsdb, family, world(family, "fine"), alike=True)
    kubernetes_series.write_all(tsdb)
    odd_series.write_all(tsdb)
    with prometheus(folder, tsdb=tsdb.write(folder)) as address:
        yield address


@pytest.fixture(scope="session")
def empty(tmp_path_factory):
    """The address of a Prometheus without any series."""
    folder = tmp_path_factory.mktemp("empty")
    with prometheus(folder) as address:
        yield address
