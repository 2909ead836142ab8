"""What goes over the wire, as the OpenAPI description tells it: camelCase, unknown keys refused."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from rollout_verdict.core.target import TargetKind
from rollout_verdict.core.values import Decision
from rollout_verdict.jobs.analysis import Phase

# Names of Kubernetes objects (RFC 1123 subdomains), label selectors and template hashes.
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
Namespace = Annotated[str, StringConstraints(pattern=rf"^{_LABEL}$", max_length=63)]
Name = Annotated[str, StringConstraints(pattern=rf"^{_LABEL}(\.{_LABEL})*$", max_length=253)]
Hash = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{0,63}$")]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Selector = Annotated[str, StringConstraints(max_length=1024, pattern=r"^[A-Za-z0-9_./=!,() -]*$")]
Line = Annotated[str, StringConstraints(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]
ModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/@:-]{1,100}$")]

DEPTH = 20  # a configuration has three levels
CONFIG_BYTES = 65_536  # a configuration with 50 queries has some 20 KiB


def _sound(config: dict[str, Any]) -> dict[str, Any]:
    """Refuse what could not be written down again: too deep, too large, not a number, or no Unicode text."""
    if _depth(config) > DEPTH:
        raise ValueError(f"nested deeper than {DEPTH} levels")
    try:
        size = len(json.dumps(config, ensure_ascii=False, allow_nan=False).encode())
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair, which is no text") from None
    if size > CONFIG_BYTES:
        raise ValueError(f"larger than {CONFIG_BYTES >> 10} KiB")
    return config


def _depth(tree: object) -> int:
    deepest, level = 0, [tree]
    while level and deepest <= DEPTH:
        deepest += 1
        level = [
            child
            for value in level
            if isinstance(value, dict | list)
            for child in (value.values() if isinstance(value, dict) else value)
        ]
    return deepest


Config = Annotated[
    dict[str, Any],
    AfterValidator(_sound),
    Field(description="Keys of the plugin's configuration; docs/configuration.md tells them."),
]


class Model(BaseModel):
    """A message."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", use_attribute_docstrings=True, frozen=True
    )


class Message(Model):
    """What went wrong, in words for a person."""

    message: str


# Analyses


class Sides(Model):
    """One text for each side, "" for "find out"."""

    stable: Selector = ""
    canary: Selector = ""


class Hashes(Model):
    """The pod template hash of each side, "" for the Rollout's own."""

    stable: Hash = ""
    canary: Hash = ""


class Start(Model):
    """What to judge: a Rollout, AnalysisRun, Experiment or Deployment of the cluster."""

    kind: TargetKind = TargetKind.ROLLOUT
    """The kind of object."""
    namespace: Namespace
    """Its namespace."""
    name: Name
    """Its name."""
    selectors: Sides = Sides()
    """Label selectors that name the pods of a side outright."""
    hashes: Hashes = Hashes()
    """Pod template hashes, when the Rollout may have moved on since."""
    config: Config = Field(default_factory=dict)

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "rollout", "namespace": "shop", "name": "cart", "config": {"window": "10m"}}]
        }
    )


class Replay(Model):
    """How to judge the same evidence again."""

    model: ModelName | None = None
    """Another model than the usual chain."""
    config: Config = Field(default_factory=dict)

    model_config = ConfigDict(json_schema_extra={"examples": [{"config": {"mode": "rules", "minConfidence": 80}}]})


class StageOut(Model):
    """Progress of one part of the work."""

    name: str
    done: int
    total: int
    """0 when not known."""
    note: str


class VerdictOut(Model):
    """The verdict in short."""

    decision: Decision
    score: int
    """0 is certain harm, 100 all clear."""
    confidence: int
    decided_by: str
    reason: str
    headline: str
    digest: str
    """sha256 of the evidence."""
    model: str
    tokens: int
    cost_usd: float | None
    """None when the price is not known."""
    gaps: int
    """Sources, or parts of one, that were missing."""


class AnalysisOut(Model):
    """One analysis."""

    id: str
    namespace: str
    name: str
    phase: Phase
    origin: str
    """The door it came through: plugin, api, page, a2a, web or mcp."""
    asked_by: str
    replay_of: str
    analysis_run: str
    revision: str
    created: datetime
    started: datetime | None
    finished: datetime | None
    stages: list[StageOut]
    message: str
    """Why it is an error, or was cancelled."""
    warnings: list[str]
    """What of its configuration has no effect, such as a key that is not known."""
    verdict: VerdictOut | None


