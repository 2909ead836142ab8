"""Verdicts against labels: rates, with intervals that respect that cases of one group are not independent."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from rollout_verdict.core.statistics import wilson

LEVEL = 0.95  # of every interval
PROMOTE, ROLLBACK, INCONCLUSIVE = "promote", "rollback", "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One labelled case with its verdict. ``kind`` is the fault of a bad case, or why a case is inconclusive.

    Cases of one ``group`` share pods or windows. ``reason`` is the verdict's.
    """

    case: str
    group: Hashable
    expected: str
    verdict: str
    kind: str = ""
    reason: str = ""

    @property
    def source(self) -> str:
        """The letters before the dash of the case's name."""
        return self.case.partition("-")[0]

    @property
    def correct(self) -> bool:
        """Whether the verdict is the expected one."""
        return self.verdict == self.expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share of cases: ``count`` of ``of``, in so many ``groups``, with an interval as fractions 0..1."""

    count: int
    of: int
    groups: int
    low: float
    high: float

    @property
    def share(self) -> float | None:
        """The share, None of nothing."""
        return self.count / self.of if self.of else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The rates of a set of cases.

    ``false_promote``: of the bad cases those answered promote. ``false_rollback``: of the good ones those answered
    rollback. ``undecided``: of good and bad ones those answered inconclusive. ``unsafe_promote``: of the cases that
    nobody can judge those answered promote.
    """

    accuracy: Rate
    false_promote: Rate
    false_rollback: Rate
    undecided: Rate
    unsafe_promote: Rate


def score(cases: Sequence[Scored]) -> Score:
    """Return all rates of a set of cases."""

    def share(of: Iterable[str], answered: str) -> Rate:
        wanted = [case for case in cases if case.expected in of]
        return rate(wanted, lambda case: case.verdict == answered)

    return Score(
        accuracy=rate(cases, lambda case: case.correct),
        false_promote=share((ROLLBACK,), PROMOTE),
        false_rollback=share((PROMOTE,), ROLLBACK),
        undecided=share((PROMOTE, ROLLBACK), INCONCLUSIVE),
        unsafe_promote=share((INCONCLUSIVE,), PROMOTE),
    )


def rate(cases: Sequence[Scored], hit: Callable[[Scored], bool]) -> Rate:
    """Return the share of hits with a Wilson interval on the effective number of cases.

    The number is divided by the design effect (Kish 1965): the variance of the share between groups, by the
    linearised estimator for clusters of unequal size, over the variance of independent cases, at least 1. Where all
    cases agree nothing can be said of the groups, so each counts as one case.
    """
    groups: dict[Hashable, list[bool]] = defaultdict(list)
    for case in cases:
        groups[case.group].append(hit(case))
    n, count = len(cases), sum(map(sum, groups.values()))
    if n == 0:
        return Rate(count=0, of=0, groups=0, low=0.0, high=1.0)
    share, clusters = count / n, len(groups)
    if count in (0, n) or clusters == 1:
        effective = float(clusters)
    else:
        spread = sum((sum(hits) - share * len(hits)) ** 2 for hits in groups.values())
        between = clusters / (clusters - 1) * spread / n**2
        effective = n / max(1.0, between / (share * (1 - share) / n))
    low, high = wilson(share * effective, effective, LEVEL)
    return Rate(count=count, of=n, groups=clusters, low=low, high=high)


def by(cases: Iterable[Scored], key: Callable[[Scored], str]) -> dict[str, list[Scored]]:
    """Return the cases parted by a key, keys in order."""
    parts: dict[str, list[Scored]] = defaultdict(list)
    for case in cases:
        parts[key(case)].append(case)
    return dict(sorted(parts.items()))
