"""Who may do what: the token file, read anew when it changes.

The file is TOML, so that expiry dates are dates and comments are possible:

    [[token]]
    name = "argo"                    # told in the audit log
    token = "…"                      # or sha256 = "64 hex digits", the digest of the token
    scope = "run"                    # read, run (start, replay and cancel as well) or admin (everything)
    namespaces = ["shop"]            # left out: all
    expires = 2027-01-01T00:00:00Z   # left out: never

    [[serviceaccount]]               # Kubernetes' own tokens, checked by TokenReview
    name = "argo-rollouts/argo-rollouts"
    scope = "run"
"""

import logging
import os
import re
import secrets
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

_LOG = logging.getLogger(__name__)

FILE_BYTES = 1 << 20  # thousands of tokens
SHORTEST = 16  # characters of a token: 96 bits at least, if it is random
RECHECK_S = 1.0  # how long a change of the file may go unseen
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[\w.@:/-]{1,200}")


class TokenFileError(ValueError):
    """A token file that cannot be used. The text names the entry and the key, never a token."""


class Scope(StrEnum):
    """What a caller may do; each includes those before it."""

    READ = "read"
    RUN = "run"
    ADMIN = "admin"

    def includes(self, other: "Scope") -> bool:
        """Whether this is as much as ``other``, or more."""
        return _RANKS[self] >= _RANKS[other]


