"""The settings of the process: the environment, read once, checked, and passed down as one value.

Names that vendors define keep their names; ours begin with ``ROLLOUT_VERDICT_``. A variable that is set but empty
counts as not set, the way Kubernetes manifests leave them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from rollout_verdict.durations import parse_duration

T = TypeVar("T")

KEY_BYTES = 16_384  # a key has some forty; a file beyond this is something else
THINKING = ("LOW", "MEDIUM", "HIGH")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)  # as the Prometheus adapter has it
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class SettingsError(ValueError):
    """A setting that cannot be used. The text names the variable, what was expected and what to do."""


class Secret:
    """A string that does not show itself: no dataclass, since ``asdict`` would lay it open."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "********"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(Secret)  # no trace of the value; sets of secrets are not a thing

    def reveal(self) -> str:
        """Return the string, for the one place that sends it."""
        return self._value


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusSettings:
    """Where metrics are asked for. Paths name files; ``headers`` may hold secrets, such as a tenant's key.

    ``allowed`` are further addresses that a template may name; credentials and headers never go there. ``matchers`` are
    labels with the value that all series of the presets must have.
    """

    address: str = ""
    allowed: tuple[str, ...] = ()
    token_file: str = ""
    username: str = ""
    password_file: str = ""
    headers: tuple[tuple[str, Secret], ...] = ()
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    skip_verify: bool = False
    timeout_s: float | None = None
    presets: tuple[str, ...] = ()
    matchers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of the process. None means that the variable is not set, so that the default of the user applies.

    ``models`` is the chain, first choice first. Timeouts are seconds. ``redact`` holds (kind, regular expression)
    pairs. ``key_source`` names where the API key comes from, "" when there is none.
    """

    api_key: Secret | None = None
    key_source: str = ""
    vertex: bool = False
    project: str = ""
    location: str = ""
    base_url: str = ""
    api_version: str = ""
    models: tuple[str, ...] | None = None
    thinking: str | None = None
    attempt_timeout_s: float | None = None
    total_timeout_s: float | None = None
    attempts: int | None = None
    max_output_tokens: int | None = None
    measurement_tokens: int | None = None
    prompt_tokens: int | None = None
    prompt_version: str = ""
    redact: tuple[tuple[str, str], ...] = ()
    prometheus: PrometheusSettings = field(default_factory=PrometheusSettings)

    @property
    def model_configured(self) -> bool:
        """Whether there is anything to authenticate with at the model."""
        return self.vertex or self.api_key is not None


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings in an environment. Raises SettingsError for a value that cannot be used.

    | variable | meaning |
    | --- | --- |
    | ``GOOGLE_API_KEY``, ``GEMINI_API_KEY`` | API key; the first wins, as in the vendor's own client |
    | ``ROLLOUT_VERDICT_API_KEY_FILE`` | file that holds the API key; read when neither of the above is set |
    | ``GOOGLE_GENAI_USE_ENTERPRISE``, ``GOOGLE_GENAI_USE_VERTEXAI`` | true: Vertex AI instead of the Developer API |
    | ``GOOGLE_CLOUD_PROJECT``, ``GOOGLE_CLOUD_LOCATION`` | project and location for Vertex AI |
    | ``GOOGLE_GEMINI_BASE_URL``, ``GOOGLE_VERTEX_BASE_URL`` | address of the model service, for one's own gateway |
    | ``GOOGLE_GENAI_API_VERSION`` | version of the model's API |
    | ``ROLLOUT_VERDICT_MODELS`` | chain of models, first choice first, separated by commas |
    | ``ROLLOUT_VERDICT_THINKING`` | LOW, MEDIUM or HIGH |
    | ``ROLLOUT_VERDICT_ATTEMPT_TIMEOUT``, ``ROLLOUT_VERDICT_MODEL_TIMEOUT`` | of one call and of all, "60s" |
    | ``ROLLOUT_VERDICT_ATTEMPTS`` | model calls in one measurement at most |
    | ``ROLLOUT_VERDICT_OUTPUT_TOKENS``, ``ROLLOUT_VERDICT_PROMPT_TOKENS`` | of one answer, of one prompt |
    | ``ROLLOUT_VERDICT_MEASUREMENT_TOKENS`` | of all calls of one measurement together |
    | ``ROLLOUT_VERDICT_PROMPT_VERSION`` | version of the prompt files, "v1"; the newest when not set |
    | ``ROLLOUT_VERDICT_REDACT`` | secrets of one's own: one ``kind=regular expression`` a line |
    | ``ROLLOUT_VERDICT_PROMETHEUS`` | base address of Prometheus or of what speaks its API |
    | ``ROLLOUT_VERDICT_PROMETHEUS_ALLOWED`` | further addresses that a template may name, by commas |
    | ``ROLLOUT_VERDICT_PROMETHEUS_TOKEN_FILE`` | file with a bearer token for it |
    | ``ROLLOUT_VERDICT_PROMETHEUS_USERNAME``, ``ROLLOUT_VERDICT_PROMETHEUS_PASSWORD_FILE`` | for basic authentication |
    | ``ROLLOUT_VERDICT_PROMETHEUS_HEADERS`` | further headers, one ``Name: value`` a line |
    | ``ROLLOUT_VERDICT_PROMETHEUS_CA_FILE`` | authorities that its certificate may be signed by (PEM) |
    | ``ROLLOUT_VERDICT_PROMETHEUS_CERT_FILE``, ``ROLLOUT_VERDICT_PROMETHEUS_KEY_FILE`` | client certificate (PEM) |
    | ``ROLLOUT_VERDICT_PROMETHEUS_SKIP_VERIFY`` | true: any certificate will do |
    | ``ROLLOUT_VERDICT_PROMETHEUS_TIMEOUT`` | of one request, "10s" |
    | ``ROLLOUT_VERDICT_PROMETHEUS_PRESETS`` | presets to use where a template names none, by commas; ``auto`` |
    | ``ROLLOUT_VERDICT_PROMETHEUS_MATCHERS`` | labels that series of presets must have, one ``name=value`` a line |
    """
    env = {name: value.strip() for name, value in environment.items() if value.strip()}
    key, source = _key(env)
    vertex_flag = next((n for n in ("GOOGLE_GENAI_USE_ENTERPRISE", "GOOGLE_GENAI_USE_VERTEXAI") if n in env), "")
    vertex = bool(vertex_flag) and _parsed(env, vertex_flag, _flag, "true or false") is True
    project = env.get("GOOGLE_CLOUD_PROJECT", "")
    if vertex and not project:
        raise SettingsError(f"{vertex_flag} is set, but GOOGLE_CLOUD_PROJECT is not: set it, or unset {vertex_flag}")
    ours = "ROLLOUT_VERDICT_"
    seconds, count = "a duration such as 90s or 2m", "a whole number of at least 1"
    return Settings(
        api_key=key,
        key_source=source,
        vertex=vertex,
        project=project,
        location=env.get("GOOGLE_CLOUD_LOCATION", ""),
        base_url=_parsed(env, "GOOGLE_VERTEX_BASE_URL" if vertex else "GOOGLE_GEMINI_BASE_URL", _url, "http(s)://...")
        or "",
        api_version=env.get("GOOGLE_GENAI_API_VERSION", ""),
        models=_parsed(env, f"{ours}MODELS", _names, "names of models separated by commas"),
        thinking=_parsed(env, f"{ours}THINKING", _thinking, "LOW, MEDIUM or HIGH"),
        attempt_timeout_s=_parsed(env, f"{ours}ATTEMPT_TIMEOUT", _seconds, seconds),
        total_timeout_s=_parsed(env, f"{ours}MODEL_TIMEOUT", _seconds, seconds),
        attempts=_parsed(env, f"{ours}ATTEMPTS", _count, count),
        max_output_tokens=_parsed(env, f"{ours}OUTPUT_TOKENS", _count, count),
        measurement_tokens=_parsed(env, f"{ours}MEASUREMENT_TOKENS", _count, count),
        prompt_tokens=_parsed(env, f"{ours}PROMPT_TOKENS", _count, count),
        prompt_version=env.get(f"{ours}PROMPT_VERSION", ""),
        redact=_redact(env, f"{ours}REDACT"),
        prometheus=_prometheus(env),
    )


