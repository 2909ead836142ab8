"""Many analyses in flight at once, through the plugin's door: how much later than the model's answer is the verdict?

    python -m tests.bench.service_load [--analyses 1000] [--latency 2] [--processes 1 | 3 --postgres] [--same]

Each process is the real application under uvicorn with a database on disk; live evidence is a small bundle kept in
memory, each analysis with a rollout name of its own, so that none is answered from the store (``--same``: all may be).
The model answers after exactly the latency. Measurements are started and polled over HTTP, as the plugin does, from
another process. Prints figures; ``--rate`` starts so many a second instead of all at once.
"""

import argparse
import asyncio
import dataclasses
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import sqlalchemy as sa

from tests.conftest import ROOT
from tests.fakes.gemini.responders import citing
from tests.jobs.postgres import Postgres

PATTERNS, METRICS = 4, 3  # of the small bundle; its prompt has some 2,400 tokens
STARTERS = 8  # connections that start measurements
END_S = 900.0
MIB = 1 << 20


def small_evidence():
    """The example's healthy canary, cut to what a small service shows."""
    from rollout_verdict.adapters.bundle import read_bundle

    whole = read_bundle(ROOT / "examples" / "bundles" / "good")
    names = {meta.name for meta in whole.metrics.meta[:METRICS]}
    metrics = dataclasses.replace(
        whole.metrics,
        meta=whole.metrics.meta[:METRICS],
        series=whole.metrics.series.map(lambda series: tuple(one for one in series if one.name in names)),
    )
    logs = dataclasses.replace(whole.logs, patterns=whole.logs.patterns[:PATTERNS])
    return dataclasses.replace(whole, metrics=metrics, logs=logs)


async def model(port: int, latency_s: float) -> None:
    """A model that costs next to nothing: no checks, one answer for each prompt, after the latency."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                arrived = asyncio.get_running_loop().time()
                length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
                turns = json.loads(await reader.readexactly(length))["contents"]
                prompt = "\n".join(part.get("text", "") for turn in turns for part in turn["parts"])
                text = json.dumps(citing(prompt))
                tokens = {"promptTokenCount": length // 4, "candidatesTokenCount": len(text) // 4}
                candidate = {
                    "content": {"parts": [{"text": text}], "role": "model"},
                    "finishReason": "STOP",
                    "index": 0,
                }
                body = json.dumps({"candidates": [candidate], "usageMetadata": tokens}).encode()
                await asyncio.sleep(latency_s - (asyncio.get_running_loop().time() - arrived))
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
                )
                writer.write(body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


def service(port: int, database: str, replica: str, model_url: str, state: Path, same: bool) -> None:
    """The application, with live evidence that is there at once."""
    import uvicorn

    from rollout_verdict import wiring
    from rollout_verdict.jobs.answers import Limits
    from rollout_verdict.jobs.settings import JobSettings
    from rollout_verdict.service.app import create_app
    from rollout_verdict.service.auth import Authenticator
    from rollout_verdict.service.metrics import Metrics
    from rollout_verdict.service.rates import Rates
    from rollout_verdict.service.services import About, Services, utc_now
    from rollout_verdict.service.settings import ServiceSettings
    from rollout_verdict.service.tokens import TokenFile
    from rollout_verdict.settings import Secret, Settings

    evidence = small_evidence()

    def gather(request, configuration, on_stage):
        if same:
            return evidence
        return dataclasses.replace(evidence, rollout=dataclasses.replace(evidence.rollout, name=request.name))

    settings = Settings(api_key=Secret("key-of-nobody"), base_url=model_url)
    jobs = JobSettings(
        database=Secret(database), replica=replica, analyses=4096, limits=Limits(calls=None, calls_a_minute=None)
    )
    judge = wiring.model_judge(settings)
    memory = wiring.rollout_memory(settings, jobs)
    analyses = wiring.analyses(settings, jobs, gather, model=judge, recall=memory)
    analyses.launch()
    found = ServiceSettings(
        state_dir=state, token_file=state / "tokens.toml", reads_per_minute=10**6, starts_per_minute=10**6
    )
    rates, tokens = Rates(found), TokenFile(state / "tokens.toml")
    tokens.load()
    auth = Authenticator(tokens.grants, rates, clock=utc_now, session_s=3600.0, session_key=b"k" * 32)
    services = Services(
        analyses=analyses,
        marks=memory.marks,
        auth=auth,
        rates=rates,
        settings=found,
        metrics=Metrics(),
        about=About(version="bench"),
    )
    uvicorn.run(create_app(services), host="127.0.0.1", port=port, log_level="error", lifespan="off", backlog=4096)
    analyses.close()
    memory.close()
    judge.close()


class Door:
    """One process of the service, as its client sees it."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._local = threading.local()

    def call(self, method: str, path: str, body: object = None) -> tuple[int, dict]:
        try:
            return self._call(method, path, body)
        except (HTTPException, ConnectionError):  # closed for being idle; every request may be sent twice
            self._local.connection = None
            return self._call(method, path, body)

    def _call(self, method: str, path: str, body: object) -> tuple[int, dict]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = HTTPConnection("127.0.0.1", self._port, timeout=120)
        connection.request(method, path, None if body is None else json.dumps(body), self._headers)
        response = connection.getresponse()
        content = response.read()
        return response.status, json.loads(content) if content else {}

    def start(self, number: int) -> float:
        """Start a measurement; return when it was asked for."""
        name = f"shop-{number}"
        run = {"namespace": "shop", "name": name, "uid": name, "owner": {"kind": "Rollout", "name": name, "uid": name}}
        body = {
            "id": f"{number:032x}",
            "plugin": {"name": "bench", "version": "1"},
            "metric": {"name": "verdict", "dryRun": False},
            "analysisRun": {**run, "revision": "1", "templateHash": "5d8f", "arguments": []},
            "config": {},
        }
        asked = time.time()
        status, told = self.call("POST", "/v1/measurements", body)
        if status not in (200, 201):
            raise RuntimeError(f"{status}: {told}")
        return asked


