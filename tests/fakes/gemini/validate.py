"""The two oracles: the vendor's protobuf messages and the SDK's types. Nothing passes the fake unchecked.

Requests go through the protobuf messages, which accept camelCase and snake_case and refuse unknown names, as the
server does. Fields newer than the protobuf package are listed by name (``OVERLAY``) and checked by hand.
"""

import re
from dataclasses import dataclass
from typing import Any

from google.ai.generativelanguage_v1beta.types import GenerateContentRequest, GenerateContentResponse
from google.genai import types
from google.protobuf import json_format
from google.rpc import code_pb2, error_details_pb2, status_pb2

_DETAIL_TYPES = error_details_pb2.DESCRIPTOR.message_types_by_name  # loading them makes "@type" resolvable


@dataclass(frozen=True)
class Rules:
    """What a model line accepts."""

    levels: frozenset[str]
    budget: bool = False
    candidates: bool = False


MODELS = {
    "gemini-3.8-flash": Rules(frozenset({"LOW", "MEDIUM", "HIGH"})),
    "gemini-3.7-flash": Rules(frozenset({"LOW", "MEDIUM", "HIGH"})),
    "gemini-3.5-flash-lite": Rules(frozenset({"MINIMAL", "LOW", "MEDIUM", "HIGH"})),
    "gemini-4-hydrogen": Rules(frozenset({"LOW", "MEDIUM", "HIGH", "XHIGH"})),
    "gemini-4-argon": Rules(frozenset({"LOW", "MEDIUM", "HIGH"})),
    "gemini-2.5-flash": Rules(frozenset(), budget=True, candidates=True),
}

# Fields the real API has and the protobuf package lacks: (where, name) -> allowed JSON.
OVERLAY: dict[tuple[str, str], Any] = {
    ("", "store"): bool,
    ("", "serviceTier"): {"standard", "flex", "priority"},
    ("", "continuationToken"): str,
    ("generationConfig.thinkingConfig", "thinkingLevel"): {"MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"},
}
NEWER_FINISH_REASONS = {  # of the response, likewise
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
    "CONTINUATION",
    "ESCALATION",
    "MODEL_ARMOR",
}
NEWER_BLOCK_REASONS = {"MODEL_ARMOR", "JAILBREAK"}
SCHEMA_KEYWORDS = frozenset(
    [
        "$id",
        "$defs",
        "$ref",
        "$anchor",
        "type",
        "format",
        "title",
        "description",
        "enum",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "anyOf",
        "oneOf",
        "properties",
        "additionalProperties",
        "required",
        "propertyOrdering",
    ]
)


class ViolationError(Exception):
    """A request that the server would refuse with 400, in its own words."""

    def __init__(self, message: str, field: str = ""):
        super().__init__(message)
        self.message, self.field = message, field


def camel(name: str) -> str:
    """Return the camelCase of a snake_case name."""
    return re.sub(r"_([a-z0-9])", lambda m: m[1].upper(), name)


def check_request(body: Any, model: str, vertex: bool = False) -> dict[str, Any]:
    """Return the request with camelCase keys on the levels we look at. Raises ViolationError."""
    if not isinstance(body, dict):
        raise ViolationError("Invalid JSON payload received. Expected an object.")
    request = {camel(key): value for key, value in body.items()}
    config = {camel(key): value for key, value in (request.get("generationConfig") or {}).items()}
    thinking = {camel(key): value for key, value in (config.get("thinkingConfig") or {}).items()}
    if thinking:
        config["thinkingConfig"] = thinking
    request["generationConfig"] = config
    if vertex and "store" in request:
        raise ViolationError(_unknown("store", ""), "store")
    labels = request.pop("labels", None) if vertex else None
    if labels is not None and not isinstance(labels, dict):
        raise ViolationError("Invalid value at 'labels'")
    plain = _lift_overlay(request)
    try:
        json_format.ParseDict(plain, GenerateContentRequest.pb()())
    except json_format.ParseError as error:
        unknown = re.search(r'has no field named "(\w+)" at "GenerateContentRequest\.?([^"]*)"', str(error))
        if unknown:
            raise ViolationError(_unknown(unknown[1], unknown[2]), unknown[1]) from None
        raise ViolationError(f"Invalid value: {error}"[:500]) from None
    _check_meaning(request, config, thinking, model)
    return request


def _unknown(name: str, where: str) -> str:
    return (
        f'Invalid JSON payload received. Unknown name "{name}"{f" at {where!r}" if where else ""}: Cannot find field.'
    )


