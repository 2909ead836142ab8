"""One cluster for all tests of this folder: it starts in seconds, and namespaces keep the tests apart."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster, running
from tests.e2e.programs import BUILDER


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin to build while other tests run."""
    if any("cluster" in getattr(item, "fixturenames", ()) and "e2e" in item.path.parts for item in session.items):
        BUILDER.begin()


def pytest_sessionfinish() -> None:
    """Leave no build behind."""
    BUILDER.stop()


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The running cluster. Its folder, with the logs of all components, stays when a test failed."""
    folder = Path(tempfile.mkdtemp(prefix="verdict-e2e-"))
    before = request.session.testsfailed
    with running(folder) as found:
        yield found
    if request.session.testsfailed == before:
        shutil.rmtree(folder)
    else:
        print(f"the logs of the cluster are in {folder}")


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for one test, emptied behind it."""
    words = "".join(char if char.isalnum() else "-" for char in request.node.name.lower())
    name = cluster.namespace(f"{words[:50].strip('-')}-x")
    yield name
    cluster.clear(name)
