"""One call through google-genai: the request as settled, the response classified before anything is parsed.

Only this module imports the SDK. The SDK's own retries, continuation, function calling and redirects are off.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import google.auth.exceptions
import httpx2
from google import genai
from google.genai import errors, types

from rollout_verdict.adapters.gemini.options import Options, Thinking
from rollout_verdict.adapters.gemini.transport import http_client, trust
from rollout_verdict.adapters.gemini.trouble import Kind, TroubleError
from rollout_verdict.core.model.neutral import plain
from rollout_verdict.core.model.prompt import Prompt
from rollout_verdict.core.values import Usage

DETAIL_LENGTH = 200  # of the vendor's message: enough to act on, too little to smuggle a page into a report
CATEGORIES = (  # the adjustable ones; logs speak of killing, attacks and exploits
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A finished answer. ``noted`` says what was unusual about it, "" when nothing was."""

    text: str
    model_version: str
    response_id: str
    noted: str = ""


class Client:
    """One SDK client, held as long as the judge lives (the SDK closes what it finds unreferenced)."""

    def __init__(self, options: Options) -> None:
        """Build the client. Raises TroubleError when the settings are refused or there is nothing to sign in with."""
        self._options = options
        self._http = http_client()
        try:
            self._client = _sdk_client(options, self._http)
        except ValueError as error:
            raise TroubleError(Kind.CREDENTIALS, _scrubbed(str(error), options)) from None

    async def ask(
        self, model: str, prompt: Prompt, room: int, thinking: Thinking
    ) -> tuple[Answer | TroubleError, Usage | None]:
        """Make one call with ``room`` for output tokens; return the answer or the trouble, and its cost where told.

        An answer that is none (blocked, truncated, …) has a cost too, so trouble is returned here, not raised.
        """
        try:
            response = await self._client.aio.models.generate_content(
                model=model, contents=prompt.user, config=_config(self._options, prompt, room, thinking)
            )
            return classify(response), usage_of(response, model)
        except errors.APIError as error:
            return _refused(error, self._options), None
        except (httpx2.HTTPError, google.auth.exceptions.GoogleAuthError) as error:
            return _unreached(error, self._options), None
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError, Warning) as error:
            # Not JSON, or JSON of another shape: the SDK builds its responses without validating them, parses the
            # answer's text on its own account, and warns of enum values it does not know (an error under -W error).
            return TroubleError(Kind.GARBLED, f"the response is not what the API sends ({type(error).__name__})"), None

    async def close(self) -> None:
        """Close both of the SDK's sides and the transport."""
        self._client.close()
        await self._client.aio.aclose()
        await self._http.aclose()


def _sdk_client(options: Options, http: httpx2.AsyncClient) -> genai.Client:
    vertex = bool(options.project)
    http_options = types.HttpOptions(
        base_url=options.base_url or None,
        api_version=options.api_version or ("v1beta1" if vertex else "v1beta"),
        timeout=math.ceil(options.attempt_timeout_s * 1000),
        retry_options=types.HttpRetryOptions(attempts=1),
        client_args={"follow_redirects": False, "verify": trust()},
        async_client_args={"ssl": trust()},
        httpx_async_client=http,
    )
    if not vertex:
        return genai.Client(enterprise=False, api_key=options.api_key, http_options=http_options)
    return genai.Client(
        enterprise=True,
        project=options.project,
        location=options.location,
        credentials=options.credentials,
        http_options=http_options,
    )


def _config(options: Options, prompt: Prompt, room: int, thinking: Thinking) -> types.GenerateContentConfig:
    """Return the request settings. No sampling parameters: these models ignore or refuse them."""
    return types.GenerateContentConfig(
        system_instruction=prompt.system,
        response_mime_type="application/json",
        response_json_schema=prompt.schema,
        max_output_tokens=room,
        thinking_config=types.ThinkingConfig(
            thinking_level=types.ThinkingLevel(thinking.value), include_thoughts=False
        ),
        safety_settings=[
            types.SafetySetting(category=types.HarmCategory(category), threshold=types.HarmBlockThreshold.BLOCK_NONE)
            for category in CATEGORIES
        ],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        automatic_continuation=False,
        store=None if options.project else False,  # Vertex AI refuses the field
    )


