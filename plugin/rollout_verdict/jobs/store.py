"""What is asked of the tables of the service.

Times are seconds since the epoch by the clock of the process that writes; nothing is decided by comparing two clocks
but deadlines of minutes and retention of days.
"""

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.ports import Judgement
from rollout_verdict.core.result import Result
from rollout_verdict.core.stage import Stage
from rollout_verdict.core.values import Opinion
from rollout_verdict.jobs import codec
from rollout_verdict.jobs.analysis import Analysis, Gathered, Page, Phase, Query, Request, Summary
from rollout_verdict.jobs.answers import Limits, Spent, tokens_of
from rollout_verdict.jobs.database import DatabaseError, storable
from rollout_verdict.jobs.statements import (
    ANALYSIS,
    ANSWER,
    ANSWERED,
    BEGIN,
    DOCUMENT,
    DROP_DOCUMENT,
    END,
    KEEP_ANSWER,
    PROGRESS,
    Inserts,
)
from rollout_verdict.jobs.tables import ANALYSES, ANSWERS, DOCUMENTS, META, OPEN, REPLICAS, SCHEMA, UPLOADS, VERSION

T = TypeVar("T")

DAY_S = 86_400
MINUTE_S = 60.0
UNUSED_S = 600.0  # so long after it was kept, an upload without an analysis will have none
LOCK = 0x726F6C6C  # "roll": of PostgreSQL's advisory locks, for what must be counted and changed in one


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """An analysis as whoever does it needs it; ``deadline`` is seconds since the epoch.

    ``again`` says that it was begun before, here or by a process that died.
    """

    request: Request
    phase: Phase
    deadline: float
    again: bool


