"""One background thread with an event loop, so that a deadline holds whatever blocks.

``asyncio.run`` waits for threads it started, and a name look-up or a token refresh in one of them can hang for
minutes. Here the caller stops waiting on time, and what hangs, hangs on a daemon thread.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from threading import Lock, Thread
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

GRACE_S = 1.0  # for the coroutine to notice its own deadline first, and say more about it than that it is over


class Stoppable(Protocol):
    """A word to stop that somebody may give while a call is under way."""

    def __bool__(self) -> bool:
        """Whether it was given."""
        ...

    def then(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Have ``callback`` called when it is given, at once where it was; return how to take that back."""
        ...


class Loop:
    """Runs coroutines for threads that have no loop of their own. Started by the first use, ended by ``close``."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, make: Callable[[], Coroutine[Any, Any, T]], timeout_s: float, stop: Stoppable | None = None) -> T:
        """Return what the coroutine returns.

        Raises TimeoutError shortly after ``timeout_s`` when it has not, or at once when it is told to ``stop``.
        """
        future = asyncio.run_coroutine_threadsafe(make(), self._started())
        undo = stop.then(future.cancel) if stop is not None else None
        try:
            return future.result(timeout_s + GRACE_S)
        except TimeoutError:
            future.cancel()
            raise
        except CancelledError:  # closed or stopped meanwhile
            raise TimeoutError("the model client was closed during the call") from None
        finally:
            if undo is not None:
                undo()

    def close(self) -> None:
        """End the thread; what runs is cancelled."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(_stop, loop)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                Thread(target=_serve, args=(self._loop,), name="model-calls", daemon=True).start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


def _stop(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.create_task(_settle(loop, tasks))  # the loop ends with it


async def _settle(loop: asyncio.AbstractEventLoop, tasks: set["asyncio.Task[Any]"]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
    loop.stop()
