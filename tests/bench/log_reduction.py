"""Log reduction against stock drain3 in one interleaved run, its peak memory, and grouping accuracy.

Ratios are taken within one run on one machine: absolute figures move with its load. Run as
``python -m tests.bench.log_reduction``.
"""

import argparse
import gzip
import os
import random
import resource
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rollout_verdict.core.reduction.grouping import group, score
from rollout_verdict.core.reduction.reduce import reduce_logs
from rollout_verdict.core.values import Side

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("ROLLOUT_VERDICT_SHARED", ROOT.parent / "shared")) / "data"
ROUNDS = 3

WORDS = [
    "order",
    "cart",
    "payment",
    "user",
    "session",
    "cache",
    "stock",
    "price",
    "route",
    "ticket",
    "invoice",
    "worker",
    "queue",
    "batch",
    "shard",
    "index",
    "loaded",
    "stored",
    "accepted",
    "rejected",
    "retried",
    "expired",
    "created",
    "removed",
    "moved",
    "scanned",
    "flushed",
    "merged",
    "upstream",
    "region",
    "partition",
    "leader",
    "replica",
    "snapshot",
    "offset",
    "consumer",
    "producer",
    "topic",
    "schema",
    "table",
    "query",
    "cursor",
    "commit",
    "rollback",
    "transaction",
    "lease",
    "lock",
    "quota",
    "limit",
    "bucket",
    "object",
    "volume",
    "mount",
    "device",
    "socket",
    "listener",
    "handler",
    "request",
    "reply",
    "header",
    "token",
    "grant",
    "policy",
    "tenant",
    "account",
    "ledger",
    "refund",
    "voucher",
    "carrier",
    "label",
    "parcel",
    "address",
    "customer",
    "basket",
    "catalogue",
    "search",
    "filter",
    "page",
    "with",
    "from",
    "into",
    "after",
    "before",
    "while",
    "during",
    "of",
    "for",
    "by",
    "in",
    "at",
    "without",
    "next",
    "previous",
    "slow",
    "fresh",
    "stale",
    "pending",
    "final",
]
CLASSES = (
    "c.shop.api.OrderController",
    "c.shop.repo.StockRepository",
    "o.s.w.s.DispatcherServlet",
    "billing.worker",
    "main",
)
Maker = Callable[[random.Random], str]


def wording(rng: random.Random, index: int, *, ids: bool) -> Maker:
    """Return the maker of one sort of line, in one of seven formats; ``ids`` puts a UUID and a trace id into it."""
    words = rng.choices(WORDS, k=rng.randint(7, 16))
    for _ in range(rng.randint(1, 4)):  # variables, as "took 17 ms" or "attempt=3"
        words.insert(rng.randint(1, len(words)), rng.choice(("{n}", "{n} ms", "count={d}", "({d} of {n})")))
    said, logger, noun = " ".join(words), rng.choice(CLASSES), rng.choice(WORDS)
    level = rng.choices(("INFO", "DEBUG", "WARN", "ERROR"), (80, 12, 6, 2))[0]

    def message(draw: random.Random) -> str:
        text = said
        while "{" in text:
            text = text.replace("{n}", str(draw.randint(1, 99_999)), 1).replace("{d}", str(draw.randint(1, 9)), 1)
        if ids:
            text += f" id={uuid.UUID(int=draw.getrandbits(128))} trace={draw.getrandbits(128):032x}"
        return text

    def stamp(draw: random.Random) -> str:
        return f"10:{draw.randint(10, 59)}:{draw.randint(10, 59)}.{draw.randint(100, 999)}"

    forms: tuple[Maker, ...] = (
        lambda draw: f"2026-11-23 {stamp(draw)}  {level} 1 --- [nio-8080-exec-{draw.randint(1, 9)}] {logger} : {message(draw)}",
        lambda draw: f'{{"ts":"2026-11-23T{stamp(draw)}Z","level":"{level.lower()}","logger":"{logger}","msg":"{message(draw)}"}}',
        lambda draw: f"{level[0]}1123 {stamp(draw)}000       1 server.go:{draw.randint(100, 999)}] {message(draw)}",
        lambda draw: f'time="2026-11-23T{stamp(draw)}Z" level={level.lower()} msg="{message(draw)}" component={logger}',
        lambda draw: f'10.1.2.{draw.randint(1, 250)} - - [23/Nov/2026:10:11:12 +0000] "GET /api/{noun}/{draw.randint(1, 9999)} HTTP/1.1" '
        f'{draw.choice((200, 200, 200, 404, 500))} {draw.randint(10, 9999)} "-" "Mozilla/5.0 (X11; Linux x86_64; rv:128.0)" rt=0.{draw.randint(100, 999)}',
        lambda draw: f"\x1b[32m{level}\x1b[0m [2026-11-23 {stamp(draw)}] {logger}: {message(draw)}",
        lambda draw: f"2026-11-23 {stamp(draw)} [{logger}] {level}: {message(draw)}",
    )  # fmt: skip
    return forms[index % len(forms)]


