"""Levels, loggers and messages of lines in all formats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.core.evidence import Level, LogKind
from rollout_verdict.core.reduction.header import level_of, read, record


def parts(text: str) -> tuple[str, str, str]:
    head = read(text)
    return head.level.name, head.logger, head.message


@pytest.mark.parametrize(
    ("text", "level", "logger", "message"),
    [
        # text
        ("2026-01-01 10:00:00,123 INFO [main] shop.Cart: order 5 shipped", "INFO", "shop.Cart", "order <*> shipped"),
        ("2026-01-01 10:00:00.123  WARN 1 --- [exec-3] o.s.b.Foo : slow", "WARN", "o.s.b.Foo", "slow"),
        ("10:00:00.123 ERROR t.c.Ctl#122 TraceID: fa2d0 SpanID: 8b9 [query][x] no", "ERROR", "t.c.Ctl", "[query][x] no"),
        ("2026-01-01 INFO nova.api [req-12 34 - default] [instance: 5f] up", "INFO", "nova.api", "up"),
        ("03-17 16:13:47.460  2227  2227 I StackScroll: go", "INFO", "StackScroll", "go"),
        ("2026-01-01 10:00:00 [worker] trace_id=5a ERROR: job 5 failed", "ERROR", "", "job <*> failed"),
        ("- 1118771847 2005.06.14 R26-M0 RAS KERNEL FATAL cache touch", "FATAL", "", "cache touch"),
        ("2026-01-01 10:00:00 INFO [uvicorn.error] started", "INFO", "uvicorn.error", "started"),
        ("2026-01-01 10:00:00 INFO [request failed] now", "INFO", "", "[request failed] now"),
        ("2026-01-01 10:00:00 INFO [main] [pool] x", "INFO", "main", "[pool] x"),
        ("2026-01-01 10:00:00 INFO [main thread] x", "INFO", "", "x"),
        ("2026-01-01 10:00:00 INFO [a [b] c d e f g h i j k l m n", "INFO", "", "[a [b] c d e f g h i j k l m n"),
        ("[error] boom", "ERROR", "", "boom"),
        ("error: cannot open", "ERROR", "", "cannot open"),
        ("2026-01-01 10:00:00 INFO 0 errors found", "INFO", "", "errors found"),
        ("2026-01-01 10:00:00 INFO the word ERROR inside", "INFO", "", "the word ERROR inside"),
        ("nothing to see", "UNKNOWN", "", "nothing to see"),
        ("17 bytes read", "UNKNOWN", "", "bytes read"),
        ("2026-01-01 10:00:00", "UNKNOWN", "", "<*>"),
        ("ERROR", "ERROR", "", "ERROR"),
        ("", "UNKNOWN", "", "<*>"),
        ("plain info is no level", "UNKNOWN", "", "plain info is no level"),
        ("2026-01-01 LOG is no level here", "UNKNOWN", "", "LOG is no level here"),
        ("uncaught java.lang.NullPointerException here", "ERROR", "", "uncaught java.lang.NullPointerException here"),
        ("INFO handled java.lang.NullPointerException", "INFO", "", "handled java.lang.NullPointerException"),
        # klog, Python's default, syslog
        ("E0102 15:04:05.000000   12345 pod/file.go:123] it broke", "ERROR", "pod/file.go", "it broke"),
        ("WARNING:shop.cart:disk 5 full", "WARN", "shop.cart", "disk <*> full"),
        ("HELLO:shop.cart:x", "UNKNOWN", "", "HELLO:shop.cart:x"),
        ("Jun 23 01:41:30 combo sshd(pam_unix)[18982]: session 5", "UNKNOWN", "sshd(pam_unix)", "session <*>"),
        # logfmt and JSON
        ('time=2026 level=warn module=orders.worker:53 msg="order 5 \\"x\\"" n=1', "WARN", "orders.worker", 'order <*> "x" n=<*>'),
        ("level=info", "UNKNOWN", "", "level=info"),
        ('{"level":"error","logger":"a.b","msg":"it 5","sku":"S-1","ok":true,"none":null,"l":[1]}', "ERROR", "a.b", "it <*> sku=S-<*> ok=true"),
        ('{"Severity":"WARNING","message":"m"}', "WARN", "", "m"),
        ('{"level":30,"time":1,"msg":"m","req":{"method":"GET","headers":{"a":"b"},"x":{"y":{"z":1}}}}', "UNKNOWN", "", "m req.method=GET"),
        ('{"a":1,"b":"text"}', "UNKNOWN", "", "a=<*> b=text"),
        ("{}", "UNKNOWN", "", "<*>"),
        ('{"a": 01}', "UNKNOWN", "", "a=<*>"),
        ('{"a": nope}', "UNKNOWN", "", '{"a": nope}'),
        ('{"ts":"2026","level":"info","msg":5}', "INFO", "", "<*>"),
        ('{"s3_bucket":"b","msg":"m"}', "UNKNOWN", "", "m <*>_bucket=b"),
    ],
)  # fmt: skip
def test_read(text, level, logger, message):
    """Level, logger and wording of one line."""
    assert parts(text) == (level, logger, message)


def test_the_same_event_in_three_formats():
    """A change of log format is no change of wording."""
    heads = {
        read(text)[:2]
        for text in (
            '{"ts":"2026-01-01T00:00:00Z","level":"info","logger":"a.b","msg":"done","status":200,"ms":5}',
            "time=2026-01-01T00:00:00Z level=info logger=a.b msg=done status=200 ms=5",
            "2026-01-01 00:00:00,1 INFO [a.b] done status=200 ms=5",
        )
    }
    assert len(heads) == 1


def test_a_record_of_many_fields_stays_readable():
    """Past eight variable fields and sixteen in all, fields go."""
    letters = [chr(97 + index) * 2 for index in range(26)]
    numbers = ",".join(f'"{name}":5' for name in letters[:12])
    assert parts("{" + numbers + "}")[2].count("<*>") == 8
    words = ",".join(f'"{name}":"w"' for name in letters)
    assert parts("{" + words + "}")[2].count("=w") == 17


def test_stack_in_a_field():
    """A stack in a field, or in the message, is kept for its identity and stays out of the wording."""
    head = read('{"level":"error","msg":"no","err":{"stack":"Error: x\\n    at f (a.js:1:2)"}}')
    assert head.message == "no"
    assert head.stack.startswith("Error: x\n")
    head = read('{"level":"error","msg":"no\\nTraceback (most recent call last):"}')
    assert (head.message, head.stack) == ("no", "no\nTraceback (most recent call last):")


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ('1.2.3.4 - bob [x] "GET /a/5?q=5&r=x HTTP/1.1" 200 25 "-" "curl/8" rt=0.1 uct=-', "access", "GET /a/<*>?<*> <*> <*> <*> rt=<*> uct=<*>"),
        ("a b c d e f GET /x 200 5", "access", "a b c d e f GET /x <*>"),
        ("upstream sent no header, status 502", "message", "upstream sent no header, status <*>"),
    ],
)  # fmt: skip
def test_request_records(text, kind, message):
    """With a status in it a line with a method is a request record: no client, agent or query in its wording."""
    head = read(text, has_status=True)
    assert (str(head.kind), head.message) == (kind, message)
    assert read(text).kind is LogKind.MESSAGE


def test_level_words():
    """Words name levels whatever their case; anything else names none."""
    assert level_of(" Warning ") is Level.WARN
    assert level_of("loud") is level_of(30) is level_of(None) is Level.UNKNOWN


def test_what_is_no_record():
    """JSON that is not an object, broken or bottomless is text."""
    assert record("{" + '"a":{' * 100_000 + "}") is None
    assert record("[1]") is None


@given(st.text(max_size=80), st.booleans())
def test_any_text(text, has_status):
    """Nothing raises, and there is always something to show."""
    assert read(text, has_status=has_status).message
