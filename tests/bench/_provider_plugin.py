"""The plugin process with the provider that ships, over a measurer that does nothing: what the process itself costs."""

import os
import time
from collections.abc import Callable, Mapping

from rollout_verdict.rpc.log import Log
from rollout_verdict.rpc.measurer import Job, Running, State
from rollout_verdict.rpc.messages import Time
from rollout_verdict.rpc.pool import Pool
from rollout_verdict.rpc.provider import Method, Provider


class Nothing:
    """A measurer that is always at it."""

    def problem(self) -> str:
        return ""

    def start(self, job: Job, *, within: float) -> State:
        return Running()

    def get(self, job: Job, *, within: float) -> State | None:
        return Running()

    def cancel(self, job: Job, *, within: float) -> None:
        return

    def forget(self, measurement_ids: tuple[str, ...]) -> None:
        return

    def about(self, *, within: float) -> Mapping[str, str]:
        return {}


def _methods(pool: Pool, log: Log) -> Mapping[str, Method]:
    submit: Callable[[Callable[[], None]], None] = pool.submit
    return Provider(Nothing(), now=lambda: Time(time.time_ns()), submit=submit, log=log).methods()


def main() -> int:
    from rollout_verdict.rpc.__main__ import reserve_stdout

    handshake_fd = reserve_stdout()
    from rollout_verdict.rpc import process

    return process.run(_methods, environ=os.environ, handshake_fd=handshake_fd)
