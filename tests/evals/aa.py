"""How often the judges see a difference where there is none, and how often they see one that was put there.

Sides of one distribution are made in two ways. Real log lines are dealt at random to pseudo-pods, in blocks of 1, 25 or 100
lines: bursts are what makes textbook tests fail. And of the stable pods of the labelled cases one is called the canary.

Run ``python -m tests.evals.aa [comparisons]`` for the figures; the gate in ``test_aa.py`` makes fewer comparisons.
"""

import csv
import gzip
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from rollout_verdict.core.compare import compare
from rollout_verdict.core.evidence import Evidence, Level, LogEvidence, LogKind, LogPattern, MetricEvidence, PodLog
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.reduction.reduce import reduce_logs
from rollout_verdict.core.rules import judge
from rollout_verdict.core.values import Decision, Pair, RolloutRef, Side, Window

BLOCKS = (1, 25, 100)
BUCKETS = 20
START = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = Window(start=START, end=START + timedelta(seconds=180))
ROLLOUT = RolloutRef(namespace="aa", name="aa")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one comparison."""

    significant: bool
    rollback: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """A log cut into blocks: for each pattern how often it occurs in each block, and the events of each block."""

    patterns: tuple[LogPattern, ...]
    counts: tuple[tuple[int, ...], ...]
    events: tuple[int, ...]


@lru_cache(maxsize=64)
def blocks_of(path: Path, length: int) -> Blocks:
    """Reduce a log with every block as a pod of its own; the event ids of the file are never looked at."""
    with gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="") as stream:
        rows = csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        lines = [row[-1] for row in rows][1:]
    chunks = [lines[at : at + length] for at in range(0, len(lines), length)]
    reduced = reduce_logs(
        ((Side.STABLE, f"{n:04}", "app", ["\n".join(chunk).encode() + b"\n"]) for n, chunk in enumerate(chunks)),
        timestamps=False,
    )
    return Blocks(
        patterns=reduced.patterns,
        counts=tuple(pattern.counts.stable for pattern in reduced.patterns),
        events=tuple(pod.events for pod in reduced.pods.stable),
    )


def deal(blocks: Blocks, pods: Pair[int], chance: random.Random) -> LogEvidence:
    """Deal the blocks to the pods of both sides; a block keeps its place in time."""
    owner = [chance.randrange(pods.stable + pods.canary) for _ in blocks.events]
    place = [index * BUCKETS // len(owner) for index in range(len(owner))]
    everyone = pods.stable + pods.canary
    patterns = []
    for pattern, counts in zip(blocks.patterns, blocks.counts, strict=True):
        table = [[0] * BUCKETS for _ in range(everyone)]
        for block, count in enumerate(counts):
            if count:
                table[owner[block]][place[block]] += count
        patterns.append(with_table(pattern, table, pods.stable))
    events = [0] * everyone
    for block, count in enumerate(blocks.events):
        events[owner[block]] += count
    logs = [pod_log(f"pod-{index}", count) for index, count in enumerate(events)]
    return LogEvidence(
        pods=Pair(stable=tuple(logs[: pods.stable]), canary=tuple(logs[pods.stable :])),
        patterns=tuple(patterns),
        bucket_edges=tuple(START + timedelta(seconds=180 / BUCKETS * n) for n in range(BUCKETS + 1)),
    )


def with_table(pattern: LogPattern, table: list[list[int]], stable: int) -> LogPattern:
    """Return the pattern with these counts, one row of time buckets for each pod, stable pods first."""
    rows = [tuple(row) for row in table]
    sums = [sum(row) for row in rows]
    return replace(
        pattern,
        counts=Pair(stable=tuple(sums[:stable]), canary=tuple(sums[stable:])),
        buckets=Pair(stable=tuple(rows[:stable]), canary=tuple(rows[stable:])),
        samples=Pair(stable=(), canary=()),
    )


def pod_log(name: str, events: int) -> PodLog:
    """Return the log of a pod that was there all the time."""
    return PodLog(
        pod=name,
        containers=("app",),
        size_bytes=0,
        lines=events,
        events=events,
        cut_lines=0,
        first=WINDOW.start,
        last=WINDOW.end,
    )


def verdict(logs: LogEvidence | None, metrics: MetricEvidence | None, window: Window | None) -> Outcome:
    """Judge the two sides by the rules alone."""
    names = logs.pods.map(lambda pods: tuple(pod.pod for pod in pods)) if logs else Pair(stable=("s",), canary=("c",))
    evidence = Evidence(rollout=ROLLOUT, window=window, pods=names, logs=logs, metrics=metrics)
    policy = Policy()
    comparison = compare(evidence, policy)
    return Outcome(
        significant=bool(comparison.logs and any(change.significant for change in comparison.logs.changes)),
        rollback=judge(evidence, comparison, policy).opinion.decision is Decision.ROLLBACK,
    )


def dealt(
    data: Path, count: int, seed: int = 1, canary_pods: tuple[int, int] = (2, 4)
) -> Iterator[tuple[str, Outcome]]:
    """Yield (log and block length, outcome) of comparisons of lines dealt at random."""
    logs = sorted((data / "log-templates").glob("*.tsv.gz"))
    chance = random.Random(seed)
    for number in range(count):
        length = BLOCKS[number % len(BLOCKS)]
        path = logs[number // len(BLOCKS) % len(logs)]
        pods = Pair(stable=chance.randint(2, 4), canary=chance.randint(*canary_pods))
        yield f"{path.name.split('.')[0]}/{length}", verdict(deal(blocks_of(path, length), pods, chance), None, WINDOW)


def lone(logs: LogEvidence, chosen: int) -> LogEvidence:
    """Return the stable side alone with one of its pods as the canary."""

    def split(values: tuple) -> Pair[tuple]:
        return Pair(stable=values[:chosen] + values[chosen + 1 :], canary=(values[chosen],))

    patterns = (
        replace(p, counts=split(p.counts.stable), buckets=split(p.buckets.stable), samples=Pair(stable=(), canary=()))
        for p in logs.patterns
    )
    return replace(
        logs,
        pods=split(logs.pods.stable),
        patterns=tuple(p for p in patterns if sum(p.counts.stable) + sum(p.counts.canary)),
    )


def lone_metrics(metrics: MetricEvidence, pod: str) -> MetricEvidence:
    """Return the stable side's metrics with one of its pods as the canary."""
    return replace(
        metrics,
        series=Pair(
            stable=tuple(one for one in metrics.series.stable if one.pod != pod),
            canary=tuple(one for one in metrics.series.stable if one.pod == pod),
        ),
    )


