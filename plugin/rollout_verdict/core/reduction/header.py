"""Headers: level, logger and message of a line, whatever its format (text, logfmt, JSON, klog, access log)."""

import json
import re
from typing import Any, NamedTuple

from rollout_verdict.core.evidence import Level, LogKind
from rollout_verdict.core.reduction.mask import HOLE, clean, mask, same_digits

_LEVELS = {
    "trace": Level.TRACE, "verbose": Level.TRACE, "finest": Level.TRACE, "finer": Level.TRACE,
    "debug": Level.DEBUG, "fine": Level.DEBUG, "dbg": Level.DEBUG, "dbug": Level.DEBUG,
    "info": Level.INFO, "information": Level.INFO, "notice": Level.INFO, "inf": Level.INFO, "log": Level.INFO,
    "warn": Level.WARN, "warning": Level.WARN, "wrn": Level.WARN,
    "error": Level.ERROR, "err": Level.ERROR, "severe": Level.ERROR, "fail": Level.ERROR, "eror": Level.ERROR,
    "fatal": Level.FATAL, "critical": Level.FATAL, "crit": Level.FATAL, "panic": Level.FATAL, "dpanic": Level.FATAL,
    "alert": Level.FATAL, "emerg": Level.FATAL, "emergency": Level.FATAL, "ftl": Level.FATAL,
}  # fmt: skip
_LETTERS = {
    "V": Level.TRACE, "D": Level.DEBUG, "I": Level.INFO, "W": Level.WARN, "E": Level.ERROR, "F": Level.FATAL,
}  # fmt: skip
_PLAIN_LEVELS = {"LOG", "FAIL", "FINE"}  # words of ordinary text even in capitals: a level only in brackets
_LEVEL_KEYS = ("level", "severity", "lvl", "log.level", "loglevel", "levelname", "severity_text", "log_level")
_MESSAGE_KEYS = ("msg", "message", "event", "@message", "short_message", "body", "text", "log")
_LOGGER_KEYS = ("logger", "logger_name", "log.logger", "module", "component", "name", "caller", "source", "scope")
_DULL_KEYS = frozenset(
    (
        *_LEVEL_KEYS,
        *("time", "ts", "timestamp", "@timestamp", "t", "date", "datetime", "asctime", "@version", "v"),
        *("pid", "hostname", "host", "pod", "node", "headers", "trace_id", "span_id", "trace_flags"),
    )
)
_MOST_FIELDS = 16  # fields of a record that go into its template; more are noise to a reader
_MOST_HOLES = 8  # of these, fields that vary: they tell the shape of the record and no more
_PAIR = re.compile(r'(?<![\w.\-@/])([A-Za-z_@][\w.\-@/]*)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?=\s|$)')
_LOGFMT = re.compile(r"(?:time|ts|t|timestamp|level|lvl|severity|msg)=")
_KLOG = re.compile(r"([IWEF])[0-9]{4} [0-9:.]+ +[0-9]+ ([\w./\-]+):[0-9]+\] ?(.*)\Z", re.DOTALL)
_ROOT = re.compile(r"([A-Z]{4,8}):([A-Za-z_][\w.\-]*):(.*)\Z", re.DOTALL)  # Python's logging.basicConfig
_SYSLOG = re.compile(
    r"(?:<[0-9]{1,3}>)?[A-Z][a-z]{2} [ 0-9]?[0-9] [0-9:]{8} \S+ ([^\s:\[]+(?: [^\s:\[]+)?)(?:\[[0-9]+\])?: (.*)\Z"
)
_AROUND = '[]<>()|":,'
_HOLES = re.compile(r"[\[({<#]*<\*>(?:#?<\*>)*[\])}>#,:|]*\Z")
_SEPARATORS = frozenset(("-", "--", "---", "|", ":", "::", "–", "—", "->", "=>", "]", "["))
_LOGGER = re.compile(
    r"(?P<dotted>[A-Za-z_$][\w$\-]*(?:[.\[]+[\w$\-/<>*]+)+)(?P<line>[#:@(]<\*>\)?)?:?\Z"
    r"|(?P<camel>[A-Za-z]+[a-z][A-Z]\w*|[a-z]+(?:_[a-z]+)+|[A-Za-z][\w.$\-]*(?=[#@$]))(?:[#@$][\w<>*]*)?:\Z"
)
_TRACE_KEY = re.compile(r"(?i:(?:x-)?(?:trace|span|request|req|correlation|transaction|tx|session)[-_ ]?(?:id)?)[:=]\Z")
_TRACE_PAIR = re.compile(
    r"(?i:\[?(?:x-)?(?:trace|span|request|req|correlation|transaction)[-_]?(?:id)?)[:=](?:\S*<\*>\S*|-\]?)\Z"
)
_BRACKETED = re.compile(r"\[([A-Za-z_][\w$]*(?:\.[\w$]+)+)\]:?\Z")
_OUTCOME = re.compile(
    r"(?i:error|fail|fatal|exception|panic|crash|abort|refus|reject|den(?:y|ied)|timeout|timed|invalid|success|succe|ok\b|done)"
)
_INFERRED = re.compile(r"(?:Exception|Traceback)\b|\b[A-Z]\w*Error\b|\b(?i:panic|fatal):|\bFATAL\b|\bfatal error\b")
_ACCESS = re.compile(
    r"(?P<front>.*?)\"?(?P<method>GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE) "
    r"(?P<path>[^ \"]+)(?: HTTP/<\*>)?\"?(?P<tail>.*)\Z",
    re.DOTALL,
)
_QUOTED = re.compile(r'"[^"]*"')
_DASH = re.compile(r"(?<==)-(?=[\s,]|$)")
_POSITIONAL = frozenset((HOLE, f'"{HOLE}"', "-", "|"))
_QUERY = re.compile(r"\?.*")