_FINISHED_BADLY = {
    "SAFETY": Kind.BLOCKED_OUTPUT,
    "BLOCKLIST": Kind.BLOCKED_OUTPUT,
    "PROHIBITED_CONTENT": Kind.BLOCKED_OUTPUT,
    "SPII": Kind.BLOCKED_OUTPUT,
    "LANGUAGE": Kind.BLOCKED_OUTPUT,
    "MODEL_ARMOR": Kind.BLOCKED_OUTPUT,
    "ESCALATION": Kind.BLOCKED_OUTPUT,
    "RECITATION": Kind.RECITATION,
    "MAX_TOKENS": Kind.TRUNCATED,
    "CONTINUATION": Kind.TRUNCATED,
    "MALFORMED_FUNCTION_CALL": Kind.MODEL_ERROR,
    "UNEXPECTED_TOOL_CALL": Kind.MODEL_ERROR,
    "TOO_MANY_TOOL_CALLS": Kind.MODEL_ERROR,
    "MISSING_THOUGHT_SIGNATURE": Kind.MODEL_ERROR,
    "MALFORMED_RESPONSE": Kind.MODEL_ERROR,
    "OTHER": Kind.MODEL_ERROR,
}


def classify(response: types.GenerateContentResponse) -> Answer | TroubleError:
    """Return the answer of a response or what is wrong with it, by block reason, candidates, finish reason, text.

    Raises AttributeError, TypeError or ValueError for a response whose parts have impossible types.
    """
    feedback = response.prompt_feedback
    if feedback is not None and feedback.block_reason:
        return TroubleError(Kind.BLOCKED_PROMPT, _word(feedback.block_reason))
    if not response.candidates:
        return TroubleError(Kind.EMPTY, "no candidates")
    candidate = response.candidates[0]
    finish = _word(candidate.finish_reason)
    if finish in _FINISHED_BADLY:
        return TroubleError(_FINISHED_BADLY[finish], finish)
    parts = (candidate.content.parts if candidate.content else None) or []
    if any(part.function_call for part in parts):
        return TroubleError(Kind.MODEL_ERROR, "a function call, although none was offered")
    text = "".join(part.text for part in parts if part.text and not part.thought)
    if not text.strip():
        return TroubleError(Kind.EMPTY, f"no text, finish reason {finish or 'not told'}")
    return Answer(
        text=text,
        model_version=plain(response.model_version or "", 80),
        response_id=plain(response.response_id or "", 80),
        noted="" if finish == "STOP" else f"finish reason {finish or 'not told'}",
    )


def usage_of(response: types.GenerateContentResponse, model: str) -> Usage | None:
    """Return the vendor's counts for one call, None when it told none."""
    told = response.usage_metadata
    if told is None or told.prompt_token_count is None:
        return None
    return Usage(
        model=model,
        attempts=1,
        prompt_tokens=_count(told.prompt_token_count) + _count(told.tool_use_prompt_token_count),
        cached_tokens=_count(told.cached_content_token_count),
        output_tokens=_count(told.candidates_token_count),
        thought_tokens=_count(told.thoughts_token_count),
    )


def _count(told: int | None) -> int:
    count = int(told or 0)
    if count < 0:
        raise ValueError("a negative token count")
    return count


def _word(value: Any) -> str:
    """Return the word of an enum of the SDK, which makes new members of words it does not know."""
    return plain(str(getattr(value, "value", value) or ""), 40)


def _address(error: httpx2.HTTPError) -> str:
    """Name host and port that were called, and nothing else of the address, which may hold secrets."""
    try:
        url = error.request.url
    except RuntimeError:  # it broke before there was a request
        return ""
    return f" at {url.host}:{url.port or (443 if url.scheme == 'https' else 80)}"


