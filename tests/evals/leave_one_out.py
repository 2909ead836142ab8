"""How much of the accuracy is fitting: every tuned constant chosen without the source that is scored.

For each source (the letters before the dash of a case's folder) the constants below are chosen by coordinate descent
on the cases of all other sources, starting from the first value of each list, and the left-out source is judged with
what came out. Nothing of the left-out source, not even the shipped defaults, takes part in the choice: ties go to the
value that stands first, and the lists start with the textbook value, not with ours.

    python -m tests.evals.leave_one_out ../shared/data/canary-cases
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import Pool
from pathlib import Path
from typing import Any

from rollout_verdict.adapters.bundle import read_bundle
from rollout_verdict.cli.evaluation import expected_verdict
from rollout_verdict.core import rules
from rollout_verdict.core.comparison import Comparison
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.logs.judge import judge_logs
from rollout_verdict.core.metrics.judge import judge_metrics
from rollout_verdict.core.metrics.policy import Floor
from rollout_verdict.core.metrics.shift import Prior
from rollout_verdict.core.pods import judge_pods
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.values import Decision, Severity

# (judge, field) -> values to choose from, textbook value first.
CONSTANTS: Mapping[tuple[str, str], Sequence[Any]] = {
    ("metrics", "fail_p"): (0.05, 0.01, 0.001),
    ("metrics", "warn_p"): (0.05, 0.01),
    ("metrics", "severe_p"): (0.01, 0.005, 0.001),
    ("metrics", "latency_prior"): (
        Prior(between=0.1, within=0.1, weight=4.0),
        Prior(between=0.05, within=0.2, weight=8.0),
        Prior(between=0.2, within=0.2, weight=4.0),
    ),
    ("metrics", "latency_floor"): (
        Floor(warn=0.1, fail=0.2, least=0.002),
        Floor(warn=0.15, fail=0.25, least=0.002),
        Floor(warn=0.25, fail=0.5, least=0.002),
    ),
    ("metrics", "cpu_floor"): (Floor(warn=0.25, fail=0.5), Floor(warn=0.5, fail=1.0), Floor(warn=1.0, fail=2.0)),
    ("metrics", "share_floor"): (
        Floor(warn=0.005, fail=0.01),
        Floor(warn=0.002, fail=0.005),
        Floor(warn=0.01, fail=0.02),
    ),
    ("metrics", "work_floor"): (Floor(warn=0.1, fail=0.2), Floor(warn=0.2, fail=0.5)),
    ("metrics", "growth_floor"): (Floor(warn=0.1, fail=0.2), Floor(warn=0.05, fail=0.1), Floor(warn=0.2, fail=0.4)),
    ("metrics", "partial_factor"): (2.0, 3.0),
    ("metrics", "severe_factor"): (3.0, 5.0, 10.0),
    ("metrics", "scatter_weight"): (2.0, 4.0, 8.0),
    ("metrics", "min_requests"): (10.0, 5.0, 20.0),
    ("logs", "false_discovery_rate"): (0.01, 0.05, 0.002),
    ("logs", "error_ratio_floor"): (1.2, 1.5),
    ("logs", "dispersion_prior"): (1.0, 2.0, 4.0),
    ("logs", "min_events"): (10, 20, 30),
    ("logs", "min_coverage"): (0.5, 0.3, 0.7),
    ("logs", "failure_share"): (0.01, 0.02, 0.05),
    ("logs", "error_share"): (0.001, 0.002, 0.01),
    ("logs", "told_failures"): (5, 10, 20),
    ("logs", "vanished_events"): (5.0, 10.0, 20.0),
    ("logs", "missing_share"): (0.05, 0.1, 0.2),
    ("logs", "flow_loss"): (0.05, 0.1, 0.2),
    ("logs", "flow_alpha"): (1e-3, 1e-4, 1e-5),
}

PASSES = 2  # coordinate descent over few, weakly coupled constants settles in two


@dataclass(frozen=True)
class Case:
    """A labelled case."""

    id: str
    evidence: Evidence
    expected: str

    @property
    def source(self) -> str:
        """The letters before the dash."""
        return self.id.split("-")[0]


def load(folder: Path) -> Case:
    """Read one case; the label is taken apart from what the judges see."""
    return Case(id=folder.name, evidence=read_bundle(folder), expected=expected_verdict(folder))


class Bench:
    """Judges all cases under a policy, each part of the work done once a setting."""

    def __init__(self, cases: Sequence[Case], pool: Any) -> None:
        self.cases = {case.id: case for case in cases}
        self._pool = pool
        self._parts: dict[tuple[str, object], dict[str, Any]] = {}

    def decisions(self, policy: Policy) -> dict[str, Decision]:
        """Return the rules' decision of every case."""
        logs, metrics = self._part("logs", policy.logs), self._part("metrics", policy.metrics)
        pods = self._part("pods", policy.pods)
        out = {}
        for id_, case in self.cases.items():
            comparison = Comparison(logs=logs[id_], metrics=metrics[id_], pods=pods[id_])
            out[id_] = rules.judge(case.evidence, comparison, policy).opinion.decision
        return out

    def _part(self, name: str, setting: object) -> dict[str, Any]:
        if (name, setting) not in self._parts:
            work = [(name, case_id, setting) for case_id in self.cases]
            self._parts[name, setting] = dict(self._pool.imap_unordered(judge_part, work, chunksize=8))
        return self._parts[name, setting]


