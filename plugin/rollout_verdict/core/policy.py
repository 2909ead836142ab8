"""Everything an operator may tune, with defaults. The thresholds of a judge live beside the judge."""

from dataclasses import dataclass, field
from enum import StrEnum

from rollout_verdict.core.canonical import LATER
from rollout_verdict.core.logs.judge import LogPolicy
from rollout_verdict.core.metrics.judge import MetricPolicy
from rollout_verdict.core.pods import PodPolicy
from rollout_verdict.core.values import SourceKind


class Mode(StrEnum):
    """``auto``: the decision table. ``rules``: no model call. ``advisory``: rules decide, the model explains."""

    AUTO = "auto"
    RULES = "rules"
    ADVISORY = "advisory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One measurement's rules. Confidences are 0..100."""

    mode: Mode = Mode.AUTO
    min_confidence: int = 70  # a model that is less sure than this only explains
    override_confidence: int = 85  # waving rule findings through takes more certainty than anything else
    model_may_override: bool = False  # harm that was measured is not argued away unless the operator says so
    required_sources: tuple[SourceKind, ...] = ()  # any one source may be enough; an operator may insist
    min_pods_seen: float = 0.5  # share of the canary pods that logs or metrics must speak of: silence is no health
    extra_prompt: str = ""  # the operator's own words to the model: trusted, but no way around the table
    logs: LogPolicy = field(default_factory=LogPolicy)
    metrics: MetricPolicy = field(default_factory=MetricPolicy)
    pods: PodPolicy = field(default_factory=PodPolicy)
    # Names of further models to ask in doubt, "" for the first one once more. None by default: each costs as much as
    # the first, and without them doubt already ends with a person.
    second_opinions: tuple[str, ...] = field(default=(), metadata=LATER)
    second_opinion_s: float = field(default=60.0, metadata=LATER)  # for each; the first was given time enough
    # How often a model may ask for more of an item. Never by default: each round is another paid call.
    evidence_rounds: int = field(default=0, metadata=LATER)