def _lift_overlay(request: dict[str, Any]) -> dict[str, Any]:
    """Return the request without the overlay's fields, each checked."""
    plain = {**request, "generationConfig": {**request["generationConfig"]}}
    config = plain["generationConfig"]
    if "thinkingConfig" in config:
        config["thinkingConfig"] = {**config["thinkingConfig"]}
    for (where, name), allowed in OVERLAY.items():
        holder = config.get("thinkingConfig", {}) if where else plain
        if name not in holder:
            continue
        value = holder.pop(name)
        good = isinstance(value, allowed) if isinstance(allowed, type) else value in allowed
        if not good:
            raise ViolationError(f"Invalid value at '{f'{where}.' if where else ''}{name}': {value!r}", name)
    return plain


def _check_meaning(request: dict[str, Any], config: dict[str, Any], thinking: dict[str, Any], model: str) -> None:
    """The rules that types do not express."""
    contents = request.get("contents") or []
    if not contents or not all(turn.get("parts") for turn in contents):
        raise ViolationError("* GenerateContentRequest.contents: contents is not specified", "contents")
    if contents[-1].get("role") == "model":
        raise ViolationError("Requests ending with a model turn are not supported.", "contents")
    schema = config.get("responseJsonSchema", config.get("responseSchema"))
    if "responseJsonSchema" in config and "responseSchema" in config:
        raise ViolationError("Only one of response_schema and response_json_schema may be set.", "generation_config")
    if schema is not None and config.get("responseMimeType") not in ("application/json", "text/x.enum"):
        raise ViolationError("A response schema needs response_mime_type application/json.", "response_mime_type")
    if "responseJsonSchema" in config:
        _check_schema(config["responseJsonSchema"], "generation_config.response_json_schema")
    rules = MODELS[model]
    level, budget = thinking.get("thinkingLevel"), thinking.get("thinkingBudget")
    if level is not None and budget is not None:
        raise ViolationError("You can only set only one of thinking budget and thinking level.", "thinking_config")
    if level is not None and level not in rules.levels:
        raise ViolationError(f"Thinking level {level} is not supported for this model.", "thinking_config")
    if budget is not None and not rules.budget:
        raise ViolationError("Thinking budget is not supported for this model.", "thinking_config")
    if config.get("candidateCount", 1) != 1 and not rules.candidates:
        raise ViolationError("Multiple candidates is not enabled for this model", "candidate_count")
    if "maxOutputTokens" in config and not 1 <= config["maxOutputTokens"] <= 65_536:
        raise ViolationError("max_output_tokens must be in 1..65536", "max_output_tokens")


def _check_schema(schema: Any, where: str) -> None:
    if not isinstance(schema, dict):
        return
    for keyword, value in schema.items():
        if keyword not in SCHEMA_KEYWORDS:
            raise ViolationError(_unknown(keyword, where), keyword)
        if keyword in ("properties", "$defs"):
            for name, inner in value.items():
                _check_schema(inner, f"{where}.{name}")
        elif keyword in ("items", "additionalProperties"):
            _check_schema(value, f"{where}.{keyword}")
        elif keyword in ("anyOf", "oneOf", "prefixItems"):
            for inner in value:
                _check_schema(inner, f"{where}.{keyword}")


def check_response(body: dict[str, Any]) -> None:
    """Raise unless a response body (or one event of a stream) satisfies both oracles."""
    types.GenerateContentResponse.model_validate(body)
    known = {**body}
    if "candidates" in body:
        known["candidates"] = [_older(candidate) for candidate in body["candidates"]]
    feedback = body.get("promptFeedback")
    if feedback and feedback.get("blockReason") in NEWER_BLOCK_REASONS:
        known["promptFeedback"] = {**feedback, "blockReason": "OTHER"}
    json_format.ParseDict(known, GenerateContentResponse.pb()())


def _older(candidate: dict[str, Any]) -> dict[str, Any]:
    """Return a candidate as the protobuf package knows it."""
    known = {key: value for key, value in candidate.items() if key != "continuationToken"}
    return {**known, "finishReason": "OTHER"} if known.get("finishReason") in NEWER_FINISH_REASONS else known


def check_error(status: int, body: dict[str, Any]) -> None:
    """Raise unless an error body is a google.rpc.Status of that HTTP status."""
    error = body["error"]
    if error["code"] != status:
        raise ValueError(f"error code {error['code']} is sent with HTTP {status}")
    code_pb2.Code.Value(error["status"])
    fields = {key: value for key, value in error.items() if key != "status"}
    json_format.ParseDict(fields, status_pb2.Status())
