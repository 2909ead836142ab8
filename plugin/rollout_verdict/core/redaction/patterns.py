"""Where secrets stand in a text. Finds them; ``core/redact.py`` replaces them.

Every finder is linear in the length of the text: repeats are bounded or nothing follows them, and values are
walked by hand instead of by a pattern that could backtrack. Each finder stands behind literals that a text must
hold (in lower case) before the finder is run at all, since most texts hold no secret.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

PLACEHOLDER = re.compile(r"<[a-z][a-z0-9-]{0,31}:(?:[0-9]{1,6}|\+)>")
MASK = "<*>"  # a variable part of a log template


class Span(NamedTuple):
    """A secret: what sort, and where in the text, half-open."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """``find`` is run on a text that holds at least one of ``literals`` when lower-cased; () means always.

    It yields spans in order that never overlap.
    """

    literals: tuple[str, ...]
    find: Callable[[str], Iterator[Span]]

    def may_find(self, lowered: str) -> bool:
        """Whether a lower-cased text is worth a search. A plain loop: this runs for every text there is."""
        for literal in self.literals:
            if literal in lowered:
                return True
        return not self.literals


def pattern(kind: str, expression: "re.Pattern[str]") -> Callable[[str], Iterator[Span]]:
    """Make a finder of an expression: its group ``secret`` when it has one, else the whole match."""
    group: str | int = "secret" if "secret" in expression.groupindex else 0

    def find(text: str) -> Iterator[Span]:
        for match in expression.finditer(text):
            if match.start(group) < match.end(group):
                yield Span(kind, match.start(group), match.end(group))

    return find


# --- blocks, URLs, credentials with a scheme ---------------------------------------------------------------

_PEM_HEAD = re.compile(r"-----?\s?BEGIN [A-Z0-9 ]{1,60}-----?")
_PEM_TAIL = re.compile(r"-----?\s?END [A-Z0-9 ]{1,60}-----?")
# A key's lines often come as one log event each, without the header: long runs that mix cases and digits.
_KEY_LINE_HINT = re.compile(r"[A-Za-z0-9+/]{56}")
_KEY_LINE = re.compile(r"(?<![\w+/.=-])[A-Za-z0-9+/]{56,}={0,2}(?![\w+/=])")


def _pem(text: str) -> Iterator[Span]:
    """Yield blocks from header to footer; without a footer the text was cut, and its whole rest is key."""
    at = 0
    while head := _PEM_HEAD.search(text, at):
        tail = _PEM_TAIL.search(text, head.end())
        at = tail.end() if tail else len(text)
        yield Span("pem", head.start(), at)


def _key_line(text: str) -> Iterator[Span]:
    if not _KEY_LINE_HINT.search(text):
        return
    for match in _KEY_LINE.finditer(text):
        run = match.group()[:400]  # enough to tell
        upper, lower, digits = (sum(map(test, run)) for test in (str.isupper, str.islower, str.isdigit))
        if upper >= 8 and lower >= 8 and digits >= 3:
            yield Span("pem", match.start(), match.end())


_USERINFO = re.compile(
    r"://(?!\[)(?P<user>(?:<\*>)?[^\s\"'<>\\/?#:@]{0,128}+)"
    r"(?::(?P<password>[^\s\"'\\@]{1,256}+(?:@[^\s\"'<>\\/?#@]{0,128}+(?=@)){0,8}))?@"
)
_PORT = re.compile(r"[0-9]{1,5}(?:[/?#]|$)")


def _userinfo(text: str) -> Iterator[Span]:
    """Yield the password of ``scheme://user:password@host``, or a long user name that is a token by itself."""
    for match in _USERINFO.finditer(text):
        password = match["password"]
        if password is None:
            if len(match["user"]) >= 16:
                yield Span("url-password", match.start("user"), match.end("user"))
        elif not (_PORT.match(password) or password == MASK or PLACEHOLDER.fullmatch(password)):
            # (host:8080/path?to=a@b has no user)
            yield Span("url-password", match.start("password"), match.end("password"))


