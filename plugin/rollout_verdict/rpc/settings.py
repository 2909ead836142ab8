"""What the operator sets for the plugin process: arguments from the ConfigMap, or environment variables.

======================  ==============================  =====================================================
argument                environment                     meaning
======================  ==============================  =====================================================
``--service=URL``       ``ROLLOUT_VERDICT_SERVICE``     base address of the service, http or https
``--token-file=PATH``   ``ROLLOUT_VERDICT_TOKEN_FILE``  file with the bearer token for the service
``--ca-file=PATH``      ``ROLLOUT_VERDICT_CA_FILE``     certificates the service's is checked against (PEM)
``--local``             ``ROLLOUT_VERDICT_LOCAL=true``  measure in this process instead, for trying out
======================  ==============================  =====================================================
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

_OPTIONS = {"--service": "SERVICE", "--token-file": "TOKEN_FILE", "--ca-file": "CA_FILE", "--local": "LOCAL"}


class Settings(NamedTuple):
    """The settings; "" where not set. ``problem`` is what is wrong with them, "" when nothing is."""

    service: str
    token_file: str
    ca_file: str
    local: bool
    problem: str


def read_settings(arguments: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Return the settings; arguments win. Never raises: the controller needs a plugin that starts and complains."""
    found = {name: environ.get(f"ROLLOUT_VERDICT_{name}", "") for name in _OPTIONS.values()}
    problem = ""
    waiting = ""
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if waiting:
            found[waiting], waiting = argument, ""
        elif option == "--local" and not equals:
            found["LOCAL"] = "true"
        elif option not in _OPTIONS:
            problem = f"unknown plugin argument {option[:40]!r}; known are {', '.join(_OPTIONS)}"
        elif equals:
            found[_OPTIONS[option]] = value
        else:
            waiting = _OPTIONS[option]
    if waiting:
        problem = "the last plugin argument lacks its value"
    if found["LOCAL"] not in ("", "true", "false"):
        problem = "--local and ROLLOUT_VERDICT_LOCAL take true or false"
    return Settings(
        service=found["SERVICE"],
        token_file=found["TOKEN_FILE"],
        ca_file=found["CA_FILE"],
        local=found["LOCAL"] == "true",
        problem=problem,
    )
