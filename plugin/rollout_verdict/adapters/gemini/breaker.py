"""A circuit breaker: after failures in a row the provider is left alone for a while, then tried by one call.

Canary steps come in bursts, and each measurement that waits for a dead provider delays a rollback.
"""

from collections.abc import Callable
from threading import Lock


class Breaker:
    """Counts consecutive failures of a provider; safe to share between threads. ``clock`` is monotonic seconds."""

    def __init__(self, failures: int, pause_s: float, clock: Callable[[], float]) -> None:
        self._limit = failures
        self._pause_s = pause_s
        self._clock = clock
        self._lock = Lock()
        self._failures = 0
        self._since = 0.0  # when the present pause began

    def admits(self) -> bool:
        """Tell whether a call may be made now. While open, one caller is let through after each pause."""
        with self._lock:
            if self._failures < self._limit:
                return True
            if self._left_s() > 0:
                return False
            self._since = self._clock()  # the next try is a pause away, whatever becomes of this one
            return True

    def wait_s(self) -> float:
        """Return the seconds until a call is admitted, 0 when it would be now."""
        with self._lock:
            return self._left_s() if self._failures >= self._limit else 0.0

    def succeeded(self) -> None:
        """Close: the provider answers."""
        with self._lock:
            self._failures = 0

    def failed(self) -> None:
        """Count a failure of the provider; the pause begins anew."""
        with self._lock:
            self._failures += 1
            self._since = self._clock()

    def _left_s(self) -> float:
        return max(0.0, self._since + self._pause_s - self._clock())
