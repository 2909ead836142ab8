"""One thing that was looked at, and how it is told."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from rollout_verdict.core.quote import visible


class State(StrEnum):
    """What came of a check. Only ``MISSING`` keeps rollouts from being judged."""

    OK = "ok"
    MISSING = "missing"
    OPTIONAL = "optional"  # not there, and verdicts are poorer without it
    UNKNOWN = "unknown"  # could not be checked, because of something said elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at: what was found, and what to do about it, "" when there is nothing to do."""

    name: str
    state: State
    found: str
    todo: str = ""


def healthy(found: Sequence[Check]) -> bool:
    """Whether rollouts can be judged as things are."""
    return not any(check.state is State.MISSING for check in found)


def as_text(check: Check) -> str:
    """Return a check for people, on one line, or two when there is something to do."""
    line = f"{check.state.value:<9}{visible(check.name)}: {visible(check.found)}\n"
    return line + (f"{'':<9}-> {visible(check.todo)}\n" if check.todo else "")


def as_json(found: Sequence[Check]) -> str:
    """Return all checks as one document."""
    return json.dumps({"healthy": healthy(found), "checks": [asdict(check) for check in found]}, indent=1) + "\n"
