"""Threads for calls that wait: started when needed, up to a bound, ended when idle.

The standard library's executor would import ``logging`` (2 MB in the controller's pod) and keep its threads for ever.
"""

import _thread
import queue
import threading
from collections.abc import Callable

# The controller runs 30 analyses at a time, each with a few metrics. A thread that waits costs about 20 KB.
MAX_THREADS = 512
# Calls that wait for a thread. The controller cannot have more than a few hundred under way.
MAX_WAITING = 4096
_IDLE_S = 10.0


class BusyError(Exception):
    """Too much is waiting already."""


class Pool:
    """Runs functions on daemon threads: none of them can hold up the end of the process.

    A function should not raise; ``failed`` is told when one does.
    """

    def __init__(
        self,
        failed: Callable[[BaseException], None],
        *,
        threads: int = MAX_THREADS,
        waiting: int = MAX_WAITING,
        idle_s: float = _IDLE_S,
    ) -> None:
        self._failed = failed
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._max_threads = threads
        self._max_waiting = waiting
        self._idle_s = idle_s
        self._threads = 0
        self._open = 0  # functions submitted and not finished

    def submit(self, function: Callable[[], None]) -> None:
        """Run ``function`` soon. Raises BusyError when too much is waiting."""
        with self._lock:
            if self._open >= self._max_threads + self._max_waiting:
                raise BusyError("too many calls are waiting already")
            if self._open >= self._threads and self._threads < self._max_threads:
                self._start_thread()
            self._open += 1
            self._work.put(function)

    def _start_thread(self) -> None:
        try:
            # Thread.start would wait until the new thread has had its first turn: milliseconds each, 500 in a row.
            _thread.start_new_thread(self._run, ())
        except RuntimeError:  # the system has no thread left
            if not self._threads:
                raise BusyError("the system has no thread left") from None
        else:
            self._threads += 1

    def _run(self) -> None:
        while True:
            try:
                function = self._work.get(timeout=self._idle_s)
            except queue.Empty:
                with self._lock:
                    if self._open >= self._threads:  # work arrived in the meantime: this thread is counted on
                        continue
                    self._threads -= 1
                    return
            try:
                function()
            except BaseException as error:  # noqa: BLE001 -- this thread is counted on for what comes next
                self._failed(error)
            with self._lock:
                self._open -= 1
