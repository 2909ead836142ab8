"""What an analysis is told of the rollout's past: its latest verdicts, and the marks that count now."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from threading import Lock

from rollout_verdict.configuration import read_configuration
from rollout_verdict.core.canonical import digest
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.memory import Earlier, Memory
from rollout_verdict.core.recall import counting, earlier, measured
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.jobs.analysis import Analysis, Phase, Query, Request
from rollout_verdict.jobs.database import open_engines
from rollout_verdict.jobs.marks import StoredMarks
from rollout_verdict.jobs.outage import lasting
from rollout_verdict.jobs.store import Store

SPARE = 20  # verdicts looked at beyond those wanted, since not all count
KEPT = 2_000  # earlier verdicts held in memory, a KiB each: a result is read and taken apart once


class RolloutMemory:
    """Adds memory to evidence (``jobs.work.Recall``), and holds the marks. Safe to use from many threads.

    A rollout is known by the namespace and name of the request, which its caller was allowed: evidence may claim any.
    To be used when the analyses have made their tables, and closed. ``clock`` is seconds since the epoch.
    """

    def __init__(
        self, database: str, redact: tuple[tuple[str, str], ...] = (), clock: Callable[[], float] = time.time
    ) -> None:
        """Open the database; ``database`` is a path or ``postgresql://…``. Raises DatabaseError."""
        work, self._engine = open_engines(database)
        work.dispose()  # one pool will do: marks are rare, and the rest is reading
        self._store = Store(self._engine, self._engine)
        self._redact = redact
        self._clock = clock
        self._lock = Lock()
        self._kept: OrderedDict[str, Earlier] = OrderedDict()
        self.marks = StoredMarks(self._engine, clock)

    def close(self) -> None:
        """Close connections."""
        self._engine.dispose()

    def __call__(self, request: Request, evidence: Evidence) -> Evidence:
        """Return the evidence with what is remembered now; a replay keeps the verdicts of its original."""
        if not request.name:
            return replace(evidence, memory=None)  # of which rollout is not known
        found = lasting(lambda: self.marks.of(request.namespace, request.name))
        marks = counting(found, datetime.fromtimestamp(self._clock(), UTC))
        if request.replay_of:
            before = evidence.memory.earlier if evidence.memory else ()
        else:
            before = self._verdicts(request, evidence)
        return replace(evidence, memory=Memory(earlier=before, marks=marks))

    def _verdicts(self, request: Request, evidence: Evidence) -> tuple[Earlier, ...]:
        """Return the latest verdicts, as many as the configuration wants.

        Verdicts on this very evidence, and judgements of evidence judged before, are no experience of their own; and
        what somebody uploaded tells nothing about what runs in the cluster.
        """
        wanted = read_configuration(request.config)[0].memory
        if not wanted:
            return ()
        query = Query(namespaces=(request.namespace,), name=request.name, phase=Phase.DONE, limit=wanted + SPARE)
        page = lasting(lambda: self._store.find(query))
        if not page.analyses:  # most rollouts of most days; the digest below costs more than all the rest
            return ()
        this = digest(measured(Redactor(custom=self._redact).tree(evidence)))
        found: dict[str, Earlier] = {}
        for analysis in page.analyses:
            asked = analysis.request
            if asked.id == request.id or asked.replay_of or (asked.upload and not request.upload):
                continue
            one = self._earlier(analysis)
            if one is not None and one.digest != this:
                found.setdefault(one.digest, one)
            if len(found) >= wanted:
                break
        return tuple(found.values())

    def _earlier(self, analysis: Analysis) -> Earlier | None:
        name = analysis.request.id
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        result = lasting(lambda: self._store.result(name))
        if result is None:  # deleted meanwhile
            return None
        one = earlier(result, name, analysis.finished or analysis.created)
        with self._lock:
            self._kept[name] = one
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return one