def _unreached(error: httpx2.HTTPError | google.auth.exceptions.GoogleAuthError, options: Options) -> TroubleError:
    """Return the trouble of a call that brought no response. The type says enough of a network error."""
    if isinstance(error, httpx2.TimeoutException):
        return TroubleError(Kind.TIMED_OUT, f"no answer within {options.attempt_timeout_s:g} s")
    if isinstance(error, httpx2.HTTPError):
        return TroubleError(Kind.NETWORK, f"{type(error).__name__}{_address(error)}")
    kind = Kind.NETWORK if error.retryable else Kind.CREDENTIALS
    return TroubleError(kind, _scrubbed(str(error), options))


_BY_STATUS = {
    400: Kind.INVALID_REQUEST,
    401: Kind.UNAUTHENTICATED,
    403: Kind.UNAUTHENTICATED,
    404: Kind.NOT_FOUND,
    408: Kind.TIMED_OUT,
    429: Kind.RATE_LIMITED,
    503: Kind.UNAVAILABLE,
    504: Kind.TIMED_OUT,
}


def _refused(error: errors.APIError, options: Options) -> TroubleError:
    """Return the trouble an error response stands for."""
    code = error.code if isinstance(error.code, int) else 0
    details = _details(error.details)
    if code in _BY_STATUS:
        kind = _BY_STATUS[code]
    elif 300 <= code < 400:
        kind = Kind.REDIRECTED
    elif 400 <= code < 500:
        kind = Kind.INVALID_REQUEST
    elif code >= 500:
        kind = Kind.SERVER_ERROR
    else:
        kind = Kind.GARBLED
    if kind is Kind.INVALID_REQUEST and any(d.get("reason") == "API_KEY_INVALID" for d in details):
        kind = Kind.UNAUTHENTICATED
    if kind is Kind.RATE_LIMITED and any(_per_day(detail) for detail in details):
        kind = Kind.QUOTA_SPENT
    message = error.message if isinstance(error.message, str) else ""
    said = _scrubbed(f"HTTP {code} {_word(error.status)}: {message}", options)
    return TroubleError(kind, said, retry_after_s=_retry_after_s(details, error.response))


def _details(body: Any) -> list[dict[str, Any]]:
    """Return the google.rpc details of an error body, none when it has another shape."""
    error = body.get("error") if isinstance(body, dict) else None
    found = error.get("details") if isinstance(error, dict) else None
    return [detail for detail in found if isinstance(detail, dict)] if isinstance(found, list) else []


def _per_day(detail: dict[str, Any]) -> bool:
    violations = detail.get("violations")
    return isinstance(violations, list) and any(
        isinstance(violation, dict) and "PerDay" in str(violation.get("quotaId", "")) for violation in violations
    )


_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s", re.ASCII)  # google.protobuf.Duration in its JSON form


def _retry_after_s(details: list[dict[str, Any]], response: Any) -> float | None:
    """Return the server's hint in seconds: google.rpc.RetryInfo, else the Retry-After header (RFC 9110, 10.2.3)."""
    for detail in details:
        if str(detail.get("@type", "")).endswith("google.rpc.RetryInfo"):
            match = _DURATION.fullmatch(str(detail.get("retryDelay", "")))
            if match:
                return float(match[1])
    header = str(response.headers.get("retry-after", "")).strip() if hasattr(response, "headers") else ""
    if re.fullmatch(r"\d{1,9}", header, re.ASCII):
        return float(header)
    if not header:
        return None
    try:
        due = parsedate_to_datetime(header)
    except ValueError:
        return None
    due = due if due.tzinfo else due.replace(tzinfo=UTC)
    return max(0.0, (due - datetime.now(UTC)).total_seconds())


def _scrubbed(text: str, options: Options) -> str:
    """Return text from outside, bounded, without the key should anybody have echoed it."""
    secret = options.api_key
    return plain(text.replace(secret, "<key>") if secret else text, DETAIL_LENGTH)