def cpu_s(process: subprocess.Popen) -> float:
    """Seconds of CPU that a process has used: what an analysis costs however busy the machine is with other things."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def share(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def resident(process: subprocess.Popen) -> float:
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB


def run(options: argparse.Namespace, folder: Path, database: str) -> None:
    """Start everything, measure, print."""
    from rollout_verdict.jobs.database import open_engines
    from rollout_verdict.jobs.tables import ANALYSES

    token = "bench-token-0123456789"
    (folder / "tokens.toml").write_text(f'[[token]]\nname = "bench"\ntoken = "{token}"\nscope = "admin"\n')
    (folder / "tokens.toml").chmod(0o600)
    python = [sys.executable, "-m", "tests.bench.service_load"]
    env = {"PYTHONPATH": f"{ROOT / 'plugin'}:{ROOT}", "PATH": os.environ["PATH"]}
    model_port = free_port()
    ports = [free_port() for _ in range(options.processes)]
    started = [
        subprocess.Popen([*python, "--model", str(model_port), "--latency", str(options.latency)], env=env, cwd=ROOT)
    ]
    same = ["--same"] if options.same else []
    for number, port in enumerate(ports):
        where = ["--serve", str(port), "--database", database, "--replica", f"replica-{number}", "--state", str(folder)]
        started.append(
            subprocess.Popen(
                [*python, *where, "--model-url", f"http://127.0.0.1:{model_port}", *same], env=env, cwd=ROOT
            )
        )
    stop = threading.Event()
    try:
        doors = [Door(port, token) for port in ports]
        for door in doors:
            ready(door)
        for number, door in enumerate(doors):  # the SDK, the prompt and the statements are warm after one each
            door.start(10**6 + number)
        engine, reader = open_engines(database)
        engine.dispose()
        wait(reader, len(doors))
        peaks, polls = [0.0] * len(ports), []
        watcher = threading.Thread(target=watch, args=(started[1:], peaks, stop))
        poller = threading.Thread(target=poll, args=(doors, options.analyses, polls, stop))
        watcher.start()
        poller.start()
        before = sum(map(cpu_s, started[1:]))
        begun = time.monotonic()
        asked = begin(doors, options.analyses, options.rate)
        took = time.monotonic() - begun
        wait(reader, options.analyses + len(doors))
        done = time.monotonic() - begun
        used = sum(map(cpu_s, started[1:])) - before
        stop.set()
        poller.join()
        watcher.join()
        with reader.connect() as connection:
            rows = connection.execute(
                sa.select(ANALYSES.c.id, ANALYSES.c.phase, ANALYSES.c.finished, ANALYSES.c.summary)
            )
            found = {row.id: row for row in rows}
        reader.dispose()
        over = [found[f"{number:032x}"].finished - at - options.latency for number, at in asked.items()]
        right = sum(
            found[f"{n:032x}"].phase == "done" and '"decision":"promote"' in found[f"{n:032x}"].summary for n in asked
        )
        sys.stdout.write(
            f"{len(asked)} analyses, {options.processes} process(es), {database.split(':', maxsplit=1)[0].split('/', maxsplit=1)[0] or 'SQLite'}: "
            f"{right} right, started in {took:.1f} s, all done after {done:.1f} s\n"
            f"  over the model's {options.latency:g} s: median {share(over, 0.5):.2f} s, p95 {share(over, 0.95):.2f} s, "
            f"most {max(over):.2f} s\n"
            f"  {len(polls)} polls meanwhile: median {1000 * share(polls, 0.5):.1f} ms, "
            f"p95 {1000 * share(polls, 0.95):.1f} ms, most {1000 * max(polls):.0f} ms\n"
            f"  memory of each process at most: {', '.join(f'{peak:.0f} MiB' for peak in peaks)}; "
            f"CPU of the service {1000 * used / len(asked):.0f} ms an analysis, {used / done:.2f} cores\n"
        )
    finally:
        stop.set()
        for process in started:
            process.send_signal(signal.SIGKILL)
            process.wait()


def ready(door: Door) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            if door.call("GET", "/healthz")[0] == 200:
                return
        except OSError:
            door._local.connection = None
        time.sleep(0.1)
    raise TimeoutError


def begin(doors: list[Door], analyses: int, rate: float) -> dict[int, float]:
    """Start all measurements, at once or so many a second; return when each was asked for."""
    begun = time.monotonic()

    def start(number: int) -> tuple[int, float]:
        if rate:
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
        return number, doors[number % len(doors)].start(number)

    with ThreadPoolExecutor(STARTERS) as pool:
        return dict(pool.map(start, range(analyses)))


def poll(doors: list[Door], analyses: int, polls: list[float], stop: threading.Event) -> None:
    """Ask for measurements as controllers do, 20 times a second and each until it is over; note how long it takes."""
    chosen = random.Random(1)
    waiting = list(range(analyses))
    while waiting and not stop.wait(0.05):
        at = chosen.randrange(len(waiting))
        asked = time.perf_counter()
        _, told = chosen.choice(doors).call("GET", f"/v1/measurements/{waiting[at]:032x}")
        polls.append(time.perf_counter() - asked)
        if told.get("state") == "done":
            waiting[at] = waiting[-1]
            waiting.pop()


def watch(processes: list[subprocess.Popen], peaks: list[float], stop: threading.Event) -> None:
    while not stop.wait(0.2):
        for number, process in enumerate(processes):
            peaks[number] = max(peaks[number], resident(process))


def wait(reader: sa.Engine, analyses: int) -> None:
    from rollout_verdict.jobs.tables import ANALYSES, OPEN

    end = time.monotonic() + END_S
    ended = sa.select(sa.func.count()).select_from(ANALYSES).where(ANALYSES.c.phase.not_in(OPEN))
    while time.monotonic() < end:
        with reader.connect() as connection:
            if connection.execute(ended).scalar_one() >= analyses:
                return
        time.sleep(0.25)
    raise TimeoutError("not all analyses ended")


def main() -> None:
    """Be the model, a process of the service, or the one who measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--analyses", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=2.0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--same", action="store_true")
    parser.add_argument("--rate", type=float, default=0.0)
    for inner in ("--model", "--serve"):
        parser.add_argument(inner, type=int, default=0, help=argparse.SUPPRESS)
    for inner in ("--database", "--replica", "--model-url", "--state"):
        parser.add_argument(inner, default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.model:
        asyncio.run(model(options.model, options.latency))
    elif options.serve:
        service(options.serve, options.database, options.replica, options.model_url, Path(options.state), options.same)
    else:
        with tempfile.TemporaryDirectory(prefix="service-load-") as name:
            folder = Path(name)
            if options.postgres or options.processes > 1:
                with Postgres() as server:
                    run(options, folder, server.create("verdict"))
            else:
                run(options, folder, str(folder / "analyses.sqlite"))


if __name__ == "__main__":
    main()
