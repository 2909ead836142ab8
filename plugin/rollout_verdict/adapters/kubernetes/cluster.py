"""A Kubernetes cluster as a source of evidence, and how a connection to it is made."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rollout_verdict.adapters.kubernetes.client import Api, Patience
from rollout_verdict.adapters.kubernetes.events import read_events
from rollout_verdict.adapters.kubernetes.logs import LogLimits, read_logs
from rollout_verdict.adapters.kubernetes.sides import find_sides
from rollout_verdict.adapters.kubernetes.trouble import ApiError, one_line
from rollout_verdict.adapters.kubernetes.usage import read_usage
from rollout_verdict.core.evidence import KubernetesEvidence, LogEvidence
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.core.target import Gathering, Sides, Target
from rollout_verdict.core.values import Gap

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

IDLE_CONNECTIONS = 100  # kept for the next request; six analyses at a time read 16 logs each
PLUGIN_S = 60.0  # of a credential plugin: a person may have to log in by a browser, or to confirm a second factor
_RESERVE = 0.1  # share of the time for logs that is left for putting them together


class ConnectionSettingsError(Exception):
    """There is no way to a cluster: no kubeconfig, no such context. The text says what to do."""


class KubernetesCluster:
    """Implements ``core.ports.Cluster``. One for the process; safe to use from many threads."""

    def __init__(
        self,
        client: "ApiClient",
        *,
        patience: Patience | None = None,
        limits: LogLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api = Api(client, clock=clock, now=now, sleep=sleep, patience=patience)
        self._limits = limits or LogLimits()

    def find(self, target: Target, gathering: Gathering, *, deadline_s: float) -> Sides:
        """Return the two sides and their pods. Raises TargetError when there is no such object."""
        return find_sides(self._api, target, gathering, end=self._api.clock() + deadline_s)

    def pods(self, sides: Sides, *, deadline_s: float) -> tuple[KubernetesEvidence | None, tuple[Gap, ...]]:
        """Return the states of the pods, with their events and what they use; None without any pod."""
        names = [*sides.scope.pods.stable, *sides.scope.pods.canary]
        if not names:
            return None, ()
        end = self._api.clock() + deadline_s
        events, event_gaps = read_events(self._api, sides.namespace, names, sides.scope.window.end, end=end)
        usage, usage_gaps = read_usage(self._api, sides.namespace, end=end)
        pods = sides.states.map(
            lambda side: tuple(
                replace(
                    pod,
                    events=events.get(pod.name, ()),
                    containers=tuple(replace(one, usage=usage.get((pod.name, one.name), ())) for one in pod.containers),
                )
                for pod in side
            )
        )
        return KubernetesEvidence(pods=pods), (*event_gaps, *usage_gaps)

    def logs(
        self, sides: Sides, gathering: Gathering, *, deadline_s: float, on_done: Callable[[int, int], None]
    ) -> tuple[LogEvidence | None, tuple[Gap, ...]]:
        """Return the reduced logs of both sides, None when nothing of them could be read."""
        end = self._api.clock() + deadline_s * (1 - _RESERVE)
        return read_logs(self._api, sides, gathering, end=end, on_done=on_done, limits=self._limits)

    def close(self) -> None:
        """Close all connections."""
        self._api.close()


def connect(kubeconfig: str = "", context: str = "", *, plugin_s: float | None = None) -> "ApiClient":
    """Return a client of a cluster. Raises ConnectionSettingsError.

    It is that of the kubeconfig or context named, else the one this pod runs in, else that of the user's kubeconfig.
    Exec plugins run as kubectl runs them, here and when their token has expired, but for ``plugin_s`` seconds at most
    (``PLUGIN_S`` when None).
    """
    import urllib3
    import yaml  # type: ignore[import-untyped]  # it has no types of its own
    from kubernetes.client import ApiClient, Configuration
    from kubernetes.config import ConfigException, load_incluster_config
    from kubernetes.config.kube_config import KubeConfigMerger

    from rollout_verdict.adapters.kubernetes.credentials import Loader

    configuration = Configuration()
    # One retry layer, ours; and a redirect is not followed, since it would take the token elsewhere.
    configuration.retries = False
    configuration.connection_pool_maxsize = IDLE_CONNECTIONS
    if kubeconfig and not Path(kubeconfig).is_file():
        raise ConnectionSettingsError(f"kubeconfig {kubeconfig} is no file: name one that exists")
    paths = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    named = f"{paths}, context {context}" if context else paths
    try:
        if not (kubeconfig or context):
            try:
                load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call] # has no types
                return ApiClient(configuration)
            except ConfigException:
                pass  # not in a pod
        _found(paths)
        found = KubeConfigMerger(paths).config  # type: ignore[no-untyped-call] # has no types
        loader = Loader(found, context, plugin_s=PLUGIN_S if plugin_s is None else plugin_s)
        loader.load_and_set(configuration)  # type: ignore[no-untyped-call]
    except yaml.YAMLError:  # its text quotes the file, which holds keys
        raise ConnectionSettingsError(
            f"no connection to a cluster by kubeconfig {paths}: it is not YAML; try kubectl config view"
        ) from None
    except ConnectionSettingsError:
        raise
    except ApiError as error:
        raise ConnectionSettingsError(
            f"no connection to a cluster by kubeconfig {named}: {error.reason}; {error.hint}"
        ) from None
    except Exception as error:  # noqa: BLE001 -- the library reads YAML, files and plugins, and guards none of them
        # A parser's text quotes the file, which holds keys.
        why = (
            Redactor().text(one_line(str(error)))
            if isinstance(error, ConfigException)
            else f"it cannot be read ({type(error).__name__})"
        )
        raise ConnectionSettingsError(
            f"no connection to a cluster by kubeconfig {named}: {why.rstrip('.')}; try kubectl config get-contexts"
        ) from None
    if not configuration.verify_ssl:  # as the kubeconfig has it; kubectl does not warn at every request either
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return ApiClient(configuration)


def _found(paths: str) -> None:
    if not any(Path(path).expanduser().exists() for path in paths.split(os.pathsep) if path):
        raise ConnectionSettingsError(
            f"no kubeconfig found at {paths}, and this is no pod: set KUBECONFIG, or for a command --kubeconfig"
        )
