"""The statuses that routes document, and the answers of the routes to each."""

from typing import Any

from rollout_verdict.service.schemas import Message

_WORDS = {
    400: ("The request cannot be understood.", "the body is not JSON"),
    401: ("It is not known who asks.", "a bearer token is needed: send Authorization: Bearer TOKEN, or log in"),
    403: ("Whoever asks may not do this.", "viewer has the scope read; this needs run"),
    404: ("There is no such thing, or none that whoever asks may see.", "there is no analysis with this id"),
    408: ("The body did not come in time.", "the body did not come within 60 s"),
    409: ("Something else has that id, or it is not so far yet.", "the analysis is not done"),
    413: ("The body is too large.", "the body is larger than 1 MiB"),
    415: ("A kind of content that is not taken.", "expected application/json, application/gzip or multipart/form-data"),
    422: ("Understood, and wrong.", "minConfidence is 700; expected: Input should be less than or equal to 100"),
    424: ("There is no verdict: the analysis failed, or was cancelled.", "no pods match role=canary"),
    429: ("Too often; Retry-After says when to come back.", "argo asks too often; wait a minute"),
    503: ("Not just now; Retry-After says when to come back.", "the database does not answer"),
}
ALWAYS = (401, 403, 429, 503)
BODY = (400, 408, 413, 422)


def statuses(*extra: int, body: bool = False) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of a route's unhappy statuses."""
    found = sorted({*ALWAYS, *extra, *(BODY if body else ())})
    return {status: _answer(status) for status in found}


def _answer(status: int) -> dict[str, Any]:
    about, example = _WORDS[status]
    return {
        "model": Message,
        "description": about,
        "content": {"application/json": {"example": {"message": example}}},
    }
