"""Settings: read once from an environment, checked by name, secrets never shown."""

import copy
import pickle
import re
import traceback
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.settings import PrometheusSettings, Secret, Settings, SettingsError, read_settings

KEY = "k" * 39


def test_an_empty_environment_sets_nothing():
    assert read_settings({}) == Settings()
    assert not read_settings({}).model_configured


def test_every_variable_is_read():
    settings = read_settings(
        {
            "GEMINI_API_KEY": f" {KEY}\n",
            "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:8080/x",
            "GOOGLE_GENAI_API_VERSION": "v1",
            "GOOGLE_CLOUD_PROJECT": "p",
            "GOOGLE_CLOUD_LOCATION": "eu",
            "ROLLOUT_VERDICT_MODELS": "a, b",
            "ROLLOUT_VERDICT_THINKING": "medium",
            "ROLLOUT_VERDICT_ATTEMPT_TIMEOUT": "1m30s",
            "ROLLOUT_VERDICT_MODEL_TIMEOUT": "12.5",
            "ROLLOUT_VERDICT_ATTEMPTS": "3",
            "ROLLOUT_VERDICT_OUTPUT_TOKENS": "1000",
            "ROLLOUT_VERDICT_MEASUREMENT_TOKENS": "2000",
            "ROLLOUT_VERDICT_PROMPT_TOKENS": "3000",
            "ROLLOUT_VERDICT_PROMPT_VERSION": "v1",
            "ROLLOUT_VERDICT_REDACT": "ticket=TKT-[0-9]+=x\n\n  badge=B\\d{4}",
        }
    )
    assert settings == Settings(
        api_key=Secret(KEY),
        key_source="GEMINI_API_KEY",
        project="p",
        location="eu",
        base_url="http://127.0.0.1:8080/x",
        api_version="v1",
        models=("a", "b"),
        thinking="MEDIUM",
        attempt_timeout_s=90.0,
        total_timeout_s=12.5,
        attempts=3,
        max_output_tokens=1000,
        measurement_tokens=2000,
        prompt_tokens=3000,
        prompt_version="v1",
        redact=(("ticket", "TKT-[0-9]+=x"), ("badge", "B\\d{4}")),
    )
    assert settings.model_configured


