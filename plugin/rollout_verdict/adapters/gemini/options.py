"""What an operator sets about the model. Read from the environment elsewhere, passed in as one value."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rollout_verdict.core.model.prompt import Budget

_ADDRESS = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?:/[\w.~/-]*)?", re.ASCII)


class Thinking(StrEnum):
    """How long the model thinks before it answers."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Settings of the model; times are seconds.

    Either ``api_key`` (Developer API) or ``project`` (Vertex AI, which uses the credentials of the environment
    unless ``credentials``, a google-auth object, is given) is needed.

    ``models`` is the chain, first choice first. ``api_version`` "" means v1beta, or v1beta1 on Vertex AI.
    Raises ValueError naming the setting when a value is impossible.
    """

    api_key: str = field(default="", repr=False)
    project: str = ""
    location: str = "global"
    credentials: Any = field(default=None, repr=False)
    base_url: str = ""
    api_version: str = ""
    models: tuple[str, ...] = ("gemini-3.8-flash", "gemini-4-hydrogen", "gemini-3.5-flash-lite")
    thinking: Thinking = Thinking.LOW  # a canary waits for the answer; deeper thought was not shown to judge better
    max_output_tokens: int = 4096  # thinking counts too: less ends in an empty answer
    attempt_timeout_s: float = 60.0  # several times a usual answer at LOW
    total_timeout_s: float = 120.0  # shorter than most steps; the rules have decided long before
    attempts: int = 8  # HTTP calls in all, over all models of the chain
    measurement_tokens: int = 60_000  # prompt and output of all attempts: a repair and two retries of a full prompt
    budget: Budget = field(default_factory=Budget)
    breaker_failures: int = 3  # measurements in a row
    breaker_pause_s: float = 120.0

    def __post_init__(self) -> None:
        for name in ("max_output_tokens", "attempts", "measurement_tokens", "breaker_failures"):
            if getattr(self, name) < 1:
                raise ValueError(f"model setting {name} must be at least 1, got {getattr(self, name)}")
        for name in ("attempt_timeout_s", "total_timeout_s", "breaker_pause_s"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"model setting {name} must be a number of seconds above 0, got {getattr(self, name)}")
        if self.base_url and not _ADDRESS.fullmatch(self.base_url):
            raise ValueError("model setting base_url must be like https://host:port/path, without user or password")
        if not self.models or not all(self.models):
            raise ValueError("model setting models must name at least one model")

    @property
    def configured(self) -> bool:
        """Whether there is anything to authenticate with."""
        return bool(self.api_key or self.project)
