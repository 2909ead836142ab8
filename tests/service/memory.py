"""Analyses in memory: the fast stand-in for the durable ones, which judges uploaded bundles with the real engine.

A target is judged by what its name says: it is the name of a bundle under ``tests/bundles``, or "running" (never
done), "error", "cancelled" or "unavailable". ``step`` finishes what waits; nothing happens by itself unless ``eager``.
"""

import io
import tarfile
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from threading import RLock

from rollout_verdict.adapters.bundle import BundleError, read_bundle, write_bundle
from rollout_verdict.configuration import read_configuration
from rollout_verdict.core.policy import Mode
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.core.stage import Stage
from rollout_verdict.engine import judge
from rollout_verdict.jobs.analysis import Analysis, Page, Phase, Query, Request, Summary, UnavailableError, Upload
from rollout_verdict.jobs.durable import kept_config

BUNDLES = Path(__file__).resolve().parent.parent / "bundles"
BEGAN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def packed(bundle: Path) -> bytes:
    """A bundle as it is uploaded."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        tar.add(bundle, arcname=".")
    return stream.getvalue()


class Clock:
    """A clock that goes when it is told."""

    def __init__(self):
        self.now = BEGAN

    def __call__(self):
        return self.now

    def pass_s(self, seconds):
        self.now += timedelta(seconds=seconds)


class MemoryAnalyses:
    """Implements ``Analyses``."""

    def __init__(self, folder, clock=None, *, eager=True):
        self.clock = clock or Clock()
        self.eager = eager
        self.kept = {}
        self.results = {}
        self.uploads = {}
        self.gets = 0
        self._lock = RLock()
        self._folder = folder
        self._judged = {}

    def start(self, request: Request):
        with self._lock:
            if request.name == "unavailable":
                raise UnavailableError("the database does not answer")
            if request.id in self.kept:
                return self.kept[request.id], False
            self.kept[request.id] = Analysis(request=self.as_kept(request), phase=Phase.QUEUED, created=self.clock())
            if self.eager:
                self.step(request.id)
            return self.kept[request.id], True

    def as_kept(self, request: Request):
        return replace(request, config=kept_config(request.config, ()))

    def step(self, analysis_id):
        """Bring an analysis to its end, as its name says."""
        analysis = self.kept[analysis_id]
        request = analysis.request
        now = self.clock()
        running = replace(analysis, phase=Phase.RUNNING, started=now, stages=(Stage(name="logs", done=1, total=2),))
        if request.name == "running":
            self.kept[analysis_id] = running
            return
        if request.name == "cancelled":
            self.kept[analysis_id] = replace(running, phase=Phase.CANCELLED, finished=now)
            return
        try:
            result = self._result(request)
        except BundleError as error:
            self.kept[analysis_id] = replace(running, phase=Phase.ERROR, finished=now, message=str(error))
            return
        verdict = result.verdict
        self.results[analysis_id] = result
        self.kept[analysis_id] = replace(
            running,
            phase=Phase.DONE,
            finished=now,
            summary=Summary(
                decision=verdict.decision,
                score=verdict.score,
                confidence=verdict.confidence,
                decided_by=verdict.decided_by.value,
                reason=verdict.reason,
                headline=result.explanation.headline,
                digest=verdict.digests.evidence,
                gaps=len(verdict.gaps),
            ),
        )

    def _result(self, request):
        policy = replace(read_configuration(request.config)[0].policy(), mode=Mode.RULES)
        if request.replay_of:
            return judge(self.results[request.replay_of].evidence, policy, None, Redactor())
        path = self._folder / request.upload if request.upload else BUNDLES / request.name.replace("-", "_")
        if not request.upload and not (path / "case.json").exists():
            raise BundleError(f"there is no rollout {request.name}")
        key = (str(path), policy)
        if key not in self._judged:
            self._judged[key] = judge(read_bundle(path), policy, None, Redactor())
        return self._judged[key]

    def get(self, analysis_id):
        self.gets += 1
        return self.kept.get(analysis_id)

    def find(self, query: Query):
        found = [
            one
            for one in reversed(self.kept.values())
            if (query.namespaces is None or one.request.namespace in query.namespaces)
            and query.name in ("", one.request.name)
            and query.phase in (None, one.phase)
            and (query.decision is None or (one.summary is not None and one.summary.decision is query.decision))
            and query.origin in ("", one.request.origin)
        ]
        if query.cursor and not (query.cursor.isascii() and query.cursor.isdigit() and len(query.cursor) < 9):
            raise ValueError(query.cursor)
        begin = int(query.cursor or 0)
        end = begin + query.limit
        return Page(analyses=tuple(found[begin:end]), cursor=str(end) if end < len(found) else "")

    def cancel(self, analysis_id):
        with self._lock:
            analysis = self.kept.get(analysis_id)
            if analysis is not None and not analysis.phase.final:
                analysis = replace(analysis, phase=Phase.CANCELLED, finished=self.clock())
                self.kept[analysis_id] = analysis
            return analysis

    def result(self, analysis_id):
        return self.results.get(analysis_id)

    def bundle(self, analysis_id):
        if analysis_id not in self.results:
            return None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "bundle.tar.gz"
            write_bundle(path, self.results[analysis_id])
            return path.read_bytes()

    def keep_upload(self, content):
        key = f"upload-{sha256(content).hexdigest()}.tar.gz"  # the same bundle has the same key, as in the real store
        path = self._folder / key
        path.write_bytes(content)
        try:
            rollout = read_bundle(path).rollout
        except BundleError as error:
            raise BundleError(str(error).replace(str(path), "the bundle")) from None
        self.uploads[key] = len(content)
        return Upload(key=key, rollout=None if rollout.name == key.removesuffix(".tar.gz") else rollout)
