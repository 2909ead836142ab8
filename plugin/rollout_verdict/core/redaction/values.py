"""Secrets that are known by the name before them: ``password=…``, ``"api_key": "…"``, ``Cookie: …``, ``--token …``."""

import re
from collections.abc import Iterator
from functools import lru_cache

from rollout_verdict.core.redaction.patterns import MASK, PLACEHOLDER, Detector, Span

_KEY_WORDS = ["access", "secret", "private", "encryption", "signing", "account", "master", "shared", "service", "ssh"]
_JOINTS = ("", "_", "-")


def _joined(firsts: list[str], second: str) -> tuple[str, ...]:
    return tuple(first + joint + second for first in firsts for joint in _JOINTS)


# What a name holds, in lower case, and the kind of secret that it promises.
_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("authorization", ("authorization",)),
    ("cookie", ("cookie",)),
    ("key", _joined(_KEY_WORDS, "key")),
    ("api-key", _joined(["api", "app"], "key")),
    ("password", ("password", "passwd", "passphrase", "identified by")),
    ("session", (*_joined(["session"], "id"), *_joined(["session"], "key"), "sessid")),
    ("secret", ("secret", "credential", "creds")),
    ("token", ("token",)),
)
# Short words that stand in longer ones ("compass", "inside"): only where no letter precedes them.
_SHORT_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("password", ("pwd", "pass", "pw")),
    ("session", ("session", "sid")),
    ("token", ("jwt", "otp")),
    ("auth", ("auth",)),
    ("card", ("cvv", "cvc")),
)
# Every name above holds one of these: the cheap test that spares most texts the search.
_CORES = (
    "pass",
    "pw",
    "key",
    "secret",
    "token",
    "auth",
    "cookie",
    "sess",
    "sid",
    "cred",
    "cvv",
    "cvc",
    "identified",
    "jwt",
    "otp",
)
_NO_PLURAL = frozenset({"token", "session"})  # tokens=512 is a count
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}

_SUFFIX = (
    r"(?:[_-]?(?:id|base|hash|value|text|plain|plaintext|b64|base64|enc|encrypted|data|str|string|old|new|[0-9]{1,3}))?"
)
_ANSI = r"(?:\x1b\[[0-9;]{0,20}m){0,3}"
_QUOTE = r"(?:\\{0,8}[\"'`]|%(?:25){0,3}2[27])"
_EQUALS = r"(?:=>|:=|={1,3}|:|%(?:25){0,3}3[adAD])"
_AFTER_NAME = re.compile(
    rf"(?i){_SUFFIX}(?:"
    rf"{_QUOTE}?{_ANSI}[ \t]{{0,4}}(?P<equals>{_EQUALS}){_ANSI}[ \t]{{0,4}}"
    # a list of pairs: {"name": "DB_PASSWORD", "value": "…"}, in JSON or YAML, as in pod specs
    rf"|{_QUOTE}?[ \t]{{0,4}},?(?:\\n|\n)?[ \t\n]{{0,40}}{_QUOTE}?value{_QUOTE}?[ \t]{{0,4}}[:=][ \t]{{0,4}}"
    rf"|(?P<tag>>)"
    rf"|(?P<blank>[ \t]{{1,3}})(?={_QUOTE})"
    r")(?P<block>[|>][+-]?[ \t]{0,4}(?:\\n|\n)[ \t]{0,40})?"
)
_NAME_END = re.compile(rf"(?i)s?{_SUFFIX}$")
_FLAG = re.compile(
    r"(?i)(?<![\w-])--[a-z0-9-]{0,30}?(?P<kind>password|passwd|passphrase|secret|token|api-?key|access-key|private-key)"
    r"[ \t]{1,4}(?=[^\s-])"
)
_OPEN = re.compile(rf"\"{{3}}|'{{3}}|{_QUOTE}")
_SCHEME = re.compile(
    r"(?i)(?P<many>digest|oauth|signature|aws4-hmac-sha256)(?:[ \t]+|%20|\+)"
    r"|(?:bearer|basic|token|negotiate|ntlm|hmac|api-?key|key)(?:[ \t]+|%20|\+)"
)
# A delimiter ends an unquoted value only where the text goes on the way it would after a value.
_BARE = re.compile(
    r"(?:<\*>|<[a-z][a-z0-9-]{0,31}:(?:[0-9]{1,6}|\+)>"
    r"|[^\s\"'`<>\x1b,;&)\]}\\%]"
    r"|[\"'`<>](?=[\w!@#$*])"
    r"|\\(?![\"'nrt])"
    r"|%(?!(?:25){0,3}(?:2[26c]|2C))"
    r"|[,;&](?![\s\"'{\[]|$|[\w.-]{1,40}[\"']?[ ]?[=:])"
    r"|[)\]}](?=[\w!@#$*])"
    r")*+"
)
_COOKIE_PAIR = re.compile(r"[^\s=;,\"'\\]{1,80}=")
_LINE_KEY = re.compile(r"[ \t\w.-]{0,80}")
_REFERENCE = re.compile(r"\$\{[^}]{0,80}\}?|\$\([^)]{0,80}\)?|\{\{[^}]{0,80}(?:\}\})?|%[sdvq]|%\([a-z_]+\)s")
_PATH = re.compile(r"(?:/[a-z0-9._-]{1,80}){2,20}/?")
_HARMLESS = re.compile(
    r"true|false|null|none|nil|yes|no|on|off|ok|is|was|are|were|be|been|must|can|cannot|could|should|"
    r"will|would|may|not|has|had|have|did|does|do|the|a|an|and|or|for|of|to|in|at|by|with|from|"
    r"without|as|but|if|then|than|that|this|it|its|required|missing|invalid|expired|empty|unset|"
    r"unexpected|failed|failure|denied|rejected|accepted|redacted|masked|hidden|filtered|unauthorized|"
    r"revoked|undefined|unknown|reset|changed|updated|found|valid|validated|verified|refreshed|"
    r"created|deleted|generated|issued|needed|wrong|incorrect|mismatch|bad|error|errors|malformed|"
    r"string|str|int|integer|bool|boolean|object|bytes|number|array|text|char|optional|default|"
    r"disabled|enabled|authentication|authorization|bearer|basic"
)


