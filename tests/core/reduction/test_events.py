"""Events of several lines, and the identity of traces."""

import pytest

from rollout_verdict.core.reduction.events import Role, role_of, trace_of
from rollout_verdict.core.reduction.reduce import reduce_logs
from rollout_verdict.core.values import Side

JAVA = """\
2026-01-01 10:00:00 ERROR [main] a.B: order 5 failed
java.lang.RuntimeException: no stock
\tat shop.Stock.take(Stock.java:41)
\tat shop.Cart.lambda$pay$3(Cart.java:7)
\tat org.springframework.web.Dispatcher.go(Dispatcher.java:9)
\tat shop.Api.post(Api.java:3)
\tat shop.Main.main(Main.java:1)
\tSuppressed: java.io.IOException: x
Caused by: java.sql.SQLException: gone
\tat com.mysql.Driver.read(Driver.java:5)
\t... 12 more
Caused by: java.net.SocketException: reset
\t... 40 more"""
PYTHON = """\
Traceback (most recent call last):
  File "/usr/lib/python3.11/site-packages/web/app.py", line 5, in call
    return f()
  File "/app/main.py", line 54, in <module>
  File "/app/orders.py", line 43, in handle
KeyError: 'DE-7'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/orders.py", line 50, in retry
requests.exceptions.Timeout: after 5 s"""
GO = """\
panic: runtime error: index out of range [5] with length 3

goroutine 17 [running]:
main.take(0xc000010, 0x3)
\t/app/main.go:12 +0x1d
github.com/shop/cart.(*Cart).Pay(...)
\t/app/cart/cart.go:40
created by main.main
\t/app/main.go:5 +0x99
exit status 2"""
NODE = """\
TypeError: Cannot read properties of undefined (reading 'id')
    at Cart.pay (/app/src/cart.js:41:13)
    at /app/src/api.js:7:5
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
    at async Server.handle (/app/node_modules/fastify/lib/x.js:1:1)"""
DOTNET = """\
Unhandled exception. System.InvalidOperationException: no stock
   at Shop.Stock.Take(Int32 id) in /src/Stock.cs:line 41
 ---> System.IO.IOException: gone
   at System.IO.Stream.Read()
   --- End of inner exception stack trace ---
   at Shop.Api.Post()"""
RUBY = """\
app.rb:5:in `take': no stock (RuntimeError)
\tfrom /app/cart.rb:7:in `pay'
\tfrom /usr/lib/gems/rack/x.rb:9:in `call'"""


def events(text: str) -> list[tuple[str, str, str, int]]:
    evidence = reduce_logs([(Side.CANARY, "c", "app", [text.encode()])])
    return [(p.template, p.level.name, str(p.kind), p.counts.canary[0]) for p in evidence.patterns]


@pytest.mark.parametrize(
    ("text", "template", "level"),
    [
        (JAVA, ("order <*> failed: java.lang.RuntimeException at shop.Stock.take < shop.Cart.lambda$pay$ < shop.Api.post; "
               "caused by java.net.SocketException"), "ERROR"),
        (PYTHON, "requests.exceptions.Timeout at orders.py:retry; caused by KeyError", "ERROR"),
        (GO, "panic: runtime error: index out of range [<*>] with length <*> at main.take < cart.(*Cart).Pay < main.main", "FATAL"),
        (NODE, "TypeError at Cart.pay < api.js", "ERROR"),
        (DOTNET, "System.InvalidOperationException at Shop.Stock.Take < Shop.Api.Post", "ERROR"),
        (RUBY, "app.rb:<*>:in `take': no stock (RuntimeError): trace at cart.rb:pay", "ERROR"),
        ("java.lang.Error: x\n\tat java.util.List.get(List.java:5)", "java.lang.Error at java.util.List.get", "ERROR"),
        ('Exception in thread "main" a.Oops: 5\n\tat a.B.c(D.java:1)', "a.Oops at a.B.c", "ERROR"),
        ('{"level":"warn","msg":"no","stack":"Error: x 5\\n    at f (/a.js:1:2)"}', "no: Error at f", "WARN"),
        ('{"level":"warn","msg":"no","text":"two\\nlines"}', "no", "WARN"),
    ],
)  # fmt: skip
def test_a_trace_is_one_event(text, template, level):
    """All lines of a trace are one event: exception, the application's top three frames, root cause."""
    kind = "message" if "two" in text else "trace"
    assert events(text) == [(template, level, kind, 1)]


@pytest.mark.parametrize("text", [JAVA, PYTHON, GO, NODE, DOTNET])
def test_line_numbers_do_not_matter(text):
    """A new build moves lines; the trace stays the same."""
    assert len(events(f"{text}\n{text.replace('41', '997').replace('43', '12').replace(':12', ':8')}")) == 1


def test_a_trace_after_an_unsuspicious_line_stands_alone():
    """What is printed to the error stream does not belong to the INFO line before it."""
    text = "2026-01-01 10:00:00 INFO [main] a.B: order 5\njava.lang.Error: x\n\tat a.B.c(D.java:1)\n"
    assert events(text) == [
        ("java.lang.Error at a.B.c", "ERROR", "trace", 1),
        ("order <*>", "INFO", "message", 1),
    ]


def test_several_traces_are_several_events():
    """A second traceback is no continuation of the first."""
    text = 'Traceback (most recent call last):\n  File "/a.py", line 1, in f\nKeyError: 7\n' * 3
    assert [count for *_, count in events(text)] == [3]


def test_lines_without_header_continue_where_lines_have_one():
    """In a log with headers a line without one belongs to the event before, unless it tells of harm."""
    head = "2026-01-01 10:00:00 INFO a.b: dump\n"
    text = head * 6 + head + 'HTTP/1.1 200 OK\nDate: x\n\n{"a": 1}\n' + head + "an error of the runtime\n"  # fmt: skip
    assert events(text) == [("an error of the runtime", "UNKNOWN", "message", 1), ("dump", "INFO", "message", 8)]


def test_plain_lines_are_events_where_no_line_has_a_header():
    """Without headers each line stands for itself, indented ones aside."""
    assert events("one\ntwo\n  more of two\nthree\n") == [
        ("one", "UNKNOWN", "message", 1),
        ("three", "UNKNOWN", "message", 1),
        ("two", "UNKNOWN", "message", 1),
    ]


def test_json_never_folds():
    """A JSON line is an event, whatever follows it."""
    assert [count for *_, count in events('{"msg":"m"}\n  at a.b(c)\n{"msg":"m"}\n')] == [1, 2]


def test_no_trace_no_identity():
    """Lines that only look indented have no trace identity."""
    assert trace_of([(Role.PLAIN, "a"), (Role.INDENT, "  b")]) == ""
    assert trace_of([(Role.PLAIN, "a"), (Role.CAUSE, "\t... 12 more")]) == ""
    assert trace_of([(role_of(line), line) for line in ("  at ?", "x")]) == ""