class Head(NamedTuple):
    """A line read: masked ``message``, and what its header said. ``stated`` is false for an inferred level."""

    message: str
    level: Level
    stated: bool
    kind: LogKind
    logger: str
    stack: str = ""


def level_of(word: object) -> Level:
    """Return the level a word names, ``UNKNOWN`` for any other value."""
    return _LEVELS.get(word.strip().lower(), Level.UNKNOWN) if isinstance(word, str) else Level.UNKNOWN


def read(text: str, *, has_status: bool = False) -> Head:
    """Read one line (of an event's first line) into its head; only the places of digits matter, not their values.

    ``has_status`` says that an HTTP status stands in the line, which makes a request record of it.
    """
    line = clean(text)
    fields = record(line)
    if fields is not None:
        head = _from_fields(fields)
    elif found := _KLOG.match(line):
        head = _head(mask(found[3]), _LETTERS[found[1]], found[2])
    elif (found := _ROOT.match(line)) and found[1].lower() in _LEVELS:
        head = _head(mask(found[3]), level_of(found[1]), found[2])
    elif found := _SYSLOG.match(line):
        head = _from_text(mask(found[2]))
        head = head._replace(logger=head.logger or found[1])
    else:
        head = _from_text(mask(line))
    if has_status and head.kind is LogKind.MESSAGE:
        return _access(head)
    return head


