"""What the terminal allows, and progress on stderr. Nothing here writes to stdout."""

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO, TypeVar

T = TypeVar("T")

WIDTH = 100  # where there is no terminal to ask; also the widest that reads well
STEPS = 10  # lines of progress where there is no terminal


def colour(stream: TextIO) -> bool:
    """Return whether a stream may be coloured: a terminal, unless NO_COLOR is set or it is a dumb one."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width() -> int:
    """Return the columns a report may use."""
    return min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show that something is going on, on a terminal only."""
    if not colour(sys.stderr):
        yield
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(what)):
        yield


def counted(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Pass items on while showing how many have come: a bar on a terminal, else a line now and then."""
    if colour(sys.stderr):
        from rich.console import Console
        from rich.progress import track

        yield from track(items, description=what, total=total, console=Console(stderr=True), transient=True)
        return
    for done, item in enumerate(items, 1):
        yield item
        if done == total or done % max(1, total // STEPS) == 0:
            sys.stderr.write(f"{what} {done}/{total}\n")
