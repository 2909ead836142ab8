"""The real application over analyses in memory, with a token for each kind of caller."""

import contextlib
import socket
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
import uvicorn
from starlette.testclient import TestClient

from rollout_verdict import __version__
from rollout_verdict.jobs.marks import StoredMarks
from rollout_verdict.jobs.tables import META
from rollout_verdict.service.app import create_app
from rollout_verdict.service.auth import Authenticator
from rollout_verdict.service.metrics import Metrics
from rollout_verdict.service.rates import Rates
from rollout_verdict.service.services import About, Services
from rollout_verdict.service.settings import ServiceSettings
from rollout_verdict.service.tokens import TokenFile
from tests.service.memory import Clock, MemoryAnalyses

TOKENS = {
    "read": "read-token-0123456789",
    "run": "run-token-0123456789",
    "admin": "admin-token-0123456789",
    "shop": "shop-token-0123456789",
    "foreign": "foreign-token-0123456789",
    "expired": "expired-token-0123456789",
}
FILE = f"""
[[token]]
name = "viewer"
token = "{TOKENS["read"]}"

[[token]]
name = "argo"
token = "{TOKENS["run"]}"
scope = "run"

[[token]]
name = "owner"
token = "{TOKENS["admin"]}"
scope = "admin"

[[token]]
name = "shopkeeper"
token = "{TOKENS["shop"]}"
scope = "run"
namespaces = ["shop"]

[[token]]
name = "neighbour"
token = "{TOKENS["foreign"]}"
scope = "admin"
namespaces = ["elsewhere"]

[[token]]
name = "former"
token = "{TOKENS["expired"]}"
scope = "admin"
expires = 2026-01-01T00:00:00Z
"""


def bearer(who):
    return {"Authorization": f"Bearer {TOKENS.get(who, who)}"}


def make_services(folder: Path, *, eager=True, reviewer=None, ready=lambda: "", clock=None, **settings):
    """Everything behind the door, with a clock that goes when it is told."""
    path = folder / "tokens.toml"
    if not path.exists():
        path.write_text(FILE)
    clock = clock or Clock()
    given = {"watch_interval_s": 0.005, "heartbeat_s": 0.02, "public_url": "https://verdict.example"}
    found = ServiceSettings(state_dir=folder, token_file=path, **{**given, **settings})
    rates = Rates(found)
    tokens = TokenFile(path)
    tokens.load()
    auth = Authenticator(
        tokens.grants, rates, clock=clock, session_s=found.session_s, session_key=b"k" * 32, reviewer=reviewer,
        problem=lambda: tokens.problem,
    )  # fmt: skip
    return Services(
        analyses=MemoryAnalyses(folder, clock, eager=eager),
        marks=_marks(clock),
        auth=auth,
        rates=rates,
        settings=found,
        metrics=Metrics(),
        about=About(version=__version__, model="gemini-test", prompt_digest="sha256:0f1e"),
        clock=clock,
        ready=ready,
    )


def _marks(clock):
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool, connect_args={"check_same_thread": False})
    META.create_all(engine)
    return StoredMarks(engine, lambda: clock().timestamp())


def make_client(services, who="run", **options):
    client = TestClient(create_app(services), follow_redirects=False, **options)
    if who:
        client.headers.update(bearer(who))
    return client


@pytest.fixture
def services(tmp_path):
    return make_services(tmp_path)


@pytest.fixture
def client(services):
    with make_client(services) as found:
        yield found


@contextlib.contextmanager
def served(services):
    """The application under uvicorn, on a port of its own; gives its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(services), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()