def _prometheus(env: Mapping[str, str]) -> PrometheusSettings:
    ours = "ROLLOUT_VERDICT_PROMETHEUS"
    for name, other in (("PASSWORD_FILE", "USERNAME"), ("KEY_FILE", "CERT_FILE")):
        if f"{ours}_{name}" in env and f"{ours}_{other}" not in env:
            raise SettingsError(f"{ours}_{name} is set, but {ours}_{other} is not: set it, too, or unset the first")
    if f"{ours}_TOKEN_FILE" in env and f"{ours}_USERNAME" in env:
        raise SettingsError(f"{ours}_TOKEN_FILE and {ours}_USERNAME are two ways to sign in: unset one of them")
    paths = {
        name: env.get(f"{ours}_{name.upper()}", "")
        for name in ("token_file", "username", "password_file", "ca_file", "cert_file", "key_file")
    }
    form, bare = "addresses of the form http(s)://HOST[:PORT][/PATH]", "without user, query or fragment"
    return PrometheusSettings(
        **paths,
        address=_hidden(env, ours, _base, f"one of the {form}, {bare}") or "",
        allowed=_hidden(env, f"{ours}_ALLOWED", _bases, f"{form}, {bare}, separated by commas") or (),
        headers=_hidden(env, f"{ours}_HEADERS", _headers, "lines of the form Name: value") or (),
        skip_verify=_parsed(env, f"{ours}_SKIP_VERIFY", _flag, "true or false") is True,
        timeout_s=_parsed(env, f"{ours}_TIMEOUT", _seconds, "a duration such as 10s"),
        presets=_parsed(env, f"{ours}_PRESETS", _names, "names of presets separated by commas") or (),
        matchers=_parsed(env, f"{ours}_MATCHERS", _labels, "lines of the form label=value") or (),
    )


