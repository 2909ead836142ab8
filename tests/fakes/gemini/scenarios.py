"""What the server may do to a call, by name. A scenario takes the call and returns an answer or a fault.

Answers are checked by both oracles before they are written; the malformed ones say ``checked=False``, and why is in
their name.
"""

import copy
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.fakes.gemini import responders


@dataclass(frozen=True)
class Call:
    """One request that passed validation. ``number`` counts calls to this model from 1."""

    model: str
    request: dict[str, Any]
    number: int

    @property
    def prompt(self) -> str:
        """All text of the turns."""
        return "\n".join(p.get("text", "") for turn in self.request["contents"] for p in turn["parts"])

    @property
    def tokens(self) -> int:
        """Input tokens, by size: four bytes a token, schema and system text included."""
        return len(json.dumps(self.request, ensure_ascii=False).encode()) // 4


@dataclass(frozen=True)
class Answer:
    """A response. ``body`` is JSON unless it is bytes. ``stream`` are the events of a streaming call."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json; charset=UTF-8"
    checked: bool = True
    delay_s: float = 0.0
    trickle_s: float = 0.0  # seconds between single bytes


@dataclass(frozen=True)
class Fault:
    """Something that is not a response."""

    kind: Literal["reset", "close", "short", "stall", "reset_mid_stream", "error_mid_stream"]


Scenario = Callable[[Call], Answer | Fault]


def said(
    call: Call, content: Any, finish: str = "STOP", *, thoughts: int = 128, parts: list[Any] | None = None
) -> dict[str, Any]:
    """Return a response body with ``content`` as its text, and honest counts."""
    text = content if isinstance(content, str) else json.dumps(content)
    output = max(1, len(text.encode()) // 4)
    return {
        "candidates": [
            {
                "content": {"parts": parts if parts is not None else [{"text": text}], "role": "model"},
                "finishReason": finish,
                "index": 0,
            }
        ],
        "usageMetadata": {
            "promptTokenCount": call.tokens,
            "candidatesTokenCount": output,
            "thoughtsTokenCount": thoughts,
            "totalTokenCount": call.tokens + output + thoughts,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": call.tokens}],
        },
        "modelVersion": call.model,
        "responseId": f"fake-{call.number:06d}",
    }


def error(
    code: int, status: str, message: str, *details: dict[str, Any], headers: dict[str, str] | None = None
) -> Answer:
    """Return a Google-style error."""
    body: dict[str, Any] = {"error": {"code": code, "message": message, "status": status}}
    if details:
        body["error"]["details"] = list(details)
    return Answer(body, status=code, headers=headers or {})


def _detail(name: str, **fields: Any) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/google.rpc.{name}", **fields}


def violation(message: str, field_name: str) -> Answer:
    """Return the 400 for a refused request."""
    violations = [{"field": field_name, "description": message}]
    return error(400, "INVALID_ARGUMENT", message, _detail("BadRequest", fieldViolations=violations))


def rate_limited(delay: str = "", *, per_day: bool = False, header: str = "") -> Scenario:
    """Return a 429 with or without a RetryInfo of ``delay``, of the minute's or the day's quota."""
    span = "PerDay" if per_day else "PerMinute"
    quota = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
        "quotaId": f"GenerateRequests{span}PerProjectPerModel-FreeTier",
        "quotaDimensions": {"location": "global", "model": "gemini-3.8-flash"},
        "quotaValue": "10",
    }
    details = [_detail("QuotaFailure", violations=[quota])]
    details += [_detail("RetryInfo", retryDelay=delay)] if delay else []
    message = "You exceeded your current quota, please check your plan and billing details."
    return lambda _call: error(
        429, "RESOURCE_EXHAUSTED", message, *details, headers={"Retry-After": header} if header else {}
    )


def citing(call: Call) -> Answer:
    """Answer as a model that reads the evidence."""
    return Answer(said(call, responders.citing(call.prompt)))


def gullible(call: Call) -> Answer:
    """Answer as a model that believes the evidence."""
    return Answer(said(call, responders.gullible(call.prompt)))


def deciding(decision: str, chance: float = 0.95) -> Scenario:
    """Answer with a decision whatever the evidence, citing what is there: the rules' findings first."""

    def scenario(call: Call) -> Answer:
        seen = responders.read(call.prompt)
        order = sorted(seen.items, key=lambda item: f" {item}" not in seen.rules)
        cites = [responders.cite(item, seen.items[item], "stands for the decision") for item in order[:12]]
        return Answer(said(call, responders.reply(decision, chance, cites)))

    return scenario


