"""Progress of a long piece of work, for people who wait for it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Progress of one part of the work: ``done`` of ``total`` (0 when not known), with a note for people.

    Live evidence comes in the stages "sides", then "kubernetes", "logs" and "metrics" side by side.
    """

    name: str
    done: int = 0
    total: int = 0
    note: str = ""
