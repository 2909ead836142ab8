"""What an operator settles about the server, and what one measurement wants of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from rollout_verdict.core.evidence import Direction

AUTO = "auto"
MATCHED = 200  # characters of a value that a label is held against; names of clusters and tenants are shorter
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)  # Prometheus' own labels begin with two underscores
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"'})


class AddressError(ValueError):
    """An address that cannot be used or may not be asked. The text names it without what may be secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A Prometheus, Thanos, Mimir, VictoriaMetrics or managed service. Times are seconds.

    ``address`` is the base below which ``/api/v1/query`` lies. Paths name files: the token's is read anew for each
    measurement, so that tokens may rotate. ``allowed`` are further addresses that a template may name; what lies
    below one is allowed, too. Credentials and headers go to ``address`` alone.
    """

    address: str = ""
    allowed: tuple[str, ...] = ()
    token_file: str = ""
    username: str = ""
    password_file: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    skip_verify: bool = False
    timeout_s: float = 10.0  # of one request; a server that takes longer takes it from the deadline of all
    concurrency: int = 4  # requests at the same time: queries are heavy, and the server is there for others, too
    attempts: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnQuery:
    """A query of the operator's own, with placeholders (``placeholders``)."""

    name: str
    query: str
    direction: Direction = Direction.HIGHER_IS_WORSE
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one measurement asks for.

    ``address`` is what the template names, "" for the operator's. ``presets`` are names of the catalogue; empty, or
    ``auto``, for those that find data. ``min_requests`` and ``min_failures`` are how many requests on the canary make a
    preset speak: enough of them, or so few but failing. ``matchers`` are labels and the values that all series of the
    presets must have, such as the cluster's name where one server has the series of several.
    """

    address: str = ""
    presets: tuple[str, ...] = ()
    queries: tuple[OwnQuery, ...] = ()
    matchers: tuple[tuple[str, str], ...] = ()
    min_requests: int = (
        100  # with 100 requests, 1 % and 3 % of failures can hardly be told apart; with fewer, not at all
    )
    min_failures: int = (
        10  # the standard error of ten failures is a third of them: harm can be told without 100 requests
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to ask: ``base`` without a slash at its end, and whether the operator's credentials may go there."""

    base: str
    own: bool


def check_matcher(name: str, value: str) -> None:
    """Check a label and the value that it must have. Raises ValueError."""
    if not _LABEL.fullmatch(name):
        raise ValueError("names of labels, of letters, digits and underscores, without two of them in front")
    if not (0 < len(value) <= MATCHED and value.isprintable()):
        raise ValueError(f"values of labels, of 1 to {MATCHED} printable characters")


def matching(pairs: Sequence[tuple[str, str]]) -> str:
    """Return matchers as they stand in a selector, "" for none. Raises ValueError for one that cannot stand there."""
    for name, value in pairs:
        check_matcher(name, value)
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in sorted(set(pairs)))


def permitted(server: Server, named: str) -> Address:
    """Return the address to ask for a template that names one, or "" for the operator's. Raises AddressError."""
    if not named:
        if not server.address:
            raise AddressError("no address of Prometheus is set")
        return Address(base=normal(server.address), own=True)
    wanted = normal(named)
    if server.address and wanted == normal(server.address):
        return Address(base=wanted, own=True)
    if any(wanted == base or wanted.startswith(f"{base}/") for base in map(normal, server.allowed)):
        return Address(base=wanted, own=False)
    raise AddressError(f"the template names {wanted}, which is not among the addresses that may be asked")


def normal(address: str) -> str:
    """Return an address in the one form that is compared and asked. Raises AddressError, without quoting it."""
    try:
        parts = urlsplit(address.strip())
        port = parts.port
    except ValueError:
        raise AddressError("the address of Prometheus is no URL") from None
    scheme, host = parts.scheme.lower(), (parts.hostname or "").rstrip(".")
    if scheme not in {"http", "https"} or not host or not host.isascii():
        raise AddressError(
            "the address of Prometheus must be http://HOST or https://HOST, with port and path as needed"
        )
    if parts.username is not None or parts.password is not None:
        raise AddressError(
            "the address of Prometheus must not hold a user or password: they have settings of their own"
        )
    path = parts.path.rstrip("/")
    plain = all(char.isalnum() or char in "-._~/:@" for char in path) and path.isascii()
    if parts.query or parts.fragment or not plain or any(step in {".", "..", ""} for step in path.split("/")[1:]):
        raise AddressError("the address of Prometheus must end in a plain path, without query, fragment or dots")
    host = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{host}{'' if port in (None, usual) else f':{port}'}{path.removesuffix('/api/v1')}"