def generated(size: int, *, ids: bool, seed: int = 1) -> Iterator[bytes]:
    """Yield about ``size`` bytes of log in chunks of 1 MB, Zipf over the wordings, with a trace now and then."""
    rng = random.Random(seed)
    makers = [wording(rng, index, ids=ids) for index in range(260)]
    weights = [1 / rank for rank in range(1, len(makers) + 1)]
    trace = "java.lang.IllegalStateException: no stock\n\tat shop.Stock.take(Stock.java:41)\n\tat shop.Cart.pay(Cart.java:7)"
    made = 0
    while made < size:
        lines, held = [], 0
        while held < min(1_000_000, size - made):
            for maker in rng.choices(makers, weights, k=500):
                lines.append(maker(rng))
                held += len(lines[-1]) + 1
            lines.append(f"2026-11-23 10:10:10.123 ERROR [shop.api] sale failed\n{trace}")
        chunk = ("\n".join(lines) + "\n").encode()
        made += len(chunk)
        yield chunk


def dated(chunks: list[bytes]) -> list[bytes]:
    """Return a log as the kubelet gives it, 500 lines a second."""
    begun, number, out = datetime(2026, 11, 23, 10, tzinfo=UTC), 0, []
    for chunk in chunks:
        lines = []
        for line in chunk.split(b"\n")[:-1]:
            number += 1
            moment = begun + timedelta(milliseconds=2 * number)
            lines.append(b"%s%03dZ %s" % (moment.strftime("%Y-%m-%dT%H:%M:%S.%f").encode(), number % 1000, line))
        out.append(b"\n".join(lines) + b"\n")
    return out


def redrawn(path: Path, size: int) -> list[bytes]:
    """Return a log-template set, shuffled and repeated with every digit drawn anew."""
    rng = random.Random(2)
    lines = [row.split("\t")[2] for row in rows(path)]
    digits = "0123456789"
    out, made = [], 0
    while made < size:
        rng.shuffle(lines)
        text = "\n".join(lines) + "\n"
        out.append("".join(rng.choice(digits) if char in digits else char for char in text).encode())
        made += len(out[-1])
    return out


def rows(path: Path) -> list[str]:
    """Return the lines of a log-template set without the column names."""
    return [row for row in gzip.decompress(path.read_bytes()).decode("utf-8", "replace").split("\n")[1:] if row]


Logs = list[list[bytes]]  # one list of chunks for each container


def ours(logs: Logs) -> None:
    """Reduce the logs of one side."""
    reduce_logs([(Side.STABLE, "pod", f"app{index}", chunks) for index, chunks in enumerate(logs)])


def drain(logs: Logs) -> None:
    """Mine the same lines with drain3 as it comes."""
    from drain3 import TemplateMiner
    from drain3.template_miner_config import TemplateMinerConfig

    miner = TemplateMiner(config=TemplateMinerConfig())
    for chunks in logs:
        for line in b"".join(chunks).decode("utf-8", "replace").split("\n"):
            miner.add_log_message(line)


def rate(work: Callable[[Logs], None], logs: Logs) -> float:
    """Return MB (10**6 bytes) for each second of processor time: the wall clock of a shared machine is not ours."""
    begun = time.process_time()
    work(logs)
    return size_of(logs) / 1e6 / (time.process_time() - begun)


