"""What people marked as known to be benign: kept with who, when and why, for each rollout."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

import sqlalchemy as sa

from rollout_verdict.core.memory import Mark, Marked, MarkKind
from rollout_verdict.jobs.analysis import UnavailableError
from rollout_verdict.jobs.database import storable
from rollout_verdict.jobs.outage import AWAY
from rollout_verdict.jobs.tables import MARKS

MOST = 200  # of a rollout; whoever needs more should mend what is logged
WHY_LENGTH = 500  # characters
TEXT_LENGTH = 4096  # of a template: what a sample may have

_NEWEST = sa.select(MARKS).order_by(MARKS.c.made.desc(), MARKS.c.id)
_OF_ROLLOUT = _NEWEST.where(MARKS.c.namespace == sa.bindparam("namespace"), MARKS.c.name == sa.bindparam("name"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutMark:
    """A mark and the rollout it is for."""

    namespace: str
    name: str
    mark: Mark


class TooManyError(Exception):
    """The rollout has as many marks as are kept; the text says what to do."""


class Marks(Protocol):
    """Keeps marks. Safe to use from many threads; raises UnavailableError while the database does not answer."""

    def add(
        self, namespace: str, name: str, about: Marked, *, who: str, why: str, expires: datetime | None = None
    ) -> RolloutMark:
        """Keep a mark, in place of an earlier one on the same thing. Raises TooManyError."""
        ...

    def find(self, namespaces: Sequence[str] | None, name: str = "") -> tuple[RolloutMark, ...]:
        """Return the marks of rollouts, newest first; those of all namespaces for None, of all names for ""."""
        ...

    def get(self, mark_id: str) -> RolloutMark | None:
        """Return a mark, None when there is none of that id."""
        ...

    def remove(self, mark_id: str) -> RolloutMark | None:
        """Take a mark back and return what it was, None when there is none of that id."""
        ...


class StoredMarks:
    """Marks in the database of the analyses, which makes their table. ``clock`` is seconds since the epoch."""

    def __init__(self, engine: sa.Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock

    def add(
        self, namespace: str, name: str, about: Marked, *, who: str, why: str, expires: datetime | None = None
    ) -> RolloutMark:
        """Keep a mark, in place of an earlier one on the same thing. Raises TooManyError."""
        kept = Mark(
            id=secrets.token_hex(8),
            about=replace(about, text=about.text[:TEXT_LENGTH]),
            who=who,
            when=_moment(self._clock()),
            why=why[:WHY_LENGTH],
            expires=expires,
        )
        of = sa.and_(MARKS.c.namespace == namespace, MARKS.c.name == name)
        same = sa.and_(MARKS.c.kind == about.kind.value, MARKS.c.key == about.key, MARKS.c.text == kept.about.text)
        with _available(), self._engine.begin() as connection:
            connection.execute(sa.delete(MARKS).where(of, same))
            if connection.execute(sa.select(sa.func.count()).where(of)).scalar_one() >= MOST:
                raise TooManyError(f"{name} has {MOST} marks, which is as many as are kept: take one back first")
            connection.execute(sa.insert(MARKS).values(_row(namespace, name, kept)))
        return RolloutMark(namespace=namespace, name=name, mark=kept)

    def find(self, namespaces: Sequence[str] | None, name: str = "") -> tuple[RolloutMark, ...]:
        """Return the marks of rollouts, newest first; those of all namespaces for None, of all names for ""."""
        if not storable(name, *(namespaces or ())):
            return ()
        select = _NEWEST
        if namespaces is not None:
            select = select.where(MARKS.c.namespace.in_(namespaces))
        if name:
            select = select.where(MARKS.c.name == name)
        with _available(), self._engine.connect() as connection:
            return tuple(_mark(row) for row in connection.execute(select))

    def of(self, namespace: str, name: str) -> tuple[Mark, ...]:
        """Return the marks of a rollout, newest first; raises what the database raises, for those who have patience."""
        if not storable(namespace, name):
            return ()
        with self._engine.connect() as connection:
            rows = connection.execute(_OF_ROLLOUT, {"namespace": namespace, "name": name})
            return tuple(_mark(row).mark for row in rows)

    def get(self, mark_id: str) -> RolloutMark | None:
        """Return a mark, None when there is none of that id."""
        if not storable(mark_id):
            return None
        with _available(), self._engine.connect() as connection:
            row = connection.execute(sa.select(MARKS).where(MARKS.c.id == mark_id)).first()
        return None if row is None else _mark(row)

    def remove(self, mark_id: str) -> RolloutMark | None:
        """Take a mark back and return what it was, None when there is none of that id."""
        if not storable(mark_id):
            return None
        with _available(), self._engine.begin() as connection:
            row = connection.execute(sa.delete(MARKS).where(MARKS.c.id == mark_id).returning(*MARKS.c)).first()
        return None if row is None else _mark(row)


def _row(namespace: str, name: str, mark: Mark) -> dict[str, Any]:
    return {
        "id": mark.id,
        "namespace": namespace,
        "name": name,
        "kind": mark.about.kind.value,
        "key": mark.about.key,
        "text": mark.about.text,
        "who": mark.who,
        "made": mark.when.timestamp(),
        "why": mark.why,
        "expires": None if mark.expires is None else mark.expires.timestamp(),
    }


def _mark(row: "sa.Row[Any]") -> RolloutMark:
    mark = Mark(
        id=row.id,
        about=Marked(kind=MarkKind(row.kind), key=row.key, text=row.text),
        who=row.who,
        when=_moment(row.made),
        why=row.why,
        expires=None if row.expires is None else _moment(row.expires),
    )
    return RolloutMark(namespace=row.namespace, name=row.name, mark=mark)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@contextmanager
def _available() -> Iterator[None]:
    """Turn trouble with the connection into UnavailableError; the driver's text may name the database's user."""
    try:
        yield
    except AWAY:
        raise UnavailableError("the database does not answer; try again in a moment") from None