def secret_kind(name: str) -> str | None:
    """Return the kind of secret that a name ("DB_PASSWORD", "x-api-key") promises, None when it promises none."""
    return _kind_of(name[-200:])


@lru_cache(maxsize=4096)  # names of labels and variables: few, and each stands beside many values
def _kind_of(name: str) -> str | None:
    kinds = (kind for _, end, kind in _words(name) if _ends(name, end, kind))
    return next(kinds, None)


def _ends(name: str, end: int, kind: str) -> bool:
    return _NAME_END.match(name, end) is not None and not (
        kind in _NO_PLURAL and name[end : end + 1] in "sS" and name[end:]
    )


def is_harmless(value: str) -> bool:
    """Whether a value in a secret's place is none: empty, a mask, a placeholder, a reference or a word of prose."""
    bare = value.strip(" \t.,:;!?()[]{}\"'`")
    if not bare or set(bare) <= set("*xX.•-_<>") or _HARMLESS.fullmatch(bare.lower()):
        return True
    if value == MASK or PLACEHOLDER.fullmatch(value) or _PATH.fullmatch(value):
        return True
    return bool(_REFERENCE.fullmatch(value))


def is_spared(kind: str, value: str) -> bool:
    """Whether a value beside a name of this kind stays readable."""
    if kind == "password" and value.startswith("/"):
        return True  # PWD=/app is the working directory
    if kind in ("session", "auth") and value.isdigit() and len(value) <= 6:
        return True  # a count, or a number that is no secret
    return is_harmless(value)


def _words(text: str) -> list[tuple[int, int, str]]:
    """Every word that may name a secret, as (start, end, kind), in order."""
    lowered = text.lower() if text.isascii() else text.translate(_ASCII_LOWER)  # the length must stay
    found = [
        (at, at + len(word), kind)
        for table, short in ((_WORDS, False), (_SHORT_WORDS, True))
        for kind, words in table
        for word in words
        for at in _occurrences(lowered, word)
        if not (short and at and lowered[at - 1].isalpha())
    ]
    return sorted(found)


def _in_placeholder(text: str, at: int) -> bool:
    opened = text.rfind("<", max(0, at - 32), at)
    match = PLACEHOLDER.match(text, opened) if opened >= 0 else None
    return match is not None and match.end() > at


def _occurrences(text: str, word: str) -> Iterator[int]:
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + len(word))


def _named(text: str) -> Iterator[Span]:
    done = 0
    for start, end, kind in _words(text):
        if start < done or _in_placeholder(text, start):
            continue
        plural = kind not in _NO_PLURAL and text[end : end + 1] in ("s", "S")
        after = _AFTER_NAME.match(text, end + plural)
        span = _value(text, start, after, kind) if after else None
        if span is not None:
            done = span.end
            if not is_spared(kind, text[span.start : span.end]):
                yield span


