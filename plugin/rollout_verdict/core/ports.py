"""The seams of the engine. An implementation is one module and one line in ``wiring.py``."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from rollout_verdict.core.comparison import Comparison
from rollout_verdict.core.evidence import Evidence, KubernetesEvidence, LogEvidence, MetricEvidence
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.result import Exchange
from rollout_verdict.core.target import Gathering, Scope, Sides, Target
from rollout_verdict.core.values import Gap, Opinion, Usage, Vote


class Source(Protocol):
    """Gathers evidence. A part that cannot be had is a gap inside the evidence, never an exception."""

    def collect(self) -> Evidence:
        """Return everything that could be gathered."""
        ...


class Cluster(Protocol):
    """A Kubernetes cluster. Every call ends at its deadline, in seconds from now; what could not be had is a gap."""

    def find(self, target: Target, gathering: Gathering, *, deadline_s: float) -> Sides:
        """Return the two sides and their pods. Raises TargetError when there is no such object."""
        ...

    def pods(self, sides: Sides, *, deadline_s: float) -> tuple[KubernetesEvidence | None, tuple[Gap, ...]]:
        """Return the states of the pods, with their events and what they use."""
        ...

    def logs(
        self, sides: Sides, gathering: Gathering, *, deadline_s: float, on_done: Callable[[int, int], None]
    ) -> tuple[LogEvidence | None, tuple[Gap, ...]]:
        """Return the reduced logs. ``on_done`` hears how many of how many containers are read, from any thread."""
        ...


class Metrics(Protocol):
    """A source of metrics, with the queries it is to make."""

    def collect(
        self, scope: Scope, *, deadline_s: float, on_done: Callable[[int, int], None]
    ) -> tuple[MetricEvidence | None, tuple[Gap, ...]]:
        """Return the metrics of both sides. ``on_done`` hears how many of how many queries are answered."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a judge hands back: an opinion, or the gap that stands for its absence, and what it cost.

    ``prompt`` and ``reply`` are texts for the record, "" when there were none. Where several were asked, they are those
    of the first, ``others`` those of the others, and ``vote`` says how ``opinion`` came about.
    """

    opinion: Opinion | Gap
    usage: Usage = field(default_factory=Usage)
    prompt: str = ""
    reply: str = ""
    others: tuple[Exchange, ...] = ()
    vote: Vote | None = None


class Judge(Protocol):
    """A second judge beside the rules: the model. Must return a gap, never raise, when it has no usable reply."""

    def judge(self, evidence: Evidence, comparison: Comparison, rules: Opinion, policy: Policy) -> Judgement:
        """Return an opinion or the gap that stands for its absence, with what it cost."""
        ...


@runtime_checkable
class Family(Judge, Protocol):
    """A judge with others beside it, that may be asked for second opinions by the names of their models."""

    def named(self, model: str, within_s: float) -> Judge:
        """Return the judge by a model, with a deadline of its own in seconds."""
        ...