def test_where_metrics_are_asked_for():
    """Every variable of Prometheus is read; what headers hold does not show."""
    ours = "ROLLOUT_VERDICT_PROMETHEUS"
    settings = read_settings(
        {
            ours: "https://mimir.example:8443/prometheus/",
            f"{ours}_ALLOWED": "http://thanos.monitoring:9090, https://vm.example/select/0/prometheus",
            f"{ours}_USERNAME": "reader",
            f"{ours}_PASSWORD_FILE": "/run/password",
            f"{ours}_HEADERS": "X-Scope-OrgID: shop\n X-Key:  very-secret ",
            f"{ours}_CA_FILE": "/run/ca.pem",
            f"{ours}_CERT_FILE": "/run/tls.crt",
            f"{ours}_KEY_FILE": "/run/tls.key",
            f"{ours}_SKIP_VERIFY": "true",
            f"{ours}_TIMEOUT": "5s",
            f"{ours}_PRESETS": "nginx, kubernetes",
            f"{ours}_MATCHERS": "cluster = eu-1\n\ntenant=a=b",
        }
    ).prometheus
    assert settings == PrometheusSettings(
        address="https://mimir.example:8443/prometheus",
        allowed=("http://thanos.monitoring:9090", "https://vm.example/select/0/prometheus"),
        username="reader",
        password_file="/run/password",
        headers=(("X-Scope-OrgID", Secret("shop")), ("X-Key", Secret("very-secret"))),
        ca_file="/run/ca.pem",
        cert_file="/run/tls.crt",
        key_file="/run/tls.key",
        skip_verify=True,
        timeout_s=5.0,
        presets=("nginx", "kubernetes"),
        matchers=(("cluster", "eu-1"), ("tenant", "a=b")),
    )
    assert "very-secret" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"": "prometheus:9090"}, "ROLLOUT_VERDICT_PROMETHEUS:"),
        ({"": "http://me:very-secret@prometheus:9090"}, "ROLLOUT_VERDICT_PROMETHEUS:"),
        ({"": "http://prometheus:9090/?token=very-secret"}, "ROLLOUT_VERDICT_PROMETHEUS:"),
        ({"": "http://prometheus:very-secret"}, "ROLLOUT_VERDICT_PROMETHEUS:"),
        ({"_ALLOWED": "http://a:1,ftp://very-secret"}, "ROLLOUT_VERDICT_PROMETHEUS_ALLOWED:"),
        ({"_HEADERS": "X-Key very-secret"}, "ROLLOUT_VERDICT_PROMETHEUS_HEADERS:"),
        ({"_HEADERS": "X Key: very-secret"}, "ROLLOUT_VERDICT_PROMETHEUS_HEADERS:"),
        ({"_HEADERS": "X-Key: very-secret\u00e9"}, "ROLLOUT_VERDICT_PROMETHEUS_HEADERS:"),
        ({"_HEADERS": "X-Key:"}, "ROLLOUT_VERDICT_PROMETHEUS_HEADERS:"),
        ({"_SKIP_VERIFY": "maybe"}, "ROLLOUT_VERDICT_PROMETHEUS_SKIP_VERIFY:"),
        ({"_TIMEOUT": "soon"}, "ROLLOUT_VERDICT_PROMETHEUS_TIMEOUT:"),
        ({"_PRESETS": "nginx,,istio"}, "ROLLOUT_VERDICT_PROMETHEUS_PRESETS:"),
        ({"_MATCHERS": "cluster"}, "ROLLOUT_VERDICT_PROMETHEUS_MATCHERS:"),
        ({"_MATCHERS": "__name__=up"}, "ROLLOUT_VERDICT_PROMETHEUS_MATCHERS:"),
        ({"_PASSWORD_FILE": "/x"}, "ROLLOUT_VERDICT_PROMETHEUS_USERNAME is not"),
        ({"_KEY_FILE": "/x"}, "ROLLOUT_VERDICT_PROMETHEUS_CERT_FILE is not"),
        ({"_TOKEN_FILE": "/x", "_USERNAME": "me"}, "two ways to sign in"),
    ],
)
def test_a_wrong_setting_of_prometheus_is_named_and_not_shown(given, named):
    """The text names the variable; an address or a header may hold a secret and is not quoted."""
    with pytest.raises(SettingsError) as caught:
        read_settings({f"ROLLOUT_VERDICT_PROMETHEUS{name}": value for name, value in given.items()})
    assert named in str(caught.value)
    assert "very-secret" not in "".join(traceback.format_exception(caught.value))


def test_an_empty_variable_is_not_set():
    assert read_settings({"GEMINI_API_KEY": "", "ROLLOUT_VERDICT_ATTEMPTS": " "}) == Settings()


def test_the_key_that_the_vendors_client_prefers_wins(tmp_path):
    (tmp_path / "key").write_text("from-file")
    env = {
        "GEMINI_API_KEY": "gemini",
        "GOOGLE_API_KEY": "google",
        "ROLLOUT_VERDICT_API_KEY_FILE": str(tmp_path / "key"),
    }
    for name, expected in (("GOOGLE_API_KEY", "google"), ("GEMINI_API_KEY", "gemini")):
        settings = read_settings(env)
        assert (settings.key_source, settings.api_key.reveal()) == (name, expected)
        del env[name]
    assert read_settings(env).api_key.reveal() == "from-file"


@pytest.mark.parametrize("content", ["", "two\nlines", "\x00key", "ключ", "k" * 20_000])
def test_a_file_that_holds_no_key_is_refused(tmp_path, content):
    (tmp_path / "key").write_text(content)
    with pytest.raises(SettingsError, match="ROLLOUT_VERDICT_API_KEY_FILE: expected one line with an API key"):
        read_settings({"ROLLOUT_VERDICT_API_KEY_FILE": str(tmp_path / "key")})


def test_a_missing_key_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(SettingsError, match=r"cannot be read \(No such file"):
        read_settings({"ROLLOUT_VERDICT_API_KEY_FILE": str(tmp_path / "key")})


