"""Getting through an outage of the database: the one place where its errors are met with patience."""

from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

T = TypeVar("T")

AWAY = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError)  # what a database that is away raises
OUTAGE_S = 600.0  # how long it may be, before an analysis gives up and leaves its end to its deadline
PAUSE_MOST_S = 5.0  # between two tries: as long as work may rest when the database is back


def lasting(do: Callable[[], T]) -> T:
    """Do something with the database, again while it is away. Raises what it raised last after ten minutes."""
    try:
        return do()
    except AWAY:
        return _RETRYING(do)


_RETRYING = Retrying(
    retry=retry_if_exception_type(AWAY),
    wait=wait_random_exponential(multiplier=0.2, max=PAUSE_MOST_S),
    stop=stop_after_delay(OUTAGE_S),
    reraise=True,
)