_SCHEMED = re.compile(
    r"(?i)(?<![a-z0-9])(?P<scheme>bearer|basic)(?:[ \t]{1,4}|\+|%20)(?P<value>[A-Za-z0-9._~+/=%-]{6,})"
)
_ABOUT_SCHEMES = re.compile(
    r"authentication|authorization|authenticate|credential|credentials|challenge|scheme|schemes|token|"
    r"tokens|realm|error|errors|format|header|headers|required|missing|invalid|expired|access|support|"
    r"usage|example|functionality|failed|request|requests|response|check|checks|health|configuration|"
    r"information|settings"
)


def _schemed(text: str) -> Iterator[Span]:
    """Yield what follows the word Bearer or Basic, unless it is prose about them."""
    for match in _SCHEMED.finditer(text):
        value = match["value"]
        scheme = match["scheme"].lower()
        prose = _ABOUT_SCHEMES.fullmatch(value.rstrip(".:,").lower().split("=")[0])
        if not prose and (scheme == "bearer" or _is_userpass(value)):
            yield Span(scheme, match.start("value"), match.end("value"))


def _is_userpass(value: str) -> bool:
    """Whether base64 text decodes to ``user:password``; cut text is judged by its whole groups of four."""
    value = value.replace("%3D", "=").rstrip(".")
    try:
        decoded = b64decode(value[: len(value) // 4 * 4], validate=True)
    except ValueError:
        return False
    return b":" in decoded or (not decoded.isascii() and len(decoded) > 30) or value.endswith("=")


# --- personal data -----------------------------------------------------------------------------------------

_LOCAL = frozenset("%+-._")
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,62})\.){1,8}([^\W\d_]{2,24})(?![\w])")
_NO_DOMAIN = re.compile(r"service|socket|slice|timer|mount|target|png|jpg|jpeg|gif|svg|webp|js|css")


def _email(text: str) -> Iterator[Span]:
    for match in re.finditer("@|%(?:25)?40", text):
        domain = _DOMAIN.match(text, match.end())
        if not domain or _NO_DOMAIN.fullmatch(domain[1].lower()):
            continue
        start = match.start()
        floor = max(0, start - 64)
        while start > floor and (text[start - 1].isalnum() or text[start - 1] in _LOCAL):
            start -= 1
        if start < match.start():
            yield Span("email", start, domain.end())


# Prefixes and lengths of the brands (ISO/IEC 7812 ranges as the networks publish them); the check digit is Luhn's.
_CARD_HINT = re.compile(r"[2-6][0-9]{3}(?:[ .+-]|%20)?[0-9]{4}")
_CARD = re.compile(
    r"(?:(?<=%3D)|(?<=%3d)|(?<![\w.+-]))(?P<secret>"
    r"(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|6(?:011|[2-5][0-9]{2})|35[2-8][0-9])"
    r"(?P<a>[ .+-]|%20|)[0-9]{4}(?P=a)[0-9]{4}(?P=a)[0-9]{4}(?:(?P=a)[0-9]{1,3})?"
    r"|3[47][0-9]{2}(?P<b>[ +-]|%20|)[0-9]{6}(?P=b)[0-9]{5}"
    r"|3(?:0[0-5]|[68][0-9])[0-9](?P<c>[ +-]|%20|)[0-9]{6}(?P=c)[0-9]{4}"
    r")(?![0-9A-Za-z]|[.-][0-9])"
)


