"""What the page of a verdict shows beyond the report: models' words as Markdown, and the texts exchanged with them."""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from rollout_verdict.core.explanation.terms import model_opinion
from rollout_verdict.core.quote import visible
from rollout_verdict.core.result import Result
from rollout_verdict.core.values import Citation, Opinion
from rollout_verdict.render.view import TONES, WORDS, view
from rollout_verdict.service.pages.words import words

MOST_RAW = 200_000  # characters of a text; a prompt has some 60,000, and a browser still scrolls through this


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A model's opinion as the template shows it."""

    judge: str
    word: str
    tone: str
    confidence: int
    rationale: Markup
    root_cause: Markup
    citations: tuple[Citation, ...]
    next_steps: tuple[str, ...]


def shown(result: Result) -> dict[str, Any]:
    """Return what the template of a verdict asks for, by name."""
    vote = result.verdict.vote
    counted = model_opinion(result.verdict)
    opinions = vote.opinions if vote else (counted,) if counted else ()
    known = view(result)
    aside = {item.id for item in result.comparison.set_aside}
    return {**known, "vote": vote, "aside": aside, "opinions": [_said(one, known["ids"]) for one in opinions]}


def exchange(result: Result) -> list[tuple[str, Markup, int]]:
    """Return the texts exchanged with models as (title, text, characters left out)."""
    texts = [("Prompt", result.prompt), ("Reply", result.reply)]
    for one in result.exchanges:
        judge = visible(one.judge, limit=80)
        texts += [(f"Prompt to {judge}", one.prompt)] if one.prompt else []
        texts += [(f"Reply of {judge}", one.reply)]
    return [(title, _raw(text), max(0, len(text) - MOST_RAW)) for title, text in texts]


def _raw(text: str) -> Markup:
    return escape(visible(text[:MOST_RAW], limit=MOST_RAW, lines=True))


def _said(opinion: Opinion, ids: frozenset[str]) -> Said:
    return Said(
        judge=opinion.judge,
        word=WORDS[opinion.decision],
        tone=TONES[opinion.decision],
        confidence=opinion.confidence,
        rationale=words(opinion.rationale, ids),
        root_cause=words(opinion.root_cause, ids) if opinion.root_cause else Markup(),
        citations=opinion.citations,
        next_steps=opinion.next_steps,
    )
