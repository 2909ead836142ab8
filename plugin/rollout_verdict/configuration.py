"""The configuration of a measurement: what stands under the plugin's name in an AnalysisTemplate.

One model for every door. The keys of the existing Go plugin (argoproj-labs/metric-ai) are all known, so that a template
written for it keeps working; those that mean nothing here are accepted and said so in a warning.
"""

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import SkipJsonSchema

from rollout_verdict.adapters.prometheus import placeholders
from rollout_verdict.adapters.prometheus.catalogue import names as preset_names
from rollout_verdict.adapters.prometheus.options import AUTO, check_matcher
from rollout_verdict.core.logs.judge import LogPolicy
from rollout_verdict.core.metrics.judge import MetricPolicy
from rollout_verdict.core.pods import PodPolicy
from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.core.target import Gathering
from rollout_verdict.core.values import SourceKind
from rollout_verdict.durations import parse_duration

P = TypeVar("P", LogPolicy, MetricPolicy, PodPolicy)

Duration = Annotated[
    float,
    BeforeValidator(parse_duration, json_schema_input_type=str | float),
    Field(gt=0),
]
Percent = Annotated[int, Field(ge=0, le=100, strict=True)]
Text = Annotated[str, Field(max_length=4096)]
Name = Annotated[str, Field(max_length=253)]  # the longest name in Kubernetes
SECOND_OPINIONS = 4  # each may take a minute and costs as much as the first
ModelName = Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99})?$")]  # it becomes part of an address


_Names = Annotated[list[ModelName], Field(max_length=SECOND_OPINIONS)]
_Count = Annotated[int, Field(ge=0, le=SECOND_OPINIONS)]


def _named(value: object) -> object:
    """Return a number of further opinions as so many names that stand for the same model."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= SECOND_OPINIONS:
        return [""] * value
    if not isinstance(value, list | tuple):
        expected = f"a list of at most {SECOND_OPINIONS} names of models, or a number 0..{SECOND_OPINIONS}"
        raise ValueError(expected)  # noqa: TRY004 -- the error that pydantic makes its own of
    return value


def _near(name: str, known: Iterable[str]) -> str:
    """Return the known name that was perhaps meant, "" without one."""
    return next(iter(get_close_matches(name, list(known), 1)), "")


def tunable(policy: LogPolicy | MetricPolicy | PodPolicy) -> dict[str, str]:
    """Return the numeric fields of a policy, field name by camelCase name."""
    return {
        to_camel(field.name): field.name
        for field in dataclasses.fields(policy)
        if isinstance(getattr(policy, field.name), int | float)
    }


def _with(policy: P, thresholds: Mapping[str, float]) -> P:
    known = tunable(policy)
    changes: dict[str, Any] = {}
    for key, value in thresholds.items():
        kind = type(getattr(policy, known[key]))
        changes[known[key]] = kind(value)
    return dataclasses.replace(policy, **changes)


class OnInconclusive(StrEnum):
    """What an inconclusive verdict becomes: Argo pauses for a person, or aborts."""

    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"


class OnModelFailure(StrEnum):
    """What happens when the model has no usable reply."""

    RULES = "rules"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


class OnUnavailable(StrEnum):
    """What a measurement becomes when the service stays unreachable."""

    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


class ValueFormat(StrEnum):
    """What a measurement's value is: small JSON, or the Go plugin's number."""

    JSON = "json"
    NUMBER = "number"


class _Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=False, frozen=True, extra="forbid", use_attribute_docstrings=True
    )


def _query(text: str) -> str:
    placeholders.check(text)
    return text


def _preset(name: str) -> str:
    known = (AUTO, *preset_names())
    if name not in known:
        raise ValueError(f"one of {', '.join(known)}")
    return name


def _matchers(told: dict[str, str]) -> dict[str, str]:
    for name, value in told.items():
        check_matcher(name, value)
    return told


class Query(_Model):
    """A PromQL query of the operator's own."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """What the metric is called in the report."""
    query: Annotated[str, Field(min_length=1, max_length=8192), AfterValidator(_query)]
    """PromQL that yields one series a pod, or one for the side. Placeholders such as ${pods}: see prometheus.md."""
    direction: Annotated[str, Field(pattern="^(higher_is_worse|lower_is_worse|neutral)$")] = "higher_is_worse"
    """Which way the metric gets worse: higher_is_worse, lower_is_worse or neutral."""
    unit: Annotated[str, Field(max_length=40)] = ""
    """Unit of the values, for the report."""