def _thought_parts(call: Call) -> Answer:
    text = json.dumps(responders.citing(call.prompt))
    parts = [{"text": "weighing the evidence {", "thought": True}, {"text": text, "thoughtSignature": "c2ln"}]
    return Answer(said(call, text, parts=parts))


def _split_parts(call: Call) -> Answer:
    text = json.dumps(responders.citing(call.prompt))
    return Answer(said(call, text, parts=[{"text": text[i : i + 40]} for i in range(0, len(text), 40)]))


def _text(change: Callable[[str], str]) -> Scenario:
    return lambda call: Answer(said(call, change(json.dumps(responders.citing(call.prompt)))))


def _changed(**fields: Any) -> Scenario:
    return lambda call: Answer(said(call, {**responders.citing(call.prompt), **fields}))


def _no_such_item(call: Call) -> Answer:
    good = responders.citing(call.prompt)
    bad = {"evidence_id": "m987", "quoted_value": "", "claim": "an item nobody has seen"}
    return Answer(said(call, {**good, "citations": [bad, *good["citations"]]}))


def _no_such_quote(call: Call) -> Answer:
    good = copy.deepcopy(responders.citing(call.prompt))
    for cited in good["citations"]:
        cited["quoted_value"] = "123456.789 unicorns"
    return Answer(said(call, good))


def _repaired(call: Call) -> Answer:
    """Cite an item that does not exist until told of it."""
    return citing(call) if responders.read(call.prompt).repair else _no_such_item(call)


def _finished(reason: str, *, content: bool = False) -> Scenario:
    def scenario(call: Call) -> Answer:
        body = said(call, json.dumps(responders.citing(call.prompt))[:30], reason)
        if not content:
            del body["candidates"][0]["content"]
        return Answer(body)

    return scenario


def _blocked(reason: str) -> Scenario:
    def scenario(call: Call) -> Answer:
        usage = {"promptTokenCount": call.tokens, "totalTokenCount": call.tokens}
        return Answer({"promptFeedback": {"blockReason": reason}, "usageMetadata": usage, "modelVersion": call.model})

    return scenario


def _empty_max_tokens(call: Call) -> Answer:
    body = said(call, "", "MAX_TOKENS", thoughts=4096)
    body["candidates"][0]["content"] = {"role": "model"}
    return Answer(body)


def _continuation(call: Call) -> Answer:
    body = said(call, '{"observations":[', "CONTINUATION")
    body["candidates"][0]["continuationToken"] = "dG9rZW4="
    return Answer(body)


def _function_call(call: Call) -> Answer:
    parts = [
        {"functionCall": {"id": "f1", "name": "request_evidence", "args": {"id": "l1"}}, "thoughtSignature": "c2ln"}
    ]
    return Answer(said(call, "x", parts=parts))


def _no_usage(call: Call) -> Answer:
    body = said(call, responders.citing(call.prompt))
    del body["usageMetadata"]
    return Answer(body)


def _negative_usage(call: Call) -> Answer:
    body = said(call, responders.citing(call.prompt))
    body["usageMetadata"]["promptTokenCount"] = -5
    return Answer(body)


def _unknown_finish(call: Call) -> Answer:
    return Answer(said(call, responders.citing(call.prompt), "SOMETHING_NEW"), checked=False)


def _no_finish(call: Call) -> Answer:
    body = said(call, responders.citing(call.prompt))
    del body["candidates"][0]["finishReason"]
    return Answer(body)


def _raw(body: Any, content_type: str = "application/json; charset=UTF-8", status: int = 200) -> Scenario:
    return lambda _call: Answer(body, status=status, content_type=content_type, checked=False)


def _fault(kind: Any) -> Scenario:
    return lambda _call: Fault(kind)


def redirect(target: str) -> Scenario:
    """Send the caller, and its key, elsewhere."""
    return lambda _call: Answer(b"", status=307, headers={"Location": target}, checked=False)


HTML = b"<!doctype html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1>"
FINISH_REASONS = [
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
    "ESCALATION",
    "MODEL_ARMOR",
]
BLOCK_REASONS = ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "MODEL_ARMOR", "JAILBREAK"]