_RANKS = {scope: rank for rank, scope in enumerate(Scope)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One entry of the file. ``namespaces`` None means all; ``digest`` is the token's sha256, "" for an account."""

    name: str
    scope: Scope
    namespaces: tuple[str, ...] | None = None
    expires: datetime | None = None
    digest: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """The whole file: tokens by their digest, service accounts by NAMESPACE/NAME."""

    tokens: Mapping[str, Grant] = field(default_factory=dict)
    accounts: Mapping[str, Grant] = field(default_factory=dict)


def digest_of(token: str) -> str:
    """Return the sha256 of a token, as 64 hex digits."""
    return sha256(token.encode("utf-8", "replace")).hexdigest()


def parse_grants(content: str) -> Grants:
    """Return what a token file says. Raises TokenFileError."""
    try:
        document = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"\(at [^()]*\)", str(error))  # the rest of the text may quote a token
        raise TokenFileError(f"the token file is no TOML {where[0] if where else ''}".rstrip()) from None
    if unknown := sorted(document.keys() - {"token", "serviceaccount"}):
        raise TokenFileError(f"the token file knows [[token]] and [[serviceaccount]], not {unknown[0][:40]!r}")
    tokens: dict[str, Grant] = {}
    accounts: dict[str, Grant] = {}
    for kind in ("token", "serviceaccount"):
        entries = document.get(kind, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise TokenFileError(f"{kind} must stand in double brackets: [[{kind}]]")
        for number, entry in enumerate(entries, 1):
            grant = _grant(f"[[{kind}]] number {number}", kind, entry)
            place, key = (tokens, grant.digest) if kind == "token" else (accounts, grant.name)
            if key in place:
                raise TokenFileError(f"[[{kind}]] number {number}: the same {kind} stands above already")
            place[key] = grant
    return Grants(tokens=tokens, accounts=accounts)


def _grant(where: str, kind: str, entry: Mapping[str, Any]) -> Grant:
    allowed = {"name", "scope", "namespaces", "expires"} | ({"token", "sha256"} if kind == "token" else set())
    if unknown := sorted(entry.keys() - allowed):
        raise TokenFileError(f"{where}: unknown key {unknown[0][:40]!r}; known are {', '.join(sorted(allowed))}")
    name = entry.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise TokenFileError(f"{where}: name must be 1 to 200 letters, digits or any of ._@:/-")
    if kind == "serviceaccount" and name.count("/") != 1:
        raise TokenFileError(f"{where}: name must be NAMESPACE/NAME of a service account")
    scope = entry.get("scope", Scope.READ.value)
    if scope not in [one.value for one in Scope]:
        raise TokenFileError(f"{where}: scope must be read, run or admin")
    namespaces = entry.get("namespaces")
    if namespaces is not None and not (
        isinstance(namespaces, list) and namespaces and all(isinstance(one, str) and one for one in namespaces)
    ):
        raise TokenFileError(f"{where}: namespaces must be a list of names; leave it out for all")
    return Grant(
        name=name,
        scope=Scope(scope),
        namespaces=None if namespaces is None else tuple(namespaces),
        expires=_expires(where, entry.get("expires")),
        digest=_digest(where, entry) if kind == "token" else "",
    )


def _expires(where: str, value: object) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise TokenFileError(f"{where}: expires must be a time with its zone, 2027-01-01T00:00:00Z, without quotes")
    return value.astimezone(UTC)


def _digest(where: str, entry: Mapping[str, Any]) -> str:
    token, known = entry.get("token"), entry.get("sha256")
    if (token is None) == (known is None):
        raise TokenFileError(f"{where}: expected either token or sha256")
    if token is None:
        if not isinstance(known, str) or not _DIGEST.fullmatch(known):
            raise TokenFileError(f"{where}: sha256 must be 64 hex digits in lower case")
        return known
    if not isinstance(token, str) or len(token) < SHORTEST or not token.isascii() or not token.isprintable():
        raise TokenFileError(f"{where}: token must be at least {SHORTEST} printable ASCII characters")
    return digest_of(token)


class TokenFile:
    """The grants of a file, read anew when it changes. Safe to use from many threads.

    A change that cannot be read leaves what was known in force, and is told in ``problem``: a slip of the pen must not
    lock everybody out.
    """

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.problem = ""
        self._monotonic = monotonic
        self._lock = Lock()
        self._state: tuple[int, int, int] | None = None
        self._checked = float("-inf")
        self._grants = Grants()

    def load(self) -> Grants:
        """Read the file now. Raises TokenFileError; for the start, where nothing is known yet."""
        state, grants = _read(self.path)
        with self._lock:
            self._state, self._grants, self._checked, self.problem = state, grants, self._monotonic(), ""
        return grants

    def grants(self) -> Grants:
        """Return what the file says."""
        with self._lock:
            now = self._monotonic()
            if now - self._checked < RECHECK_S:
                return self._grants
            self._checked = now
            try:
                found = self.path.stat()
                state = (found.st_ino, found.st_mtime_ns, found.st_size)
                if state != self._state:
                    self._state, self._grants = _read(self.path)
                    _LOG.info("the token file was read anew", extra={"tokens": len(self._grants.tokens)})
                self.problem = ""
            except (OSError, TokenFileError) as error:
                said = str(error) if isinstance(error, TokenFileError) else f"cannot be read ({error.strerror})"
                if self.problem != said:
                    _LOG.error("the token file has changed and cannot be used: %s; the tokens before stay valid", said)
                self.problem = said
            return self._grants


def _read(path: Path) -> tuple[tuple[int, int, int], Grants]:
    try:
        with path.open("rb") as stream:
            found = os.fstat(stream.fileno())
            content = stream.read(FILE_BYTES + 1)
    except OSError as error:
        raise TokenFileError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > FILE_BYTES:
        raise TokenFileError(f"{path}: larger than {FILE_BYTES >> 10} KiB")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise TokenFileError(f"{path}: is no UTF-8 text") from None
    return (found.st_ino, found.st_mtime_ns, found.st_size), parse_grants(text)


def make_token_file(path: Path) -> str:
    """Make a token file with one token that may do everything, readable by its owner only; return the token.

    Raises FileExistsError when there is a file.
    """
    token = secrets.token_urlsafe(32)
    about = "# Who may do what; told in docs/service.md. Read anew when it changes."
    private_file(path, f'{about}\n\n[[token]]\nname = "owner"\ntoken = "{token}"\nscope = "admin"\n'.encode())
    return token


def private_file(path: Path, content: bytes) -> None:
    """Write a new file that only its owner may read. Raises FileExistsError when there is one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