class Prometheus(_Model):
    """Where metrics come from."""

    address: Text = ""
    """Base address of the Prometheus HTTP interface; the service's own setting when empty."""
    queries: Annotated[tuple[Query, ...], Field(max_length=50)] = ()
    """Queries beside the presets."""
    presets: Annotated[tuple[Annotated[Name, AfterValidator(_preset)], ...], Field(max_length=50)] = ()
    """Names of query sets to use, see prometheus.md; those that find data when empty, or with auto."""
    matchers: Annotated[dict[str, str], Field(max_length=10), AfterValidator(_matchers)] = {}
    """Labels and the values that all series of the presets must have: cluster: eu-1, where a server has several."""
    minimum_requests: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = 100
    """Requests that a side needs in the window before a preset's failures and durations are judged."""


class Containers(_Model):
    """Which containers' logs are read."""

    include: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    """Only these containers; all but the known sidecars when empty."""
    exclude: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    """Not these containers."""


class Thresholds(_Model):
    """Thresholds of the judges: numbers by their names, as {"logs": {"minEvents": 30}}."""

    logs: dict[str, float] = {}
    """Of the log judge, listed below."""
    metrics: dict[str, float] = {}
    """Of the metric judge, listed below."""
    pods: dict[str, float] = {}
    """Of the judge of pod states, listed below."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name, policy in (("logs", LogPolicy()), ("metrics", MetricPolicy()), ("pods", PodPolicy())):
            known = tunable(policy)
            for key, value in getattr(self, name).items():
                if key not in known:
                    near = _near(to_camel(key[:_SHOWN]), known)
                    is_one = f", {near} is" if near else ""
                    raise ValueError(f"{name}.{key} is no threshold{is_one}; known are {', '.join(known)}")
                if not (math.isfinite(value) and value >= 0):
                    raise ValueError(f"{name}.{key} must be a number not below 0")
                if isinstance(getattr(policy, known[key]), int) and value != int(value):
                    raise ValueError(f"{name}.{key} must be a whole number")
        return self


class Deadlines(_Model):
    """How long the parts of a measurement may take."""

    gather: Duration = 60.0
    """Reading logs, metrics and pod states."""
    model: Duration = 120.0
    """Asking the model, with all retries."""
    second_opinion: Duration = 60.0
    """Asking each further model, with all retries."""


class Configuration(_Model):
    """What an AnalysisTemplate may say."""

    agent_url: Text = ""
    """Address of the service, when the operator has set none for the plugin. It is never sent the operator's token."""
    stable_label: Text = ""
    """Label selector of the stable pods; the Rollout's own template hash when empty."""
    canary_label: Text = ""
    """Label selector of the canary pods; the Rollout's own template hash when empty."""
    stable_pod_label: Text = ""
    """Older name of stableLabel."""
    canary_pod_label: Text = ""
    """Older name of canaryLabel."""
    extra_prompt: Annotated[str, Field(max_length=16384)] = ""
    """The operator's words to the model. Trusted, but no way around the decision table."""
    github_url: Text = ""
    """Repository for comments on pull requests."""
    base_branch: Text = "main"
    """Branch that changes are compared with."""
    model: Annotated[str, Field(max_length=200)] = ""
    """Name of the model; the service's own setting when empty."""
    analysis_mode: Text = ""
    """Accepted and without effect: the Go plugin chose between its two ways of asking a model with it."""
    namespace: Name = ""
    """Namespace of the pods; the AnalysisRun's when empty. Another one takes a token that names both namespaces."""
    pod_name: Name = ""
    """Accepted and without effect: all pods are read, not one."""

    mode: Mode = Mode.AUTO
    """auto: rules and model by the decision table. rules: no model. advisory: rules decide, the model explains."""
    window: Duration = 600.0
    """How far back logs and metrics are read, at most."""
    warm_up: Duration = 30.0
    """How long after its youngest pod became ready the canary is left alone before it is compared."""
    minimum_samples: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] | SkipJsonSchema[None] = None
    """Samples that a side of a metric needs to be judged; the judge's own when not set."""
    prometheus: Prometheus = Prometheus()
    """Where metrics come from."""
    containers: Containers = Containers()
    """Which containers' logs are read."""
    thresholds: Thresholds = Thresholds()
    """Thresholds of the judges."""
    min_confidence: Percent = 70
    """A model less sure than this only explains."""
    model_may_override: Annotated[bool, Field(strict=True)] = False
    """Whether a model may wave a finding of the rules through (never a veto)."""
    override_confidence: Percent = 85
    """How sure it must be for that."""
    second_opinions: Annotated[
        tuple[ModelName, ...],
        BeforeValidator(_named, json_schema_input_type=_Names | _Count),
        Field(max_length=SECOND_OPINIONS),
    ] = ()
    """Further models to ask when rules and model disagree or it is not sure, or how often to ask the same one again."""
    evidence_requests: Annotated[int, Field(ge=0, le=2, strict=True)] = 0
    """How often the model may ask for more of a log message, a metric or a pod's events; each time is another call."""
    memory: Annotated[int, Field(ge=0, le=20, strict=True)] = 5
    """How many earlier verdicts of the rollout the judges are told of, where they are kept; 0 for none."""
    min_pods_seen: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.5
    """Share of the canary pods that logs or metrics must speak of; below it the verdict is inconclusive."""
    required_sources: Annotated[tuple[SourceKind, ...], Field(max_length=10)] = ()
    """Sources without which the verdict is inconclusive."""
    deadline: Duration = 600.0
    """How long the whole measurement may take before it is inconclusive."""
    deadlines: Deadlines = Deadlines()
    """How long its parts may take."""
    token_budget: Annotated[int, Field(ge=1, le=10_000_000, strict=True)] | SkipJsonSchema[None] = None
    """Tokens the prompt may have; the service's own setting when not set."""
    on_inconclusive: OnInconclusive = OnInconclusive.INCONCLUSIVE
    """What an inconclusive verdict becomes: inconclusive (Argo pauses for a person) or fail. Never a pass."""
    on_model_failure: OnModelFailure = OnModelFailure.RULES
    """What happens without a usable reply of the model: rules (they decide), inconclusive or error."""
    on_unavailable: OnUnavailable = OnUnavailable.INCONCLUSIVE
    """What a measurement becomes when the service stays unreachable: inconclusive or error."""
    unavailable_grace: Duration = 60.0
    """How long the service may be unreachable before that."""
    value_format: ValueFormat = ValueFormat.JSON
    """json: {"verdict","score","confidence"}. number: the confidence of a promotion as a fraction, else 0."""
    notify: Annotated[tuple[Name, ...], Field(max_length=20)] = ()
    """Names of channels that hear of the verdict: accepted, but this version has no channel yet."""
    strict: Annotated[bool, Field(strict=True)] = False
    """Whether an unknown key is an error rather than a warning."""
    bundle: Text = ""
    """Path of a recorded bundle to judge; only for a plugin that measures in its own process (--local)."""

    @model_validator(mode="after")
    def _one_name_each(self) -> Self:
        if self.stable_label and self.stable_pod_label:
            raise ValueError("stableLabel and stablePodLabel are two names of one thing; set one")
        if self.canary_label and self.canary_pod_label:
            raise ValueError("canaryLabel and canaryPodLabel are two names of one thing; set one")
        return self

    @property
    def selectors(self) -> tuple[str, str]:
        """Label selectors of the stable and the canary pods, "" for the Rollout's own template hash."""
        return self.stable_label or self.stable_pod_label, self.canary_label or self.canary_pod_label

    def policy(self) -> Policy:
        """Return the rules of the measurement."""
        metrics = _with(MetricPolicy(), self.thresholds.metrics)
        if self.minimum_samples is not None:
            metrics = dataclasses.replace(metrics, min_samples=self.minimum_samples)
        return Policy(
            mode=self.mode,
            min_confidence=self.min_confidence,
            override_confidence=self.override_confidence,
            model_may_override=self.model_may_override,
            required_sources=self.required_sources,
            min_pods_seen=self.min_pods_seen,
            second_opinions=self.second_opinions,
            second_opinion_s=self.deadlines.second_opinion,
            evidence_rounds=self.evidence_requests,
            extra_prompt=self.extra_prompt,
            logs=_with(LogPolicy(), self.thresholds.logs),
            metrics=metrics,
            pods=_with(PodPolicy(), self.thresholds.pods),
        )

    def gathering(self) -> Gathering:
        """Return how evidence is gathered for the measurement."""
        return Gathering(
            window_s=self.window,
            warm_up_s=self.warm_up,
            deadline_s=min(self.deadlines.gather, self.deadline),
            include=self.containers.include,
            exclude=self.containers.exclude,
        )


