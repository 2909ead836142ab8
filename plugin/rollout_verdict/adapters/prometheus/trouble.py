"""What can go wrong with a request, and what a person can do about it: the whole policy is one table."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Classes of failure; the words appear in gaps."""

    UNAUTHENTICATED = "not signed in"
    FORBIDDEN = "access refused"
    NOT_FOUND = "no Prometheus API there"
    BAD_QUERY = "query refused"
    TOO_HEAVY = "query too heavy"
    RATE_LIMITED = "rate limited"
    TOO_LONG = "query too long"
    SERVER_ERROR = "server error"
    UNAVAILABLE = "server unavailable"
    QUERY_TIMED_OUT = "query timed out on the server"
    TIMED_OUT = "no answer in time"
    REDIRECTED = "redirected"
    NO_JSON = "answer is no JSON"
    GARBLED = "garbled answer"
    PARTIAL = "answer is not whole"
    CUT = "answer cut off"
    TOO_LARGE = "answer too large"
    NAME = "name not found"
    TLS = "TLS failed"
    CONNECTION = "connection failed"
    CREDENTIALS = "credentials cannot be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """Whether the same request may succeed a moment later, whether any other would fail alike, and what to do."""

    hint: str
    retry: bool = False
    everywhere: bool = False


_ADDRESS = "check the address of Prometheus (ROLLOUT_VERDICT_PROMETHEUS): base URL with the path before /api/v1"
_LOAD = "shorten the window, or ask for fewer presets"
STORES = "see whether all stores and replicas behind the server are up"
TREATMENTS = {
    Kind.UNAUTHENTICATED: Treatment(
        hint="set ROLLOUT_VERDICT_PROMETHEUS_TOKEN_FILE, or user and password file, to credentials that are valid",
        everywhere=True,
    ),
    Kind.FORBIDDEN: Treatment(
        hint="let this identity read metrics; with several tenants set the header X-Scope-OrgID in "
        "ROLLOUT_VERDICT_PROMETHEUS_HEADERS",
        everywhere=True,
    ),
    Kind.NOT_FOUND: Treatment(hint=_ADDRESS, everywhere=True),
    Kind.BAD_QUERY: Treatment(hint="correct the query; it is run for each side as the report shows it"),
    Kind.TOO_HEAVY: Treatment(hint=_LOAD + "; or raise the server's limits on samples"),
    Kind.RATE_LIMITED: Treatment(hint=_LOAD + ", or raise the tenant's limit", retry=True),
    Kind.TOO_LONG: Treatment(hint="let the way to the server pass POST requests: GET is too short for these queries"),
    Kind.SERVER_ERROR: Treatment(hint="see the server's log", retry=True),
    Kind.UNAVAILABLE: Treatment(hint="see whether the server is up and ready", retry=True),
    Kind.QUERY_TIMED_OUT: Treatment(hint=_LOAD),
    Kind.TIMED_OUT: Treatment(
        hint="see whether the server is reachable and how loaded it is; ROLLOUT_VERDICT_PROMETHEUS_TIMEOUT sets how "
        "long a request may take",
        retry=True,
    ),
    Kind.REDIRECTED: Treatment(
        hint="set the address that it leads to, if it is the right one: redirects are not followed, as "
        "credentials would go along",
        everywhere=True,
    ),
    Kind.NO_JSON: Treatment(
        hint=_ADDRESS + "; a page instead is often a login or an error of a proxy", everywhere=True
    ),
    Kind.GARBLED: Treatment(hint=_ADDRESS),
    Kind.PARTIAL: Treatment(hint=STORES),
    Kind.CUT: Treatment(hint="see what stands between here and the server", retry=True),
    Kind.TOO_LARGE: Treatment(hint="aggregate more in the query, or shorten the window"),
    Kind.NAME: Treatment(hint=_ADDRESS + "; check that its host has a DNS record", retry=True, everywhere=True),
    Kind.TLS: Treatment(
        hint="set ROLLOUT_VERDICT_PROMETHEUS_CA_FILE to the authority that signed the server's certificate, and a "
        "client certificate where the server asks for one",
        everywhere=True,
    ),
    Kind.CONNECTION: Treatment(
        hint="check that the address is right and that a network policy lets this process reach it",
        retry=True,
        everywhere=True,
    ),
    Kind.CREDENTIALS: Treatment(hint="mount the file, or unset the variable that names it", everywhere=True),
}


class TroubleError(Exception):
    """A request that gave nothing usable. ``detail`` is bounded, from outside, and holds no secret of ours."""

    def __init__(self, kind: Kind, detail: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{kind.value}: {detail}" if detail else kind.value)
        self.kind = kind
        self.detail = detail
        self.retry_after_s = retry_after_s

    @property
    def treatment(self) -> Treatment:
        """What the table says."""
        return TREATMENTS[self.kind]
