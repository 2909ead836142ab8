"""Time from a bundle on disk to a rules verdict: 2 x 100 MB of logs and 40 metrics.

The yardstick in the same run is reading the same files and counting their lines, which no judge can beat.
"""

import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rollout_verdict.adapters.bundle import read_bundle
from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.engine import judge

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTES = 5
PODS = {"stable": ("shop-5b8f9c-aaaaa", "shop-5b8f9c-bbbbb"), "canary": ("shop-7d4cc1-ccccc", "shop-7d4cc1-ddddd")}
WORDS = [
    "cart",
    "order",
    "user",
    "item",
    "price",
    "stock",
    "cache",
    "token",
    "page",
    "query",
    "shard",
    "batch",
    "lease",
    "quota",
    "route",
    "retry",
    "event",
    "topic",
]


def line(rng: random.Random, at: datetime, broken: bool) -> str:
    """Return one log line with its kubelet time stamp."""
    stamp = at.isoformat().replace("+00:00", "000Z")
    if broken and rng.random() < 0.0005:
        return f"{stamp} ERROR payment.client request {rng.getrandbits(64):016x} refused by upstream after {rng.randrange(900)} ms\n"
    word, other = rng.choice(WORDS), rng.choice(WORDS)
    kind = rng.randrange(3)
    if kind == 0:
        return f'{stamp} {{"level":"info","msg":"{word} {other} done","id":"{rng.getrandbits(128):032x}","ms":{rng.randrange(500)}}}\n'
    if kind == 1:
        return f'{stamp} 10.0.{rng.randrange(255)}.{rng.randrange(255)} - - "GET /{word}/{rng.randrange(9999)} HTTP/1.1" 200 {rng.randrange(9999)}\n'
    return (
        f"{stamp} INFO shop.{word} {other} {rng.randrange(10**6)} took {rng.random():.3f}s in zone-{rng.randrange(3)}\n"
    )


def make_bundle(folder: Path, megabytes_a_side: int) -> None:
    """Write a bundle whose canary logs a rare new error."""
    rng = random.Random(7)
    end = START + timedelta(minutes=MINUTES)
    case = {
        "namespace": "shop",
        "service": "shop",
        "window": {"start": START.isoformat(), "end": end.isoformat()},
        "stable_pods": list(PODS["stable"]),
        "canary_pods": list(PODS["canary"]),
    }
    folder.joinpath("case.json").write_text(json.dumps({"id": "bench", "input": case}))
    for side, pods in PODS.items():
        for pod in pods:
            log = folder / "logs" / side / pod / "app.log"
            log.parent.mkdir(parents=True)
            wanted, written, n = megabytes_a_side * 10**6 // len(pods), 0, 0
            with log.open("w") as stream:
                while written < wanted:
                    at = START + timedelta(microseconds=250 * n)
                    written += stream.write(line(rng, at, broken=side == "canary"))
                    n += 1
    metrics: dict[str, object] = {"meta": {}}
    for side, pods in PODS.items():
        result = [
            {
                "metric": {"__name__": f"request_latency_{n}_seconds", "pod": pod},
                "values": [[int(START.timestamp()) + 15 * i, f"{0.1 + rng.random() / 50:.5f}"] for i in range(21)],
            }
            for n in range(40)
            for pod in pods
        ]
        metrics[side] = {"resultType": "matrix", "result": result}
    folder.joinpath("metrics.json").write_text(json.dumps(metrics))


def seconds(work: Callable[[], object]) -> float:
    """Return how long the work took."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def count_lines(folder: Path) -> int:
    """Read every log and count its lines."""
    return sum(sum(1 for _ in log.open("rb")) for log in folder.glob("logs/*/*/*.log"))


def main() -> None:
    """Print the figures."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_bundle(folder, size)
        total = sum(log.stat().st_size for log in folder.glob("logs/*/*/*.log")) / 1e6
        yardstick = seconds(lambda: count_lines(folder))
        start = time.perf_counter()
        evidence = read_bundle(folder)
        read = time.perf_counter() - start
        result = judge(evidence, Policy(mode=Mode.RULES), None, Redactor())
        whole = time.perf_counter() - start
    print(f"2 x {size} MB of logs ({total:.0f} MB), 40 metrics x 4 pods: {result.verdict.decision.value}")
    print(f"time to a rules verdict {whole:.1f} s ({total / whole:.0f} MB/s), of which judging {whole - read:.2f} s")
    print(f"ratio to reading and counting the same lines ({yardstick:.2f} s): {whole / yardstick:.1f}x")
    print(f"peak resident memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
