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
from rollout_verdict.service.auth import Principal
from rollout_verdict.service.problems import UnusableError
from rollout_verdict.service.settings import ServiceSettings


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


def demand_namespaces(principal: Principal, *namespaces: str) -> None:
    """Raise ForbiddenError unless whoever asks may work in all of these."""
    for namespace in namespaces:
        principal.demand_namespace(namespace)
