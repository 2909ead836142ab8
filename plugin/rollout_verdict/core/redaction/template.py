"""What of a pod template's values is shown: what looks harmless. Names of variables promise too little.

A variable may hold a secret under any name, and a command line may hold one anywhere. So a value is shown when it is
of a form that no secret has: a number, a switch, an address, a path, a word of a short list. Of the rest one sees
whether it changed, since the same value has the same number, and nothing else.
"""

import json
import re
from collections.abc import Callable, Iterator

from rollout_verdict.core.redaction.patterns import PLACEHOLDER

Hide = Callable[[str, str], str]  # (kind, value) -> placeholder
VALUE, SECRET = "value", "secret"  # kinds: merely not known to be harmless, and one whose name promises a secret

# Paths as ``adapters/kubernetes/changes.py`` makes them.
_VARIABLE = re.compile(
    r"(?:(?:.*/)?(?:init|ephemeral)?containers/[^/]+/)?env[/\[.][\"']?(?P<env>.+?)[\"'\]]*(?:/value)?"
    r"|.*/httpHeaders/(?P<header>[^/]+)/value",
    re.IGNORECASE | re.DOTALL,
)
_ARGUMENTS = re.compile(r"(?:.*/)?(?P<which>command|args)", re.IGNORECASE | re.DOTALL)
_REFERENCE = re.compile(r"(?:secretKeyRef|configMapKeyRef|fieldRef|resourceFieldRef) [\w./'\[\]-]{1,600}")

_SECRET_NAME = re.compile(
    r"pass|pwd|secret|token|key|cred|auth|cookie|session|private|signature|signing|license|licence|passphrase|webhook"
    r"|(?:^|[^a-z])(?:pw|pin|pat|otp|jwt|dsn|salt|seed|code|sig|hash|cert|login|user|username|account|basic|sid|admin|u|p)"
    r"(?:$|[^a-z])",
    re.IGNORECASE,
)
_ADDRESS_NAME = re.compile(
    r"(?:^|[^a-z])(?:host|hosts|hostname|domain|endpoint|addr|address|server|servers)$", re.IGNORECASE
)
_SWITCHES = frozenset({"true", "false", "yes", "no", "on", "off", "enabled", "disabled", "none", "null"})
_WORDS = _SWITCHES | {
    *("trace", "debug", "info", "notice", "warn", "warning", "error", "fatal", "critical", "panic", "verbose", "quiet"),
    *("json", "text", "plain", "logfmt", "console", "yaml", "http", "https", "grpc", "tcp", "udp", "tls", "utc"),
    *("dev", "development", "test", "testing", "qa", "stage", "staging", "prod", "production", "local", "release"),
    *("serve", "server", "start", "run", "web", "api", "worker", "migrate", "primary", "replica", "auto", "default"),
}
_UNIT = r"(?:ns|us|ms|s|m|h|d|b|[kmgtp]i?b?|%)"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL}){{0,10}}|\[[0-9a-f:.]{{2,45}}\])"
_PORT = r":[0-9]{1,5}"
_NUMBER = re.compile(
    rf"[+-]?(?:[0-9]{{1,10}}(?:\.[0-9]{{1,6}})?{_UNIT}?|(?:[0-9]{{1,6}}{_UNIT}){{1,4}})", re.IGNORECASE
)
_FORMS = tuple(
    re.compile(form)
    for form in (
        r"v?[0-9]{1,5}(?:\.[0-9]{1,5}){1,3}",  # a version, an IP
        rf"{_HOST}?{_PORT}",
        rf"(?:jdbc:)?[a-z][a-z0-9+.-]{{1,20}}://{_HOST}(?:{_PORT})?(?:/(?:[a-z][a-z_-]{{0,30}}|v?[0-9]{{1,3}})){{0,8}}/?",
        r"\.{0,2}(?:/[a-z0-9._-]{1,80}){2,20}/?",
        r"[a-z0-9_-]{1,60}\.(?:jar|war|py|js|mjs|rb|sh|ya?ml|json|toml|conf|cfg|ini|xml|properties)",
    )
)
_HOST_ALONE = re.compile(_HOST)
_PROGRAM = re.compile(r"[a-z][a-z0-9._+-]{0,40}|(?:/[A-Za-z0-9._+-]{1,80}){1,20}")
_FLAG = re.compile(
    r"(?P<name>--[A-Za-z][A-Za-z0-9._-]{0,80}|-[A-Za-z]{1,3}|-[A-Za-z][A-Za-z0-9._-]{0,80}(?==))(?:=(?P<value>.*))?",
    re.DOTALL,
)
_HEAP = re.compile(r"-X(?:mx|ms|ss|mn)[0-9]{1,9}[kmgKMG]?")
_ITEMS = 20  # of a list in one value


def shown(path: str, text: str, hide: Hide) -> str:
    """Return the value at a path of a pod template as it may be shown."""
    if variable := _VARIABLE.fullmatch(path):
        return _value(variable["env"] or variable["header"], text, hide)
    if arguments := _ARGUMENTS.fullmatch(path):
        return _command_line(text, hide, has_program=arguments["which"].lower() == "command")
    return text


def _value(name: str, text: str, hide: Hide) -> str:
    if not text or PLACEHOLDER.fullmatch(text) or _REFERENCE.fullmatch(text) or _is_plain(name, text):
        return text
    return hide(SECRET if _SECRET_NAME.search(name) else VALUE, text)


def _is_plain(name: str, text: str) -> bool:
    """Whether a value is of a harmless form; under a name that promises a secret only a switch is."""
    if text.lower() in _SWITCHES:
        return True
    if _SECRET_NAME.search(name):
        return False
    parts = text.split(",")
    return len(parts) <= _ITEMS and all(_is_plain_item(name, part.strip(" ")) for part in parts)


def _is_plain_item(name: str, text: str) -> bool:
    return (
        text.lower() in _WORDS
        or _NUMBER.fullmatch(text) is not None
        or any(form.fullmatch(text) for form in _FORMS)
        or (_ADDRESS_NAME.search(name) is not None and _HOST_ALONE.fullmatch(text) is not None)
    )


def _command_line(text: str, hide: Hide, *, has_program: bool) -> str:
    """Return a list of arguments, as JSON when it came so, its flags by their names."""
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        words = None
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        return json.dumps(list(_arguments(words, hide, has_program=has_program)), ensure_ascii=False)
    return " ".join(_arguments(text.split(), hide, has_program=has_program))  # another form, or one that was cut


def _arguments(words: list[str], hide: Hide, *, has_program: bool) -> Iterator[str]:
    name = ""  # of the flag before, whose value this may be
    for place, word in enumerate(words):
        flag = _FLAG.fullmatch(word)
        if (place == 0 and has_program and _PROGRAM.fullmatch(word)) or _HEAP.fullmatch(word):
            yield word
        elif flag is None:
            yield _value(name, word, hide)
        elif flag["value"] is None:
            yield word
        else:
            yield f"{flag['name']}={_value(flag['name'].lstrip('-'), flag['value'], hide)}"
        name = flag["name"].lstrip("-") if flag and flag["value"] is None else ""
