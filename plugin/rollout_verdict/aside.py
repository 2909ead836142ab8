"""Work aside: on a thread that nobody waits for at the end of the process, since what hangs must not hold it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def aside(name: str, work: Callable[[], T]) -> "Future[T]":
    """Begin ``work`` on a thread of that name and return what will come of it."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 -- handed over to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
