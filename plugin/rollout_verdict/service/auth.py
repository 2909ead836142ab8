"""Who asks, and whether they may.

A caller shows a bearer token of the token file, a Kubernetes service account's token, or a browser's session. HTTP
Basic carries a token as its password: the Go plugin's agent client sends no header of its own, but its address may
hold ``user:TOKEN@``.
"""

import base64
import binascii
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Protocol

from rollout_verdict.service.problems import ForbiddenError, TooManyError, UnauthenticatedError
from rollout_verdict.service.rates import Kind, Rates
from rollout_verdict.service.tokens import Grant, Grants, Scope, digest_of

COOKIE = "rollout_verdict_session"
TOKEN_LENGTH = 16_384  # characters; a service account token has about 1,000
CODE_S = 900.0  # how long the link of the first start may wait to be opened
MOST_CODES = 100
SHOW_TOKEN = "a bearer token is needed: send Authorization: Bearer TOKEN, or log in"  # noqa: S105 -- words, no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Whoever asks. ``namespaces`` None means all; ``session`` says that a browser's cookie told who it is."""

    name: str
    scope: Scope
    namespaces: tuple[str, ...] | None = None
    session: bool = False

    def sees(self, namespace: str) -> bool:
        """Whether they may see, and with a scope for it touch, what belongs to that namespace."""
        return self.namespaces is None or namespace in self.namespaces

    def demand(self, scope: Scope) -> None:
        """Raise ForbiddenError unless they have at least that scope."""
        if not self.scope.includes(scope):
            raise ForbiddenError(f"{self.name} has the scope {self.scope.value}; this needs {scope.value}")

    def demand_namespace(self, namespace: str) -> None:
        """Raise ForbiddenError unless that namespace is among theirs."""
        if not self.sees(namespace) and not namespace:
            raise ForbiddenError(f"{self.name} is bound to namespaces: name one of them, for an upload by ?namespace=")
        if not self.sees(namespace):
            raise ForbiddenError(f"{self.name} has no access to namespace {namespace[:63]!r}")


class Reviewer(Protocol):
    """Asks Kubernetes whose token it is."""

    def review(self, token: str) -> str | None:
        """Return NAMESPACE/NAME of the service account, None for a token that Kubernetes does not know.

        Raises UnavailableError when it cannot be asked.
        """
        ...

    def remembers(self, token: str) -> bool:
        """Whether the token was a service account's when it was last asked about."""
        ...


