"""The configuration model, its schema in the docs, and its agreement with the plugin's own check."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_verdict.configuration import (
    KEYS,
    Configuration,
    InvalidConfigurationError,
    json_schema,
    read_configuration,
)
from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.core.values import SourceKind
from rollout_verdict.durations import parse_duration
from rollout_verdict.rpc import shape
from rollout_verdict.rpc.messages import Metric
from tests.configuration_docs import PAGE, SCHEMA, page, rendered_schema

UPSTREAM = (
    "agentUrl",
    "stableLabel",
    "canaryLabel",
    "stablePodLabel",
    "canaryPodLabel",
    "extraPrompt",
    "githubUrl",
    "baseBranch",
    "model",
    "analysisMode",
    "namespace",
    "podName",
)


def problem(config):
    with pytest.raises(InvalidConfigurationError) as caught:
        read_configuration(config)
    return str(caught.value)


def test_nothing_set_is_the_default_policy():
    configuration, warnings = read_configuration({})
    assert configuration.policy() == Policy()
    assert warnings == ()


def test_every_key_of_the_go_plugin_is_known():
    config = dict.fromkeys(UPSTREAM, "x")
    del config["stablePodLabel"], config["canaryPodLabel"]
    configuration, warnings = read_configuration(config)
    assert configuration.selectors == ("x", "x")
    assert warnings == ("analysisMode has no effect here", "podName has no effect here")


def test_the_older_names_of_the_labels():
    configuration, _ = read_configuration({"stablePodLabel": "a=b", "canaryPodLabel": "c=d"})
    assert configuration.selectors == ("a=b", "c=d")
    assert "two names of one thing" in problem({"stableLabel": "a", "stablePodLabel": "b"})
    assert "two names of one thing" in problem({"canaryLabel": "a", "canaryPodLabel": "b"})


def test_a_policy_from_keys():
    configuration, _ = read_configuration(
        {
            "mode": "advisory",
            "minConfidence": 60,
            "overrideConfidence": 90,
            "modelMayOverride": True,
            "requiredSources": ["logs", "metrics"],
            "extraPrompt": "payments",
            "minimumSamples": 7,
            "thresholds": {"logs": {"minEvents": 5}, "pods": {"neverReadyAfterS": 60}},
        }
    )
    policy = configuration.policy()
    assert (policy.mode, policy.min_confidence, policy.override_confidence) == (Mode.ADVISORY, 60, 90)
    assert policy.model_may_override
    assert policy.required_sources == (SourceKind.LOGS, SourceKind.METRICS)
    assert policy.extra_prompt == "payments"
    assert policy.metrics.min_samples == 7
    assert (policy.logs.min_events, policy.pods.never_ready_after_s) == (5, 60.0)
    assert isinstance(policy.logs.min_events, int)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"minConfidence": "high"}, 'minConfidence is "high"; expected'),
        ({"minConfidence": 70.0}, "minConfidence is 70.0; expected"),
        ({"minConfidence": 101}, "minConfidence is 101; expected: Input should be less than or equal to 100"),
        ({"mode": "fast"}, "mode is \"fast\"; expected: Input should be 'auto', 'rules' or 'advisory'"),
        ({"window": "5 minutes"}, 'window is "5 minutes"; expected: a duration such as'),
        ({"window": -1}, "window is -1; expected: a duration such as"),
        ({"window": 10**400}, "expected: a duration such as"),
        ({"deadlines": {"model": "x"}}, 'deadlines.model is "x"; expected: a duration'),
        ({"requiredSources": ["tea"]}, 'requiredSources.0 is "tea"; expected'),
        ({"thresholds": {"logs": {"minEvent": 5}}}, "thresholds.logs.minEvent is no threshold, minEvents is; known"),
        ({"thresholds": {"logs": {"min_new_pods": 1}}}, "thresholds.logs.min_new_pods is no threshold, minNewPods is"),
        ({"thresholds": {"pods": {"tea": 1}}}, "thresholds.pods.tea is no threshold; known are neverReadyAfterS"),
        ({"thresholds": {"logs": 5}}, "thresholds.logs is 5; expected"),
        ({"thresholds": 5}, "thresholds is 5; expected"),
        ({"thresholds": {"logs": {"minEvents": 5.5}}}, "logs.minEvents must be a whole number"),
        ({"thresholds": {"logs": {"minEvents": -1}}}, "logs.minEvents must be a number not below 0"),
        ({"thresholds": {"metrics": {"failP": float("nan")}}}, "metrics.failP must be a number"),
        ({"thresholds": {"metrics": {"failP": float("inf")}}}, "metrics.failP must be a number"),
        ({"prometheus": {"adress": "x"}}, "prometheus.adress is a value that is not shown"),
        ({"prometheus": {"queries": [{"name": "a"}]}}, "prometheus.queries.0.query"),
        ({"agentUrl": 5}, "agentUrl is a value that is not shown"),
        ({"extraPrompt": "x" * 20_000}, "extraPrompt is a value that is not shown"),
        ({"strict": True, "colour": 1}, 'unknown configuration key: "colour"; known are agentUrl'),
        ([], "must be an object"),
        (None, "must be an object"),
    ],
    ids=range(25),
)
def test_an_error_names_the_key_and_what_was_expected(config, told):
    assert told in problem(config)


def test_unknown_keys_are_a_warning_unless_strict():
    _, warnings = read_configuration({"colour": 1, "strict": False})
    assert warnings == ('unknown configuration key ignored: "colour"',)


@pytest.mark.parametrize(
    "config",
    [
        {"model": "hunter2" * 40},
        {"stableLabel": "hunter2" * 1000},
        {"requiredSources": ["hunter2" * 10]},
        {"containers": {"include": ["hunter2" * 50]}},
        {"strict": True, "hunter2" * 10: 1},
    ],
)
def test_of_a_long_value_no_part_is_shown(config):
    """It may be a secret, and those who redact secrets look for whole ones."""
    assert "hunter2" not in problem(config)
    assert "a value that is not shown" in problem(config)


def test_of_a_long_unknown_key_no_part_is_shown():
    _, (warning,) = read_configuration({"hunter2" * 10: 1})
    assert warning == "unknown configuration key ignored: a value that is not shown"


def test_null_is_not_set():
    assert read_configuration({"mode": None, "colour": None}) == (Configuration(), ())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("1.5m", 90),
        ("2h", 7200),
        (5, 5),
        (0.25, 0.25),
        ("600", 600),
        ("0.5", 0.5),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5 s",
        "s",
        "-5s",
        "1d",
        "5s5",
        "٣s",
        "0s",
        "0",
        "1e3",
        "9999999999",
        0,
        -1,
        True,
        None,
        [],
        float("nan"),
        float("inf"),
        31_536_001,
        1e300,
        "999999999h",
        10**400,
    ],
)
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="a duration such as"):
        parse_duration(text)


# The plugin's own check and the model know the same keys and refuse the same shapes


def test_both_checks_know_the_same_keys():
    assert list(shape.KEYS) == list(KEYS)


def shape_accepts(config):
    try:
        shape.read_options(Metric(name="m", plugins={"a/b": json.dumps(config).encode()}), ())
    except shape.ConfigurationError:
        return False
    return True


def model_accepts(config):
    try:
        read_configuration(config)
    except InvalidConfigurationError:
        return False
    return True


SAMPLES = [
    0,
    1,
    5,
    50,
    100,
    101,
    -1,
    1.5,
    True,
    False,
    "",
    "x",
    "5m",
    "auto",
    "rules",
    "fail",
    "json",
    "error",
    [],
    ["logs"],
    {},
]


@pytest.mark.parametrize("key", KEYS)
def test_what_the_plugin_refuses_the_model_refuses_too(key):
    for value in SAMPLES:
        if model_accepts({key: value}):
            assert shape_accepts({key: value}), f"{key}: {value!r} is good, but would never reach the service"


@pytest.mark.parametrize(
    "key",
    [key for key in KEYS if key not in ("prometheus", "containers", "thresholds", "deadlines", "requiredSources")],
)
def test_of_plain_values_the_plugin_lets_nothing_pass_that_the_model_refuses(key):
    for value in SAMPLES:
        if shape_accepts({key: value}):
            assert model_accepts({key: value}), f"{key}: {value!r} is bad, and the plugin could have said so at once"


def test_the_defaults_the_plugin_uses_are_the_models():
    options = shape.read_options(Metric(name="m", plugins={"a/b": b"{}"}), ())
    configuration = Configuration()
    assert options.mode == configuration.mode.value
    assert options.deadline_s == configuration.deadline
    assert options.unavailable_grace_s == configuration.unavailable_grace
    assert options.unavailable_is_error == (configuration.on_unavailable.value == "error")
    assert options.inconclusive_is_failure == (configuration.on_inconclusive.value == "fail")
    assert options.number_value == (configuration.value_format.value == "number")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*KEYS, "other"]), values, max_size=4))
def test_anything_is_read_or_refused_in_one_sentence(config):
    told = ""
    try:
        configuration, _ = read_configuration(config)
        assert dataclasses.is_dataclass(configuration.policy())
    except InvalidConfigurationError as error:
        told = str(error)
    assert len(told) < 2000


# The docs


def test_the_schema_in_the_docs_is_current():
    assert SCHEMA.read_text() == rendered_schema(), "run: python -m tests.configuration_docs"


def test_the_page_of_keys_is_current():
    assert PAGE.read_text() == page(), "run: python -m tests.configuration_docs"


def test_the_schema_names_every_key_with_a_description():
    schema = json_schema()
    assert list(schema["properties"]) == list(KEYS)
    for part in schema["properties"].values():
        described = part if "description" in part else schema["$defs"][part["$ref"].rpartition("/")[2]]
        assert described["description"]


def test_second_opinions_are_names_or_a_number():
    """A number asks the same model again; the policy knows names alone."""
    for written, names in (([], ()), (2, ("", "")), (["a", "b"], ("a", "b")), (0, ())):
        configuration, _ = read_configuration({"secondOpinions": written, "deadlines": {"secondOpinion": "5s"}})
        policy = configuration.policy()
        assert (policy.second_opinions, policy.second_opinion_s) == (names, 5.0)


@pytest.mark.parametrize("given", [5, True, "a", ["a/../b"], ["a"] * 5])
def test_second_opinions_are_few_and_plain_names(given):
    with pytest.raises(InvalidConfigurationError, match="secondOpinions"):
        read_configuration({"secondOpinions": given})


def test_requests_for_evidence_and_the_pods_that_must_be_seen_reach_the_policy():
    policy = read_configuration({"evidenceRequests": 2, "minPodsSeen": 1})[0].policy()
    assert (policy.evidence_rounds, policy.min_pods_seen) == (2, 1.0)


@pytest.mark.parametrize(
    ("prometheus", "told"),
    [
        ({"queries": [{"name": "q", "query": 'up{pod=~"${podz}"}'}]}, "prometheus.queries.0.query"),
        ({"queries": [{"name": "q", "query": 'up{pod=~"${podz}"}'}]}, "${podz} is no placeholder; known are"),
        ({"presets": ["auto", "ngnix"]}, "one of auto, nginx"),
        ({"minimumRequests": 0}, "prometheus.minimumRequests"),
        (
            {"matchers": {"__name__": "up"}},
            "prometheus.matchers is a value that is not shown; expected: names of labels",
        ),
        ({"matchers": {"cluster": ""}}, "prometheus.matchers"),
        ({"matchers": {"cluster": 1}}, "prometheus.matchers.cluster"),
    ],
)
def test_what_is_wrong_with_metrics_is_named(prometheus, told):
    with pytest.raises(InvalidConfigurationError) as caught:
        read_configuration({"prometheus": prometheus})
    assert told in str(caught.value)