def _value(text: str, name: int, after: "re.Match[str]", kind: str) -> Span | None:
    """Find the value of a name (at ``name``), None when nothing like a value follows."""
    start = after.end()
    if after["blank"] and kind != "password":  # secret "x" not found, Unexpected token 'x': names, not values
        return None
    if after["tag"]:
        end = text.find("<", start, start + 4096)
        return Span(kind, start, end) if end > start and text.startswith("</", end) else None
    opened = _OPEN.match(text, start)
    if opened:
        start = opened.end()
        end = _closing(text, start, opened.group())
    elif text.startswith("[", start) and not text.startswith("[{", start):
        start += 1
        end = _until(text, start, "]")
    else:
        end = _bare_end(text, name, after, kind)
    return _header(text, Span(kind, start, end), quoted=opened is not None, prose=after["equals"] == ":")


def _bare_end(text: str, name: int, after: "re.Match[str]", kind: str) -> int:
    """Find the end of a value without quotes: of a word, unless the place shows that blanks belong to it."""
    start = after.end()
    if kind == "password" and after["equals"] == "=" and text[name - 1 : name] == ";":
        end = text.find(";", start, start + 200)  # Server=x;Password=two words;Encrypt=yes
        if end >= 0 and "\n" not in text[start:end]:
            return end
    if after["block"] or (kind == "password" and after["equals"] == ":" and _starts_line(text, name)):
        end = min(_until(text, start, "\n"), _until(text, start, "\\n"))
        return start if is_harmless(text[start:end].partition(" ")[0]) else end  # password: required for …
    return _bare(text, start)


def _header(text: str, span: Span, *, quoted: bool, prose: bool) -> Span | None:
    """Narrow or widen the value of an HTTP header; None when there is no value."""
    kind, start, end = span
    if kind == "cookie" and _COOKIE_PAIR.match(text, start):
        end = end if quoted else _until(text, start, "\n")
    elif kind in ("cookie", "auth") and prose and not quoted:
        return None  # invalid cookie: signature mismatch
    elif kind == "authorization" and (scheme := _SCHEME.match(text, start)):
        start = scheme.end()
        if not quoted:
            end = _until(text, start, "\n") if scheme["many"] else _bare(text, start)
    return Span(kind, start, end) if start < end else None


def _bare(text: str, start: int) -> int:
    match = _BARE.match(text, start)
    return match.end() if match else start


def _closing(text: str, start: int, quote: str) -> int:
    """Find the end of a quoted value. ``quote`` may be escaped (JSON inside a string), and so must be its twin.

    At depth n (backslashes before the opening quote) a quote closes after n backslashes, or fewer when an outer
    string ends first; with more it is part of the value, except after a whole number of escaped backslashes.
    Without a closing quote the text was cut, and everything to its end belongs to the value.
    """
    if quote[0] == "%" or quote in ('"""', "'''"):
        return _until(text, start, quote)
    mark, depth = quote[-1], len(quote) - 1
    at = text.find(mark, start)
    while at >= 0:
        slashes = at
        while slashes > start and text[slashes - 1] == "\\":
            slashes -= 1
        count = at - slashes
        if not depth and text.startswith(mark, at + 1) and at > start:
            at = text.find(mark, at + 2)  # SQL doubles a quote inside quotes
            continue
        if count <= depth:
            return slashes
        if (count - depth) % (2 * (depth + 1)) == 0:
            return at - depth
        at = text.find(mark, at + 1)
    return len(text)


def _until(text: str, start: int, mark: str) -> int:
    end = text.find(mark, start)
    return len(text) if end < 0 else end


def _starts_line(text: str, name: int) -> bool:
    """Whether nothing but the rest of a name stands before it: a line of YAML, whose value may hold blanks."""
    floor = max(0, name - 80)
    ends = (text.rfind(mark, floor, name) + len(mark) for mark in ("\n", "\\n") if mark in text[floor:name])
    start = max(ends, default=0)
    return (start > 0 or floor == 0) and _LINE_KEY.fullmatch(text, start, name) is not None


def _flags(text: str) -> Iterator[Span]:
    for match in _FLAG.finditer(text):
        opened = _OPEN.match(text, match.end())
        start = opened.end() if opened else match.end()
        end = _closing(text, start, opened.group()) if opened else _bare(text, start)
        if start < end and not is_harmless(text[start:end]):
            yield Span(match["kind"].lower(), start, end)


NAMED_DETECTORS: tuple[Detector, ...] = (
    Detector(literals=_CORES, find=_named),
    Detector(literals=("--",), find=_flags),
)
