"""The plugin's own check of its configuration: is it JSON, are the keys known, has each value the right shape.

The full model is ``rollout_verdict.configuration``; a test keeps the two in step. This one needs the standard library
only, so it runs inside the controller's pod, before anything is sent anywhere. Values may hold secrets that the
controller filled in: an error shows a value only when it is harmless.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rollout_verdict.durations import EXPECTED as A_DURATION
from rollout_verdict.durations import parse_duration
from rollout_verdict.rpc.messages import Metric

# The AnalysisRun it comes from must fit into etcd (1.5 MiB) together with everything else.
MAX_CONFIG = 256 * 1024
# Deeper than anything we know. The parser's own limit counts calls, not bytes: on the small stack of a thread, Python
# 3.13 dies before it gets there.
MAX_NESTING = 64
# To the end of the text, when a string has none: then the text is no JSON, and must not be searched for strings again.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
_SECRET_KEY = re.compile(r"token|secret|password|passwd|credential|header|auth|key$|url$|address$", re.IGNORECASE)
_SHOWN = 40  # characters of a value in an error


class ConfigurationError(Exception):
    """The configuration is wrong; the text says which key, what it holds and what was expected."""


class Options(NamedTuple):
    """What the plugin itself needs to know. Durations are seconds."""

    config: Mapping[str, Any]
    plugin: str
    warnings: tuple[str, ...]
    mode: str
    model: str
    agent_url: str
    deadline_s: float
    unavailable_grace_s: float
    unavailable_is_error: bool
    inconclusive_is_failure: bool
    number_value: bool


class _Shape(NamedTuple):
    expected: str
    fits: Callable[[Any], bool]


def _is_duration(value: Any) -> bool:
    try:
        parse_duration(value)
    except ValueError:
        return False
    return True


def _one_of(*words: str) -> _Shape:
    return _Shape("one of " + ", ".join(words), lambda value: isinstance(value, str) and value in words)


def _whole(low: int, high: int) -> _Shape:
    return _Shape(
        f"a whole number {low}..{high}",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high,
    )


_TEXT = _Shape("a string", lambda value: isinstance(value, str))
_BOOL = _Shape("true or false", lambda value: isinstance(value, bool))
_DURATION = _Shape(A_DURATION, _is_duration)
_OBJECT = _Shape("an object", lambda value: isinstance(value, dict))
_TEXTS = _Shape(
    "a list of strings", lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value)
)

_SHARE = _Shape(
    "a number 0..1",
    lambda value: isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1,
)
_OPINIONS = _Shape(
    "a list of at most 4 names of models, or a number 0..4",
    lambda value: _whole(0, 4).fits(value) or (_TEXTS.fits(value) and len(value) <= 4),
)

KEYS: Mapping[str, _Shape] = {
    # upstream's
    "agentUrl": _TEXT,
    "stableLabel": _TEXT,
    "canaryLabel": _TEXT,
    "stablePodLabel": _TEXT,
    "canaryPodLabel": _TEXT,
    "extraPrompt": _TEXT,
    "githubUrl": _TEXT,
    "baseBranch": _TEXT,
    "model": _TEXT,
    "analysisMode": _TEXT,
    "namespace": _TEXT,
    "podName": _TEXT,
    # ours
    "mode": _one_of("auto", "rules", "advisory"),
    "window": _DURATION,
    "warmUp": _DURATION,
    "minimumSamples": _whole(1, 1_000_000),
    "prometheus": _OBJECT,
    "containers": _OBJECT,
    "thresholds": _OBJECT,
    "minConfidence": _whole(0, 100),
    "modelMayOverride": _BOOL,
    "overrideConfidence": _whole(0, 100),
    "secondOpinions": _OPINIONS,
    "evidenceRequests": _whole(0, 2),
    "memory": _whole(0, 20),
    "minPodsSeen": _SHARE,
    "requiredSources": _TEXTS,
    "deadline": _DURATION,
    "deadlines": _OBJECT,
    "tokenBudget": _whole(1, 10_000_000),
    "onInconclusive": _one_of("inconclusive", "fail"),
    "onModelFailure": _one_of("rules", "inconclusive", "error"),
    "onUnavailable": _one_of("inconclusive", "error"),
    "unavailableGrace": _DURATION,
    "valueFormat": _one_of("json", "number"),
    "notify": _TEXTS,
    "strict": _BOOL,
    "bundle": _TEXT,
}


def read_options(metric: Metric, secrets: Sequence[str]) -> Options:
    """Return the checked configuration of a metric. Raises ConfigurationError.

    ``secrets`` are texts that no message may show.
    """
    name, config = _parse(metric)
    for key, shape in KEYS.items():
        if key in config and config[key] is not None and not shape.fits(config[key]):
            raise ConfigurationError(f"{key} is {_show(key, config[key], secrets)}; expected {shape.expected}")
    unknown = sorted(set(config) - set(KEYS))
    shown = ", ".join(_show_key(key, secrets) for key in unknown[:5]) + (", …" if len(unknown) > 5 else "")
    if unknown and config.get("strict"):
        raise ConfigurationError(f"unknown configuration key: {shown}; known are {', '.join(KEYS)}")

    def value(key: str, default: Any) -> Any:
        found = config.get(key)
        return default if found is None else found

    return Options(
        config={key: found for key, found in config.items() if found is not None},
        plugin=name,
        warnings=(f"unknown configuration key ignored: {shown}",) if unknown else (),
        mode=value("mode", "auto"),
        model=value("model", ""),
        agent_url=value("agentUrl", ""),
        deadline_s=parse_duration(value("deadline", 600)),
        unavailable_grace_s=parse_duration(value("unavailableGrace", 60)),
        unavailable_is_error=value("onUnavailable", "inconclusive") == "error",
        inconclusive_is_failure=value("onInconclusive", "inconclusive") == "fail",
        number_value=value("valueFormat", "json") == "number",
    )


def _parse(metric: Metric) -> tuple[str, dict[str, Any]]:
    if len(metric.plugins) != 1:
        raise ConfigurationError(
            f"the metric's provider.plugin holds {len(metric.plugins)} plugins; expected exactly one"
        )
    ((name, text),) = metric.plugins.items()
    if len(text) > MAX_CONFIG:
        raise ConfigurationError(f"the plugin configuration is {len(text)} bytes; at most {MAX_CONFIG} are accepted")
    if is_nested_too_deep(text):
        raise ConfigurationError(f"the plugin configuration is nested deeper than {MAX_NESTING}")
    try:
        config = json.loads(text.decode("utf-8") or "null", object_pairs_hook=_object)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        where = error.pos if isinstance(error, json.JSONDecodeError) else error.start
        raise ConfigurationError(
            f"the plugin configuration is not JSON at character {where}; an argument that holds a control character"
            " breaks the template it is filled into"
        ) from None
    except ValueError as error:  # an integer of thousands of digits, or _object's
        raise ConfigurationError(f"the plugin configuration is not usable: {error}") from None
    if config is None:
        config = {}
    if not isinstance(config, dict):
        raise ConfigurationError("the plugin configuration must be an object of keys and values")
    return name, config


def is_nested_too_deep(text: bytes) -> bool:
    """Tell whether JSON text has more open brackets at once than a parser should be asked to follow."""
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", text)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > MAX_NESTING:
            return True
    return False


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return result


def _show(key: str, value: Any, secrets: Sequence[str]) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value, ensure_ascii=False)
    if _SECRET_KEY.search(key) or any(secret in text or secret in str(value) for secret in secrets):
        return "a value that is not shown"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _show_key(key: str, secrets: Sequence[str]) -> str:
    return "(not shown)" if any(secret in key for secret in secrets) else json.dumps(key[:_SHOWN], ensure_ascii=False)
