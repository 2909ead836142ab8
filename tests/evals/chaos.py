"""Kill the plugin, the service and the client at random, in the middle of measurements: ``python -m tests.evals.chaos``.

The client is a process of its own that does what the controller does: it starts the plugin, calls Run and Resume, writes
down each answer before it goes on, makes an Error of a call whose plugin died, starts a plugin that has exited anew, and
tries an Error again up to four times. What it wrote down is all that survives it. At the end:

- every measurement has a final phase, and one that its verdict allows: only "promote" is ever Successful;
- every measurement the service was ever asked for is one that the client wrote down, or would derive again;
- no process is left, and, once the next plugin has started and ended, no file but the client's and the service's own.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.rpc.host import ROOT, PluginProcess, RpcError, analysis_run, metric

SCENARIOS = ("promote", "rollback", "inconclusive", "error", "running")
# Trouble is allowed to end in a person's hands or as an error; it is never allowed to change sides.
ALLOWED = {
    "promote": {"Successful", "Inconclusive", "Error"},
    "rollback": {"Failed", "Inconclusive", "Error"},
    "inconclusive": {"Inconclusive", "Error"},
    "error": {"Inconclusive", "Error"},
    "running": {"Inconclusive", "Error"},
}
FINAL = {"Successful", "Failed", "Inconclusive", "Error"}
CONSECUTIVE_ERRORS = 4  # Argo's default consecutiveErrorLimit
AT_ONCE = 5
DEADLINE_S = 60.0


def derived_id(uid: str, ordinal: int) -> str:
    """Return a measurement's id, reckoned apart from the package."""
    return hashlib.blake2b(f"{uid}\0verdict\0{ordinal}".encode(), digest_size=16).hexdigest()


# The client


