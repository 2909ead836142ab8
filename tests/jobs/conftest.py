"""Databases and running services for tests: real ones, a file of SQLite and a server of PostgreSQL."""

import dataclasses
import threading
import time
from contextlib import ExitStack, contextmanager
from itertools import count

import pytest

from rollout_verdict import wiring
from rollout_verdict.adapters.bundle import read_bundle
from rollout_verdict.jobs.answers import Limits
from rollout_verdict.jobs.database import open_engines
from rollout_verdict.jobs.settings import JobSettings
from rollout_verdict.jobs.store import Store
from rollout_verdict.settings import Secret, Settings
from tests.conftest import ROOT
from tests.fakes.gemini import FakeGemini
from tests.jobs.postgres import Postgres

GOOD, BAD = (read_bundle(ROOT / "examples" / "bundles" / name) for name in ("good", "bad"))
UNLIMITED = Limits(calls=None, calls_a_minute=None)
LONG_S = 60.0  # more than anything here takes on a slow machine
_NUMBERS = count()


@pytest.fixture(scope="session")
def postgres():
    with Postgres() as server:
        with service(server.create("launched")):
            pass  # its tables are made once, by launching, and copied for each test
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    """The setting of an empty database of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "analyses.sqlite")
    return request.getfixturevalue("postgres").create(f"test{next(_NUMBERS)}", template="launched")


@pytest.fixture
def sqlite(tmp_path):
    """The setting of an empty file, for what has little to do with the database."""
    return str(tmp_path / "analyses.sqlite")


@pytest.fixture
def store(database):
    """The tables in it, empty."""
    engine, reader = open_engines(database)
    kept = Store(engine, reader)
    kept.create()
    kept.forget_replica("local")  # of whoever made the tables
    yield kept
    engine.dispose()
    reader.dispose()


@pytest.fixture
def fake():
    with FakeGemini() as server:
        yield server


def settings(database, **changes):
    return JobSettings(database=Secret(database), **{"poll_s": 0.05, "limits": UNLIMITED, **changes})


class Live:
    """Live targets as a test sees them: what is found, who is held up, how often somebody looked."""

    def __init__(self, evidence=BAD):
        self.evidence = evidence
        self.error = None
        self.looked = []
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Event()

    def __call__(self, request, configuration, on_stage):
        self.looked.append(request.id)
        self.begun.set()
        assert self.go.wait(LONG_S)
        if self.error is not None:
            raise self.error
        rollout = dataclasses.replace(self.evidence.rollout, name=request.name)
        return dataclasses.replace(self.evidence, rollout=rollout)


@contextmanager
def service(database, live=None, fake=None, notifiers=(), *, recall=None, on_end=None, took=None, **changes):
    """A launched service."""
    with ExitStack() as opened:
        model = None
        chosen = Settings()
        if fake is not None:
            chosen = Settings(api_key=Secret("key-of-nobody"), base_url=fake.url)
            model = wiring.model_judge(chosen)
            opened.callback(model.close)
        analyses = wiring.analyses(
            chosen,
            settings(database, **changes),
            live or Live(),
            model=model,
            notifiers=notifiers,
            recall=recall,
            on_end=on_end,
            took=took,
        )
        opened.callback(analyses.close)
        analyses.launch()
        yield analyses


def ended(analyses, analysis_id):
    """Wait for the end of an analysis and return it."""
    end = time.monotonic() + LONG_S
    while time.monotonic() < end:
        found = analyses.get(analysis_id)
        if found is not None and found.phase.final:
            return found
        time.sleep(0.01)
    raise TimeoutError(found)


def until(true):
    """Wait until something is so."""
    end = time.monotonic() + LONG_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
