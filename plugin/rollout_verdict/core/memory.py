"""What is remembered of a rollout: its earlier verdicts, and what people marked as known to be benign.

Values alone; what follows from them for a comparison is in ``core/recall.py``. They are part of the evidence, so that a
verdict that took them into account can be judged again.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rollout_verdict.core.values import Decision, Severity


class MarkKind(StrEnum):
    """What may be marked. A pod's state may not: nobody should learn to overlook a crash."""

    LOG = "log"
    METRIC = "metric"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """What a mark is about: the stable ``key`` of a log template, or a metric's name, and its ``text`` for people.

    Both must agree with an item before it is set aside: a key alone is a few bytes, which others might meet.
    """

    kind: MarkKind
    key: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A person's word that something is known and harmless: ``who`` said so, ``when`` and ``why``.

    ``expires`` is when it stops to count, None for never; whoever gathers the evidence leaves out what has expired.
    """

    id: str
    about: Marked
    who: str
    when: datetime
    why: str
    expires: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """A finding of an earlier verdict: ``key`` names the thing it was about in a way that later verdicts use, too."""

    code: str
    severity: Severity
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """An earlier verdict on the rollout. ``version`` is the canary's template hash then, "" when it was not known.

    ``digest`` is that of the evidence it was made from, without what had been remembered by then.
    """

    id: str
    time: datetime
    decision: Decision
    reason: str
    version: str
    digest: str
    findings: tuple[Recalled, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Earlier verdicts, latest first, and the marks that count now, by id."""

    earlier: tuple[Earlier, ...] = ()
    marks: tuple[Mark, ...] = ()