def _card(text: str) -> Iterator[Span]:
    if not _CARD_HINT.search(text):
        return
    for match in _CARD.finditer(text):
        digits = [int(char) for char in match["secret"].replace("%20", "") if char.isdigit()]
        doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
        if (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0:
            yield Span("card", match.start("secret"), match.end("secret"))


# --- tokens that their issuer made recognisable ------------------------------------------------------------

_B = r"(?<![A-Za-z0-9])"
_ISSUED: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("aws-key", ("akia", "asia"), _B + r"A[KS]IA[A-Z0-9]{8,}"),
    ("google-key", ("aiza",), _B + r"AIza[0-9A-Za-z_-]{16,}"),
    ("google-key", ("ya29.", "gocspx-"), _B + r"(?:ya29\.|GOCSPX-)[0-9A-Za-z_-]{10,}"),
    ("github-token", ("gh", "github_pat_"), _B + r"(?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{10,}"),
    ("gitlab-token", ("gl",), _B + r"gl(?:pat|dt|rt|oas|cbt|ptt|ft|soat|imt|agent)-[A-Za-z0-9_.-]{8,}"),
    ("slack-token", ("xox", "xapp-"), _B + r"(?:xox[a-z](?:\.xox[a-z])?|xapp)-[A-Za-z0-9-]{8,}"),
    ("slack-token", ("hooks.slack.com",), r"hooks\.slack\.com/(?:services|workflows)/(?P<secret>[\w/]{8,})"),
    ("stripe-key", ("_live_", "_test_", "whsec_"), _B + r"(?:[srp]k_(?:live|test)_|whsec_)[A-Za-z0-9+/=]{8,}"),
    ("api-key", ("sk-",), _B + r"sk-(?=[A-Za-z_-]{0,40}[0-9])[A-Za-z0-9_-]{20,}"),
    ("api-key", ("npm_", "dckr_pat_", "dop_v1_"), _B + r"(?:npm_|dckr_pat_|do[opr]_v1_)[A-Za-z0-9_-]{20,}"),
    ("api-key", ("pypi-", "sg.", "hv"), _B + r"(?:pypi-AgE|SG\.|hv[sbr]\.)[A-Za-z0-9_.-]{16,}"),
    ("api-key", ("hf_", "key-"), _B + r"(?:hf_[A-Za-z0-9]{30,}|key-[0-9a-z]{32}(?![0-9a-z]))"),
    # a long word behind "token" that mixes letters and digits; names of Kubernetes objects hold dashes, tokens do not
    (
        "token",
        ("token ",),
        r"(?i)(?<![a-z])token[ ]+(?P<secret>(?=[a-z_.]{0,60}[0-9])(?=[0-9_.]{0,60}[a-z])[a-z0-9_.]{20,})",
    ),
    ("password", ("@tcp(", "@unix("), r"(?<![\w.-])[\w.-]{1,64}+:(?P<secret>[^\s@\"'<>]{1,128}+)@(?:tcp|unix)\("),
    ("password", ("-u ", "--user"), r"(?<!\S)(?:-u|--user)[ =][\"']?[^\s:\"'<>]{1,64}+:(?P<secret>[^\s\"'<>]{1,256})"),
    ("azure-key", ("sig=", "sig%3d"), r"(?i)(?<![a-z])sig(?:=|%3d)(?P<secret>[a-z0-9%+/=_-]{20,})"),
    ("aws-secret", ("x-amz-signature",), r"(?i)x-amz-signature(?:=|%3d)(?P<secret>[0-9a-f]{16,})"),
    # base64url of '{"': a token's header, its payload, or a session kept in the client
    ("jwt", ("eyj",), _B + r"eyJ(?:[A-Za-z0-9_-]|<\*>){10,}(?:\.(?:[A-Za-z0-9_-]|<\*>)*){0,4}"),
)

_AWS_SECRET = re.compile(r"(?<![A-Za-z0-9/+=])(?=[0-9a-f]{0,39}[A-Zg-z/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")

DETECTORS: tuple[Detector, ...] = (
    Detector(literals=("begin ",), find=_pem),
    # the secret half of an AWS key pair has no mark of its own, but stands near the half that has
    Detector(literals=("akia", "asia", "aws"), find=pattern("aws-secret", _AWS_SECRET)),
    Detector(literals=("://",), find=_userinfo),
    *(Detector(literals=literals, find=pattern(kind, re.compile(e))) for kind, literals, e in _ISSUED),
    Detector(literals=("bearer", "basic"), find=_schemed),
)
LAST_DETECTORS: tuple[Detector, ...] = (
    Detector(literals=("@", "%40", "%2540"), find=_email),
    Detector(literals=(), find=_card),
    Detector(literals=(), find=_key_line),
)
