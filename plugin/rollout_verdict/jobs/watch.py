"""The thread that watches: deadlines, cancellations from elsewhere, replicas that died, what is too old to keep.

It also keeps progress, of all analyses in one transaction: that is for people, and a write costs like any other.

A replica counts its pulse on in the database. One whose count stays the same over several looks in a row is dead, and
its work is taken over. No clocks are compared, and looks that the database refuses do not count, so that its outage
makes nobody dead.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from rollout_verdict.jobs.analysis import OnEnd, Phase
from rollout_verdict.jobs.running import Running
from rollout_verdict.jobs.store import Store

_LOG = logging.getLogger(__name__)

LOOK_S = 1.0  # a cancellation from another replica stops the model within this
LATELY_S = 60.0  # how far back to look for cancellations; more than two clocks may differ
DEAD_AFTER = 6  # looks without a pulse, usually 30 s: longer than a living process pauses, half of what is promised
TIDY_S = 300.0
BATCH = 500  # analyses forgotten in one transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """For how long ended analyses are kept, and how many of them."""

    age_s: float = 30 * 86_400.0  # a month of verdicts is what people look back at
    count: int = 10_000  # at some 30 KiB each, 300 MiB


class Watch:
    """Watches until it is told to stop. ``take_over`` resumes a dead replica's work, ``forget`` drops workflows."""

    def __init__(
        self,
        replica: str,
        store: Store,
        running: Running,
        keeping: Keeping,
        *,
        beat_s: float,
        take_over: Callable[[str], None],
        forget: Callable[[list[str]], None],
        on_end: OnEnd,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._replica = replica
        self._store = store
        self._running = running
        self._keeping = keeping
        self._beat_s = beat_s
        self._take_over = take_over
        self._forget = forget
        self._on_end = on_end
        self._clock = clock
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._pulses: dict[str, tuple[int, int]] = {}  # replica: (beats, looks at the same beats)
        self._away = False

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; waits for what is being done."""
        self._done.set()
        self._thread.join(LOOK_S + 5.0)

    def look(self) -> None:
        """End what is overdue, stop what was cancelled elsewhere, keep how far the others are."""
        now = self._clock()
        for analysis_id in self._store.overdue(now):
            if self._store.end(analysis_id, Phase.CANCELLED, now, message="it did not end before its deadline"):
                self._on_end(analysis_id, Phase.CANCELLED, None)
        here = set(self._running.ids())
        for analysis_id in self._store.cancelled(now - LATELY_S):
            if analysis_id in here:
                self._running.stop(analysis_id)
        self._store.progress(self._running.moved())

    def beat(self) -> None:
        """Show a pulse and take over from those who show none."""
        found = self._store.beat(self._replica)
        pulses: dict[str, tuple[int, int]] = {}
        for replica, beats in found.items():
            before, looks = self._pulses.get(replica, (beats, -1))
            pulses[replica] = (beats, looks + 1 if beats == before else 0)
        self._pulses = pulses
        for replica, (_, looks) in pulses.items():
            if looks >= DEAD_AFTER and replica != self._replica:
                _LOG.warning("replica %s is dead, its analyses are taken over", replica)
                self._take_over(replica)
                self._store.forget_replica(replica)

    def tidy(self) -> None:
        """Forget what is too old or too much."""
        now = self._clock()
        while expired := self._store.expired(now, self._keeping.age_s, self._keeping.count, BATCH):
            self._forget(expired)
            self._store.forget(expired, now)
            if len(expired) < BATCH or self._done.is_set():
                break
        self._store.forget_uploads(now)

    def _run(self) -> None:
        due = {self.look: 0.0, self.beat: 0.0, self.tidy: time.monotonic() + TIDY_S}
        every = {self.look: LOOK_S, self.beat: self._beat_s, self.tidy: TIDY_S}
        while not self._done.wait(min(LOOK_S, self._beat_s) / 2):
            for work, moment in due.items():
                if time.monotonic() >= moment:
                    due[work] = time.monotonic() + every[work]
                    self._try(work)

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except sa.exc.SQLAlchemyError as error:
            if not self._away:
                _LOG.warning("the database does not answer (%s); trying again until it does", type(error).__name__)
            self._away = True
        except Exception as error:  # noqa: BLE001 -- the watch goes on whatever breaks in one look
            _LOG.error("the watch met %s", type(error).__name__, exc_info=_LOG.isEnabledFor(logging.DEBUG))
        else:
            if self._away:
                _LOG.warning("the database answers again")
            self._away = False
