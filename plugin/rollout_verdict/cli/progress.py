"""Progress of live evidence on stderr: a line that is redrawn on a terminal, a line per finished stage elsewhere."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TextIO

from rollout_verdict.cli import terminal
from rollout_verdict.core.stage import Stage

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
REDRAW_S = 0.1
UNLISTED = ("sides",)  # on the live line its note says more than a count


class Progress:
    """Hears of stages from any thread. Use as a context manager; nothing is left of the live line at the end."""

    def __init__(
        self, first: str, *, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Say ``first`` at once, before anything heavy is imported."""
        self._stream = stream or sys.stderr
        self._live = terminal.colour(self._stream)
        self._clock = clock
        self._started = clock()
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._stages: dict[str, Stage] = {}
        self._over: set[str] = set()
        self._word = first
        self._ended = threading.Event()
        self._write(f"{first} ...\n" if not self._live else f"{FRAMES[0]} {first}")
        self._thread = threading.Thread(target=self._redraw, daemon=True, name="progress")

    def __enter__(self) -> Self:
        if self._live:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._live:
            self._thread.join(1.0)
            self._write("\r\x1b[K")

    def stage(self, stage: Stage) -> None:
        """Hear how far a stage is."""
        with self._lock:
            self._stages[stage.name] = stage
            over = 0 < stage.total <= stage.done and stage.name not in self._over
            if over:
                self._over.add(stage.name)
        if over and not self._live:
            self._write(f"{_told(stage)} ({self._clock() - self._started:.1f} s)\n")

    def say(self, word: str) -> None:
        """Tell what is being done now, "asking the model"."""
        with self._lock:
            self._word, self._stages, self._over = word, {}, set()
        if not self._live:
            self._write(f"{word} ...\n")

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the live line away while something else is written, maybe to the same terminal."""
        with self._writing:
            if self._live:
                self._put("\r\x1b[K")
            yield

    def line(self, frame: int) -> str:
        """Return the live line."""
        with self._lock:
            stages, word = list(self._stages.values()), self._word
        seconds = int(self._clock() - self._started)
        told = [_told(stage) for stage in stages if stage.name not in UNLISTED or stage.total]
        clock = f"{seconds // 60:02d}:{seconds % 60:02d}"
        text = " · ".join([*(told or [word]), clock])
        room = max(20, terminal.width() - 3)
        return f"{FRAMES[frame % len(FRAMES)]} {text if len(text) <= room else f'{text[: room - 1]}…'}"

    def _redraw(self) -> None:
        frame = 0
        while not self._ended.wait(REDRAW_S):
            frame += 1
            self._write(f"\r\x1b[K{self.line(frame)}")

    def _write(self, text: str) -> None:
        with self._writing:
            self._put(text)

    def _put(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _told(stage: Stage) -> str:
    from rollout_verdict.core.quote import visible

    count = f" {stage.done}/{stage.total}" if stage.total > 1 else ""
    note = f": {visible(stage.note, limit=120)}" if stage.note else ""
    return f"{stage.name}{count}{note}"
