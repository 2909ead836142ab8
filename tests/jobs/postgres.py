"""A PostgreSQL server of one's own, on a free port, for as long as a test needs it."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.conftest import missing

START_S = 30.0
DEBIAN = Path("/usr/lib/postgresql")


class Postgres:
    """A server that can be stopped and started again. Use as a context manager; ``folder``, in a folder of one's own, becomes its home.

    PostgreSQL refuses to run as root; there, it runs as the user that Debian's package makes, or as nobody.
    """

    def __init__(self) -> None:
        # Not in pytest's folders: each session makes them its owner's alone again, and the server is another user.
        self._home = Path(tempfile.mkdtemp(prefix="verdict-postgres-"))
        self._data = self._home / "data"
        self._user = _unprivileged()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._server: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database on it."""
        return f"postgresql://app@127.0.0.1:{self.port}/{database}"

    def create(self, database: str, template: str = "template1") -> str:
        """Make a database, as a copy of another one, and return its address."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'create database "{database}" template "{template}"')
        return self.url(database)

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": "200",
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self._home / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [_program("postgres"), "-D", str(self._data), "-p", str(self.port), *arguments],
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=self._home,
            )
        import psycopg

        end = time.monotonic() + START_S
        while time.monotonic() < end:
            with suppress(psycopg.OperationalError), psycopg.connect(self.url(), connect_timeout=2):
                return
            time.sleep(0.05)
        raise TimeoutError((self._home / "log").read_text())

    def stop(self) -> None:
        """Stop it at once, connections and all."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)  # "immediate shutdown": as near to a crash as it offers
            self._server.wait(START_S)
            self._server = None

    def __enter__(self) -> Self:
        if self._user is not None:
            os.chown(self._home, self._user, -1)
        subprocess.run(
            [_program("initdb"), "-D", str(self._data), "-A", "trust", "-U", "app", "-E", "UTF8", "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
            user=self._user,
            cwd=self._home,
        )
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._home)


def _program(name: str) -> str:
    """Find a program of the server: Debian keeps them out of the path, one folder for each version."""
    if found := shutil.which(name):
        return str(Path(found).resolve())
    for folder in sorted(DEBIAN.glob("*/bin"), reverse=True):
        if (folder / name).exists():
            return str(folder / name)
    missing(f"{name} is not installed (Debian: postgresql)")
    raise AssertionError


def _unprivileged() -> int | None:
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_uid
    missing("there is no unprivileged user for PostgreSQL to run as")
    return None
