"""An analysis as a line of a list, a history or a head: words and numbers, not yet escaped."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from rollout_verdict.core.explanation.amounts import duration
from rollout_verdict.core.values import Decision
from rollout_verdict.jobs.analysis import Analysis, Phase
from rollout_verdict.render.view import TONES, WORDS
from rollout_verdict.service.views import progress

_PHASES = {
    Phase.QUEUED: ("Queued", "none"),
    Phase.RUNNING: ("Running", "note"),
    Phase.DONE: ("Done", "none"),
    Phase.ERROR: ("Error", "warn"),
    Phase.CANCELLED: ("Cancelled", "none"),
}
UNNAMED = "unnamed rollout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is told of an analysis. ``live`` ones are not over; ``score`` is None without a verdict."""

    href: str
    anchor: str
    name: str
    namespace: str
    word: str
    tone: str
    live: bool
    score: int | None
    reason: str
    created: datetime
    asked: str
    ago: str
    took: str
    cost: str
    tokens: str
    decided_by: str
    revision: str


def row(analysis: Analysis, base: str, now: datetime) -> Row:
    """Return the line of an analysis; ``base`` is where the application is mounted."""
    request, summary = analysis.request, analysis.summary
    word, tone = _PHASES[analysis.phase]
    if summary is not None:
        word, tone = WORDS[summary.decision], TONES[summary.decision]
    return Row(
        href=f"{base}/analyses/{in_url(request.id)}",
        anchor=f"a-{request.id}",
        name=request.name or UNNAMED,
        namespace=request.namespace,
        word=word,
        tone=tone,
        live=not analysis.phase.final,
        score=summary.score if summary else None,
        reason=_reason(analysis),
        created=analysis.created,
        asked=f"{analysis.created.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        ago=_ago((now - analysis.created).total_seconds()),
        took=_took(analysis, now),
        cost=_cost(analysis),
        tokens=f"{summary.tokens:,} tokens" if summary and summary.tokens else "",
        decided_by=summary.decided_by if summary else "",
        revision=request.revision,
    )


def tally(rows: Iterable[Row]) -> str:
    """Return how many there are of each verdict, the most frequent first."""
    counts = Counter(one.word.lower() for one in rows)
    return ", ".join(f"{count} {word}" for word, count in counts.most_common())


def in_url(text: str) -> str:
    """Return text for a path or a query, whatever is in it."""
    return quote(text.encode("utf-8", "replace"), safe="")


def _reason(analysis: Analysis) -> str:
    if analysis.summary is not None:
        return analysis.summary.reason
    if analysis.phase.final:
        return analysis.message or (
            "Somebody cancelled it." if analysis.phase is Phase.CANCELLED else "No reason told."
        )
    return (
        progress(analysis) if analysis.stages else "waits for its turn" if analysis.phase is Phase.QUEUED else "begins"
    )


def _took(analysis: Analysis, now: datetime) -> str:
    begun = analysis.started or analysis.created
    end = analysis.finished or (None if analysis.phase.final else now)
    if end is None or analysis.phase is Phase.QUEUED:
        return ""
    seconds = max(0.0, (end - begun).total_seconds())
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)


def _cost(analysis: Analysis) -> str:
    summary = analysis.summary
    if summary is None:
        return ""
    if summary.cost_usd is not None and summary.tokens:
        return f"${summary.cost_usd:.4f}"
    return "cost unknown" if summary.tokens else "no model"


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return "just now"


DECISIONS = tuple((decision.value, WORDS[decision]) for decision in Decision)
PHASES = tuple((phase.value, word) for phase, (word, _) in _PHASES.items() if phase is not Phase.DONE)