class PageOut(Model):
    """Some analyses, newest first."""

    analyses: list[AnalysisOut]
    cursor: str
    """Asks for those after these, "" when there are none."""


class ComparisonOut(Model):
    """Two verdicts held against each other."""

    before: str
    """Id of the first."""
    after: str
    """Id of the second."""
    changed: dict[str, Any]
    """What differs: fields as [before, after]; findings, gaps and digests that came and went. Empty: nothing."""


# The plugin's door: docs/remote.md


class Owner(Model):
    """Who owns the AnalysisRun; all "" when nobody does."""

    kind: Line = ""
    name: Name | Literal[""] = ""
    uid: Line = ""

    model_config = ConfigDict(extra="ignore")


class AnalysisRun(Model):
    """The AnalysisRun that the measurement belongs to."""

    namespace: Namespace
    name: Name
    uid: Line = ""
    owner: Owner = Owner()
    revision: Line = ""
    template_hash: Hash = ""
    arguments: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=1000)] = []
    """Names only."""

    model_config = ConfigDict(extra="ignore")


class Measure(Model):
    """A measurement to start. Keys that a newer plugin may send beside these are ignored."""

    id: Id
    plugin: dict[str, Any] = {}
    metric: dict[str, Any] = {}
    analysis_run: AnalysisRun
    config: Config

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [
                {
                    "id": "767a5bbc9f53c6c129c2587b38fb835e",
                    "plugin": {"name": "acme/rollout-verdict", "version": "0.1.0"},
                    "metric": {"name": "verdict", "dryRun": False},
                    "analysisRun": {
                        "namespace": "shop",
                        "name": "shop-canary-2",
                        "uid": "",
                        "owner": {"kind": "Rollout", "name": "shop", "uid": ""},
                        "revision": "2",
                        "templateHash": "5d8f",
                        "arguments": ["service-name"],
                    },
                    "config": {"mode": "auto", "window": "10m"},
                }
            ]
        },
    )


class ModelVote(Model):
    """What one judge said."""

    model_name: str
    promote: bool
    confidence: int


class Measurement(Model):
    """A verdict, as the plugin hands it to Argo."""

    verdict: Decision
    score: int
    confidence: int
    reason: str
    summary: str
    analysis: str
    """Markdown."""
    root_cause: str
    remediation: str
    url: str
    digest: str
    decided_by: str
    rationale: str
    models: list[ModelVote]
    warnings: list[str]


class MeasurementState(Model):
    """How a measurement stands."""

    id: str
    state: Literal["running", "error", "done"]
    message: str | None = None
    """With "error": why."""
    measurement: Measurement | None = None
    """With "done"."""


class AboutOut(Model):
    """What the service says of itself."""

    version: str
    model: str
    prompt_digest: str


# Argo's web provider


class Poll(Model):
    """Whose verdict is wanted. The same answers give the same analysis, for as long as its verdict is fresh."""

    namespace: Namespace
    rollout: Name
    canary_hash: Hash = ""
    stable_hash: Hash = ""
    key: Line = ""
    """Tells analyses of the same canary apart, for instance the number of the step."""
    config: Config = Field(default_factory=dict)

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"namespace": "shop", "rollout": "cart", "canaryHash": "5d8f7c", "stableHash": "7b6c5d"}]
        }
    )


class PollOut(Model):
    """The state, small enough for an AnalysisRun."""

    verdict: Literal["promote", "rollback", "inconclusive", "running", "error"]
    """Only "promote" and "rollback" are for conditions; the others are neither success nor failure."""
    score: int | None = None
    confidence: int | None = None
    reason: str
    id: str = ""
    url: str = ""


# The agent of the Go plugin argoproj-labs/metric-ai


_ROLLOUT = TypeAdapter(tuple[Namespace, Name])


class AgentContext(Model):
    """Where to look. Other keys are ignored: the service gathers for itself."""

    namespace: Namespace | Literal[""] = ""
    rollout_name: Name | Literal[""] = ""
    stable_selector: Selector = ""
    canary_selector: Selector = ""

    model_config = ConfigDict(extra="ignore")


