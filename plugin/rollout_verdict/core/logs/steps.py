"""What a program does every time: steps that come in pairs, and steps that every pod takes.

Wrong results often leave no error line: an order is taken and never shipped, a run stops half-way. What betrays them
is a step that is missing. Steps that come in pairs are found in the stable logs alone (invariants of the flow; Lou et
al., "Mining Invariants from Console Logs", USENIX ATC 2010), so load and traffic split do not matter.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rollout_verdict.core.logs.policy import LogPolicy
from rollout_verdict.core.statistics import binomial_lower
from rollout_verdict.core.values import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One kind of event as the flow sees it.

    ``name`` is its number, ``cells`` are its counts per pod and time bucket, in one order for all.
    """

    name: int
    cells: Pair[tuple[int, ...]]

    @property
    def total(self) -> Pair[int]:
        """Events of each side."""
        return self.cells.map(sum)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenStep:
    """A step that stopped following its partner: on stable ``kept`` (fraction) of the begun were ended."""

    lost: int
    begun: int
    kept: Pair[float]
    counts: Pair[tuple[int, int]]  # (begun, ended)
    p: float


def in_step(one: Step, other: Step, policy: LogPolicy) -> bool:
    """Tell whether two steps go together on stable, cell by cell, too closely for chance.

    The sum of squared differences over the sum of counts is about 1 for independent Poisson counts and about the share
    that gets lost for steps that go together.
    """
    busy = [(a, b) for a, b in zip(one.cells.stable, other.cells.stable, strict=True) if a + b]
    if len(busy) < policy.min_flow_cells:
        return False
    apart = sum((a - b) ** 2 for a, b in busy)
    together = sum(a + b for a, b in busy)
    total = one.total.stable, other.total.stable
    return apart <= policy.flow_apart * together and min(total) >= (1.0 - policy.flow_slack) * max(total)


def broken_steps(steps: Sequence[Step], policy: LogPolicy) -> tuple[BrokenStep, ...]:
    """Return the steps that on the canary no longer follow a partner they keep step with on stable.

    Of several partners the one that tells most is named. A step is lost when the canary ends less of what it begins,
    by ``flow_loss`` at least and beyond chance.
    """
    often = sorted(steps, key=lambda s: (-s.total.stable, s.name))[: policy.max_flow_steps]
    broken: dict[int, BrokenStep] = {}
    for lost in often:
        for begun in often:
            if begun is lost or begun.total.canary < policy.min_flow_events:
                continue
            ended, started = lost.total.canary, begun.total.canary
            if ended >= started or begun.total.stable < policy.min_flow_events or not in_step(lost, begun, policy):
                continue
            usual = min(1.0, lost.total.stable / begun.total.stable)
            p = binomial_lower(ended, started, usual * (1.0 - policy.flow_slack))
            if ended / started > usual - policy.flow_loss or p > policy.flow_alpha:
                continue
            seen = BrokenStep(
                lost=lost.name,
                begun=begun.name,
                kept=Pair(stable=usual, canary=ended / started),
                counts=Pair(stable=(begun.total.stable, lost.total.stable), canary=(started, ended)),
                p=p,
            )
            if lost.name not in broken or (p, begun.name) < (broken[lost.name].p, broken[lost.name].begun):
                broken[lost.name] = seen
    return tuple(broken[name] for name in sorted(broken))


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingSteps:
    """How many of the ``regular`` steps the canary never took, how many chance would leave out, and the p-value."""

    names: tuple[int, ...]
    regular: int
    expected: float
    p: float


def missing_steps(rates: Sequence[tuple[int, float, int]]) -> MissingSteps:
    """Return the regular steps without a single event on the canary.

    ``rates`` holds (name, events to expect on the canary after deflation, events seen). Chance leaves a step out with
    probability exp(-expected); the number of those left out is compared with a Poisson variable of the summed chance.
    """
    names = tuple(sorted(name for name, _, seen in rates if seen == 0))
    expected = sum(math.exp(-amount) for _, amount, _ in rates)
    return MissingSteps(names=names, regular=len(rates), expected=expected, p=poisson_upper(len(names), expected))


def poisson_upper(k: int, mean: float) -> float:
    """Return P(X >= k) of the Poisson distribution, summed from its terms."""
    if k <= 0:
        return 1.0
    term, below = math.exp(-mean), 0.0
    for count in range(k):
        below += term
        term *= mean / (count + 1)
    return max(0.0, 1.0 - below)
