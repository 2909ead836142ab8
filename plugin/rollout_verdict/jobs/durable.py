"""Analyses on DBOS: each is a workflow whose id is the analysis's, so that it is started once and ends once."""

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSClient

from rollout_verdict.adapters.bundle import BundleError, Limits, packed_bundle, read_bundle
from rollout_verdict.configuration import (
    KEYS,
    PLUGIN_ONLY,
    Configuration,
    InvalidConfigurationError,
    read_configuration,
)
from rollout_verdict.core.canonical import digest
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.core.result import Result
from rollout_verdict.jobs import codec
from rollout_verdict.jobs.analysis import Analysis, Page, Phase, Query, Request, UnavailableError, Upload
from rollout_verdict.jobs.database import is_sqlite, lock_file, open_engines
from rollout_verdict.jobs.outage import AWAY
from rollout_verdict.jobs.running import Running, Undo
from rollout_verdict.jobs.settings import JobSettings
from rollout_verdict.jobs.store import Store
from rollout_verdict.jobs.watch import Watch
from rollout_verdict.jobs.work import Parts, Work

_LOG = logging.getLogger(__name__)

NAME = "rollout-verdict"
WORKFLOW, QUEUE = "analysis", "analyses"
# Of how an analysis is gone on with. Work that an earlier release began is gone on with by one of the same number.
STEPS = "2"
MIB = 1 << 20
UNNAMED = "bundle"  # the file that an upload is read from; a bundle that names no rollout takes its name from it
# Unpacked, and reduced while it streams: 1 GiB of logs takes a core most of the minute that they have.
UPLOAD = Limits(archive_bytes=1024 * MIB, log_bytes=1024 * MIB, logs_bytes=1024 * MIB, logs_s=60.0)