class AgentRequest(Model):
    """What the Go plugin asks its agent."""

    user_id: Annotated[str, Field(max_length=256)] = ""
    prompt: Annotated[str, Field(max_length=65_536)] = ""
    """Read by nobody: the service has prompts of its own."""
    context: AgentContext = AgentContext()
    memory_id: Annotated[str, Field(max_length=512)] = ""
    """``rollout:NAMESPACE/NAME``; names the rollout when the context does not."""
    models_to_use: Annotated[
        list[ModelName], Field(max_length=5), BeforeValidator(lambda given: [] if given is None else given)
    ] = []
    """Models to ask instead of the usual chain."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [
                {
                    "userId": "argo-rollouts",
                    "memoryId": "rollout:shop/cart",
                    "prompt": "Analyze canary deployment",
                    "context": {
                        "namespace": "shop",
                        "rolloutName": "cart",
                        "stableSelector": "role=stable",
                        "canarySelector": "role=canary",
                    },
                }
            ]
        },
    )

    @model_validator(mode="after")
    def _named(self) -> Self:
        try:
            _ROLLOUT.validate_python(self.rollout)
        except ValidationError:
            raise ValueError(
                "context.namespace and context.rolloutName (or memoryId rollout:NAMESPACE/NAME) are needed, as "
                "Kubernetes names them"
            ) from None
        return self

    @property
    def rollout(self) -> tuple[str, str]:
        """Namespace and name of the rollout, "" for what is not told."""
        namespace, _, name = self.memory_id.removeprefix("rollout:").partition("/")
        return self.context.namespace or namespace, self.context.rollout_name or name


class AgentModel(Model):
    """What one judge said, in the agent's words."""

    model_name: str
    analysis: str
    root_cause: str
    remediation: str
    promote: bool
    confidence: int
    execution_time_ms: int
    error: str | None


class AgentAnswer(Model):
    """The agent's answer. ``promote`` is true for a verdict to promote and for nothing else."""

    analysis: str
    root_cause: str
    remediation: str
    pr_link: str | None = None
    promote: bool
    confidence: int
    model_results: list[AgentModel]
    voting_rationale: str


class NoAgentAnswer(AgentAnswer):
    """No verdict: whoever overlooks the status still finds ``promote`` false."""

    message: str
    promote: Literal[False] = False


class Health(Model):
    """The service answers."""

    status: Literal["healthy"] = "healthy"
    agent: str = "rollout-verdict"
    version: str


# Marks


class MarkIn(Model):
    """What is known and harmless."""

    analysis: Id
    """An analysis that shows it."""
    item: Annotated[str, StringConstraints(pattern=r"^[a-z]{1,3}[0-9]{1,6}$")]
    """The item there: a log message (l1) or a metric (m1)."""
    why: Annotated[str, StringConstraints(min_length=3, max_length=500, pattern=r"^[^\x00-\x08\x0e-\x1f\x7f]*$")]
    """Why it is harmless, for whoever reads the next verdict."""
    expires: AwareDatetime | None = None
    """When it counts again, within ten years; never when left out."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"analysis": "767a5bbc9f53c6c129c2587b38fb835e", "item": "l1", "why": "the retry of the cache, SHOP-12"}
            ]
        }
    )


class MarkOut(Model):
    """A mark."""

    id: str
    namespace: str
    name: str
    """The rollout."""
    kind: Literal["log", "metric"]
    text: str
    """The log message, or the metric's name."""
    who: str
    when: datetime
    why: str
    expires: datetime | None


class MarksOut(Model):
    """Marks, newest first."""

    marks: list[MarkOut]


# Operation


class Ready(Model):
    """Whether the service can do its work."""

    ready: bool
    message: str


class TokenOut(Model):
    """An entry of the token file, without its token."""

    name: str
    kind: Literal["token", "serviceaccount"]
    scope: Literal["read", "run", "admin"]
    namespaces: list[str] | None
    """None: all."""
    expires: datetime | None


class TokensOut(Model):
    """Who may do what."""

    tokens: list[TokenOut]
    problem: str
    """Why a change of the file is not in force, "" when all is well."""