@pytest.mark.parametrize("flag", ["GOOGLE_GENAI_USE_ENTERPRISE", "GOOGLE_GENAI_USE_VERTEXAI"])
def test_vertex_needs_a_project(flag):
    settings = read_settings({flag: "true", "GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_VERTEX_BASE_URL": "https://gw"})
    assert (settings.vertex, settings.project, settings.base_url, settings.model_configured) == (
        True,
        "p",
        "https://gw",
        True,
    )
    with pytest.raises(SettingsError, match=f"{flag} is set, but GOOGLE_CLOUD_PROJECT is not"):
        read_settings({flag: "1", "GEMINI_API_KEY": KEY})
    assert not read_settings({flag: "0", "GOOGLE_CLOUD_PROJECT": "p"}).model_configured


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ROLLOUT_VERDICT_ATTEMPTS", "0", "a whole number of at least 1, got '0'"),
        ("ROLLOUT_VERDICT_ATTEMPTS", "three", "a whole number"),
        ("ROLLOUT_VERDICT_ATTEMPTS", "٣", "a whole number"),
        ("ROLLOUT_VERDICT_ATTEMPTS", "9" * 5000, "a whole number"),
        ("ROLLOUT_VERDICT_MODEL_TIMEOUT", "soon", "a duration such as 90s"),
        ("ROLLOUT_VERDICT_MODEL_TIMEOUT", "-1", "a duration"),
        ("ROLLOUT_VERDICT_MODEL_TIMEOUT", "inf", "a duration"),
        ("ROLLOUT_VERDICT_THINKING", "XHIGH", "LOW, MEDIUM or HIGH"),
        ("ROLLOUT_VERDICT_MODELS", "a,,b", "names of models"),
        ("ROLLOUT_VERDICT_REDACT", "no pattern", "kind=regular expression"),
        ("GOOGLE_GEMINI_BASE_URL", "file:///etc/passwd", "http"),
        ("GOOGLE_GENAI_USE_VERTEXAI", "perhaps", "true or false"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_by_its_variable(name, value, said):
    with pytest.raises(SettingsError) as error:
        read_settings({name: value})
    assert str(error.value).startswith(f"{name}: expected ")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("ticket=TKT\nfoo=(", "'foo' is no regular expression: missing )"),
        ("x=.*", "'x' matches the empty text"),
        ("Odd=x", "'Odd' must be a lower-case word"),
    ],
)
def test_a_redaction_pattern_that_cannot_be_used_is_told_before_anything_is_judged(pattern, said):
    with pytest.raises(SettingsError, match=f"^ROLLOUT_VERDICT_REDACT: .*{re.escape(said)}.*correct it or unset it$"):
        read_settings({"ROLLOUT_VERDICT_REDACT": pattern})


def test_a_secret_does_not_show_itself():
    settings = read_settings({"GEMINI_API_KEY": KEY})
    for shown in (
        repr(settings),
        str(settings),
        f"{settings.api_key}",
        f"{settings.api_key!r}",
        repr(asdict(settings)),
    ):
        assert KEY not in shown
    assert settings.api_key.reveal() == KEY


def test_a_secret_does_not_show_in_a_traceback():
    settings = read_settings({"GEMINI_API_KEY": KEY})
    with pytest.raises(ZeroDivisionError) as error:
        _ = len(repr(settings)) / 0
    shown = "".join(traceback.TracebackException.from_exception(error.value, capture_locals=True).format())
    assert "********" in shown
    assert KEY not in shown.replace(repr(KEY), "")


def test_a_secret_survives_a_copy():
    assert pickle.loads(pickle.dumps(Secret("x"))) == copy.deepcopy(Secret("x")) == Secret("x")
    assert len({Secret("x"), Secret("x"), Secret("y")}) == 2


NAMES = ["GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GEMINI_BASE_URL", *(
    f"ROLLOUT_VERDICT_{name}"
    for name in ("MODELS", "THINKING", "ATTEMPT_TIMEOUT", "MODEL_TIMEOUT", "ATTEMPTS", "OUTPUT_TOKENS", "REDACT", "PROMPT_TOKENS")
)]  # fmt: skip


@given(st.dictionaries(st.sampled_from(NAMES), st.text()))
def test_any_environment_gives_settings_or_a_settings_error(env):
    try:
        read_settings(env)
    except SettingsError as error:
        assert any(name in str(error) for name in env)  # noqa: PT017 -- both outcomes are fine, the error names the variable
