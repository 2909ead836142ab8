"""What was found out about servers, kept for some minutes: probing each time anew would be most of the load."""

import time
from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from rollout_verdict.adapters.prometheus.probe import Probed

K = TypeVar("K")
V = TypeVar("V")

NAMES_S = 60.0  # a first request brings new metrics: they should not stay unseen for long
PRESETS_S = 300.0  # labels and buckets change with a new configuration of the scrape
MOST = 1000  # entries: a server, a namespace and a rollout each; the oldest go


class Memory:
    """Safe to share between threads; one for the process. ``clock`` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._names: dict[str, tuple[float, frozenset[str]]] = {}
        self._presets: dict[tuple[str, ...], tuple[float, tuple[Probed, ...]]] = {}

    def names(self, server: str) -> frozenset[str] | None:
        """Return the metrics of a server, None when they are not known (any more)."""
        with self._lock:
            kept = self._names.get(server)
        return kept[1] if kept and kept[0] > self._clock() else None

    def keep_names(self, server: str, names: frozenset[str]) -> None:
        """Keep the metrics of a server."""
        with self._lock:
            _keep(self._names, server, (self._clock() + NAMES_S, names))

    def probed(self, key: tuple[str, ...]) -> tuple[Probed, ...] | None:
        """Return what became of probing a preset, None when that is not known (any more)."""
        with self._lock:
            kept = self._presets.get(key)
        return kept[1] if kept and kept[0] > self._clock() else None

    def keep_probed(self, key: tuple[str, ...], probed: tuple[Probed, ...]) -> None:
        """Keep what became of probing a preset; for good news only: bad news may be better in a minute."""
        with self._lock:
            _keep(self._presets, key, (self._clock() + PRESETS_S, probed))


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    kept.pop(key, None)
    kept[key] = value
    while len(kept) > MOST:
        del kept[next(iter(kept))]