def healthy(evidence: list[Evidence], count: int, seed: int = 1) -> Iterator[tuple[str, Outcome]]:
    """Yield (what was compared, outcome) of a stable pod against the other stable pods of its case."""
    chance = random.Random(seed)
    for _ in range(count):
        case = chance.choice(evidence)
        pod = chance.choice(case.pods.stable)
        logs = case.logs
        chosen = next((n for n, log in enumerate(logs.pods.stable) if log.pod == pod), None) if logs else None
        yield (
            case.rollout.name,
            verdict(
                lone(logs, chosen) if logs is not None and chosen is not None else None,
                lone_metrics(case.metrics, pod) if case.metrics else None,
                case.window,
            ),
        )


INJECTED = {"new x15": (0, 15), "new x30": (0, 30), "50 -> 100": (50, 100), "50 -> 200": (50, 200)}


def power(data: Path, count: int, seed: int = 2) -> dict[tuple[str, int], float]:
    """Return the share of injected error patterns that are found, by (injection, block length)."""
    logs = sorted((data / "log-templates").glob("*.tsv.gz"))
    chance = random.Random(seed)
    found: Counter[tuple[str, int]] = Counter()
    made: Counter[tuple[str, int]] = Counter()
    for number in range(count):
        length = BLOCKS[number % len(BLOCKS)]
        path = logs[number // len(BLOCKS) % len(logs)]
        pods = Pair(stable=chance.randint(2, 4), canary=chance.randint(2, 4))
        pods = replace(pods, canary=pods.stable)
        base = deal(blocks_of(path, length), pods, chance)
        for name, (stable, canary) in INJECTED.items():
            logs_now = replace(base, patterns=(*base.patterns, injected(stable, canary, pods, chance)))
            comparison = compare(
                Evidence(
                    rollout=ROLLOUT,
                    window=WINDOW,
                    pods=logs_now.pods.map(lambda side: tuple(pod.pod for pod in side)),
                    logs=logs_now,
                ),
                Policy(),
            )
            changes = comparison.logs.changes if comparison.logs else ()
            made[name, length] += 1
            found[name, length] += any(c.significant and c.pattern.template == "injected failure" for c in changes)
    return {key: found[key] / made[key] for key in sorted(made)}


def injected(stable: int, canary: int, pods: Pair[int], chance: random.Random) -> LogPattern:
    """Return an ERROR pattern with so many events on each side, spread at random over pods and time."""
    table = [[0] * BUCKETS for _ in range(pods.stable + pods.canary)]
    for amount, first, size in ((stable, 0, pods.stable), (canary, pods.stable, pods.canary)):
        for _ in range(amount):
            table[first + chance.randrange(size)][chance.randrange(BUCKETS)] += 1
    blank = LogPattern(
        template="injected failure",
        level=Level.ERROR,
        kind=LogKind.MESSAGE,
        status="",
        logger="app",
        counts=Pair(stable=(), canary=()),
        buckets=Pair(stable=(), canary=()),
        samples=Pair(stable=(), canary=()),
    )
    return with_table(blank, table, pods.stable)


def shares(outcomes: list[tuple[str, Outcome]]) -> tuple[float, float]:
    """Return the shares of comparisons with any significant log change and of those that would roll back."""
    n = max(1, len(outcomes))
    return sum(o.significant for _, o in outcomes) / n, sum(o.rollback for _, o in outcomes) / n


def cases(data: Path, limit: int | None = None) -> list[Evidence]:
    """Return the evidence of the labelled cases that have two stable pods or more; labels are not read."""
    from rollout_verdict.adapters.bundle import read_bundle

    folders = sorted(path for path in (data / "canary-cases").iterdir() if (path / "metrics.json").exists())
    if limit:
        folders = folders[:: max(1, len(folders) // limit)]
    return [bundle for bundle in map(read_bundle, folders) if len(bundle.pods.stable) > 1]


def main() -> None:
    """Print the shares."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    data = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    for name, outcomes in (
        ("lines dealt to 2-4 pods a side", list(dealt(data, count))),
        ("lines dealt, a canary of one pod", list(dealt(data, count, canary_pods=(1, 1)))),
        ("a stable pod against the others", list(healthy(cases(data), count))),
    ):
        significant, rollback = shares(outcomes)
        print(
            f"{name}: {len(outcomes)} comparisons, {significant:.1%} with a significant log change, {rollback:.1%} rollbacks"
        )
        print("   ", dict(Counter(label for label, outcome in outcomes if outcome.rollback).most_common(12)))
    for (injection, length), share in power(data, max(24, count // 4)).items():
        print(f"power, {injection}, blocks of {length}: {share:.0%}")


if __name__ == "__main__":
    main()
