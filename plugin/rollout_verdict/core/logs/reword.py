"""Pairs an old wording with the new one, so that a reworded message is one change and not two alarms."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rollout_verdict.core.evidence import Level, LogPattern

_WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A pattern that only one side has, and how often it happens there per unit of exposure."""

    pattern: LogPattern
    rate: float


def words(template: str) -> frozenset[str]:
    """Return the distinct words of a template, lower case, camelCase taken apart."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", template)
    return frozenset(word.lower() for word in _WORD.findall(spaced)) - _ENVELOPE


# What a log format adds around a message: keys of structured loggers and names of levels. Never what is said.
_ENVELOPE = frozenset(
    (
        *("ts", "time", "timestamp", "level", "lvl", "severity", "logger", "log", "module", "name", "pid", "hostname"),
        *("host", "thread", "caller", "msg", "message", "text", "event", "trace", "debug", "info", "warn", "warning"),
        *("error", "err", "fatal", "critical", "notice", "http"),
    )
)


def similarity(old: frozenset[str], new: frozenset[str]) -> float:
    """Return the Jaccard index of two sets of words, 0..1."""
    return len(old & new) / len(old | new) if old | new else 0.0


def _bearing(pattern: LogPattern) -> tuple[int, str]:
    """Return what a new wording has to share: a success that turned into an error is not a rewording."""
    return max(pattern.level, Level.INFO), pattern.status if pattern.status in ("4xx", "5xx") else ""


def pair_rewordings(
    vanished: Sequence[Candidate], new: Sequence[Candidate], threshold: float, most: int
) -> tuple[tuple[LogPattern, LogPattern], ...]:
    """Return (old, new) wordings, most alike first, each pattern in one pair at most.

    Two patterns pair when the Jaccard index of their words reaches ``threshold``, or when one says all that the other
    says (a format that names its fields keeps the words and adds keys). Of each side the ``most`` frequent take part,
    as the work grows with the product of both.
    """
    olds, fresh_by_weight = _frequent(vanished, most), defaultdict(list)
    for fresh in _frequent(new, most):
        fresh_by_weight[_bearing(fresh.pattern)].append((fresh, words(fresh.pattern.template)))
    scored = []
    for old in olds:
        said = words(old.pattern.template)
        for fresh, says in fresh_by_weight[_bearing(old.pattern)]:
            alike = likeness(said, says)
            if alike >= threshold:
                closeness = min(old.rate, fresh.rate) / max(old.rate, fresh.rate)
                scored.append((alike, closeness, old.pattern, fresh.pattern))
    scored.sort(
        key=lambda s: (-round(s[0], 6), -round(s[1], 6), s[2].template, s[2].status, s[3].template, s[3].status)
    )
    pairs: list[tuple[LogPattern, LogPattern]] = []
    used_old: set[tuple[str, Level]] = set()
    used_new: set[tuple[str, Level]] = set()
    for _, _, old_pattern, new_pattern in scored:
        before, after = identity(old_pattern), identity(new_pattern)
        if before not in used_old and after not in used_new:
            used_old.add(before)
            used_new.add(after)
            pairs.append((old_pattern, new_pattern))
    return tuple(pairs)


def _frequent(candidates: Sequence[Candidate], most: int) -> list[Candidate]:
    ranked = sorted(candidates, key=lambda one: (-one.rate, one.pattern.template, one.pattern.status))
    return ranked[:most]


def identity(pattern: LogPattern) -> tuple[str, Level]:
    """Return what tells patterns apart: one wording may come at two levels."""
    return pattern.key, pattern.level


def likeness(old: frozenset[str], new: frozenset[str]) -> float:
    """Return how much two sets of words say the same: Jaccard index, or containment when at least three words agree."""
    common = len(old & new)
    contained = common / min(len(old), len(new)) if common >= _TELLING else 0.0
    return max(similarity(old, new), contained * _CONTAINED)


_TELLING = 3  # fewer words in common than this may be any two messages of a program
_CONTAINED = 0.85  # what full containment counts for against a Jaccard index: added keys are added words
