"""The statements that every analysis goes through, built once: building one costs more than running it.

Values are given by name when a statement is run: those of columns that are written by the column's name, those of
conditions by the names of the parameters below.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from rollout_verdict.jobs.analysis import Phase
from rollout_verdict.jobs.tables import ANALYSES, ANSWERS, DOCUMENTS, OPEN

_OF: sa.BindParameter[str] = sa.bindparam("of")
_WHICH: sa.BindParameter[str] = sa.bindparam("which")
_CALL: sa.BindParameter[str] = sa.bindparam("call")
_QUESTION: sa.BindParameter[str] = sa.bindparam("question")
_NOW: sa.BindParameter[float] = sa.bindparam("now")

ANALYSIS = sa.select(ANALYSES).where(ANALYSES.c.id == _OF)
BEGIN = (
    sa.update(ANALYSES)
    .where(ANALYSES.c.id == _OF)
    .values(
        phase=sa.case((ANALYSES.c.phase == Phase.QUEUED.value, Phase.RUNNING.value), else_=ANALYSES.c.phase),
        started=sa.func.coalesce(ANALYSES.c.started, _NOW),
    )
    .returning(ANALYSES.c.request, ANALYSES.c.phase, ANALYSES.c.deadline, ANALYSES.c.started)
)
END = sa.update(ANALYSES).where(ANALYSES.c.id == _OF, ANALYSES.c.phase.in_(OPEN))
PROGRESS = sa.update(ANALYSES).where(ANALYSES.c.id == _OF, ANALYSES.c.phase == Phase.RUNNING.value)

DOCUMENT = sa.select(DOCUMENTS.c.content).where(DOCUMENTS.c.id == _OF, DOCUMENTS.c.kind == _WHICH)
DROP_DOCUMENT = sa.delete(DOCUMENTS).where(DOCUMENTS.c.id == _OF, DOCUMENTS.c.kind == _WHICH)

ANSWER = sa.select(ANSWERS.c.content).where(ANSWERS.c.id == _CALL)
_OWN = sa.and_(ANSWERS.c.id == _CALL, ANSWERS.c.answered.is_not(None))
ANSWERED = (  # the call whose answer stands for a question: its own, else the latest usable one
    sa.select(ANSWERS.c.id)
    .where(sa.or_(_OWN, sa.and_(ANSWERS.c.key == _QUESTION, ANSWERS.c.key != "", ANSWERS.c.usable)))
    .order_by(sa.case((_OWN, 0), else_=1), ANSWERS.c.answered.desc())
    .limit(1)
)
KEEP_ANSWER = sa.update(ANSWERS).where(ANSWERS.c.id == _CALL, ANSWERS.c.answered.is_(None))


class Inserts:
    """Those that tell what to do when the row is there, in the words of one kind of database."""

    def __init__(self, dialect: str) -> None:
        insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
        self.analysis = insert(ANALYSES).on_conflict_do_nothing().returning(ANALYSES.c.id)
        self.first_document = insert(DOCUMENTS).on_conflict_do_nothing().returning(DOCUMENTS.c.id)
        document, turn = insert(DOCUMENTS), insert(ANSWERS)
        self.document = document.on_conflict_do_update(
            index_elements=["id", "kind"],
            set_={name: document.excluded[name] for name in ("content", "created")},
        )
        taken = ("key", "analysis", "namespace", "asked", "until")
        self.turn = turn.on_conflict_do_update(
            index_elements=["id"],
            set_={name: turn.excluded[name] for name in taken},
            where=ANSWERS.c.answered.is_(None),
        )