class DurableAnalyses:
    """Keeps and runs analyses (``jobs.analysis.Analyses``). One for a process, since DBOS is; to be started and closed.

    Every method raises UnavailableError while the database does not answer.
    """

    def __init__(self, settings: JobSettings, parts: Parts, clock: Callable[[], float] = time.time) -> None:
        """Open the database. Raises DatabaseError."""
        self._settings = settings
        self._parts = parts
        self._clock = clock
        self._opened = ExitStack()
        database = settings.database.reveal()
        if is_sqlite(database):
            self._opened.enter_context(lock_file(database))
        self._engine, self._reader = open_engines(database)
        self._opened.callback(self._engine.dispose)
        self._opened.callback(self._reader.dispose)
        self._store = Store(self._engine, self._reader)
        self._running = Running()
        self._work = Work(self._store, self._running, parts, settings, clock)
        self._watch = Watch(
            settings.replica,
            self._store,
            self._running,
            settings.keeping,
            beat_s=settings.beat_s,
            take_over=_take_over,
            forget=DBOS.delete_workflows,
            on_end=parts.on_end,
            clock=clock,
        )

    # -- life ---------------------------------------------------------------------------------------------------------

    def launch(self) -> None:
        """Make the tables and begin to work, with what an earlier process left unfinished first."""
        with _available():
            self._store.create()
            self._store.beat(self._settings.replica)
        serializer = codec.Json()
        codec.refuse_pickle()
        DBOS(
            config={
                "name": NAME,
                "system_database_engine": self._engine,
                "serializer": serializer,
                "executor_id": self._settings.replica,
                "application_version": STEPS,
                "use_listen_notify": False,
                "log_level": "ERROR",  # it warns five times a second while the database is away; the watch says it once
                "enable_otlp": False,
            }
        )
        own = logging.getLogger("dbos")
        own.handlers.clear()  # its lines go where ours go
        own.propagate = True
        DBOS.workflow(name=WORKFLOW)(lambda analysis_id: self._work.run(analysis_id, _step))
        DBOS.launch()
        self._opened.callback(lambda: DBOS.destroy(destroy_registry=True))
        DBOS.register_queue(
            QUEUE,
            worker_concurrency=self._settings.analyses,
            polling_interval_sec=self._settings.poll_s,
            on_conflict="always_update",
        )
        self._client = DBOSClient(
            system_database_engine=self._engine,
            serializer=serializer,
            application_name=NAME,
            retry_connection_errors=False,
        )
        self._opened.callback(self._client.destroy)
        self._watch.start()
        self._opened.callback(self._watch.close)
        self._opened.callback(self._work.close)

    def close(self) -> None:
        """Leave off. What runs stays unfinished, for this process after a restart or for another one."""
        self._opened.close()

    # -- what the doors ask -------------------------------------------------------------------------------------------

    def start(self, request: Request) -> tuple[Analysis, bool]:
        """Start an analysis, or find the one with that id. The flag says whether it is new."""
        now = self._clock()
        kept = self.as_kept(request)
        with _available(), self._store.adding(kept, now, _deadline_s(kept.config)) as (connection, new):
            if new:
                self._client.enqueue_in_transaction(
                    connection,
                    {
                        "workflow_name": WORKFLOW,
                        "queue_name": QUEUE,
                        "workflow_id": request.id,
                        "app_version": STEPS,
                    },
                    request.id,
                )
        if new:
            return Analysis(request=kept, phase=Phase.QUEUED, created=datetime.fromtimestamp(now, UTC)), True
        found = self.get(request.id)
        if found is None:
            raise UnavailableError("the analysis was deleted while it was started")
        return found, False

    def as_kept(self, request: Request) -> Request:
        """Return a request as it is kept: its configuration without secrets, nor keys that mean nothing here."""
        return replace(request, config=kept_config(request.config, self._parts.redact))

    def get(self, analysis_id: str) -> Analysis | None:
        """Return an analysis, None when it is not known (any more)."""
        with _available():
            analysis = self._store.get(analysis_id)
        if analysis is None or analysis.phase is not Phase.RUNNING:
            return analysis
        return replace(analysis, stages=self._running.stages(analysis_id) or analysis.stages)

    def find(self, query: Query) -> Page:
        """Return analyses, newest first. Raises ValueError for a cursor that is none of ours."""
        with _available():
            return self._store.find(query)

    def cancel(self, analysis_id: str) -> Analysis | None:
        """Cancel an analysis that is not over, and its model call with it; None when it is not known."""
        with _available():
            ended = self._store.end(analysis_id, Phase.CANCELLED, self._clock(), message="it was cancelled")
        if ended:
            self._parts.on_end(analysis_id, Phase.CANCELLED, None)
        self._running.stop(analysis_id)
        return self.get(analysis_id)

    def result(self, analysis_id: str) -> Result | None:
        """Return the whole result of an analysis that is done, None otherwise."""
        with _available():
            return self._store.result(analysis_id)

    def bundle(self, analysis_id: str) -> bytes | None:
        """Return evidence and result as a .tar.gz, None when the analysis is not done."""
        result = self.result(analysis_id)
        return None if result is None else packed_bundle(result)

    def keep_upload(self, content: bytes) -> Upload:
        """Store an uploaded bundle. Raises BundleError when it is none, or too large."""
        with tempfile.TemporaryDirectory(prefix="rollout-verdict-") as folder:
            path = Path(folder) / f"{UNNAMED}.tar.gz"
            path.write_bytes(content)
            try:
                evidence = read_bundle(path, UPLOAD)
            except BundleError as error:
                raise BundleError(str(error).replace(str(path), "the bundle")) from None
        evidence = Redactor(custom=self._parts.redact).tree(evidence)
        packed = codec.packed(evidence)
        if len(packed) > self._settings.bundle_bytes:
            raise BundleError(
                f"the bundle: its evidence takes more than {self._settings.bundle_bytes // MIB} MiB, packed"
            )
        key = digest(evidence)
        with _available():
            self._store.keep(key, "upload", packed, self._clock())
        rollout = evidence.rollout
        return Upload(key=key, rollout=rollout if rollout.name != UNNAMED else None)

    def listen(self, analysis_id: str, callback: Callable[[], None]) -> Undo:
        """Have ``callback`` called, from any thread, when ``get`` may tell something new; return how to take it back.

        Only of analyses that run in this process: of others one has to ask now and then.
        """
        return self._running.listen(analysis_id, callback)

    def ready(self) -> str:
        """Say what keeps analyses from being kept, "" when nothing does."""
        try:
            self.counts()
        except UnavailableError as error:
            return str(error)
        return ""

    def counts(self) -> Mapping[Phase, int]:
        """Return how many analyses wait and run, over all replicas."""
        with _available():
            return self._store.counts()


def _step(name: str, do: Callable[[], Any]) -> Any:
    return DBOS.run_step({"name": name}, do)


def _take_over(replica: str) -> None:
    # DBOS leaves this to its paid console; its own function for it hands each workflow to one taker only.
    DBOS._recover_pending_workflows([replica])  # noqa: SLF001


@contextmanager
def _available() -> Iterator[None]:
    """Turn trouble with the connection into UnavailableError; the driver's text may name the database's user."""
    try:
        yield
    except AWAY as error:
        _LOG.warning("the database does not answer (%s)", type(error).__name__)
        raise UnavailableError("the database does not answer; try again in a moment") from None


def _deadline_s(config: Mapping[str, Any]) -> float:
    try:
        return read_configuration(config)[0].deadline
    except InvalidConfigurationError:  # said in the analysis itself, where people look
        return Configuration().deadline


def kept_config(config: Mapping[str, Any], custom: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Return what is kept of a configuration: keys that mean something here, and no secret in those that hold text."""
    redactor = Redactor(custom=custom)
    kept = {key: value for key, value in config.items() if key in KEYS and key not in PLUGIN_ONLY}
    for key in ("extraPrompt", "githubUrl"):
        if isinstance(kept.get(key), str):
            kept[key] = redactor.text(kept[key])
    prometheus = kept.get("prometheus")
    if isinstance(prometheus, Mapping) and isinstance(prometheus.get("address"), str):
        kept["prometheus"] = {**prometheus, "address": redactor.text(prometheus["address"])}
    return kept