def _key(env: Mapping[str, str]) -> tuple[Secret | None, str]:
    """Return the API key and where it comes from."""
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY"):
        if name in env:
            return Secret(env[name]), name
    name = "ROLLOUT_VERDICT_API_KEY_FILE"
    if name not in env:
        return None, ""
    try:
        with Path(env[name]).open("rb") as stream:
            content = stream.read(KEY_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"{name}: {env[name]} cannot be read ({error.strerror}): mount it or unset {name}"
        ) from error
    key = content.decode("ascii", "replace").strip()
    if not key or len(content) > KEY_BYTES or not key.isprintable() or not key.isascii():
        raise SettingsError(f"{name}: expected one line with an API key in {env[name]}")
    return Secret(key), name


def _parsed(env: Mapping[str, str], name: str, parse: Callable[[str], T], expected: str) -> T | None:
    if name not in env:
        return None
    try:
        return parse(env[name])
    except ValueError:
        shown = env[name][:40]
        raise SettingsError(f"{name}: expected {expected}, got {shown!r}: correct it or unset it") from None


def _hidden(env: Mapping[str, str], name: str, parse: Callable[[str], T], expected: str) -> T | None:
    """Parse a setting that may hold a secret: it is not shown when it is wrong."""
    if name not in env:
        return None
    try:
        return parse(env[name])
    except ValueError:
        raise SettingsError(f"{name}: expected {expected}: correct it or unset it") from None


def _flag(text: str) -> bool:
    if text.lower() not in (*TRUE, *FALSE):
        raise ValueError(text)
    return text.lower() in TRUE


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9) or int(text) < 1:
        raise ValueError(text)
    return int(text)


def _seconds(text: str) -> float:
    return parse_duration(text)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise ValueError(text)
    return names


def _thinking(text: str) -> str:
    if text.upper() not in THINKING:
        raise ValueError(text)
    return text.upper()


def _url(text: str) -> str:
    if not text.lower().startswith(("http://", "https://")):
        raise ValueError(text)
    return text


def _base(text: str) -> str:
    parts = urlsplit(_url(text))
    if not parts.hostname or parts.port == 0 or parts.username is not None or parts.query or parts.fragment:
        raise ValueError(text)
    return text.rstrip("/")


def _bases(text: str) -> tuple[str, ...]:
    return tuple(_base(one) for one in _names(text))


def _headers(text: str) -> tuple[tuple[str, Secret], ...]:
    """Return the headers of lines as HTTP has them; names are tokens (RFC 9110, 5.1), values printable ASCII."""
    pairs = [line.strip().partition(":") for line in text.splitlines() if line.strip()]
    for name, colon, value in pairs:
        if not (colon and _TOKEN.fullmatch(name) and value.strip() and value.strip().isascii() and value.isprintable()):
            raise ValueError(text)
    return tuple((name, Secret(value.strip())) for name, _, value in pairs)


def _labels(text: str) -> tuple[tuple[str, str], ...]:
    """Return the labels of lines, with their values."""
    lines = [line.partition("=") for line in text.splitlines() if line.strip()]
    pairs = tuple((name.strip(), value.strip()) for name, _, value in lines)
    if not all(_LABEL.fullmatch(name) and 0 < len(value) <= 200 and value.isprintable() for name, value in pairs):
        raise ValueError(text)
    return pairs


def _redact(env: Mapping[str, str], name: str) -> tuple[tuple[str, str], ...]:
    """Return the operator's own patterns, all of which can be used."""
    pairs = _parsed(env, name, _patterns, "lines of the form kind=regular expression") or ()
    if pairs:
        from rollout_verdict.core.redaction.redact import Redactor  # most have no patterns of their own to load it for

        try:
            Redactor(custom=pairs)
        except ValueError as error:
            raise SettingsError(f"{name}: {error}: correct it or unset it") from None
    return pairs


def _patterns(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [line.strip().partition("=") for line in text.splitlines() if line.strip()]
    if not all(kind and equals and pattern for kind, equals, pattern in pairs):
        raise ValueError(text)
    return tuple((kind.strip(), pattern) for kind, _, pattern in pairs)
