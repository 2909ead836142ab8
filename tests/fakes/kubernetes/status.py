"""Status objects, worded as k8s.io/apimachinery ``pkg/api/errors`` words them."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Refusal(Exception):  # noqa: N818 -- an answer, raised to end the work on a request
    """An answer that is not the object asked for. ``body`` is a Status, or bytes for what is no JSON."""

    code: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


def failure(code: int, reason: str, message: str, **details: Any) -> Refusal:
    """Return the Status for a failure."""
    body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    body |= {"message": message, "reason": reason}
    if details:
        body["details"] = details
    seconds = details.get("retryAfterSeconds")
    return Refusal(code=code, body=body | {"code": code}, headers={"Retry-After": str(seconds)} if seconds else {})


def qualified(group: str, resource: str) -> str:
    """Return a resource's name with its group: "pods", "rollouts.argoproj.io"."""
    return f"{resource}.{group}" if group else resource


def unauthorized() -> Refusal:
    """401: no credentials, or none that the server knows."""
    return failure(401, "Unauthorized", "Unauthorized")


def forbidden(
    *, user: str, verb: str, group: str, resource: str, namespace: str, name: str, subresource: str
) -> Refusal:
    """403: the authoriser said no."""
    what = qualified(group, resource)
    named = f'{what} "{name}"' if name else what
    asked = f"{resource}/{subresource}" if subresource else resource
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    message = f'{named} is forbidden: User "{user}" cannot {verb} resource "{asked}" in API group "{group}" {where}'
    details = {"name": name, "group": group, "kind": resource}
    return failure(403, "Forbidden", message, **{key: value for key, value in details.items() if value})


def not_found(*, group: str, resource: str, name: str) -> Refusal:
    """404: there is no such object."""
    details = {"name": name, "group": group, "kind": resource}
    message = f'{qualified(group, resource)} "{name}" not found'
    return failure(404, "NotFound", message, **{key: value for key, value in details.items() if value})


def no_such_path() -> Refusal:
    """404 of a path that nobody serves, such as a group whose CRDs are missing: plain text."""
    return Refusal(code=404, body=b"404 page not found\n", content_type="text/plain; charset=utf-8")


def bad_request(message: str) -> Refusal:
    """400."""
    return failure(400, "BadRequest", message)


def gone(message: str = "The provided continue parameter is too old to display a consistent list result.") -> Refusal:
    """410: a continue token or resource version that etcd has compacted."""
    return failure(410, "Expired", message)


def too_many(seconds: int = 1) -> Refusal:
    """429, with Retry-After."""
    message = "the server has received too many requests and has asked us to try again later"
    return failure(429, "TooManyRequests", message, retryAfterSeconds=seconds)


def internal(message: str = "etcdserver: request timed out") -> Refusal:
    """500."""
    return failure(500, "InternalError", f"Internal error occurred: {message}", causes=[{"message": message}])


def unavailable() -> Refusal:
    """503 of an aggregated API whose backend is away: plain text."""
    return Refusal(code=503, body=b"service unavailable\n", content_type="text/plain; charset=utf-8")


def timeout() -> Refusal:
    """504."""
    message = "Timeout: request did not complete within the allotted timeout"
    return failure(504, "Timeout", message)
