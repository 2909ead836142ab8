"""What goes wrong between us and an API server, in words for people: what happened, and what to do.

Texts are made from status codes and kinds of errors. What a server or a library wrote is quoted where nothing else
tells the matter, bounded; nothing that we sent is ever in it.
"""

import shlex
import ssl
from dataclasses import dataclass

from rollout_verdict.core.values import Gap, Side, SourceKind

QUOTED = 300  # characters of a server's message; its own are a sentence or two


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A kind of object, as RBAC names it. ``group`` is "" for the core; ``sub`` a subresource, "log"."""

    plural: str
    group: str = ""
    version: str = "v1"
    sub: str = ""

    @property
    def root(self) -> str:
        """The path of the API that serves it."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def named(self) -> str:
        """The resource as kubectl's first argument names it, "rollouts.argoproj.io"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One thing done to one resource: what RBAC has to allow. ``name`` is "" for all of the namespace."""

    resource: Resource
    namespace: str
    name: str = ""

    @property
    def verb(self) -> str:
        """The verb that RBAC checks."""
        return "get" if self.name else "list"

    @property
    def told(self) -> str:
        """The resource as a Role's rule writes it, with its subresource."""
        sub = f"/{self.resource.sub}" if self.resource.sub else ""
        return f"{self.resource.plural}{sub}" + (f" in {self.resource.group}" if self.resource.group else "")

    def check(self, user: str) -> str:
        """Return the command that tells whether it is allowed."""
        words = ["kubectl", "auth", "can-i", self.verb, self.resource.named]
        words += [f"--subresource={self.resource.sub}"] if self.resource.sub else []
        words += ["-n", self.namespace]
        words += [f"--as={user}"] if user else []
        return shlex.join(words)


class ApiError(Exception):
    """A request that got no usable answer. ``status`` is 0 without a status; ``transient`` says whether to try again.

    ``reason`` and ``hint`` are for people and safe to show. ``retry_after_s`` is what the server asked for, 0 if
    nothing; ``typed`` says whether it answered with a Status object, which it does for every resource that it knows.
    """

    def __init__(
        self,
        reason: str,
        hint: str = "",
        *,
        status: int = 0,
        transient: bool = False,
        retry_after_s: float = 0.0,
    ) -> None:
        super().__init__(reason)
        self.reason, self.hint, self.status, self.typed = reason, hint, status, True
        self.transient, self.retry_after_s = transient, retry_after_s

    def gap(self, source: SourceKind, what: str, side: Side | None = None) -> Gap:
        """Return the gap that stands for what could not be had."""
        return Gap(source=source, what=what, reason=self.reason, hint=self.hint, side=side)


def refused(access: Access, status: int, message: str, user: str, retry_after_s: float) -> ApiError:
    """Return the error for an answer that is none: a status beyond 2xx."""
    quoted = one_line(message)
    said = f": {quoted}" if quoted else ""
    done = f"{access.verb} {access.told} in namespace {access.namespace}"
    again = "try again; see the API server's log if it goes on"
    if status >= 500:
        reason = f"the API server failed ({status}) to {done}{said}"
        return ApiError(reason, again, status=status, transient=True, retry_after_s=retry_after_s)
    if status == 429:
        reason = "the API server is busy and asked us to wait (429)"
        hint = "try again later; see the API server's priority and fairness settings if it goes on"
        return ApiError(reason, hint, status=status, transient=True, retry_after_s=retry_after_s)
    if status == 403:
        reason = f"not allowed (403): {user or 'our user'} may not {done}"
        hint = f"allow the verb {access.verb} on {access.told}; check with: {access.check(user)}"
        return ApiError(reason, hint, status=status)
    reason, hint = {
        401: (
            "the API server does not know who we are (401)",
            "log in again, or renew the token or certificate of the kubeconfig or of the pod's service account",
        ),
        404: (f"not found (404){said}", "it may have been deleted in the meantime"),
        410: ("the list was too old to be continued (410)", "try again"),
    }.get(status, (f"the API server refused ({status}) to {done}{said}", ""))
    if 300 <= status < 400:
        reason = f"the API server sends us elsewhere ({status}), where we do not follow with our token"
        hint = "set the API server's own address in the kubeconfig, not one that redirects"
    return ApiError(reason, hint, status=status)


def unreached(error: BaseException) -> ApiError:
    """Return the error for a request without a whole answer, by the first kind that the exception is of."""
    import urllib3.exceptions as http

    if isinstance(error, ApiError):  # the credential plugin's, which the client runs within a request
        return error
    chain = _chain(error)
    certificate = next((one for one in chain if isinstance(one, ssl.SSLCertVerificationError)), None)
    if certificate is not None:
        why = one_line(str(getattr(certificate, "verify_message", "") or "it does not verify"))
        return ApiError(
            f"the API server's certificate is not trusted: {why}",
            "check certificate-authority-data and the server's name in the kubeconfig",
        )
    firewall = "check the address in the kubeconfig, and that no firewall, VPN or network policy is in the way"
    kinds: tuple[tuple[tuple[type[BaseException], ...], str, str, bool], ...] = (
        (
            (ssl.SSLError, http.SSLError),
            "no TLS connection to the API server",
            "check that the address in the kubeconfig is the API server's, and speaks TLS",
            False,
        ),
        (
            (http.NameResolutionError,),
            "the API server's name is not known to DNS",
            "check the address in the kubeconfig and the DNS of this machine",
            True,
        ),
        (
            (ConnectionRefusedError,),
            "no connection to the API server: connection refused",
            "check the address in the kubeconfig, and that the API server runs",
            True,
        ),
        ((http.NewConnectionError,), "no connection to the API server", firewall, True),
        ((http.ConnectTimeoutError,), "the API server does not answer", firewall, True),
        (
            (http.TimeoutError, TimeoutError),
            "the API server took too long to answer",
            "try again, or raise deadlines.gather",
            True,
        ),
        ((http.ProtocolError, ConnectionError), "the connection to the API server broke", "try again", True),
    )
    for types, reason, hint, transient in kinds:
        if any(isinstance(one, types) for one in chain):
            return ApiError(reason, hint, transient=transient)
    kind = type(error).__name__  # not its text, which may quote anything
    return ApiError(f"the request could not be made ({kind})", "check the kubeconfig: kubectl get namespaces")


def one_line(text: str) -> str:
    """Return foreign text on one line, bounded, without control characters."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * QUOTED]).split())
    return line if len(line) <= QUOTED else f"{line[: QUOTED - 1]}…"


def _chain(error: BaseException) -> list[BaseException]:
    """Return an exception and those behind it, however the libraries hung them up."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting and len(found) < 20:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return found
