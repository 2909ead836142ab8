"""Events: which lines belong together, and what makes two stack traces the same."""

import re
from collections.abc import Sequence
from enum import Enum, IntEnum

from rollout_verdict.core.evidence import Level
from rollout_verdict.core.reduction.mask import clean, mask


class Role(IntEnum):
    """What a line is by itself, before its neighbours are looked at."""

    START = 0  # has a header of its own
    PLAIN = 1
    JSON = 2
    BLANK = 3
    INDENT = 4
    FRAME = 5
    OPENER = 6  # begins a trace: an exception line, "Traceback", "panic:", "goroutine 1 [running]:"
    CAUSE = 7  # goes on with one: "Caused by:", "... 12 more"
    LOUD = 8  # plain, but tells of harm: never swallowed by the event before it


class State(Enum):
    """What an open event is waiting for."""

    MESSAGE = 0
    PYTHON = 1  # inside a traceback: the first unindented line ends it
    CHAIN = 2  # after "During handling of the above exception": the next traceback belongs to it
    GO = 3  # inside a panic: goroutines and their frames follow
    TRACE = 4  # inside any other trace


_ROLES: tuple[tuple[re.Pattern[str], Role], ...] = (
    (re.compile(r"[\s\x00]*\Z"), Role.BLANK),
    (
        re.compile(r"\s*(?:Caused by:|Suppressed:|\.\.\. [0-9]+ (?:more|common frames)|---> |--- End of |\[CIRCULAR)"),
        Role.CAUSE,
    ),
    (re.compile(r"During handling of the above|The above exception was the direct"), Role.CAUSE),
    (re.compile(r"\s+(?:at |from [^ ]+:[0-9]+|File \"|[^ ]+\.go:[0-9]+|[0-9]+: 0x)|at [\w$.<>]+\("), Role.FRAME),
    (re.compile(r"[ \t]"), Role.INDENT),
    (re.compile(r"\{"), Role.JSON),
    (
        re.compile(
            r"(?:Traceback \(|panic: |fatal error: |goroutine [0-9]+ \[|Exception in thread |Unhandled |Uncaught )"
        ),
        Role.OPENER,
    ),
    (re.compile(r"(?:[\w$]+\.)*(?:[A-Z][\w$]*)?(?:Exception|Error|Throwable)(?![\w$])(?! [a-z])"), Role.OPENER),
    (
        re.compile(
            r"(?:<[0-9]+>)?\[?(?:[0-9]{4}[-/.][0-9]{2}[-/.][0-9]{2}|[0-9]{2}[-/:][0-9]{2}[-/: ]|[0-9]{6,8}[ -][0-9]{6}"
            r"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b"
            r"|[IWEF][0-9]{4} |(?:time|ts|t|level|lvl)=|(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|CRITICAL)\b"
            r"|(?:trace|debug|info|notice|warn|warning|error|fatal|critical)[:\]]|[0-9]{1,3}(?:\.[0-9]{1,3}){3} )"
        ),
        Role.START,
    ),
    (re.compile(r".*(?i:\berror\b|exception|\bfatal\b|\bpanic\b|traceback)"), Role.LOUD),
)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_GO_FRAME = re.compile(r"\S+\(.*\)\Z|created by |exit status |\[signal |goroutine [0-9]+ \[|\[recovered\]|main\.")
_PLAIN_EXCEPTION = re.compile(r"[\w.$]+(?:: |\Z)")


def role_of(text: str) -> Role:
    """Return what a line is by itself."""
    line = _ANSI.sub("", text)
    return next((role for pattern, role in _ROLES if pattern.match(line)), Role.PLAIN)


def opened(text: str, role: Role) -> State:
    """Return the state of an event that begins, or goes on, with this line."""
    if role is not Role.OPENER and role is not Role.CAUSE:
        return State.TRACE if role is Role.FRAME else State.MESSAGE
    if text.startswith("Traceback ("):
        return State.PYTHON
    if text.startswith(("panic: ", "goroutine ", "fatal error: ")):
        return State.GO
    return State.CHAIN if text.startswith(("During handling", "The above exception")) else State.TRACE


def goes_on(state: State, text: str, role: Role) -> State:
    """Return the state of an open event after a line that joined it."""
    if role in (Role.OPENER, Role.CAUSE):
        return opened(text, role)
    if role is Role.FRAME:
        return State.TRACE if state is State.MESSAGE else state
    if state is State.PYTHON and role is not Role.INDENT:
        return State.TRACE  # the exception line ends the traceback
    return state


def joins(state: State, head: Role, level: Level, role: Role, text: str, *, headed: bool, length: int) -> bool:  # noqa: PLR0911 - a table of cases reads best flat
    """Say whether a line belongs to the open event.

    ``head`` and ``level`` are those of the event's first line, ``length`` its lines so far. ``headed`` says
    that lines of this stream carry a header, so that those without one continue the event before.
    """
    if role is Role.START or head is Role.JSON:
        return False
    if role in (Role.BLANK, Role.INDENT, Role.FRAME, Role.CAUSE):
        return True
    if state is State.GO:
        return bool(_GO_FRAME.match(text))
    if state is State.PYTHON:
        return role is not Role.JSON
    if role is Role.OPENER:
        # A trace belongs to the line before when that line reports trouble; else it was printed on its own.
        return state is State.CHAIN or (state is State.MESSAGE and level >= Level.WARN and length == 1)
    if role is Role.JSON:
        return headed and length > 1 and state is State.MESSAGE  # the body of a message printed over several lines
    return headed and role is Role.PLAIN


