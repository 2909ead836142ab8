"""A real Prometheus on loopback: backfilled from series in OpenMetrics text, or scraping something live."""

import contextlib
import socket
import subprocess
import time
from pathlib import Path

import httpx2

from tests.conftest import needs

READY_S = 30.0


class Tsdb:
    """Series to backfill. Samples are (unix seconds, value)."""

    def __init__(self):
        self._rows: dict[str, list[str]] = {}
        self.count = 0

    def add(self, name, labels, samples):
        told = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
        rows = self._rows.setdefault(name, [])
        for at, value in samples:
            rows.append(f"{name}{{{told}}} {value:.6f} {at:.3f}")
            self.count += 1

    def write(self, folder: Path) -> Path:
        text, out = folder / "data.om", folder / "tsdb"
        with text.open("w") as stream:
            for name in sorted(self._rows):
                stream.write("\n".join(self._rows[name]) + "\n")
            stream.write("# EOF\n")
        done = subprocess.run(
            [needs("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(text), str(out)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return out


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def prometheus(folder: Path, *, tsdb: Path | None = None, scrape: str = "[]", arguments=()):
    """Run a server until the block ends; yield its address."""
    config = folder / "prom.yml"
    config.write_text(f"global: {{}}\nscrape_configs: {scrape}\n")
    port = free_port()
    command = [
        needs("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={tsdb or folder / 'empty'}",
        "--storage.tsdb.retention.time=10y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
        *arguments,
    ]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait(process, f"http://127.0.0.1:{port}/-/ready", folder / "prometheus.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


def _wait(process, address, log):
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()[-2000:]
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(address, timeout=1, trust_env=False).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError("Prometheus was not ready in time")