def size_of(logs: Logs) -> int:
    """Return the bytes of logs."""
    return sum(len(chunk) for chunks in logs for chunk in chunks)


def compare(name: str, logs: Logs, part: int, target: float, bare: Logs | None = None) -> None:
    """Print the ratio of our rate to drain3's, which gets the first ``part`` bytes of each log to end in time.

    ``bare`` are the same logs without stamps, for drain3; stamps do not count as bytes of our rate either.
    """
    few = [[b"".join(chunks)[:part]] for chunks in bare or logs]
    share = size_of(bare or logs) / size_of(logs)
    mine, theirs = [], []
    for _ in range(ROUNDS):
        mine.append(rate(ours, logs) * share)
        theirs.append(rate(drain, few))
    us, them = statistics.median(mine), statistics.median(theirs)
    print(
        f"log reduction, {name}: {us:.1f} MB/s against {them:.2f} MB/s of drain3: {us / them:.1f}x (target {target:.0f}x)"
    )


def peak(size: int) -> float:
    """Return the peak memory in MB of a process of its own that streams ``size`` generated bytes."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.log_reduction", "--stream", str(size)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "plugin"), str(ROOT)))},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return float(done.stdout)


def stream(size: int) -> None:
    """Reduce ``size`` generated bytes and print this process's peak memory in MB.

    The log repeats after 32 MB: making fresh lines takes longer than reducing them, and memory does not depend on it.
    """
    drawn = list(generated(min(size, 32_000_000), ids=False))

    def chunks() -> Iterator[bytes]:
        made = 0
        while made < size:
            for chunk in drawn:
                made += len(chunk)
                yield chunk

    reduce_logs([(Side.STABLE, "pod", "app", chunks())])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def accuracy() -> None:
    """Print GA and FGA of each log-template set, for the message part and for the whole line."""
    sums = {"content": [0.0, 0.0], "raw": [0.0, 0.0]}
    paths = sorted((SHARED / "log-templates").glob("*.tsv.gz"))
    for path in paths:
        columns = [row.split("\t") for row in rows(path)]
        said = []
        for name, index in (("content", 1), ("raw", 2)):
            got = score(group([row[index] for row in columns]), [row[0] for row in columns])
            sums[name][0] += got.ga / len(paths)
            sums[name][1] += got.fga / len(paths)
            said.append(f"{name} GA {got.ga:.3f} FGA {got.fga:.3f}")
        print(f"grouping, {path.name.split('.')[0]}: {', '.join(said)}")
    print("grouping, mean: " + ", ".join(f"{name} GA {ga:.3f} FGA {fga:.3f}" for name, (ga, fga) in sums.items()))


def main() -> None:
    """Run all parts, or the ones named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["speed", "memory", "accuracy"], help="speed, memory, accuracy")
    parser.add_argument("--stream", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--megabytes", type=int, default=1_000, help="size of the long log of the memory part")
    options = parser.parse_args()
    if options.stream:
        stream(options.stream)
        return
    known = (SHARED / "log-templates").is_dir()
    if "speed" in options.parts:
        plain = list(generated(100_000_000, ids=False))
        compare("plain", [plain], 4_000_000, 40)
        compare("plain with the kubelet's stamps", [dated(plain)], 4_000_000, 40, [plain])
        compare("UUID-heavy", [list(generated(40_000_000, ids=True))], 4_000_000, 5)
        if known:
            sets = [redrawn(path, 5_000_000) for path in sorted((SHARED / "log-templates").glob("*.tsv.gz"))]
            compare("log-template sets, digits redrawn", sets, 500_000, 40)
    if "memory" in options.parts:
        small, large = peak(10_000_000), peak(options.megabytes * 1_000_000)
        print(f"log reduction, peak memory: {large:.0f} MB for {options.megabytes} MB of log against {small:.0f} MB for 10 MB: "
              f"growth {large - small:.0f} MB (target 64 MB)")  # fmt: skip
    if "accuracy" in options.parts and known:
        accuracy()


if __name__ == "__main__":
    main()
