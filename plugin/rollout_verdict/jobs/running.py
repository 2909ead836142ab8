"""The analyses that this process is at work on: how far each is, who listens, and how to stop one."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rollout_verdict.core.stage import Stage

Undo = Callable[[], None]


class Stop:
    """A word to stop that can be given once, and calls back those who asked for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event = threading.Event()
        self._callbacks: list[Callable[[], object]] = []

    def __bool__(self) -> bool:
        return self._event.is_set()

    def give(self) -> None:
        """Give the word."""
        with self._lock:
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def then(self, callback: Callable[[], object]) -> Undo:
        """Have ``callback`` called when the word is given, at once where it was; return how to take it back."""
        with self._lock:
            given = self._event.is_set()
            if not given:
                self._callbacks.append(callback)
        if given:
            callback()

        def undo() -> None:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)

        return undo

    def wait(self, timeout_s: float) -> bool:
        """Wait for the word at most so long; tell whether it was given."""
        return self._event.wait(timeout_s)


class Running:
    """What this process runs. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stops: dict[str, Stop] = {}
        self._stages: dict[str, dict[str, Stage]] = {}
        self._moved: set[str] = set()
        self._listeners: dict[str, list[Callable[[], None]]] = {}

    @contextmanager
    def one(self, analysis_id: str) -> Iterator[Stop]:
        """Run one analysis; who waits for it hears of its end, too."""
        stop = Stop()
        with self._lock:
            self._stops[analysis_id] = stop
            self._stages[analysis_id] = {}
        try:
            yield stop
        finally:
            with self._lock:
                if self._stops.get(analysis_id) is stop:
                    del self._stops[analysis_id], self._stages[analysis_id]
                    self._moved.discard(analysis_id)
            self.tell(analysis_id)

    def ids(self) -> tuple[str, ...]:
        """Return what runs here."""
        with self._lock:
            return tuple(self._stops)

    def stop(self, analysis_id: str) -> None:
        """Stop an analysis if it runs here."""
        with self._lock:
            stop = self._stops.get(analysis_id)
        if stop is not None:
            stop.give()
        self.tell(analysis_id)

    def reached(self, analysis_id: str, stage: Stage) -> None:
        """Take note of progress, from any thread."""
        with self._lock:
            stages = self._stages.get(analysis_id)
            if stages is None:
                return
            stages[stage.name] = stage
            self._moved.add(analysis_id)
        self.tell(analysis_id)

    def stages(self, analysis_id: str) -> tuple[Stage, ...]:
        """Return how far an analysis is, () when it does not run here."""
        with self._lock:
            return tuple(self._stages.get(analysis_id, {}).values())

    def moved(self) -> dict[str, tuple[Stage, ...]]:
        """Return how far those are that made progress since this was last asked."""
        with self._lock:
            moved, self._moved = self._moved, set()
            return {analysis_id: tuple(self._stages[analysis_id].values()) for analysis_id in moved}

    def listen(self, analysis_id: str, callback: Callable[[], None]) -> Undo:
        """Have ``callback`` called, from any thread and for no long work, when there may be something new."""
        with self._lock:
            self._listeners.setdefault(analysis_id, []).append(callback)

        def undo() -> None:
            with self._lock:
                listeners = self._listeners.get(analysis_id, [])
                if callback in listeners:
                    listeners.remove(callback)
                if not listeners:
                    self._listeners.pop(analysis_id, None)

        return undo

    def tell(self, analysis_id: str) -> None:
        """Call back those who listen."""
        with self._lock:
            listeners = tuple(self._listeners.get(analysis_id, ()))
        for listener in listeners:
            listener()