class Book:
    """What the controller would have in etcd: written whole, replaced at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []

    def write(self) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(self.runs))
        fresh.replace(self.path)

    def open_runs(self) -> list[dict[str, Any]]:
        return [run for run in self.runs if run["phase"] not in FINAL]


def stored(measurement: dict[str, Any]) -> dict[str, Any]:
    return {key: value.hex() if isinstance(value, bytes) else value for key, value in measurement.items()}


def sent(measurement: dict[str, Any]) -> dict[str, Any]:
    return {key: bytes.fromhex(value) if key.endswith("At") else value for key, value in measurement.items()}


def step(host: Any, run: dict[str, Any]) -> dict[str, Any]:
    """Run or resume one measurement and return the answer."""
    results = [{"Name": "verdict", "Error": run["errors"]}]
    deadline = "2s" if run["scenario"] == "running" else "30s"
    config = {"extraPrompt": run["scenario"], "deadline": deadline, "unavailableGrace": "4s"}
    if run["measurement"] is None:
        return host.run(analysis_run(run["uid"], results), metric(config))
    return host.resume(analysis_run(run["uid"], results), metric(config), sent(run["measurement"]))


def record(run: dict[str, Any], answer: dict[str, Any]) -> None:
    """Write down an answer as the controller does: an Error is tried again, with a new measurement."""
    run["measurement"] = stored(answer)
    run["history"].append(answer["Phase"])
    if answer["Phase"] == "Error":
        run["errors"] += 1
        run["measurement"] = None
        run["phase"] = "Error" if run["errors"] > CONSECUTIVE_ERRORS else ""
    elif answer["Phase"] in FINAL:
        run["phase"] = answer["Phase"]


def client(folder: Path, service: str) -> None:
    """Measure until the file "stop" exists and everything is over."""
    book = Book(folder / "book.json")
    plugin, host = None, None
    while True:
        stopping = (folder / "stop").exists()
        while not stopping and len(book.open_runs()) < AT_ONCE:
            number = len(book.runs)
            scenario = SCENARIOS[number % len(SCENARIOS)]
            book.runs.append(
                {
                    "uid": f"uid-{number}",
                    "scenario": scenario,
                    "phase": "",
                    "errors": 0,
                    "measurement": None,
                    "history": [],
                }
            )
        book.write()
        if stopping and not book.open_runs():
            break
        for run in book.open_runs():
            if plugin is None or plugin.process.poll() is not None:
                if plugin is not None:
                    plugin.__exit__()
                plugin = PluginProcess(f"--service={service}", folder=folder / "tmp", environ=None)
                (folder / "plugin.pid").write_text(str(plugin.process.pid))
                try:
                    host = plugin.connect()
                    host.init()
                except (OSError, EOFError):
                    plugin.kill()
                    continue
            try:
                answer = step(host, run)
            except (OSError, EOFError, RpcError):
                answer = {"Phase": "Error", "Message": "rpc call error"}
                plugin.kill()
            record(run, answer)
            book.write()
        time.sleep(0.02)
    if plugin is not None and plugin.process.poll() is None and host is not None:
        host.quit()
        plugin.wait()


# The killer


class Stage:
    """The processes on it."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder, self.chance = folder, chance
        (folder / "tmp").mkdir()
        self.kills = {"plugin": 0, "service": 0, "client": 0}
        self.seen: set[str] = set()
        self.port = 0
        self.service = self.start_service()
        self.client = self.start_client()

    def environ(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": f"{ROOT / 'plugin'}:{ROOT}", "CHAOS_FOLDER": str(self.folder)}

    def start_service(self) -> subprocess.Popen[bytes]:
        arguments = ["--port", str(self.port), "--delay", "0.15", "--state", str(self.folder / "service.json")]
        found = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.service", *arguments], env=self.environ(), stdout=subprocess.PIPE
        )
        assert found.stdout is not None
        line = found.stdout.readline().decode()
        if not line:
            raise RuntimeError("the service did not start")
        self.port = int(line.rpartition(":")[2])
        return found

    def start_client(self) -> subprocess.Popen[bytes]:
        arguments = ["--client", str(self.folder), "--service", f"http://127.0.0.1:{self.port}"]
        return subprocess.Popen([sys.executable, "-m", "tests.evals.chaos", *arguments], env=self.environ())

    def note_ids(self) -> None:
        """Remember what the service was asked for before its memory is taken away."""
        path = self.folder / "service.json"
        if path.exists():
            self.seen |= set(json.loads(path.read_text())["started"])

    def kill_one(self) -> None:
        target = self.chance.choice(("plugin", "plugin", "service", "client"))
        if target == "plugin":
            try:
                os.kill(int((self.folder / "plugin.pid").read_text()), signal.SIGKILL)
            except (OSError, ValueError):
                return
        elif target == "service":
            self.stop(self.service)
            self.note_ids()
            if self.chance.random() < 0.3:
                (self.folder / "service.json").unlink(missing_ok=True)
            time.sleep(self.chance.choice((0, 0, 0, 0.3, 0.3, 4.5)))  # the last one outlasts the grace
            self.service = self.start_service()
        else:
            self.stop(self.client)
            self.client = self.start_client()
        self.kills[target] += 1

    @staticmethod
    def stop(process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def finish(self) -> None:
        (self.folder / "stop").touch()
        self.client.wait(DEADLINE_S)
        self.note_ids()
        self.stop(self.service)

    def close(self) -> None:
        for process in (self.client, self.service):
            if process.poll() is None:
                self.stop(process)


def processes_of(folder: Path) -> list[int]:
    """Return processes that were started for this folder and still run."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and str(folder).encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def verify(stage: Stage) -> dict[str, Any]:
    """Check what is promised and return the figures."""
    runs = Book(stage.folder / "book.json").runs
    wrong = [run for run in runs if run["phase"] not in ALLOWED[run["scenario"]]]
    assert not wrong, f"phases that must not be: {wrong}"
    accidents = [run for run in runs if "Successful" in run["history"] and run["scenario"] != "promote"]
    assert not accidents, f"passed by accident: {accidents}"
    traceable = {derived_id(run["uid"], ordinal) for run in runs for ordinal in range(run["errors"] + 1)}
    assert stage.seen <= traceable, f"lost without a trace: {stage.seen - traceable}"
    end = time.monotonic() + 10  # a plugin whose client was killed ends by itself
    while processes_of(stage.folder) and time.monotonic() < end:
        time.sleep(0.05)
    assert not processes_of(stage.folder), f"processes left: {processes_of(stage.folder)}"
    with PluginProcess(folder=stage.folder / "tmp") as last:  # a killed plugin's socket goes with the next start
        last.connect().quit()
        last.wait()
    left = [path.name for path in (stage.folder / "tmp").iterdir() if path.name != "stderr"]
    assert not left, f"files left: {left}"
    phases: dict[str, int] = {}
    for run in runs:
        key = f"{run['scenario']} -> {run['phase']}"
        phases[key] = phases.get(key, 0) + 1
    return {
        "kills": stage.kills,
        "measurements": len(runs),
        "retries": sum(run["errors"] for run in runs),
        "phases": dict(sorted(phases.items())),
    }


def chaos(folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """Kill ``kills`` times, let everything come to its end, and check."""
    chance = random.Random(seed)
    stage = Stage(folder, chance)
    try:
        while sum(stage.kills.values()) < kills:
            time.sleep(chance.uniform(0.02, 0.5))
            assert stage.client.poll() is None, "the client ended by itself"
            stage.kill_one()
        stage.finish()
        return verify(stage)
    finally:
        stage.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--client", type=Path)
    parser.add_argument("--service", default="")
    given = parser.parse_args()
    if given.client:
        client(given.client, given.service)
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps({"seed": given.seed, **chaos(Path(folder), given.kills, given.seed)}, indent=2))


if __name__ == "__main__":
    main()
