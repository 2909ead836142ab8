"""From what somebody asks for to what the analyses are given: checked here, so that nothing wrong is ever started."""

from collections.abc import Mapping
from typing import Any

from rollout_verdict.adapters.prometheus.options import AddressError, permitted
from rollout_verdict.configuration import (
    KEYS,
    PLUGIN_ONLY,
    Configuration,
    InvalidConfigurationError,
    read_configuration,
)
from rollout_verdict.jobs.analysis import Request
from rollout_verdict.service.auth import Principal
from rollout_verdict.service.problems import UnusableError
from rollout_verdict.service.services import Services
from rollout_verdict.service.settings import ServiceSettings

_MOST_TOLD = 5  # of what differs: the plugin shows one line


def checked(
    config: Mapping[str, Any], settings: ServiceSettings
) -> tuple[Configuration, dict[str, Any], tuple[str, ...]]:
    """Return the configuration, what of it is passed on, and warnings. Raises UnusableError (422)."""
    try:
        configuration, warnings = read_configuration(config)
    except InvalidConfigurationError as error:
        raise UnusableError(str(error)) from None
    if configuration.bundle:
        raise UnusableError("bundle is for a plugin that measures in its own process (--local); upload it instead")
    address = configuration.prometheus.address
    if address:
        try:
            permitted(settings.prometheus, address)
        except AddressError:
            raise UnusableError(
                "prometheus.address is not among the addresses the service may ask: leave it out to use the service's "
                "own, or have its operator add it to ROLLOUT_VERDICT_PROMETHEUS_ALLOWED"
            ) from None
    kept = {key: value for key, value in config.items() if key in KEYS and key not in PLUGIN_ONLY and value is not None}
    return configuration, kept, warnings


def differing(services: Services, known: Request, asked: Request, principal: Principal) -> str:
    """Say in which keys a request is another one than that which has its id, "" when the verdict on it is its own.

    Both are compared as they are kept, and configurations as they are read: "10m" is 600, and a default may be left
    out. Values are never told; who may not see what has the id learns nothing of it but that.
    """
    if not principal.sees(known.namespace):
        return "namespace"
    before, now = (_parts(services.analyses.as_kept(one)) for one in (known, asked))
    differ = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    more = f" and {len(differ) - _MOST_TOLD} more" if len(differ) > _MOST_TOLD else ""
    return ", ".join(differ[:_MOST_TOLD]) + more


def _parts(request: Request) -> dict[str, object]:
    """Return all that a verdict depends on, by the words for it."""
    target = request.target
    try:
        configuration = read_configuration(request.config)[0]
        config = {key: getattr(configuration, field) for key, field in KEYS.items()}
    except InvalidConfigurationError:  # kept by a release that took what this one does not
        config = dict(request.config)
    return {
        "namespace": request.namespace,
        "name": request.name,
        "analysisRun": request.analysis_run,
        "kind": target and target.kind,
        "selectors": target and target.selectors,
        "hashes": target and target.hashes,
        "bundle": request.upload,
        "evidence": request.replay_of,
        **{f"config.{key}": value for key, value in config.items()},
    }


def demand_namespaces(principal: Principal, *namespaces: str) -> None:
    """Raise ForbiddenError unless whoever asks may work in all of these."""
    for namespace in namespaces:
        principal.demand_namespace(namespace)
