"""Grouping scores: how well templates match the events that printed the lines.

GA (grouping accuracy) is the share of lines whose group holds exactly the lines of one event (Zhu et al., "Tools and
Benchmarks for Automated Log Parsing", ICSE-SEIP 2019). FGA is the F1 score over groups (Jiang et al., "A Large-Scale
Evaluation for Log Parsing Techniques", ISSTA 2024), so that rare events weigh as much as frequent ones.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from rollout_verdict.core.reduction import templates
from rollout_verdict.core.reduction.lines import LineReader, ReducePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingScore:
    """Fractions 0..1, and the numbers of lines and of groups behind them."""

    ga: float
    fga: float
    lines: int
    correct_lines: int
    groups: int
    events: int
    correct_groups: int


def score(groups: Sequence[Hashable], events: Sequence[Hashable]) -> GroupingScore:
    """Compare the group of each line with the event that printed it.

    Raises ValueError when the lengths differ or there is no line.
    """
    if len(groups) != len(events) or not groups:
        raise ValueError(f"expected as many groups as events and at least one, got {len(groups)} and {len(events)}")
    of_group: dict[Hashable, list[int]] = defaultdict(list)
    of_event: dict[Hashable, list[int]] = defaultdict(list)
    for index, (group, event) in enumerate(zip(groups, events, strict=True)):
        of_group[group].append(index)
        of_event[event].append(index)
    exact = {tuple(members) for members in of_event.values()}
    right = [members for members in of_group.values() if tuple(members) in exact]
    lines = sum(map(len, right))
    return GroupingScore(
        ga=lines / len(groups),
        fga=2 * len(right) / (len(of_group) + len(of_event)),
        lines=len(groups),
        correct_lines=lines,
        groups=len(of_group),
        events=len(of_event),
        correct_groups=len(right),
    )


def group(lines: Sequence[str], policy: ReducePolicy | None = None) -> list[str]:
    """Return the template of each line, each line taken as an event of its own; levels and status do not part."""
    reader = LineReader(policy or ReducePolicy())
    texts = [reader.line(line.encode("utf-8", "surrogatepass")).key.template for line in lines]
    known = templates.merge(texts, reader.policy.merge)
    return [known[text] for text in texts]