class Authenticator:
    """Tells callers from what they show. Safe to use from many threads."""

    def __init__(
        self,
        grants: Callable[[], Grants],
        rates: Rates,
        *,
        clock: Callable[[], datetime],
        session_s: float,
        session_key: bytes,
        reviewer: Reviewer | None = None,
        problem: Callable[[], str] = lambda: "",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._grants = grants
        self._rates = rates
        self._clock = clock
        self._session_s = session_s
        self._session_key = session_key
        self._reviewer = reviewer
        self.problem = problem  # why a change of the grants is not in force
        self._monotonic = monotonic
        self._codes: dict[str, tuple[str, float]] = {}
        self._lock = Lock()

    def grants(self) -> Grants:
        """Return everything that is granted."""
        return self._grants()

    @property
    def asks_kubernetes(self) -> bool:
        """Whether a call may take as long as Kubernetes does."""
        return self._reviewer is not None and bool(self._grants().accounts)

    def authenticate(self, headers: Mapping[str, str], cookies: Mapping[str, str], address: str) -> Principal:
        """Return who asks. Raises UnauthenticatedError, ForbiddenError, TooManyError, UnavailableError."""
        if header := headers.get("authorization"):
            return self.by_token(_token_in(header), address)
        if cookie := cookies.get(COOKIE):
            return self._by_session(cookie)
        raise UnauthenticatedError(SHOW_TOKEN)

    def by_token(self, token: str, address: str) -> Principal:
        """Return whose token it is. ``address`` is where it came from: too many wrong ones are not looked at.

        A token that was good before is: others behind the same address could lock its owner out otherwise. One that
        Kubernetes must be asked about counts as wrong before it is: the answer may take long, or not come.
        """
        grants = self._grants()
        grant = grants.tokens.get(digest_of(token)) if token else None
        if grant is not None and self._valid(grant):
            return _principal(grant)
        if self._reviewer is None or not self._reviewer.remembers(token):
            self._count_failure(address)
        if grant is None and self._reviewer is not None and grants.accounts and token.count(".") == 2:
            account = self._reviewer.review(token)
            if account is not None:
                return self._account(account, grants)
        raise UnauthenticatedError("the token is not valid, or no longer")

    def _count_failure(self, address: str) -> None:
        if not self._rates.allow(Kind.FAILURE, address):
            raise TooManyError("too many tokens that are not valid; wait a minute")

    def _account(self, account: str, grants: Grants) -> Principal:
        grant = grants.accounts.get(account)
        if grant is None or not self._valid(grant):
            raise ForbiddenError(f"service account {account} has no access; add it to the token file")
        return _principal(grant)

    def _valid(self, grant: Grant) -> bool:
        return grant.expires is None or self._clock() < grant.expires

    # Sessions of browsers. A cookie is signed with a key and its token's digest, so that it ends when its token does,
    # and any replica that has both files knows it.

    def session(self, token: str, address: str) -> str:
        """Return a cookie's value for whoever has this token of the token file; Kubernetes is not asked.

        Raises UnauthenticatedError, TooManyError.
        """
        digest = digest_of(token)
        grant = self._grants().tokens.get(digest)
        if grant is None or not self._valid(grant):
            self._count_failure(address)
            raise UnauthenticatedError("this is no token of the token file, or no longer; only those log a browser in")
        return self._sealed(digest)

    def _sealed(self, digest: str) -> str:
        ends = int(self._clock().timestamp() + self._session_s)
        body = f"{digest[:16]}.{ends}.{secrets.token_hex(8)}"
        return f"{body}.{self._seal(digest, body)}"

    def _by_session(self, cookie: str) -> Principal:
        body, _, seal = cookie[:200].rpartition(".")
        parts = body.split(".")
        if len(parts) == 3 and parts[1].isascii() and parts[1].isdigit():
            for digest, grant in self._grants().tokens.items():
                if digest[:16] != parts[0] or not hmac.compare_digest(self._seal(digest, body).encode(), seal.encode()):
                    continue
                if self._valid(grant) and self._clock().timestamp() < int(parts[1]):
                    return _principal(grant, session=True)
        raise UnauthenticatedError("the session has ended; log in again")

    def _seal(self, digest: str, body: str) -> str:
        sealed = f"session {digest} {body}".encode("utf-8", "replace")
        return hmac.digest(self._session_key, sealed, "sha256").hex()

    # The link of a start

    def make_code(self, digest: str) -> str:
        """Return a code that logs a browser in once, as the owner of the token with this digest."""
        code = secrets.token_urlsafe(24)
        with self._lock:
            while len(self._codes) >= MOST_CODES:
                del self._codes[next(iter(self._codes))]
            self._codes[digest_of(code)] = (digest, self._monotonic() + CODE_S)
        return code

    def redeem(self, code: str) -> str:
        """Return a cookie's value for a code, which is then used up. Raises UnauthenticatedError."""
        with self._lock:
            digest, ends = self._codes.pop(digest_of(code), ("", 0.0))
        grant = self._grants().tokens.get(digest)
        if grant is None or not self._valid(grant) or self._monotonic() >= ends:
            raise UnauthenticatedError("the link has been used, or is too old; log in with a token")
        return self._sealed(digest)


def _principal(grant: Grant, *, session: bool = False) -> Principal:
    return Principal(name=grant.name, scope=grant.scope, namespaces=grant.namespaces, session=session)


def _token_in(header: str) -> str:
    """Return the token in an Authorization header, "" when there is none that could be one."""
    kind, _, rest = header[:TOKEN_LENGTH].partition(" ")
    rest = rest.strip()
    if kind.lower() == "bearer":
        return rest
    if kind.lower() == "basic":
        try:
            return base64.b64decode(rest, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
