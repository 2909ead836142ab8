"""What is remembered of lines."""

import pytest

from rollout_verdict.core.reduction import lines
from rollout_verdict.core.reduction.lines import LineReader, ReducePolicy


def keyed(reader: LineReader, data: bytes) -> tuple[str, str]:
    key = reader.line(data).key
    return key.template, key.status


def test_one_object_for_one_key():
    """Keys with the same parts are the same object, so that they can be counted by identity."""
    reader = LineReader(ReducePolicy())
    one, two = reader.read(b"INFO a 0 x"), reader.read(b"INFO a 00 x")
    assert one is not two
    assert one.key is two.key
    assert one.key is not None
    assert one.key.order == ("a <*> x", "", 3, "message", "")


def test_codes_decide_on_the_key():
    """Lines with one skeleton have as many keys as their codes say, and one object for each that differs no more."""
    reader = LineReader(ReducePolicy())
    assert {keyed(reader, b"INFO done status=%d" % code) for code in (200, 204, 503)} == {
        ("done status=<*>", "2xx"),
        ("done status=<*>", "5xx"),
    }
    assert reader.line(b"INFO done status=200") is reader.line(b"INFO done status=204")
    assert reader.scanner.get(b"INFO done status=000\n503") is reader.line(b"INFO done status=503")


def test_no_more_variants_than_allowed(monkeypatch: pytest.MonkeyPatch):
    """A hostile line cannot fill the memory with its variants."""
    monkeypatch.setattr(lines, "_MOST_VARIANTS", 2)
    reader = LineReader(ReducePolicy())
    assert [keyed(reader, b"errno %d" % code)[1] for code in (1, 2, 3, 3)] == [
        "errno:1",
        "errno:2",
        "errno:3",
        "errno:3",
    ]
    assert [reader.scanner.get(b"errno 0\n%d" % code) is not None for code in (1, 2, 3)] == [True, True, False]


def test_no_more_traces_than_allowed(monkeypatch: pytest.MonkeyPatch):
    """Traces are forgotten in time, and read again when they come back."""
    monkeypatch.setattr(lines, "_MOST_TRACES", 1)
    reader = LineReader(ReducePolicy())
    opener = reader.read(b"a.BError: x")
    frames = [reader.read(b"\tat a.B.c(D.java:0)"), reader.read(b"\tat a.B.d(D.java:0)")]
    told = [reader.event_key([opener, frame], opener.key).template for frame in (*frames, *frames) if opener.key]
    assert told == ["a.BError at a.B.c", "a.BError at a.B.d"] * 2


def test_one_head_for_one_shape():
    """Lines with codes that differ in the length of numbers are read once, their codes each on its own."""
    reader = LineReader(ReducePolicy())
    start = b"INFO a line whose beginning is over after 48 bytes "
    one, two = reader.read(start + b"0 status=000"), reader.read(start + b"00 status=000")
    assert one.head is two.head
    assert one.places != two.places


def test_templates_have_an_end():
    """A template is cut where nobody reads on."""
    reader = LineReader(ReducePolicy(max_template=10))
    key = reader.read(b"INFO " + b"a" * 50).key
    assert key is not None
    assert key.template == "a" * 10 + "…"


def test_what_is_remembered_is_bounded():
    """Past the bound everything is forgotten, and read again."""
    reader = LineReader(ReducePolicy(cache=2_000))
    for index in range(50):
        reader.read(b"INFO " + b"a" * index)
        reader.line(b"errno %d" % index)
    assert 0 < reader.scanner.size < 3_000
