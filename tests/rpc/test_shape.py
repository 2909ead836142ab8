"""The plugin's own check of its configuration."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_verdict.rpc.messages import Metric
from rollout_verdict.rpc.shape import KEYS, MAX_CONFIG, ConfigurationError, read_options


def options(config, secrets=(), name="acme/verdict"):
    text = config if isinstance(config, bytes) else json.dumps(config).encode()
    return read_options(Metric(name="m", plugins={name: text}), secrets)


def problem(config, secrets=()):
    with pytest.raises(ConfigurationError) as caught:
        options(config, secrets)
    return str(caught.value)


def test_an_empty_configuration_has_defaults():
    found = options({})
    assert (found.mode, found.deadline_s, found.unavailable_grace_s) == ("auto", 600, 60)
    assert not any((found.unavailable_is_error, found.inconclusive_is_failure, found.number_value))
    assert found.config == {}
    assert options(b"").config == {}
    assert options(b"null").config == {}


def test_null_is_not_set():
    assert options({"mode": None, "deadline": None}).config == {}


@pytest.mark.parametrize("name", ["acme/verdict", "argoproj-labs/metric-ai", "x"])
def test_the_plugin_answers_to_any_name(name):
    assert options({}, name=name).plugin == name


@pytest.mark.parametrize("plugins", [{}, {"a/b": b"{}", "c/d": b"{}"}])
def test_a_metric_names_exactly_one_plugin(plugins):
    with pytest.raises(ConfigurationError, match="expected exactly one"):
        read_options(Metric(name="m", plugins=plugins), ())


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"minConfidence": "high"}, 'minConfidence is "high"; expected a whole number 0..100'),
        ({"minConfidence": 101}, "minConfidence is 101; expected a whole number 0..100"),
        ({"minConfidence": True}, "minConfidence is true; expected a whole number 0..100"),
        ({"mode": "fast"}, 'mode is "fast"; expected one of auto, rules, advisory'),
        ({"strict": 1}, "strict is 1; expected true or false"),
        ({"window": "5 minutes"}, 'window is "5 minutes"; expected a duration such as "90s", "5m" or "1h30m"'),
        ({"deadline": 0}, "deadline is 0; expected a duration"),
        ({"notify": "slack"}, 'notify is "slack"; expected a list of strings'),
        ({"notify": ["a", 1]}, "notify is a list; expected a list of strings"),
        ({"prometheus": []}, "prometheus is a list; expected an object"),
        ({"prometheus": "x"}, 'prometheus is "x"; expected an object'),
        ({"model": {}}, "model is an object; expected a string"),
        ({"model": 10**50}, "model is 1000000000000000000000000000000000000000…; expected a string"),
        ({"valueFormat": "xml"}, 'valueFormat is "xml"; expected one of json, number'),
    ],
)
def test_an_error_names_the_key_the_value_and_what_was_expected(config, told):
    assert told in problem(config)


@pytest.mark.parametrize("key", ["agentUrl", "githubUrl"])
def test_addresses_are_not_shown(key):
    assert problem({key: 12345}) == f"{key} is a value that is not shown; expected a string"


@pytest.mark.parametrize("config", [{"mode": "hunter2"}, {"minConfidence": "x hunter2 y"}, {"notify": "hunter2"}])
def test_secrets_are_not_shown(config):
    assert "hunter2" not in problem(config, ["hunter2"])


def test_a_number_that_is_a_secret_is_not_shown():
    assert "1234" not in problem({"mode": 1234}, ["1234"])


def test_unknown_keys_are_a_warning():
    assert options({"colour": 1, "taste": 2}).warnings == ('unknown configuration key ignored: "colour", "taste"',)


def test_unknown_keys_are_an_error_when_strict():
    assert problem({"colour": 1, "strict": True}).startswith('unknown configuration key: "colour"; known are agentUrl')


def test_many_unknown_keys_are_not_all_told():
    (warning,) = options({f"k{n}": 1 for n in range(9)}).warnings
    assert warning.endswith('"k4", …')


def test_an_unknown_key_that_holds_a_secret_is_not_shown():
    assert "hunter2" not in options({"x-hunter2": 1}, ["hunter2"]).warnings[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b'{"a": "\\x07"}', "not JSON at character 7"),
        (b"{", "not JSON"),
        (b'{"a": "\xff"}', "not JSON at character 7"),
        (b"[1]", "must be an object"),
        (b'"x"', "must be an object"),
        (b'{"mode": "auto", "mode": "rules"}', "a key occurs twice"),
        (b"[" * 100_000, "nested deeper than 64"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "nested deeper than 64"),
        (b'{"a": "' + b'\\"' * 100_000, "not JSON"),
        (b'{"minConfidence": ' + b"9" * 5000 + b"}", "not usable"),
        (b" " * (MAX_CONFIG + 1), f"at most {MAX_CONFIG}"),
    ],
    ids=range(11),
)
def test_text_that_is_no_configuration(text, told):
    assert told in problem(text)


def test_brackets_in_strings_do_not_count():
    assert options({"extraPrompt": '["[' * 500}).config
    assert options({"prometheus": {"a": [{}] * 500}}).config
    assert options(b'{"prometheus":' + b'{"a":' * 63 + b"1" + b"}" * 64).config


def test_options_are_read():
    found = options(
        {
            "mode": "rules",
            "model": "gemini-2.5-pro",
            "agentUrl": "http://a",
            "deadline": "1h30m",
            "unavailableGrace": 5,
            "onUnavailable": "error",
            "onInconclusive": "fail",
            "valueFormat": "number",
        }
    )
    assert (found.mode, found.model, found.agent_url) == ("rules", "gemini-2.5-pro", "http://a")
    assert (found.deadline_s, found.unavailable_grace_s) == (5400, 5)
    assert found.unavailable_is_error
    assert found.inconclusive_is_failure
    assert found.number_value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*KEYS, "other"]), json_values, max_size=5))
def test_any_json_is_read_or_refused_in_one_sentence(config):
    told = ""
    try:
        assert options(config).deadline_s > 0
    except ConfigurationError as error:
        told = str(error)
    assert "\n" not in told


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(text):
    told = ""
    try:
        options(text)
    except ConfigurationError as error:
        told = str(error)
    assert len(told) < 2000
