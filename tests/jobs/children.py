"""Processes of the service as a test sees them: started, asked, killed."""

import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.conftest import ROOT


class Child:
    """A process of the service."""

    def __init__(self, database: str, replica: str, model_url: str, journal: Path, beat_s: float = 5.0) -> None:
        self.replica = replica
        self._ready = False
        self._log = journal.with_name(f"{replica}.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.jobs.process", database, replica, model_url, str(journal), str(beat_s)],
            cwd=ROOT,
            env={"PYTHONPATH": f"{ROOT / 'plugin'}:{ROOT}", "PATH": "/usr/bin:/bin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            bufsize=1,
        )

    def ready(self) -> bool:
        """Wait until it works; False when it has ended instead."""
        if not self._ready:
            line = self._process.stdout.readline()
            if not line:
                self._end()
                return False
            assert line == "ready\n", line
            self._ready = True
        return True

    def start(self, *analysis_ids: str) -> None:
        """Have it begin analyses; they are kept when this returns."""
        for analysis_id in analysis_ids:
            self._process.stdin.write(f"start {analysis_id}\n")
        self._process.stdin.flush()
        for analysis_id in analysis_ids:
            assert self._process.stdout.readline() == f"started {analysis_id}\n", Path(self._log.name).read_text()

    def kill(self) -> None:
        """End it as the kernel does: no word, no chance."""
        self._process.kill()
        self._end()

    def close(self) -> None:
        """End it as an operator does."""
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._end()

    def _end(self) -> None:
        self._process.wait(30)
        for stream in (self._process.stdin, self._process.stdout, self._log):
            with suppress(BrokenPipeError):
                stream.close()


def noted(journal: Path) -> "Counter[tuple[str, str]]":
    """How often what was noted of which analysis."""
    return Counter(tuple(line.split()) for line in journal.read_text().splitlines())