class Store:
    """All access to the tables. ``engine`` is for work, ``reader`` for those who only ask; both may block and raise."""

    def __init__(self, engine: sa.Engine, reader: sa.Engine) -> None:
        self._engine = engine
        self._reader = reader
        self._insert: Callable[[sa.Table], Any] = (
            sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
        )
        self._inserts = Inserts(engine.dialect.name)

    def create(self) -> None:
        """Make the tables where they are missing. Raises DatabaseError for tables of a later version."""
        with self._engine.begin() as connection:
            self._one_at_a_time(connection)
            META.create_all(connection)
            connection.execute(self._insert(SCHEMA).values(version=VERSION).on_conflict_do_nothing())
            found = connection.execute(sa.select(sa.func.max(SCHEMA.c.version))).scalar_one()
        if found > VERSION:
            raise DatabaseError(f"the database is of a later version ({found}, this is {VERSION}): use a later release")

    # -- analyses -----------------------------------------------------------------------------------------------------

    @contextmanager
    def adding(self, request: Request, now: float, deadline_s: float) -> Iterator[tuple[sa.Connection, bool]]:
        """Add an analysis in a transaction that the caller may add to; the flag says whether it is new."""
        row = {
            "id": request.id,
            "namespace": request.namespace,
            "name": request.name,
            "origin": request.origin,
            "phase": Phase.QUEUED.value,
            "created": now,
            "deadline": now + deadline_s,
            "request": codec.text_of(request),
        }
        with self._engine.begin() as connection:
            new = connection.execute(self._inserts.analysis, row).first() is not None
            if new and request.upload:
                connection.execute(sa.insert(UPLOADS), {"analysis": request.id, "key": request.upload})
            yield connection, new

    def begin(self, analysis_id: str, now: float) -> Begun | None:
        """Mark an analysis as running unless it has ended; None when it is not known."""
        with self._engine.begin() as connection:
            row = connection.execute(BEGIN, {"of": analysis_id, "now": now}).first()
        if row is None:
            return None
        return Begun(
            request=codec.value_of(codec.REQUEST, row.request),
            phase=Phase(row.phase),
            deadline=row.deadline,
            again=row.started != now,
        )

    def end(
        self,
        analysis_id: str,
        phase: Phase,
        now: float,
        *,
        message: str = "",
        stages: Sequence[Stage] = (),
        summary: Summary | None = None,
        result: bytes | None = None,
    ) -> bool:
        """End an analysis unless it has ended already; an end is final. Return whether this was it."""
        change = {
            "of": analysis_id,
            "phase": phase.value,
            "finished": now,
            "message": message,
            "summary": codec.text_of(summary) if summary else "",
            "decision": summary.decision.value if summary else "",
            **({"stages": codec.text_of(stages)} if stages else {}),
        }
        with self._engine.begin() as connection:
            ended = bool(connection.execute(END, change).rowcount)
            if ended:
                if result is not None:
                    self._keep(connection, analysis_id, "result", result, now)
                connection.execute(DROP_DOCUMENT, {"of": analysis_id, "which": "evidence"})
        return ended

    def progress(self, reached: Mapping[str, Sequence[Stage]]) -> None:
        """Keep how far analyses are, for other replicas to tell."""
        rows = [{"of": analysis_id, "stages": codec.text_of(stages)} for analysis_id, stages in sorted(reached.items())]
        if rows:
            with self._engine.begin() as connection:
                connection.execute(PROGRESS, rows)

    def get(self, analysis_id: str) -> Analysis | None:
        """Return an analysis."""
        if not storable(analysis_id):
            return None
        with self._reader.connect() as connection:
            row = connection.execute(ANALYSIS, {"of": analysis_id}).first()
        return None if row is None else _analysis(row)

    def find(self, query: Query) -> Page:
        """Return analyses, newest first. Raises ValueError for a cursor that is none of ours."""
        if not storable(query.name, query.origin, *(query.namespaces or ())):
            return Page(analyses=())
        select = sa.select(ANALYSES).order_by(ANALYSES.c.created.desc(), ANALYSES.c.id.desc())
        if query.namespaces is not None:
            select = select.where(ANALYSES.c.namespace.in_(query.namespaces))
        for column, value in (
            (ANALYSES.c.name, query.name),
            (ANALYSES.c.origin, query.origin),
            (ANALYSES.c.phase, query.phase.value if query.phase else ""),
            (ANALYSES.c.decision, query.decision.value if query.decision else ""),
        ):
            if value:
                select = select.where(column == value)
        if query.cursor:
            created, last = _place(query.cursor)
            select = select.where(
                sa.or_(ANALYSES.c.created < created, sa.and_(ANALYSES.c.created == created, ANALYSES.c.id < last))
            )
        with self._reader.connect() as connection:
            rows = connection.execute(select.limit(query.limit + 1)).all()
        more = len(rows) > query.limit
        shown = rows[: query.limit]
        return Page(
            analyses=tuple(_analysis(row) for row in shown),
            cursor=_cursor(shown[-1].created, shown[-1].id) if more and shown else "",
        )

    def cancelled(self, since: float) -> list[str]:
        """Return the analyses that were cancelled lately."""
        with self._reader.connect() as connection:
            return list(
                connection.execute(
                    sa.select(ANALYSES.c.id).where(
                        ANALYSES.c.phase == Phase.CANCELLED.value, ANALYSES.c.finished >= since
                    )
                ).scalars()
            )

    def overdue(self, now: float) -> list[str]:
        """Return the analyses that should have ended by now."""
        with self._reader.connect() as connection:
            return list(
                connection.execute(
                    sa.select(ANALYSES.c.id).where(ANALYSES.c.phase.in_(OPEN), ANALYSES.c.deadline <= now)
                ).scalars()
            )

    def counts(self) -> dict[Phase, int]:
        """Return how many analyses wait and run, over all replicas."""
        with self._reader.connect() as connection:
            rows = connection.execute(
                sa.select(ANALYSES.c.phase, sa.func.count())
                .where(ANALYSES.c.phase.in_(OPEN))
                .group_by(ANALYSES.c.phase)
            ).all()
        return {Phase(phase): count for phase, count in rows}

    # -- documents ----------------------------------------------------------------------------------------------------

    def keep(self, key: str, kind: str, content: bytes, now: float) -> None:
        """Keep a document, instead of an earlier one of the same key and kind."""
        with self._engine.begin() as connection:
            self._keep(connection, key, kind, content, now)

    def document(self, key: str, kind: str) -> bytes | None:
        """Return a document."""
        with self._reader.connect() as connection:
            return connection.execute(DOCUMENT, {"of": key, "which": kind}).scalar()

    def keep_gathered(self, analysis_id: str, content: bytes, now: float) -> bool:
        """Keep what an analysis has gathered, packed. The first one stays; return whether this was it."""
        row = {"id": analysis_id, "kind": "evidence", "created": now, "content": content}
        with self._engine.begin() as connection:
            return connection.execute(self._inserts.first_document, row).first() is not None

    def gathered(self, analysis_id: str) -> Gathered | None:
        """Return what an analysis that runs has gathered."""
        content = self.document(analysis_id, "evidence")
        return None if content is None else codec.unpacked(codec.GATHERED, content)

    def uploaded(self, key: str) -> Evidence | None:
        """Return the evidence of an uploaded bundle."""
        content = self.document(key, "upload")
        return None if content is None else codec.unpacked(codec.EVIDENCE, content)

    def result(self, analysis_id: str) -> Result | None:
        """Return the result of an analysis that is done."""
        content = self.document(analysis_id, "result")
        return None if content is None else codec.unpacked(codec.RESULT, content)

    def _keep(self, connection: sa.Connection, key: str, kind: str, content: bytes, now: float) -> None:
        connection.execute(self._inserts.document, {"id": key, "kind": kind, "created": now, "content": content})

    # -- answers ------------------------------------------------------------------------------------------------------

    def answer(self, call: str) -> Judgement | None:
        """Return what a model has answered in a call."""
        with self._reader.connect() as connection:
            content = connection.execute(ANSWER, {"call": call}).scalar()
        return None if content is None else codec.unpacked(codec.JUDGEMENT, content)

    def answered(self, call: str, key: str) -> str:
        """Return the call whose answer stands for this question: its own, else the latest usable one; or ""."""
        with self._reader.connect() as connection:
            found = connection.execute(ANSWERED, {"call": call, "question": key}).scalar()
        return found or ""

    def spent(self, namespace: str, now: float) -> Spent:
        """Return what a namespace has used up since midnight UTC."""
        with self._reader.connect() as connection:
            row = connection.execute(
                sa.select(
                    sa.func.coalesce(sa.func.sum(ANSWERS.c.tokens), 0),
                    sa.func.coalesce(sa.func.sum(ANSWERS.c.cost_usd), 0.0),
                ).where(ANSWERS.c.namespace == namespace, ANSWERS.c.answered >= now - now % DAY_S)
            ).one()
        return Spent(tokens=int(row[0]), cost_usd=float(row[1]))

    def take_turn(self, call: str, *, key: str, namespace: str, limits: Limits, now: float, longest_s: float) -> bool:
        """Take a place among those who ask a model now; False when all are taken.

        ``longest_s`` frees a place whose holder died.
        """
        row = {
            "id": call,
            "key": key,
            "analysis": call.rpartition("/")[0],
            "namespace": namespace,
            "asked": now,
            "until": now + longest_s,
        }
        with self._engine.begin() as connection:
            if limits.calls is not None or limits.calls_a_minute is not None:
                self._one_at_a_time(connection)
                others = ANSWERS.c.id != call
                asking = connection.execute(
                    sa.select(sa.func.count()).where(others, ANSWERS.c.answered.is_(None), ANSWERS.c.until > now)
                ).scalar_one()
                lately = connection.execute(
                    sa.select(sa.func.count()).where(others, ANSWERS.c.asked > now - MINUTE_S)
                ).scalar_one()
                if (limits.calls is not None and asking >= limits.calls) or (
                    limits.calls_a_minute is not None and lately >= limits.calls_a_minute
                ):
                    return False
            connection.execute(self._inserts.turn, row)
        return True

    def leave_turn(self, call: str) -> None:
        """Leave a place without having asked: as if it had never been taken."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(ANSWERS).where(ANSWERS.c.id == call, ANSWERS.c.answered.is_(None)))

    def give_back(self, call: str, now: float) -> None:
        """Give the place of a call free that came to no answer."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(ANSWERS).where(ANSWERS.c.id == call, ANSWERS.c.answered.is_(None)).values(until=now)
            )

    def keep_answer(self, call: str, answer: Judgement, now: float, unpriced_usd: float = 0.0) -> None:
        """Keep an answer that was paid for, and give the place free. The first one stays: it may have decided.

        Each request it took beyond the first counts in the minute from now on. ``unpriced_usd`` is what it counts for
        in the day where its cost is not known.
        """
        usage = answer.usage
        row = {
            "call": call,
            "answered": now,
            "usable": isinstance(answer.opinion, Opinion),
            "tokens": tokens_of(usage),
            "cost_usd": unpriced_usd if usage.cost_usd is None else usage.cost_usd,
            "content": codec.packed(answer),
        }
        with self._engine.begin() as connection:
            kept = bool(connection.execute(KEEP_ANSWER, row).rowcount)
            if kept and usage.attempts > 1:
                of = {"analysis": call.rpartition("/")[0], "key": "", "namespace": "", "asked": now, "until": now}
                more = [{"id": f"{call}.{number}", **of} for number in range(1, usage.attempts)]
                connection.execute(sa.insert(ANSWERS), more)

    # -- replicas and age ---------------------------------------------------------------------------------------------

    def beat(self, replica: str) -> dict[str, int]:
        """Count this replica's pulse on and return everybody's."""
        insert = self._insert(REPLICAS).values(id=replica, beats=1)
        with self._engine.begin() as connection:
            connection.execute(
                insert.on_conflict_do_update(index_elements=["id"], set_={"beats": REPLICAS.c.beats + 1})
            )
            return {row.id: row.beats for row in connection.execute(sa.select(REPLICAS))}

    def forget_replica(self, replica: str) -> None:
        """Forget a replica that died and was taken over."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(REPLICAS).where(REPLICAS.c.id == replica))

    def expired(self, now: float, age_s: float, count: int, batch: int) -> list[str]:
        """Return ended analyses that are too old, or more than should be kept; at most ``batch`` of them."""
        ended = ANALYSES.c.phase.not_in(OPEN)
        with self._reader.connect() as connection:
            edge = connection.execute(
                sa.select(ANALYSES.c.created).where(ended).order_by(ANALYSES.c.created.desc()).offset(count).limit(1)
            ).scalar()
            oldest = max(now - age_s, edge if edge is not None else float("-inf"))
            return list(
                connection.execute(
                    sa.select(ANALYSES.c.id)
                    .where(ended, ANALYSES.c.created <= oldest)
                    .order_by(ANALYSES.c.created)
                    .limit(batch)
                ).scalars()
            )

    def forget(self, analysis_ids: Sequence[str], now: float) -> None:
        """Delete analyses with all that belongs to them. What they cost is known for as long as it counts."""
        with self._engine.begin() as connection:
            for column in (DOCUMENTS.c.id, UPLOADS.c.analysis, ANALYSES.c.id):
                connection.execute(sa.delete(column.table).where(column.in_(analysis_ids)))
            connection.execute(
                sa.update(ANSWERS)
                .where(ANSWERS.c.analysis.in_(analysis_ids))
                .values(content=None, usable=False, key="")
            )
            connection.execute(sa.delete(ANSWERS).where(ANSWERS.c.content.is_(None), ANSWERS.c.asked < now - 2 * DAY_S))

    def forget_uploads(self, now: float) -> None:
        """Delete uploaded bundles that no analysis is of; one that came just now may be about to have its first."""
        used = sa.select(UPLOADS.c.key)
        unused = sa.and_(
            DOCUMENTS.c.kind == "upload", DOCUMENTS.c.created < now - UNUSED_S, DOCUMENTS.c.id.not_in(used)
        )
        with self._engine.begin() as connection:
            connection.execute(sa.delete(DOCUMENTS).where(unused))

    def _one_at_a_time(self, connection: sa.Connection) -> None:
        """Let nobody else count and change meanwhile; SQLite's transactions are so from their first write on."""
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))


def _analysis(row: "sa.Row[Any]") -> Analysis:
    return Analysis(
        request=codec.value_of(codec.REQUEST, row.request),
        phase=Phase(row.phase),
        created=_moment(row.created),
        started=None if row.started is None else _moment(row.started),
        finished=None if row.finished is None else _moment(row.finished),
        stages=codec.value_of(codec.STAGES, row.stages),
        message=row.message,
        summary=codec.value_of(codec.SUMMARY, row.summary) if row.summary else None,
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _cursor(created: float, last: str) -> str:
    return base64.urlsafe_b64encode(f"{created!r} {last}".encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[float, str]:
    try:
        moment, last = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ", 1)
        created = float(moment)
    except (ValueError, binascii.Error):
        created, last = float("nan"), ""
    if not (isfinite(created) and storable(last)):
        raise ValueError("the cursor is none that a page of this list gave")
    return created, last