class InvalidConfigurationError(Exception):
    """The configuration is wrong; the text names the key, its value where that is harmless, and what was expected."""


KEYS: Mapping[str, str] = {to_camel(name): name for name in Configuration.model_fields}
# What means something to the plugin alone: its own address of the service, and a path on its disk.
PLUGIN_ONLY = frozenset({"agentUrl", "bundle"})
# Keys whose values may be secrets are never shown, and neither is a long text.
_NEVER_SHOWN = frozenset({"agentUrl", "githubUrl", "extraPrompt", "prometheus", "bundle"})
_SHOWN = 40
_HIDDEN = "a value that is not shown"
_WITHOUT_EFFECT = ("analysisMode", "podName")


def read_configuration(data: object) -> tuple[Configuration, tuple[str, ...]]:
    """Return the configuration and warnings about keys that have no effect. Raises InvalidConfigurationError."""
    if not isinstance(data, Mapping):
        raise InvalidConfigurationError("the configuration must be an object of keys and values")
    found = {key: value for key, value in data.items() if value is not None}
    unknown = sorted(str(key) for key in found if key not in KEYS)
    named = ", ".join(_shown(key) for key in unknown[:5])
    if unknown and found.get("strict") is True:
        raise InvalidConfigurationError(f"unknown configuration key: {named}; known are {', '.join(KEYS)}")
    try:
        configuration = Configuration.model_validate({key: value for key, value in found.items() if key in KEYS})
    except ValidationError as error:
        raise InvalidConfigurationError(_told(error)) from None
    warnings = [f"unknown configuration key ignored: {named}"] if unknown else []
    warnings += [f"{key} has no effect here" for key in _WITHOUT_EFFECT if key in found]
    return configuration, tuple(warnings)


def _told(error: ValidationError) -> str:
    """Return the first problem in words. pydantic's own text would quote the whole input."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    expected = first["msg"].removeprefix("Value error, ")
    if not where:
        return expected
    if where == "thresholds" and first["type"] == "value_error":  # its text goes on with the key
        return f"{where}.{expected}"
    value = first.get("input")
    harmless = isinstance(value, str | int | float) and str(first["loc"][0]) not in _NEVER_SHOWN
    return f"{where} is {_shown(value) if harmless else _HIDDEN}; expected: {expected}"


def _shown(value: str | float) -> str:
    """Return a value as JSON, unless it is long: half of a secret would not be found by those who redact whole ones."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else _HIDDEN


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the configuration, as it stands in ``docs/configuration.schema.json``."""
    schema = Configuration.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
