"""The tables of the service, the same for SQLite and PostgreSQL.

    analyses    one row an analysis: the request, its phase, its verdict in the columns of a list
    documents   what an analysis gathered while it runs, its whole result when it is done, uploaded bundles; compressed
    answers     one row for each call of a model: a place among those who ask, then the answer that was paid for; and
                an empty one for each further request that the answer took
    uploads     which analysis judges which uploaded bundle
    replicas    the pulse of each process
    marks       what people marked as known to be benign, one row a mark

Times are seconds since the epoch.
"""

import sqlalchemy as sa

from rollout_verdict.jobs.analysis import Phase

VERSION = 1  # of the tables
OPEN = (Phase.QUEUED.value, Phase.RUNNING.value)

META = sa.MetaData()
_Text, _Time = sa.Text, sa.Double

SCHEMA = sa.Table("verdict_schema", META, sa.Column("version", sa.Integer, primary_key=True))
ANALYSES = sa.Table(
    "verdict_analyses",
    META,
    sa.Column("id", _Text, primary_key=True),
    sa.Column("namespace", _Text, nullable=False),
    sa.Column("name", _Text, nullable=False),
    sa.Column("origin", _Text, nullable=False),
    sa.Column("phase", _Text, nullable=False),
    sa.Column("decision", _Text, nullable=False, default=""),
    sa.Column("created", _Time, nullable=False),
    sa.Column("started", _Time),
    sa.Column("finished", _Time),
    sa.Column("deadline", _Time, nullable=False),
    sa.Column("request", _Text, nullable=False),
    sa.Column("stages", _Text, nullable=False, default="[]"),
    sa.Column("message", _Text, nullable=False, default=""),
    sa.Column("summary", _Text, nullable=False, default=""),
    sa.Index("verdict_analyses_newest", "created", "id"),
    sa.Index("verdict_analyses_of_rollout", "namespace", "name", "created"),
    sa.Index("verdict_analyses_ended", "phase", "finished"),
    sa.Index("verdict_analyses_due", "phase", "deadline"),
)
DOCUMENTS = sa.Table(
    "verdict_documents",
    META,
    sa.Column("id", _Text, primary_key=True),  # of the analysis, or the key of an upload
    sa.Column("kind", _Text, primary_key=True),  # evidence, result, upload
    sa.Column("created", _Time, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Index("verdict_documents_age", "kind", "created"),
)
UPLOADS = sa.Table(
    "verdict_uploads",
    META,
    sa.Column("analysis", _Text, primary_key=True),
    sa.Column("key", _Text, nullable=False),
    sa.Index("verdict_uploads_key", "key"),
)
ANSWERS = sa.Table(
    "verdict_answers",
    META,
    sa.Column("id", _Text, primary_key=True),  # of the analysis, and the number of the call in it: "ID/0"
    sa.Column("analysis", _Text, nullable=False),
    sa.Column("key", _Text, nullable=False),  # same key, same question
    sa.Column("namespace", _Text, nullable=False),
    sa.Column("asked", _Time, nullable=False),
    sa.Column("until", _Time, nullable=False),  # when a call that never ended no longer holds its place
    sa.Column("answered", _Time),
    sa.Column("usable", sa.Boolean, nullable=False, default=False),
    sa.Column("tokens", sa.BigInteger, nullable=False, default=0),
    sa.Column("cost_usd", sa.Double, nullable=False, default=0.0),
    sa.Column("content", sa.LargeBinary),
    sa.Index("verdict_answers_key", "key"),
    sa.Index("verdict_answers_of_analysis", "analysis"),
    sa.Index("verdict_answers_asked", "asked"),
    sa.Index("verdict_answers_of_namespace", "namespace", "answered"),
)
REPLICAS = sa.Table(
    "verdict_replicas",
    META,
    sa.Column("id", _Text, primary_key=True),
    sa.Column("beats", sa.BigInteger, nullable=False),
)
MARKS = sa.Table(
    "verdict_marks",
    META,
    sa.Column("id", _Text, primary_key=True),
    sa.Column("namespace", _Text, nullable=False),
    sa.Column("name", _Text, nullable=False),
    sa.Column("kind", _Text, nullable=False),
    sa.Column("key", _Text, nullable=False),
    sa.Column("text", _Text, nullable=False),
    sa.Column("who", _Text, nullable=False),
    sa.Column("made", _Time, nullable=False),
    sa.Column("why", _Text, nullable=False),
    sa.Column("expires", _Time),
    sa.Index("verdict_marks_of_rollout", "namespace", "name"),
)