_CASES: dict[str, Case] = {}


def judge_part(work: tuple[str, str, Any]) -> tuple[str, Any]:
    """Run one judge over one case and keep what the rules look at."""
    name, case_id, setting = work
    evidence = _CASES[case_id].evidence
    found: Any = None
    if name == "logs" and evidence.logs:
        found = judge_logs(evidence.logs, evidence.metrics, evidence.window, setting)
        found = replace(found, changes=_weighty(found.changes))
    elif name == "metrics" and evidence.metrics:
        found = judge_metrics(evidence.metrics, setting)
        found = replace(found, checks=_weighty(found.checks))
    elif name == "pods" and evidence.kubernetes:
        found = judge_pods(evidence.kubernetes, evidence.window, setting)
    return case_id, found


def _weighty(items: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(item for item in items if item.severity is not Severity.INFO)


def with_constant(policy: Policy, key: tuple[str, str], value: Any) -> Policy:
    """Return the policy with one constant of one judge set."""
    judge, name = key
    return replace(policy, **{judge: replace(getattr(policy, judge), **{name: value})})


def choose(score: Callable[[Policy], float], passes: int = PASSES) -> Policy:
    """Choose every constant by coordinate descent from the textbook values."""
    policy = Policy()
    for key, values in CONSTANTS.items():
        policy = with_constant(policy, key, values[0])
    for _ in range(passes):
        for key, values in CONSTANTS.items():
            policy = max((with_constant(policy, key, value) for value in values), key=score)
    return policy


def accuracy(cases: Iterable[Case], decisions: Mapping[str, Decision]) -> tuple[int, int]:
    """Return (right, all)."""
    marks = [decisions[case.id].value == case.expected for case in cases]
    return sum(marks), len(marks)


def main() -> None:
    """Print both accuracies by source and the constants that were chosen."""
    folders = sorted(path for path in Path(sys.argv[1]).iterdir() if (path / "case.json").is_file())
    with Pool() as pool:
        cases = pool.map(load, folders, chunksize=4)
    _CASES.update({case.id: case for case in cases})
    sources = defaultdict(list)
    for case in cases:
        sources[case.source].append(case)
    with Pool() as pool:
        bench = Bench(cases, pool)
        shipped = bench.decisions(Policy())
        totals = [0, 0, 0]
        for source, left_out in sorted(sources.items()):
            others = [case for case in cases if case.source != source]

            @cache
            def score(policy: Policy, others: tuple[Case, ...] = tuple(others)) -> float:
                decisions = bench.decisions(policy)
                unsafe = sum(decisions[case.id] is Decision.PROMOTE and case.expected != "promote" for case in others)
                return accuracy(others, decisions)[0] - 0.5 * unsafe

            policy = choose(score)
            chosen = {f"{judge}.{name}": getattr(getattr(policy, judge), name) for judge, name in CONSTANTS}
            right, count = accuracy(left_out, bench.decisions(policy))
            own, _ = accuracy(left_out, shipped)
            totals = [totals[0] + right, totals[1] + own, totals[2] + count]
            print(
                f"{source:6} left out {right}/{count} = {right / count:.1%}   shipped {own}/{count} = {own / count:.1%}"
            )
            print("       " + ", ".join(f"{name}={value}" for name, value in chosen.items()), flush=True)
    right, own, count = totals
    print(f"all    left out {right}/{count} = {right / count:.1%}   shipped {own}/{count} = {own / count:.1%}")


if __name__ == "__main__":
    main()
