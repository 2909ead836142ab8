"""Whether an opinion's citations hold: everything a model claims is checked against the evidence by code.

Ids must exist, quotes must occur, the decision must rest on something that can carry it, and words of direction must
agree with the sign of what was measured.
"""

import re
from collections.abc import Callable, Collection, Iterable

from rollout_verdict.core.comparison import Comparison, LogChange, LogOutcome, MetricCheck, PodFact
from rollout_verdict.core.evidence import Direction, Evidence
from rollout_verdict.core.model.blocks import blocks
from rollout_verdict.core.model.details import details
from rollout_verdict.core.values import Citation, Decision, Finding, Opinion, Severity, Side

Item = LogChange | MetricCheck | PodFact


def hold(opinion: Opinion, comparison: Comparison, evidence: Evidence) -> bool:
    """Tell whether the opinion is cited and every citation holds, by whatever the evidence says of the items."""
    return not problems(opinion, comparison, more=lambda name: details(name, evidence, comparison))


def problems(
    opinion: Opinion,
    comparison: Comparison,
    shown: Collection[str] | None = None,
    more: Callable[[str], str] = lambda _: "",
) -> tuple[str, ...]:
    """Return what is wrong with the citations, one sentence each, in their order; empty when they hold.

    ``shown`` are the ids that the model was shown; None means all of them. ``more`` returns what it was shown of an
    item besides its block.
    """
    texts = {block.id: block.text for block in blocks(comparison)}
    items = _items(comparison)
    known = texts.keys() if shown is None else texts.keys() & set(shown)
    found: list[str] = []
    for cited in opinion.citations:
        if cited.evidence_id not in known:
            found.append(f"there is no item {cited.evidence_id}")
            continue
        told = texts[cited.evidence_id]
        if cited.quote and not occurs(cited.quote, told) and not occurs(cited.quote, more(cited.evidence_id)):
            found.append(f"{cited.evidence_id} does not contain the quote {cited.quote}")
        item = items.get(cited.evidence_id)
        if item is not None and _contradicts(cited, item):
            found.append(f"{cited.evidence_id} went the other way than claimed: {cited.claim}")
    aside = {item.id for item in comparison.set_aside}
    cited_items = [items[c.evidence_id] for c in opinion.citations if c.evidence_id in items]
    return (*found, *_carries(opinion, cited_items, aside))


def answers_all(opinion: Opinion, findings: Iterable[Finding]) -> bool:
    """Tell whether each finding has an item of its evidence cited by the opinion."""
    cited = {citation.evidence_id for citation in opinion.citations}
    return all(not cited.isdisjoint(finding.evidence) for finding in findings)


def occurs(quote: str, text: str) -> bool:
    """Tell whether the words and numbers of the quote follow one another in the text.

    Numbers compare by value (1,200 is 1200, 0.50 is 0.5), words without case; punctuation does not count. A quote
    without any word or number occurs nowhere.
    """
    wanted, there = _tokens(quote), _tokens(text)
    width = len(wanted)
    return width > 0 and any(there[i : i + width] == wanted for i in range(len(there) - width + 1))


def is_adverse(item: Item) -> bool:
    """Tell whether an item can speak against the canary: it differs, and not for the better."""
    if isinstance(item, PodFact):
        return item.side is Side.CANARY
    if isinstance(item, LogChange):
        return item.outcome not in (LogOutcome.UNCHANGED, LogOutcome.REWORDED)
    better = {Direction.HIGHER_IS_WORSE: -1, Direction.LOWER_IS_WORSE: 1, Direction.NEUTRAL: 0}[item.direction]
    return any(sign not in (0, better) for sign in (_sign(item.effect), _means(item)))


def _items(comparison: Comparison) -> dict[str, Item]:
    items: list[Item] = []
    items += comparison.logs.changes if comparison.logs else ()
    items += comparison.metrics.checks if comparison.metrics else ()
    items += comparison.pods.facts if comparison.pods else ()
    return {item.id: item for item in items}


def _carries(opinion: Opinion, cited: list[Item], aside: Collection[str]) -> Iterable[str]:
    """Yield why the cited items cannot carry the decision. An inconclusive opinion needs no proof.

    What people set aside counts no more for a model than for the rules.
    """
    if opinion.decision is Decision.INCONCLUSIVE:
        return
    if not opinion.citations:
        yield f"a {opinion.decision.value} must cite evidence"
        return
    if opinion.decision is Decision.ROLLBACK and not any(is_adverse(item) and item.id not in aside for item in cited):
        yield "a rollback must cite something that got worse on the canary"
    if opinion.decision is Decision.PROMOTE:
        if not cited:
            yield "a promote must cite a comparison of the two sides"
        for item in cited:
            if item.severity is Severity.VETO:
                yield f"a promote cannot rest on {item.id}, which is a failure that settles the matter"


_ESCAPE = re.compile(r"\\u[0-9a-fA-F]{4}|\\[nrtbf]")
_TOKEN = re.compile(r"\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)?|[^\W\d_]+")


def _tokens(text: str) -> list[str]:
    return [_token(match[0]) for match in _TOKEN.finditer(_ESCAPE.sub(" ", text))]


def _token(word: str) -> str:
    return repr(float(word.replace(",", ""))) if word[0].isdecimal() else word.casefold()


# Whole words that can only speak of direction: "dropped", "down" and "declined" name failures, too.
_RISE = re.compile(r"\b(rose|risen|rises|increased?|increases|higher|grew|grown|spiked)\b", re.IGNORECASE)
_FALL = re.compile(r"\b(fell|fallen|falls|decreased?|decreases|lower|fewer|disappeared|vanished)\b", re.IGNORECASE)
_HEDGE = re.compile(r"\b(no|not|never|without|neither|nor|none|same|unchanged|despite)\b|n't\b", re.IGNORECASE)


def _contradicts(cited: Citation, item: Item) -> bool:
    """Tell whether the claim's words of direction go against the item's sign. Doubtful wording is let pass."""
    rises, falls = bool(_RISE.search(cited.claim)), bool(_FALL.search(cited.claim))
    if rises == falls or _HEDGE.search(cited.claim):
        return False
    return _change(item) == (-1 if rises else 1)


def _change(item: Item) -> int:
    """Return the direction of a change: 1 up, -1 down, 0 when there is none or the figures do not agree."""
    if isinstance(item, PodFact):
        return 0
    if isinstance(item, LogChange):
        return _LOG_CHANGE.get(item.outcome, 0)
    return _means(item) if _means(item) == _sign(item.effect) else 0


_LOG_CHANGE = {LogOutcome.NEW: 1, LogOutcome.RISEN: 1, LogOutcome.FALLEN: -1, LogOutcome.VANISHED: -1}


def _means(check: MetricCheck) -> int:
    stable, canary = check.summary.stable, check.summary.canary
    return _sign(canary.mean - stable.mean) if stable and canary else 0


def _sign(value: float | None) -> int:
    if value is None or value == 0:
        return 0
    return 1 if value > 0 else -1
