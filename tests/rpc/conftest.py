"""The stand-in service on a thread, and plugin processes."""

import subprocess
import threading
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import needs
from tests.fakes.service import Service, server
from tests.rpc.host import PluginProcess


@dataclass
class Running:
    """A service that listens."""

    service: Service
    http: ThreadingHTTPServer
    url: str


@pytest.fixture
def make_service():
    """Return a function that starts a stand-in service."""
    running = []

    def make(scenario="promote", *, port=0, tls=None, **options):
        service = Service(scenario, **options)
        http = server(service, port, tls)
        threading.Thread(target=lambda: http.serve_forever(poll_interval=0.01), daemon=True).start()
        running.append(http)
        return Running(service, http, f"{'https' if tls else 'http'}://127.0.0.1:{http.server_address[1]}")

    yield make
    for http in running:
        http.shutdown()
        http.server_close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Return (CA certificate, server certificate, server key) for 127.0.0.1."""
    openssl, folder = needs("openssl"), tmp_path_factory.mktemp("tls")

    def run(*arguments):
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)

    run(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-subj",
        "/CN=test CA",
        "-days",
        "2",
    )
    run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=service")
    Path(folder, "names").write_text("subjectAltName=IP:127.0.0.1\n")
    run(
        *("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
        *("-out", "cert.pem", "-extfile", "names", "-days", "2"),
    )
    return tuple(str(folder / name) for name in ("ca.pem", "cert.pem", "key.pem"))


@pytest.fixture
def start_plugin(tmp_path):
    """Return a function that starts a plugin process; whatever is left of it is killed."""
    started = []

    def start(*arguments, **options):
        found = PluginProcess(*arguments, folder=tmp_path, **options)
        started.append(found)
        return found

    yield start
    for process in started:
        process.__exit__()
