"""The scanner, in both forms."""

import sys
import threading
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_verdict.core.reduction.mask import plain_ids, skeleton
from rollout_verdict.core.reduction.scan import Scanner
from tests.core.reduction.scanners import scanner

STAMP = b"2026-11-23T10:00:0%d.123456789Z "
FORMS = ["python", "compiled"]


@dataclass(frozen=True)
class Known:
    """What a test remembers under a name."""

    name: bytes
    start: int = 0
    end: int = 0


@pytest.fixture(params=FORMS)
def scan(request: pytest.FixtureRequest) -> Scanner[Known]:
    return scanner(request.param)()


def named(found: tuple | None) -> list[bytes | None]:
    assert found is not None
    return [line and line.name for line in found[1]]


def test_lines_are_found_by_their_names(scan):
    """By the skeleton of the line, or of the line without identifiers; what nobody knows is None."""
    for name in (b"order 00", b"trace 0000000 over", b""):
        scan.remember(name, Known(name))
    data = b"order 12\n\norder 1\ntrace 4be1a9a21c1c4d1e over\ntrace 4be1a9a2-1c1c-4d1e-9b1e-0123456789ab over"
    starts, lines, changes = scan.scan(data, stamped=False)
    assert named((starts, lines, changes)) == [b"order 00", b"", None, b"trace 0000000 over", b"trace 0000000 over"]
    assert (list(starts), list(changes)) == ([0, 9, 10, 18, 46, len(data) + 1], [])


def test_codes_have_names_of_their_own(scan):
    """A line with codes is what is known of these codes, also where identifiers were taken out before."""
    scan.remember(b"done 0000000 status=000", Known(b"coded", 20, 23))
    scan.remember(b"done 0000000 status=000\n503", Known(b"failed"))
    data = b"done 0000000 status=503\ndone 1700000000000 status=503\ndone 0badcafe1 status=503\ndone 1234567 status=200"
    assert named(scan.scan(data, stamped=False)) == [b"failed", b"failed", b"failed", None]


def test_a_long_number_is_found_by_its_own_name_next_time(scan):
    """Once seen, a number too long to tell from an identifier costs one look-up; an identifier goes on costing two."""
    scan.remember(b"at 0000000", Known(b"at"))
    data = b"at 1700000000000\nat 1a2b3c4d\nat 1700000000000"
    assert named(scan.scan(data, stamped=False)) == [b"at"] * 3
    assert (scan.get(b"at 0000000000000"), scan.get(b"at 0a0b0c0d")) == (Known(b"at"), None)


def test_stamps(scan):
    """Texts begin behind the stamps; a line that begins another second is told; any other form of stamp is refused."""
    scan.remember(b"a", Known(b"a"))
    data = b"\n".join((STAMP % 1 + b"a", STAMP % 1 + b"b", STAMP % 2, STAMP % 1 + b"a"))
    starts, lines, changes = scan.scan(data, stamped=True)
    assert (list(starts), list(changes)) == ([31, 64, 97, 129, 162], [0, 2, 3])
    assert [line and line.name for line in lines] == [b"a", None, None, b"a"]
    for odd in (b"", b"x", data + b"\n", data + b"\nx", (STAMP % 1).rstrip(), data.replace(b"T", b" ")):
        assert scan.scan(odd, stamped=True) is None


def test_what_is_remembered_is_counted_and_forgotten(scan):
    """A name counts once, and what is put in place of another is what is found."""
    scan.remember(b"a", Known(b"a"))
    scan.remember(b"a", Known(b"b"))
    assert (scan.size, scan.get(b"a"), scan.get(b"c")) == (403, Known(b"b"), None)
    for index in range(2_000):
        scan.remember(b"%d" % index, Known(b"%d" % index))
    assert all(scan.get(b"%d" % index) == Known(b"%d" % index) for index in range(2_000))
    scan.clear()
    assert (scan.size, scan.get(b"a"), named(scan.scan(b"a", stamped=False))) == (0, None, [None])


def test_nothing_is_kept_that_was_forgotten(scan):
    """Lines are held while they are remembered, and no longer."""
    known = Known(b"held")
    before = sys.getrefcount(known)
    for name in (b"a 0000000", b"b"):
        scan.remember(name, known)
    found = scan.scan(b"a 12345678\nb", stamped=False)
    del found
    scan.clear()
    assert sys.getrefcount(known) == before


@pytest.mark.parametrize("bad", [Known(b"", 3, 9), Known(b"", 3, 2), Known(b"", -1, 2), object()])
def test_the_compiled_form_trusts_no_place(bad):
    """Codes stand within a name: a place outside is refused, not read."""
    scan = scanner("compiled")()
    with pytest.raises((ValueError, OverflowError, AttributeError)):
        scan.remember(b"name", bad)
    with pytest.raises(TypeError):
        scan.remember("name", Known(b""))
    assert scan.get(b"name") is None


def test_threads_of_their_own_scanners(scan):
    """Scanners of several threads do not meet, although the compiled form runs beside the others."""
    scan.remember(b"line 0", Known(b"line"))
    data = b"\n".join([b"line 1"] * 20_000)
    wrong: list[object] = []

    def work() -> None:
        own = type(scan)()
        own.remember(b"line 0", Known(b"own"))
        for _ in range(5):
            wrong.extend(line for line in own.scan(data, stamped=False)[1] if line.name != b"own")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong


WORDS = st.sampled_from(
    [
        b"a",
        b"f",
        b"g",
        b"Z",
        b"0",
        b"7",
        b" ",
        b"-",
        b"=",
        b"\\",
        b"\\u00e9",
        b"\\\\u00e9",
        b"\\u",
        b"\\ud83d\\ude00",
        b"deadbeef",
        b"1a2b3c4d",
        b"12345678",
        b"1234567",
        b"abcdefab",
        b"\xff",
        b"\x00",
        b"\r",
        b"\xc3\xa9",
        b"4be1a9a2-1c1c-4d1e-9b1e-0123456789ab",
        b"-1c1c-4d1e-9b1e-0123456789ab",
        b"status=503",
    ]
)
TEXTS = st.lists(st.one_of(WORDS, st.binary(max_size=3).map(lambda data: data.replace(b"\n", b""))), max_size=9).map(
    b"".join
)


@settings(max_examples=500, deadline=None)
@given(st.lists(TEXTS, max_size=12), st.lists(TEXTS, max_size=6), st.booleans(), st.randoms())
def test_both_forms_find_the_same(texts, others, stamped, rng):
    """Whatever stands in the lines, and whatever is known: the same lines under the same names, twice in a row."""
    forms = [scanner(form)() for form in FORMS]
    for text in (*texts[::2], *others):
        bare = plain_ids(text)
        name = skeleton(bare)
        start, end = (
            sorted((rng.randrange(len(name) + 1), rng.randrange(len(name) + 1))) if rng.random() < 0.3 else (0, 0)
        )
        for form in forms:
            form.remember(name, Known(name, start, end))
            form.remember(name + b"\n" + bare[start:end], Known(name + b" by its codes"))
    data = b"\n".join((STAMP % rng.randrange(3) if stamped and rng.random() < 0.99 else b"") + text for text in texts)
    for _ in range(2):
        python, compiled = (form.scan(data, stamped=stamped) for form in forms)
        assert (python is None) == (compiled is None)
        if python and compiled:
            assert [list(part) for part in python] == [list(part) for part in compiled]
