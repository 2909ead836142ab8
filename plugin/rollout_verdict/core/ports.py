"""The four seams of the engine. An implementation is one module and one line in ``wiring.py``."""

from typing import Protocol

from rollout_verdict.core.comparison import Comparison
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.values import Gap, Opinion, Usage


class Source(Protocol):
    """Gathers evidence. A part that cannot be had is a gap inside the evidence, never an exception."""

    def collect(self) -> Evidence:
        """Return everything that could be gathered."""
        ...


class Judge(Protocol):
    """A second judge beside the rules: the model. Must return a gap, never raise, when it has no usable reply."""

    def judge(self, evidence: Evidence, comparison: Comparison, rules: Opinion, policy: Policy) -> "Judgement":
        """Return an opinion or the gap that stands for its absence, with what it cost."""
        ...


class Judgement(Protocol):
    """What a judge hands back. ``prompt`` and ``reply`` are texts for the record, "" when there were none."""

    @property
    def opinion(self) -> Opinion | Gap:
        """The opinion, or the gap that stands for its absence."""
        ...

    @property
    def usage(self) -> Usage:
        """What it cost."""
        ...

    @property
    def prompt(self) -> str:
        """What was asked."""
        ...

    @property
    def reply(self) -> str:
        """What was answered."""
        ...
