"""Who did what: one line in the log for everything that starts, stops or changes something."""

import logging

from rollout_verdict.service.auth import Principal

_LOG = logging.getLogger("rollout_verdict.audit")


def audit(principal: Principal, action: str, **about: str) -> None:
    """Note that somebody did something; ``about`` holds ids and names, never contents."""
    _LOG.info(
        action,
        extra={"audit": True, "caller": principal.name, "session": principal.session, "action": action, **about},
    )