_TRACES = frozenset((Role.FRAME, Role.OPENER, Role.CAUSE))
# Frames of run-times and frameworks: they are the same for any fault, so they do not identify one.
_FRAMEWORK = re.compile(
    r"(?:java|javax|jakarta|jdk|sun|com\.sun|kotlin|kotlinx|scala|groovy|clojure|org\.(?:springframework|apache|hibernate|eclipse"
    r"|junit|jboss|codehaus|aspectj|slf4j)|io\.(?:netty|micronaut|quarkus|undertow|vertx|grpc|opentelemetry|micrometer)"
    r"|reactor|rx|okhttp3|com\.(?:google|fasterxml|zaxxer|mysql)|feign|brave)\."
    r"|System\.|Microsoft\.|node:|internal/|runtime[./]|net/http|"
    r"testing\.|gin-gonic|<anonymous>|new Promise|process\.|Module\.|Object\.<anonymous>|async Promise|Promise\."
)
_LIBRARY = re.compile(
    r"site-packages|dist-packages|/lib/python|node_modules|node:|internal/|/usr/lib|/usr/local/go|/go/pkg/mod|/gems/|"
    r"importlib|<frozen|runtime/|\.rubies"
)
_JAVA_FRAME = re.compile(r"\s+at (?:async )?(?:[\w.@\-]+/)*([\w$.<>\[\] ]+?)(?: ?\(([^)]*)\))?(?: in .*)?\s*\Z")
_NODE_PLACE = re.compile(r"\s+at (?:async )?((?:file://|/|node:|[A-Za-z]:\\)[^ ]+?)(?::[0-9]+){1,2}\s*\Z")
_PYTHON_FRAME = re.compile(r"\s+File \"([^\"]+)\", line [0-9]+(?:, in (.+?))?\s*\Z")
_GO_CALL = re.compile(r"(?:created by )?([\w./\-*()]+?)\((?:0x|\{|\.\.\.|\)|[0-9]).*\Z|created by ([\w./\-*()]+)")
_RUBY_FRAME = re.compile(r"\s+from ([^ ]+?):[0-9]+:in [`'](.+?)'")
_CLASS = re.compile(
    r"(?:Caused by: |Exception in thread \"[^\"]*\" |Uncaught |Unhandled (?:exception|rejection)[:. ]+|---> |\s)*"
    r"((?:[A-Za-z_$][\w$]*\.)*[A-Za-z_$][\w$]*)(?::|\s*\Z|\s\()"
)
_LAMBDA = re.compile(r"[0-9]+|\$\$(?:Lambda|FastClassBySpringCGLIB|EnhancerBySpringCGLIB)\S*")


def trace_of(lines: Sequence[tuple[Role, str]]) -> str:  # noqa: C901, PLR0912 - one pass over a small grammar
    """Return the identity of a trace as text, "" when the lines hold no trace.

    Exception class, the top three frames of the application (those of the framework where there are no others),
    and the root cause; line and lambda numbers are gone.
    """
    if not any(role in _TRACES for role, _ in lines):
        return ""
    name = cause = ""
    own: list[str] = []
    others: list[str] = []
    python = False
    for role, line in lines:
        if role is Role.FRAME or (_GO_CALL.match(line) and name.startswith(("panic", "goroutine", "fatal"))):
            frame, library = _frame(line)
            if frame:
                (others if library else own).append(frame)
            continue
        stripped = line.strip()
        if stripped.startswith("Traceback ("):
            python, own, others = True, [], []
            continue
        if role is Role.CAUSE:
            if found := _CLASS.match(stripped):
                cause = found[1] if stripped.startswith("Caused by") else cause
            continue
        if role is Role.INDENT or role is Role.BLANK:
            continue
        if python and role is not Role.START:
            found = _CLASS.match(stripped)
            cause, name = name if cause == "" else cause, found[1] if found else mask(clean(stripped))[:120]
            python = False
        elif role is Role.OPENER and not name:
            found = _CLASS.match(stripped)
            loud = stripped.startswith(("panic: ", "goroutine ", "fatal error: "))
            name = mask(clean(stripped))[:120] if loud or not found else found[1]
    if not name and not own and not others:
        return ""
    if any(_PYTHON_FRAME.match(line) for role, line in lines if role is Role.FRAME):
        own.reverse()
        others.reverse()
    frames = (own or others)[:3]
    text = name or "trace"
    if frames:
        text += " at " + " < ".join(frames)
    if cause and cause != name:
        text += f"; caused by {cause}"
    return text


def _frame(line: str) -> tuple[str, bool]:
    """Return a frame without its line number, and whether it is the framework's."""
    if found := _PYTHON_FRAME.match(line):
        path = found[1]
        return _LAMBDA.sub("", f"{path.rsplit('/', 1)[-1]}:{found[2] or '?'}"), bool(_LIBRARY.search(path))
    if found := _RUBY_FRAME.match(line):
        return _LAMBDA.sub("", f"{found[1].rsplit('/', 1)[-1]}:{found[2]}"), bool(_LIBRARY.search(found[1]))
    if found := _NODE_PLACE.match(line):
        return _LAMBDA.sub("", found[1].rsplit("/", 1)[-1]), bool(_LIBRARY.search(found[1]))
    if found := _JAVA_FRAME.match(line):
        name, place = found[1].strip(), found[2] or ""
        library = bool(_FRAMEWORK.match(name)) or bool(_LIBRARY.search(place))
        return _LAMBDA.sub("", name), library
    if found := _GO_CALL.match(line):
        name = found[1] or found[2]
        return _LAMBDA.sub("", name.rsplit("/", 1)[-1]), bool(_FRAMEWORK.match(name))
    return "", True
