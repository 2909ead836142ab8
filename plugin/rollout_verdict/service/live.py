"""Live evidence for the service: one connection to the cluster, made when it is first needed."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from rollout_verdict.configuration import Configuration
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.ports import Cluster
from rollout_verdict.core.ports import Metrics as MetricSource
from rollout_verdict.core.stage import Stage
from rollout_verdict.core.target import TargetError
from rollout_verdict.gather import gather
from rollout_verdict.jobs.analysis import Request
from rollout_verdict.settings import SettingsError

_LOG = logging.getLogger(__name__)


class ClosingCluster(Cluster, Protocol):
    """A cluster whose connections end."""

    def close(self) -> None:
        """End them."""
        ...


class Live:
    """Gathers evidence for requests (``jobs.work.Gather``). Safe to use from many threads."""

    def __init__(
        self,
        connect: Callable[[], ClosingCluster],
        metric_source: Callable[[Configuration], MetricSource | None],
    ) -> None:
        """``connect`` raises SettingsError where there is no cluster; ``metric_source`` gives that of one request."""
        self._connect = connect
        self._metric_source = metric_source
        self._cluster: ClosingCluster | None = None
        self._lock = threading.Lock()

    def __call__(self, request: Request, configuration: Configuration, on_stage: Callable[[Stage], None]) -> Evidence:
        """Return what is known about the request's target. Raises TargetError."""
        if request.target is None:
            raise TargetError("there is no target to look at")
        source = self._metric_source(configuration)
        return gather(request.target, self._connected(), source, configuration.gathering(), on_stage=on_stage)

    def _connected(self) -> Cluster:
        with self._lock:
            if self._cluster is None:
                try:
                    self._cluster = self._connect()
                except SettingsError as error:
                    raise TargetError(f"there is no way to a cluster: {error}") from None
            return self._cluster

    def close(self) -> None:
        """End the connection to the cluster."""
        with self._lock:
            if self._cluster is not None:
                self._cluster.close()
                self._cluster = None
