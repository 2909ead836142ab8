"""The composition root: what is set reaches the part it is meant for."""

import pytest

from rollout_verdict.adapters.gemini import GeminiJudge, Options
from rollout_verdict.adapters.prometheus.options import OwnQuery, Server, Wanted
from rollout_verdict.configuration import read_configuration
from rollout_verdict.core.evidence import Direction
from rollout_verdict.core.model.prompt import Budget
from rollout_verdict.settings import SettingsError, read_settings
from rollout_verdict.wiring import live_metrics, model_judge, prompt_budget, prompt_templates


def options(**environment):
    """Return the options of the judge that an environment makes."""
    judge = model_judge(read_settings(environment))
    assert isinstance(judge, GeminiJudge)
    return judge._options


def test_without_a_key_there_is_no_model():
    assert model_judge(read_settings({})) is None
    assert model_judge(read_settings({"GOOGLE_CLOUD_PROJECT": "p"})) is None


def test_what_is_not_set_keeps_its_default():
    assert options(GEMINI_API_KEY="k") == Options(api_key="k")


def test_every_setting_reaches_the_model():
    made = options(
        GEMINI_API_KEY="k",
        GOOGLE_GEMINI_BASE_URL="http://127.0.0.1:1",
        GOOGLE_GENAI_API_VERSION="v1",
        ROLLOUT_VERDICT_MODELS="a,b",
        ROLLOUT_VERDICT_THINKING="HIGH",
        ROLLOUT_VERDICT_ATTEMPT_TIMEOUT="5s",
        ROLLOUT_VERDICT_MODEL_TIMEOUT="9s",
        ROLLOUT_VERDICT_ATTEMPTS="2",
        ROLLOUT_VERDICT_OUTPUT_TOKENS="100",
        ROLLOUT_VERDICT_MEASUREMENT_TOKENS="30000",
        ROLLOUT_VERDICT_PROMPT_TOKENS="5000",
    )
    assert made == Options(
        api_key="k",
        base_url="http://127.0.0.1:1",
        api_version="v1",
        models=("a", "b"),
        thinking=made.thinking,
        attempt_timeout_s=5.0,
        total_timeout_s=9.0,
        attempts=2,
        max_output_tokens=100,
        measurement_tokens=30000,
        budget=Budget(usual=3600, most=5000),
    )
    assert made.thinking.value == "HIGH"


def test_vertex_takes_the_project_and_leaves_the_key():
    made = options(
        GOOGLE_GENAI_USE_VERTEXAI="true", GOOGLE_CLOUD_PROJECT="p", GOOGLE_CLOUD_LOCATION="eu", GEMINI_API_KEY="k"
    )
    assert (made.project, made.location, made.api_key) == ("p", "eu", "")
    assert options(GEMINI_API_KEY="k", GOOGLE_CLOUD_PROJECT="p").project == ""


def test_a_small_prompt_budget_bounds_both_ends():
    assert prompt_budget(read_settings({"ROLLOUT_VERDICT_PROMPT_TOKENS": "2000"})) == Budget(usual=2000, most=2000)


def test_a_prompt_version_that_is_not_there_is_told():
    settings = read_settings({"ROLLOUT_VERDICT_PROMPT_VERSION": "v0"})
    with pytest.raises(SettingsError, match="ROLLOUT_VERDICT_PROMPT_VERSION: prompt version 'v0' is not one of v1"):
        prompt_templates(settings)


def test_an_address_with_a_password_is_refused_without_repeating_it():
    settings = read_settings({"GEMINI_API_KEY": "k", "GOOGLE_GEMINI_BASE_URL": "http://me:hidden@127.0.0.1:1"})
    with pytest.raises(SettingsError, match=r"base_url must be like .*: correct the environment variable") as error:
        model_judge(settings)
    assert "hidden" not in str(error.value)


MATCHERS = (("cluster", "eu-1"), ("tenant", "shop"))  # the operator's and the template's: both hold


def test_every_setting_reaches_prometheus():
    ours = "ROLLOUT_VERDICT_PROMETHEUS"
    settings = read_settings(
        {
            ours: "http://prometheus:9090",
            f"{ours}_ALLOWED": "http://other:9090",
            f"{ours}_TOKEN_FILE": "/run/token",
            f"{ours}_HEADERS": "X-Scope-OrgID: shop",
            f"{ours}_CA_FILE": "/run/ca",
            f"{ours}_CERT_FILE": "/run/cert",
            f"{ours}_KEY_FILE": "/run/key",
            f"{ours}_SKIP_VERIFY": "true",
            f"{ours}_TIMEOUT": "3s",
            f"{ours}_PRESETS": "nginx",
            f"{ours}_MATCHERS": "cluster=eu-1",
        }
    )
    given = {
        "queries": [{"name": "q", "query": "up", "unit": "bool", "direction": "lower_is_worse"}],
        "minimumRequests": 7,
        "matchers": {"tenant": "shop"},
    }
    configuration, _ = read_configuration({"prometheus": given})
    source = live_metrics(settings)
    made = source(configuration)
    assert made.server == Server(
        address="http://prometheus:9090",
        allowed=("http://other:9090",),
        token_file="/run/token",
        headers=(("X-Scope-OrgID", "shop"),),
        ca_file="/run/ca",
        cert_file="/run/cert",
        key_file="/run/key",
        skip_verify=True,
        timeout_s=3.0,
    )
    query = OwnQuery(name="q", query="up", unit="bool", direction=Direction.LOWER_IS_WORSE)
    assert made.wanted == Wanted(presets=("nginx",), queries=(query,), min_requests=7, matchers=MATCHERS)
    assert source(configuration).memory is made.memory


def test_without_an_address_there_is_no_source_of_metrics():
    configuration, _ = read_configuration({})
    assert live_metrics(read_settings({}))(configuration) is None
    assert live_metrics(read_settings({}), "http://mine:1")(configuration).server.address == "http://mine:1"
    named, _ = read_configuration({"prometheus": {"address": "http://theirs:1", "presets": ["app"]}})
    assert live_metrics(read_settings({}))(named).wanted == Wanted(address="http://theirs:1", presets=("app",))
