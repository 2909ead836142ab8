"""Waiting for an analysis without holding a thread, by as many callers as there is room for."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.concurrency import run_in_threadpool

from rollout_verdict.jobs.analysis import Analysis
from rollout_verdict.service.problems import TooManyError, UnavailableError
from rollout_verdict.service.services import Services


class Waiting:
    """How many wait, and for what; one caller holds ``each`` places at most, all of them when it is not told."""

    def __init__(self, services: Services, each: int | None = None) -> None:
        self._services = services
        self._each = each
        self._waiting: Counter[str] = Counter()

    def demand_place(self, who: str = "") -> None:
        """Raise UnavailableError (503) when all places are taken, TooManyError (429) when ``who`` has enough."""
        if self._waiting.total() >= self._services.settings.watchers:
            raise UnavailableError("too many wait for an analysis already; ask again in a moment")
        if self._each is not None and self._waiting[who] >= self._each:
            raise TooManyError(f"{who} watches {self._each} analyses already; ask again when one of them is over")

    @asynccontextmanager
    async def place(self, who: str = "") -> AsyncIterator[None]:
        """Hold one of the places. Raises as ``demand_place`` does."""
        self.demand_place(who)
        self._waiting[who] += 1
        try:
            yield
        finally:
            self._waiting[who] -= 1
            self._waiting += Counter()  # forgets those who hold none

    async def changes(self, analysis: Analysis, within_s: float) -> AsyncIterator[Analysis | None]:
        """Give the analysis whenever it has changed, None after a silence; ends when it is over or time is up."""
        settings, loop = self._services.settings, asyncio.get_running_loop()
        end = loop.time() + within_s
        spoke = loop.time()
        yield analysis
        while not analysis.phase.final and loop.time() < end:
            await asyncio.sleep(settings.watch_interval_s)
            found = await run_in_threadpool(self._services.analyses.get, analysis.request.id)
            if found is None:
                return
            if found != analysis:
                analysis, spoke = found, loop.time()
                yield analysis
            elif loop.time() - spoke >= settings.heartbeat_s:
                spoke = loop.time()
                yield None

    async def end(self, analysis: Analysis, within_s: float) -> Analysis:
        """Return the analysis when it is over, or as it stands after ``within_s``."""
        async with self.place():
            async for change in self.changes(analysis, within_s):
                analysis = change or analysis
        return analysis
