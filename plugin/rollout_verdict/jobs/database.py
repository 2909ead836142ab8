"""Where analyses are kept: a file of SQLite for one process, PostgreSQL for several."""

import fcntl
import re
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy import event

# Few writers: SQLite lets one write at a time and has the others sleep, so they had better wait in the pool's queue.
SQLITE_WRITERS = 3
READERS = 4  # those who ask must not stand in the same queue as those who work
POSTGRES_CONNECTIONS = 10  # of each replica; three replicas stay far below the server's usual 100
POOL_WAIT_S = 30.0  # for a connection; analyses queue up here when the database is slow, which is no error
CONNECT_S = 5
IDLE_TRANSACTION_MS = 60_000  # a frozen process must not hold locks for longer
_POSTGRES = re.compile(r"postgres(ql)?(\+\w+)?", re.ASCII | re.IGNORECASE)  # whichever driver is named, ours is used
_ADDRESS = re.compile(rf"{_POSTGRES.pattern}:|[a-z][a-z0-9+.-]*://", re.ASCII | re.IGNORECASE)


class DatabaseError(Exception):
    """The database cannot be used. The text says what to do; it never holds the password."""


def is_sqlite(url: str) -> bool:
    """Whether the setting names a file rather than a server."""
    return url.startswith("sqlite:///") or not _ADDRESS.match(url)


def open_engines(url: str) -> tuple[sa.Engine, sa.Engine]:
    """Return the engine for work and the one for those who only ask; ``url`` is a path or ``postgresql://…``.

    Raises DatabaseError.
    """
    if is_sqlite(url):
        path = Path(url.removeprefix("sqlite:///"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)  # evidence is in it: nobody else's business
        except OSError as error:
            raise DatabaseError(
                f"{path}: {error.strerror}; set ROLLOUT_VERDICT_DATABASE to a file it can keep"
            ) from error
        return _sqlite(path, SQLITE_WRITERS), _sqlite(path, READERS)
    server = _server(url)
    return _postgres(server, POSTGRES_CONNECTIONS), _postgres(server, READERS)


def _server(url: str) -> sa.URL:
    scheme, _, rest = url.partition(":")
    with suppress(sa.exc.ArgumentError, ValueError):  # a port that is none may be half of a password: it is not quoted
        if _POSTGRES.fullmatch(scheme):
            return sa.make_url(f"postgresql+psycopg:{rest}")
    raise DatabaseError("ROLLOUT_VERDICT_DATABASE: expected a path or postgresql://USER:PASSWORD@HOST/NAME")


def storable(*texts: str) -> bool:
    """Whether texts are such as both databases can hold: PostgreSQL knows no NUL, none knows half a surrogate pair."""
    return all("\0" not in text and text.encode("utf-8", "replace").decode() == text for text in texts)


def lock_file(url: str) -> IO[bytes]:
    """Lock the database's file for this process; the lock ends with it, however it ends. Raises DatabaseError.

    Two processes on one file would each take the other's running analyses for its own of before a crash.
    """
    path = Path(url.removeprefix("sqlite:///"))
    stream = path.with_name(f"{path.name}.lock").open("ab")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        raise DatabaseError(
            f"{path}: another process has it; several processes need PostgreSQL (ROLLOUT_VERDICT_DATABASE)"
        ) from None
    with suppress(OSError):
        path.chmod(0o600)
    return stream


def _sqlite(path: Path, connections: int) -> sa.Engine:
    engine = sa.create_engine(
        f"sqlite:///{path}",
        poolclass=sa.QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=POOL_WAIT_S,
        hide_parameters=True,  # an error's text must not quote evidence
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"  # writers wait at the beginning, where waiting is safe
        for pragma in (
            "busy_timeout=30000",
            "journal_mode=WAL",  # readers do not wait for writers
            "synchronous=NORMAL",  # a killed process loses nothing; a power cut may lose the last moments, not the file
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    return engine


def _postgres(url: sa.URL, connections: int) -> sa.Engine:
    return sa.create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=POOL_WAIT_S,
        hide_parameters=True,
        pool_pre_ping=True,  # connections of before a restart of the server are found out before they are used
        connect_args={
            "connect_timeout": CONNECT_S,
            "application_name": "rollout-verdict",
            "options": f"-c idle_in_transaction_session_timeout={IDLE_TRANSACTION_MS}",
        },
    )
