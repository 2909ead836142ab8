"""The settings of keeping and running: what is read, what is refused, and that the password is never shown."""

import re
from pathlib import Path

import pytest

from rollout_verdict.jobs.answers import Limits
from rollout_verdict.jobs.database import DatabaseError, is_sqlite, lock_file, open_engines
from rollout_verdict.jobs.settings import MIB, JobSettings, read_job_settings
from rollout_verdict.jobs.watch import Keeping
from rollout_verdict.settings import Secret, SettingsError

URL = "postgresql://app:hunter2-hunter2@db/verdict"


def read(**env):
    return read_job_settings({f"ROLLOUT_VERDICT_{name}": value for name, value in env.items()}, Path("/state"))


def test_without_any_a_file_in_the_state_folder():
    """And every other default as its field says."""
    assert read() == JobSettings(database=Secret("/state/analyses.sqlite"))
    assert read(DATABASE=" ") == read()


def test_all_of_them():
    """Each variable reaches its field."""
    assert read(
        DATABASE=URL,
        REPLICA="verdict-1",
        ANALYSES="7",
        MODEL_CALLS="8",
        MODEL_CALLS_PER_MINUTE="9",
        TOKENS_PER_DAY="1000000",
        COST_PER_DAY="2.50",
        KEEP="48h",
        KEEP_COUNT="11",
        BUNDLE_MIB="2",
    ) == JobSettings(
        database=Secret(URL),
        replica="verdict-1",
        analyses=7,
        limits=Limits(calls=8, calls_a_minute=9, tokens_a_day=1_000_000, cost_a_day_usd=2.5),
        keeping=Keeping(age_s=48 * 3600.0, count=11),
        bundle_bytes=2 * MIB,
    )


def test_a_server_has_replicas_by_the_names_of_their_hosts():
    """A file has one process, of one name."""
    assert read(DATABASE=URL).replica not in ("", "local")
    assert read().replica == "local"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ANALYSES", "0", "a whole number above 0"),
        ("ANALYSES", "1e3", "a whole number above 0"),
        ("ANALYSES", "٣", "a whole number above 0"),
        ("KEEP_COUNT", "9" * 40, "a whole number above 0"),
        ("COST_PER_DAY", "0", "an amount in US dollars"),
        ("COST_PER_DAY", "nan", "an amount in US dollars"),
        ("COST_PER_DAY", "-1", "an amount in US dollars"),
        ("KEEP", "soon", "a duration such as 720h"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(name, value, expected):
    """With what was expected and what stands there."""
    with pytest.raises(SettingsError, match=f"^ROLLOUT_VERDICT_{name}: expected {re.escape(expected)}"):
        read(**{name: value})


def test_the_password_is_never_shown(caplog):
    """Neither by the settings nor by the engines nor by an address that cannot be read."""
    assert "hunter2" not in repr(read(DATABASE=URL))
    for engine in open_engines(URL):
        assert "hunter2" not in repr(engine)
        engine.dispose()
    with pytest.raises(DatabaseError) as refused:
        open_engines("postgresql://app:hunter2@host:port/x y")
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in caplog.text


def test_kinds_of_address():
    """Both of PostgreSQL's schemes, and paths."""
    assert [is_sqlite(url) for url in (URL, "postgres://x/y", "x.sqlite", "sqlite:////x")] == [False, False, True, True]


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "postgresql+psycopg2", "postgres", "PostgreSQL"])
def test_the_driver_in_an_address_is_ours_to_choose(scheme):
    """Addresses are copied from other tools, which name theirs."""
    for engine in open_engines(f"{scheme}://app:hunter2-hunter2@db/verdict"):
        assert engine.url.drivername == "postgresql+psycopg"
        assert (engine.url.host, engine.url.database) == ("db", "verdict")


@pytest.mark.parametrize(
    "scheme", ["mysql", "mysql://postgres", "postgresl", "postgresql-x", "sqlite+pysqlite", "file"]
)
def test_another_kind_of_address_is_no_path(scheme, tmp_path, monkeypatch):
    """A file by the name of an address would show its password to everybody, and keep nothing where it should."""
    monkeypatch.chdir(tmp_path)
    url = f"{scheme}://app:hunter2@db/verdict"
    assert not is_sqlite(url)
    with pytest.raises(DatabaseError, match="ROLLOUT_VERDICT_DATABASE: expected a path or postgresql://") as refused:
        open_engines(url)
    assert "hunter2" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_a_file_belongs_to_one_process_and_one_owner(tmp_path):
    """A second one is told to take PostgreSQL; the file and its folder are nobody else's business."""
    path = tmp_path / "new" / "analyses.sqlite"
    for engine in open_engines(f"sqlite:///{path}"):
        engine.dispose()
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
    with lock_file(str(path)), pytest.raises(DatabaseError, match="PostgreSQL"):
        lock_file(str(path))
    with lock_file(str(path)):
        pass


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    """With the setting that names another one."""
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseError, match="ROLLOUT_VERDICT_DATABASE"):
        open_engines(str(tmp_path / "file" / "analyses.sqlite"))