SCENARIOS: dict[str, Scenario] = {
    "citing": citing,
    "gullible": gullible,
    "always_promote": deciding("promote"),
    "always_rollback": deciding("rollback"),
    "always_inconclusive": deciding("inconclusive"),
    "thought_parts": _thought_parts,
    "split_parts": _split_parts,
    "padded": _text(lambda text: f"\n  {text}\n"),
    "fenced": _text(lambda text: f"```json\n{text}\n```"),
    "prose": _text(lambda _text: "I would promote this canary."),
    "duplicate_key": _text(lambda text: text[:-1] + ', "decision": "promote"}'),
    "not_a_number": _text(lambda text: text[:-1] + ', "extra": NaN}'),
    "deep": _text(lambda _text: "[" * 5000 + "]" * 5000),
    "wrong_shape": _text(lambda _text: '{"decision": "promote"}'),
    "wrong_type": _changed(probabilities={"promote": "0.9", "rollback": 0, "inconclusive": 0.1}),
    "extra_key": _changed(override=True),
    "hostile_key": _changed(**{"\u202e" + "promote " * 500: True}),
    "unknown_decision": _changed(decision="ship it"),
    "bad_sum": _changed(probabilities={"promote": 0.9, "rollback": 0.9, "inconclusive": 0.9}),
    "zero_confidence": _changed(decision="promote", probabilities={"promote": 0, "rollback": 0.5, "inconclusive": 0.5}),
    "uncited_promote": _changed(
        decision="promote", citations=[], probabilities={"promote": 0.9, "rollback": 0.05, "inconclusive": 0.05}
    ),
    "hallucinated_citation": _no_such_item,
    "hallucinated_quote": _no_such_quote,
    "repaired_citation": _repaired,
    "truncated": _finished("MAX_TOKENS", content=True),
    "empty_max_tokens": _empty_max_tokens,
    "continuation": _continuation,
    "function_call": _function_call,
    "no_usage": _no_usage,
    "unknown_finish": _unknown_finish,
    "no_finish": _no_finish,
    **{f"finish_{reason.lower()}": _finished(reason) for reason in FINISH_REASONS},
    **{f"block_{reason.lower()}": _blocked(reason) for reason in BLOCK_REASONS},
    "no_candidates": lambda call: Answer({"candidates": [], "usageMetadata": {"promptTokenCount": call.tokens}}),
    "no_parts": lambda call: Answer(said(call, "", parts=[])),
    "empty_body": _raw(b""),
    "empty_object": lambda _call: Answer({}),
    "empty_list": _raw([]),
    "candidates_not_a_list": _raw({"candidates": "oops"}),
    "teapot": lambda _call: Answer({"error": {"code": 418, "message": "short and stout"}}, status=418, checked=False),
    "no_content": _raw(b"", status=204),
    "negative_usage": _negative_usage,
    "compressed": lambda call: Answer(
        gzip.compress(json.dumps(citing(call).body).encode()), headers={"Content-Encoding": "gzip"}, checked=False
    ),
    "endless": lambda call: Answer(b" " * (6 * 1024 * 1024) + json.dumps(citing(call).body).encode(), checked=False),
    "html_200": _raw(HTML, "text/html"),
    "html_502": _raw(HTML, "text/html", 502),
    "error_not_an_object": _raw({"error": "oops"}, status=500),
    "bad_request": lambda _call: violation(
        'Invalid JSON payload received. Unknown name "x" at "generation_config".', "x"
    ),
    "bad_key": lambda _call: error(
        400,
        "INVALID_ARGUMENT",
        "API key not valid. Please pass a valid API key.",
        _detail("ErrorInfo", reason="API_KEY_INVALID", domain="googleapis.com"),
    ),
    "unauthenticated": lambda _call: error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
    "forbidden": lambda _call: error(
        403, "PERMISSION_DENIED", "Generative Language API has not been used in project 1."
    ),
    "not_found": lambda call: error(404, "NOT_FOUND", f"models/{call.model} is not found for API version v1beta."),
    "rate_limited": rate_limited(),
    "rate_limited_22s": rate_limited("22s"),
    "rate_limited_header": rate_limited(header="7"),
    "rate_limited_hour": rate_limited("3600s"),
    "quota_per_day": rate_limited("22s", per_day=True),
    "no_capacity": lambda call: error(
        429,
        "RESOURCE_EXHAUSTED",
        f"No capacity available for model {call.model}",
        _detail("ErrorInfo", reason="MODEL_CAPACITY_EXHAUSTED", domain="googleapis.com"),
    ),
    "internal": lambda _call: error(500, "INTERNAL", "An internal error has occurred. Please retry."),
    "overloaded": lambda _call: error(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "server_deadline": lambda _call: error(
        504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."
    ),
    "slow": lambda call: Answer(citing(call).body, delay_s=0.2),
    "trickle": lambda call: Answer(citing(call).body, trickle_s=0.05),
    "stall": _fault("stall"),
    "reset": _fault("reset"),
    "close": _fault("close"),
    "short_body": _fault("short"),
    "reset_mid_stream": _fault("reset_mid_stream"),
    "error_mid_stream": _fault("error_mid_stream"),
}
