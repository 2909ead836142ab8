"""What an explanation is made of: statements in our words around quoted evidence, each with the ids it rests on."""

from dataclasses import dataclass

from rollout_verdict.core.quote import code_span, prose


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Text that others wrote, shown as such."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One claim. ``parts`` are our words (str) and quotes; ``evidence`` the ids it rests on."""

    parts: tuple[str | Quote, ...]
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Statements under a heading.

    ``note`` tells where they come from when they were not measured, else "". ``decisive`` sections say why the
    verdict is what it is; the others describe.
    """

    title: str
    statements: tuple[Statement, ...]
    note: str = ""
    decisive: bool = False


def say(*parts: str | Quote, ids: tuple[str, ...] = ()) -> Statement:
    """Make a statement."""
    return Statement(parts=parts, evidence=ids)


def quote(text: str) -> Quote:
    """Mark text as written by others."""
    return Quote(text=text)


def markdown(statement: Statement) -> str:
    """Return a statement as Markdown on one line."""
    shown = "".join(prose(p) if isinstance(p, str) else code_span(p.text) for p in statement.parts)
    ids = "".join(f" [{name}]" for name in statement.evidence)
    return shown + ids


def plain(statement: Statement) -> str:
    """Return a statement as text without markup; what is quoted stands in quotation marks. Not yet safe to show."""
    return "".join(part if isinstance(part, str) else f'"{part.text}"' for part in statement.parts)
