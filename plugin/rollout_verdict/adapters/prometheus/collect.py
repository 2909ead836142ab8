"""Metrics of both sides of a rollout: presets and the operator's own queries, at the same times on either side.

    address allowed? -> which metrics are there -> probe presets in their order -> ask all at once -> evidence and gaps

Whatever fails is a gap; nothing that a server says or does raises out of ``collect``.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from random import random
from threading import Thread
from typing import Any

from rollout_verdict.adapters.prometheus import report
from rollout_verdict.adapters.prometheus.client import Client
from rollout_verdict.adapters.prometheus.measure import Measurement
from rollout_verdict.adapters.prometheus.memory import Memory
from rollout_verdict.adapters.prometheus.options import AddressError, Server, Wanted, permitted
from rollout_verdict.adapters.prometheus.trouble import TroubleError
from rollout_verdict.core.evidence import MetricEvidence
from rollout_verdict.core.target import Scope
from rollout_verdict.core.values import Gap

GRACE_S = 1.0  # for the work to notice its own deadline and hand over what it has
RESERVE_S = 0.5  # kept back of the deadline, for putting together what there is


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus:
    """A source of metrics for one measurement; ``memory`` is shared by all of a process.

    ``clock`` is monotonic seconds, ``now`` unix seconds, ``sleep`` awaits seconds, ``jitter`` is a number in [0, 1).
    """

    server: Server
    wanted: Wanted = field(default_factory=Wanted)
    memory: Memory = field(default_factory=Memory)
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random

    def collect(
        self, scope: Scope, *, deadline_s: float, on_done: Callable[[int, int], None]
    ) -> tuple[MetricEvidence | None, tuple[Gap, ...]]:
        """Return the metrics of both sides. ``on_done`` hears how many of how many queries are answered."""
        future: Future[tuple[MetricEvidence | None, tuple[Gap, ...]]] = Future()
        end = self.clock() + deadline_s - RESERVE_S

        def run() -> None:
            try:
                asyncio.run(self._hand_over(scope, end, on_done, future))
            except BaseException as error:  # noqa: BLE001 -- a bug of ours: raised where somebody waits
                if not future.done():
                    future.set_exception(error)

        # A thread that nobody waits for at the end: the look-up of a name can hang for longer than any deadline.
        Thread(target=run, name="prometheus", daemon=True).start()
        try:
            return future.result(deadline_s + GRACE_S)
        except FutureTimeoutError:
            return None, (_late(deadline_s),)

    async def _hand_over(self, scope: Scope, end: float, on_done: Callable[[int, int], None], future: Any) -> None:
        future.set_result(await self._collect(scope, end, on_done))

    async def _collect(
        self, scope: Scope, end: float, on_done: Callable[[int, int], None]
    ) -> tuple[MetricEvidence | None, tuple[Gap, ...]]:
        try:
            address = permitted(self.server, self.wanted.address)
            client = Client(self.server, address, end=end, clock=self.clock, sleep=self.sleep, jitter=self.jitter)
        except AddressError as error:
            return None, (report.gap("metrics", str(error), _ADDRESS_HINT),)
        except TroubleError as trouble:
            return None, (report.of_trouble("metrics", trouble),)
        try:
            measurement = Measurement(
                client=client,
                wanted=self.wanted,
                memory=self.memory,
                base=address.base,
                now=self.now(),
                on_done=on_done,
            )
            return await measurement.run(scope)
        finally:
            await client.close()


_ADDRESS_HINT = (
    "set ROLLOUT_VERDICT_PROMETHEUS to the server's address, or list what templates may name in "
    "ROLLOUT_VERDICT_PROMETHEUS_ALLOWED"
)


def _late(deadline_s: float) -> Gap:
    return report.gap(
        "metrics",
        f"Prometheus gave nothing within {deadline_s:g} s",
        "raise deadlines.gather, shorten the window, or ask for fewer presets",
    )
