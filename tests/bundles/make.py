"""Make the golden bundles beside this file: small, synthetic, the same bytes every time.

    python -m tests.bundles.make

Each stands for one kind of canary; ``tests/test_golden.py`` holds the verdict that each must get. They are written
once and kept, so that a change of the generator does not silently change what is tested.
"""

import gzip
import json
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

HERE = Path(__file__).resolve().parent
START = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
LENGTH = 180  # seconds
STABLE = tuple(f"cart-5d8f7c9b6d-{suffix}" for suffix in ("2kqxz", "8mrtp", "vw4hn"))
CANARY = tuple(f"cart-7b6c5d4f8x-{suffix}" for suffix in ("9zlkd", "qh5ct"))
HINT = {
    "requests_per_second": ("requests_per_second", "neutral", "requests served"),
    "error_ratio": ("ratio", "higher_is_worse", "share of requests that failed"),
    "latency_p95_seconds": ("seconds", "higher_is_worse", "95th percentile of the request time"),
}


def stamp(second: float) -> str:
    """Return a time of the window as the kubelet writes it."""
    return f"{START + timedelta(seconds=second):%Y-%m-%dT%H:%M:%S.%f}000Z"


def log(chance: random.Random, *, rate: float = 1.5, failing: float = 0.0, reworded: bool = False) -> str:
    """Return a pod's log: requests, now and then a cache miss, and errors in a share of requests."""
    lines = []
    at = chance.expovariate(rate)
    served = "Order processed" if reworded else "Request served"
    while at < LENGTH:
        order, cart = chance.randrange(10**6), f"{chance.getrandbits(64):016x}"
        if chance.random() < failing:
            lines.append(
                f"{stamp(at)} ERROR [pricing] Cannot price cart {cart}: tariff table v{chance.randrange(9)} is unknown"
            )
            lines.append(f"{stamp(at)} WARN  [http] POST /cart/{cart}/checkout -> 500 in {chance.randrange(5, 60)} ms")
        else:
            lines.append(
                f"{stamp(at)} INFO  [http] {served} order={order} cart={cart} took={chance.randrange(5, 60)}ms"
            )
        if chance.random() < 0.1:
            lines.append(f"{stamp(at)} INFO  [cache] Miss for product {chance.randrange(5000)}, loaded from store")
        at += chance.expovariate(rate)
    return "".join(f"{line}\n" for line in lines)


def series(chance: random.Random, name: str, pod: str, level: float, spread: float) -> dict:
    """Return one series with a sample every 10 s."""
    first = int(START.timestamp())
    values = [
        [first + second, repr(round(max(0.0, level * (1 + chance.gauss(0, spread))), 6))]
        for second in range(0, LENGTH, 10)
    ]
    return {"metric": {"__name__": name, "namespace": "shop", "pod": pod}, "values": values}


def metrics(chance: random.Random, stable: tuple, canary: tuple, **canary_levels: float) -> dict:
    """Return ``metrics.json``: usual levels on both sides, but for what is given for the canary."""
    usual = {"requests_per_second": 1.5, "error_ratio": 0.004, "latency_p95_seconds": 0.055}
    sides = {"stable": (stable, usual), "canary": (canary, usual | canary_levels)}
    return {
        side: {
            "resultType": "matrix",
            "result": [series(chance, name, pod, levels[name], 0.15) for name in usual for pod in pods],
        }
        for side, (pods, levels) in sides.items()
    } | {
        "meta": {
            name: {"unit": unit, "direction": direction, "help": text} for name, (unit, direction, text) in HINT.items()
        }
    }


def pod(name: str, **container: object) -> dict:
    """Return a healthy pod, but for what is given for its container."""
    ready = bool(container.get("ready", True))
    return {
        "name": name,
        "namespace": "shop",
        "phase": "Running",
        "startTime": "2026-01-31T09:59:00Z",
        "labels": {"app": "cart", "rollouts-pod-template-hash": name.split("-")[1]},
        "containers": [
            {
                "name": "cart",
                "image": "registry.example/cart:2.4.1",
                "state": {"status": "Running", "started": "2026-01-31T09:59:02Z"},
                "lastState": {},
                "ready": True,
                "restartCount": 0,
                "limits": {"memory": "256Mi"},
                **container,
            }
        ],
        "conditions": {"Ready": str(ready), "ContainersReady": str(ready), "PodScheduled": "True"},
        "events": [],
    }


def waiting(because: str, message: str, /, **last: object) -> dict:
    """Return what a container says that does not come up."""
    return {
        "state": {"status": "Waiting", "reason": because, "message": message},
        "lastState": {"status": "Terminated", **last} if last else {},
        "ready": False,
        "restartCount": 6 if last else 0,
    }


def write(name: str, *, logs: dict | None = None, **documents: object) -> None:
    """Write one bundle."""
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    window = {"start": f"{START:%Y-%m-%dT%H:%M:%SZ}", "end": f"{START + timedelta(seconds=LENGTH):%Y-%m-%dT%H:%M:%SZ}"}
    case = {"namespace": "shop", "service": "cart", "window": window, "stable_pods": STABLE, "canary_pods": CANARY}
    for document, content in {"case": {"input": case}, **documents}.items():
        (folder / f"{document}.json").write_text(
            json.dumps(content, indent=None if document == "metrics" else 1) + "\n"
        )
    for pod_name, text in (logs or {}).items():
        path = folder / "logs" / ("stable" if pod_name in STABLE else "canary") / pod_name / "cart.log.gz"
        path.parent.mkdir(parents=True)
        path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def main() -> None:
    """Write all of them."""
    chance = random.Random(20260131)
    healthy = {"stable": [pod(name) for name in STABLE], "canary": [pod(name) for name in CANARY]}

    def logs(**canary: object) -> dict:
        return {name: log(chance) for name in STABLE} | {name: log(chance, **canary) for name in CANARY}

    write("healthy", logs=logs(), metrics=metrics(chance, STABLE, CANARY), kubernetes=healthy)
    write("reworded", logs=logs(reworded=True), metrics=metrics(chance, STABLE, CANARY), kubernetes=healthy)
    write("new_errors", logs=logs(failing=0.12))
    write("failing_requests", metrics=metrics(chance, STABLE, CANARY, error_ratio=0.09))
    write("slower", metrics=metrics(chance, STABLE, CANARY, latency_p95_seconds=0.16))
    crash = waiting("CrashLoopBackOff", "back-off 2m40s restarting failed container", reason="Error", exitCode=1)
    write("crash_loop", kubernetes=healthy | {"canary": [pod(name, **crash) for name in CANARY]})
    pull = waiting("ImagePullBackOff", 'Back-off pulling image "registry.example/cart:2.5.0"')
    write("image_pull", kubernetes=healthy | {"canary": [pod(name, **pull) for name in CANARY]})
    killed = waiting("CrashLoopBackOff", "back-off 40s", reason="OOMKilled", exitCode=137)
    write("out_of_memory", logs=logs(), kubernetes=healthy | {"canary": [pod(name, **killed) for name in CANARY]})
    write("no_canary", logs={name: log(chance) for name in STABLE}, metrics=metrics(chance, STABLE, ()))
    write("few_requests", logs={name: log(chance, rate=0.02) for name in (*STABLE, *CANARY)})


if __name__ == "__main__":
    main()