def record(line: str) -> dict[str, Any] | None:
    """Return the fields of a JSON or logfmt line, None for any other line.

    Digits are read as ones, so that the answer is the same for all lines with one skeleton.
    """
    if line.startswith("{") and line.endswith("}"):
        try:
            fields = json.loads(_ones(line), parse_float=_hole, parse_int=_hole)
            if "\\ud" in line or "\\uD" in line:  # halves of a pair of surrogates are no text
                fields = json.loads(json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return None
        return fields if isinstance(fields, dict) else None
    if _LOGFMT.match(line):
        pairs = _PAIR.findall(line)
        if len(pairs) > 1:
            return {key: _unquote(value) for key, value in pairs}
    return None


_ONES = bytes.maketrans(b"0123456789", b"1111111111")


def _ones(line: str) -> bytes:
    return same_digits(line.encode("utf-8", "surrogatepass"), _ONES)


def _hole(_number: str) -> str:
    return HOLE


def _unquote(value: str) -> str:
    if value.startswith('"'):
        return value[1:-1].replace('\\"', '"').replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\")
    return value


def _from_fields(fields: dict[str, Any]) -> Head:
    lowered = {key.lower(): key for key in reversed(fields)}  # of keys alike but for case, the first
    level_key = next((lowered[key] for key in _LEVEL_KEYS if key in lowered), None)
    level = level_of(fields.get(level_key)) if level_key is not None else Level.UNKNOWN
    logger_key = next((lowered[k] for k in _LOGGER_KEYS if isinstance(fields.get(lowered.get(k, "")), str)), None)
    message_key = next((lowered[k] for k in _MESSAGE_KEYS if isinstance(fields.get(lowered.get(k, "")), str)), None)
    message = fields[message_key] if message_key is not None else ""
    stack = ""
    parts = [mask(clean(message.split("\n", 1)[0]))] if message else []
    if "\n" in message:
        stack = message
    holes = 0
    for key, value in _flat(fields, ""):
        if len(parts) > _MOST_FIELDS:
            break
        if key in (message_key, logger_key) or key.lower() in _DULL_KEYS:
            continue
        if "\n" in value:
            stack = stack or value
            continue
        said = value if value == HOLE else mask(clean(value))[:200]
        holes += said == HOLE
        if said != HOLE or holes <= _MOST_HOLES:
            parts.append(f"{mask(key)}={said}")
    logger = mask(clean(fields[logger_key])) if logger_key is not None else ""
    text = " ".join(parts) or HOLE
    return _head(text, level, _short(logger))._replace(stack=stack)


def _flat(fields: dict[str, Any], prefix: str) -> list[tuple[str, str]]:
    """Flatten nested records two levels deep; lists and deeper records are left out of the wording."""
    flat: list[tuple[str, str]] = []
    for key, value in fields.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            if prefix.count(".") < 1 and key.lower() not in _DULL_KEYS:
                flat += _flat(value, f"{name}.")
        elif isinstance(value, str):
            flat.append((name, value))
        elif value is not None and not isinstance(value, list):
            flat.append((name, str(value).lower()))
    return flat


def _short(logger: str) -> str:
    return re.sub(r"[#:@(]<\*>\)?\Z", "", logger)[:120]


def _head(message: str, level: Level, logger: str) -> Head:
    stated = level is not Level.UNKNOWN
    if not stated and _INFERRED.search(message):
        level = Level.ERROR
    return Head(message or HOLE, level, stated, LogKind.MESSAGE, logger)


def _from_text(text: str) -> Head:
    """Split the header off masked text: what stands before the level word, then thread, logger and ids."""
    words = text.split(" ")
    at, level = _find_level(words)
    index = at + 1
    if level is Level.UNKNOWN:
        index = 0
        while index < min(len(words), 4) and _HOLES.match(words[index]):
            index += 1
        if index == 0:
            return _head(text, level, "")
    index, logger = _skip_header(words, index)
    message = " ".join(words[index:])
    if not message.strip(" -:<*>"):
        return _head(text, level, logger)
    return _head(message, level, logger)


def _find_level(words: list[str]) -> tuple[int, Level]:
    """Return the place of the level word among the first words, (-1, UNKNOWN) when there is none."""
    masked = False
    for index, word in enumerate(words[:12]):
        core = word.strip(_AROUND)
        level = _LEVELS.get(core.lower())
        if level is not None and (masked or index == 0):
            wrapped = word[0] in '[<(|"' and word[-1] in '])>|":,'
            loud = core.isupper() and core not in _PLAIN_LEVELS
            if loud or wrapped or (index == 0 and word == f"{core}:"):
                return index, level
        if masked and word in _LETTERS and words[index - 1].endswith(HOLE) and index + 1 < len(words):
            return index, _LETTERS[word]
        masked = masked or HOLE in word
    return -1, Level.UNKNOWN


def _skip_header(words: list[str], index: int) -> tuple[int, str]:
    """Return where the message begins, and the logger."""
    logger, thread, groups, last = "", "", 0, len(words) - 1
    while index < last:
        word = words[index]
        if word in _SEPARATORS or _HOLES.match(word) or _TRACE_PAIR.match(word):
            index += 1
        elif _TRACE_KEY.match(word) and HOLE in words[index + 1]:
            index += 2
        elif not logger and (found := _BRACKETED.match(word)):
            logger = found[1]
            index += 1
        elif word.startswith("[") and groups < 2 and (end := _group(words, index)) is not None:
            inside = " ".join(words[index : end + 1]).strip("[]:- ")
            if HOLE not in inside:
                if groups:
                    break
                thread = "" if " " in inside else inside
            groups += 1
            index = end + 1
        elif not logger and not _OUTCOME.search(word) and _LOGGER.match(word):
            logger = word.rstrip(":")
            index += 1
        else:
            break
    return index, _short(logger or thread)


def _group(words: list[str], start: int) -> int | None:
    """Return the last word of a bracketed header group, None when it belongs to the message."""
    depth = 0
    for index in range(start, min(len(words) - 1, start + 12)):
        word = words[index]
        depth += word.count("[") - word.count("]")
        if depth <= 0:
            inside = " ".join(words[start : index + 1])
            closed = inside.rstrip(":").endswith("]") and "][" not in inside and not _OUTCOME.search(inside)
            return index if closed else None
    return None


def _access(head: Head) -> Head:
    """Make a request record: who asked, with what agent, and the query are no part of the wording."""
    found = _ACCESS.match(head.message)
    if not found:
        return head
    front = "" if found["front"].count(" ") <= 4 else found["front"]
    path = _QUERY.sub(f"?{HOLE}", found["path"])
    tail = _DASH.sub(HOLE, _QUOTED.sub(f'"{HOLE}"', found["tail"]))
    tail = " ".join(HOLE if word in _POSITIONAL else word for word in tail.split())
    message = f"{front}{found['method']} {path} {tail}".strip()
    return head._replace(message=message, kind=LogKind.ACCESS)
