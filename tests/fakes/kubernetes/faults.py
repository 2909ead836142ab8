"""What goes wrong, and with which requests."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from tests.fakes.kubernetes import status
from tests.fakes.kubernetes.status import Refusal

LOGIN_PAGE = b"<!doctype html><html><head><title>Sign in</title></head><body><form>...</form></body></html>"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault for the requests whose verb, resource ("pods/log", "rollouts.argoproj.io") and name match the patterns.

    ``answer`` is sent instead of the true one. Otherwise the true answer goes out, ``share`` of its bytes only, and then
    ``then`` happens: "end" (all is well), "reset" (RST), "close" (FIN before the promised length), "hang" (nothing, until
    the server ends). ``pause_s`` stands between the pieces. It strikes ``times`` times, always when that is None.
    """

    verb: str = "*"
    resource: str = "*"
    name: str = "*"
    times: int | None = None
    answer: Refusal | None = None
    share: float = 1.0
    then: Literal["end", "reset", "close", "hang"] = "end"
    pause_s: float = 0.0

    def matches(self, verb: str, resource: str, name: str) -> bool:
        """Whether a request is meant."""
        pairs = ((verb, self.verb), (resource, self.resource), (name, self.name))
        return all(fnmatchcase(value, pattern) for value, pattern in pairs)


HTML = Refusal(code=200, body=LOGIN_PAGE, content_type="text/html; charset=utf-8")
NOT_JSON = Refusal(code=200, body=b'{"kind": "PodList", "items": [{"metadata"')
WRONG_SHAPE = Refusal(code=200, body={"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": 7})
ANSWERS = {
    "401": status.unauthorized(),
    "403": status.forbidden(
        user="system:serviceaccount:verdict:verdict",
        verb="get",
        group="",
        resource="pods",
        namespace="shop",
        name="",
        subresource="",
    ),
    "404": status.failure(404, "NotFound", "the server could not find the requested resource"),
    "404 path": status.no_such_path(),
    "410": status.gone(),
    "429": status.too_many(1),
    "500": status.internal(),
    "503": status.unavailable(),
    "504": status.timeout(),
    "html": HTML,
    "not json": NOT_JSON,
    "wrong shape": WRONG_SHAPE,
}
