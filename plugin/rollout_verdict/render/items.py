"""The items of a comparison by id, and which of them a short report shows."""

from rollout_verdict.core.comparison import (
    Comparison,
    DiffItem,
    LogChange,
    LogOutcome,
    MetricCheck,
    MetricOutcome,
    PodFact,
)
from rollout_verdict.core.explanation.explain import sections
from rollout_verdict.core.result import Result
from rollout_verdict.core.values import Severity

Item = MetricCheck | LogChange | PodFact | DiffItem
SHOWN = 8  # of the items that nothing cites, so many fill a short report up


def items(comparison: Comparison) -> dict[str, Item]:
    """Return every item by its id: pod facts, metrics, log messages, template changes."""
    found: list[Item] = []
    found += comparison.pods.facts if comparison.pods else ()
    found += comparison.metrics.checks if comparison.metrics else ()
    found += comparison.logs.changes if comparison.logs else ()
    found += comparison.diff
    return {item.id: item for item in found}


def shown_ids(result: Result, most: int = SHOWN) -> tuple[str, ...]:
    """Return the ids behind the verdict, in the order of the explanation; filled up to ``most`` with what differs."""
    told = sections(result.evidence, result.comparison, result.verdict)
    cited = (name for section in told if section.decisive for said in section.statements for name in said.evidence)
    differing = [item for item in items(result.comparison).values() if differs(item)]
    differing.sort(key=lambda item: not isinstance(item, DiffItem) and item.severity is Severity.INFO)
    ordered = dict.fromkeys(cited)
    for item in differing:
        if len(ordered) >= most:
            break
        ordered[item.id] = None
    return tuple(ordered)


def differs(item: Item) -> bool:
    """Whether an item says that the two sides are not alike."""
    match item:
        case MetricCheck():
            return item.outcome in (MetricOutcome.HIGH, MetricOutcome.LOW)
        case LogChange():
            return item.significant and item.outcome not in (LogOutcome.UNCHANGED, LogOutcome.TOO_FEW)
        case _:  # a fact or a template change is a difference by its nature
            return True
