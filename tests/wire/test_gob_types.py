"""Number formats, against the worked examples of encoding/gob's documentation."""

import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_verdict.wire import gob_types as g
from rollout_verdict.wire.errors import BadValueError
from tests.wire.golden import golden

UINTS = [(0, "00"), (127, "7f"), (128, "ff80"), (255, "ffff"), (256, "fe0100"), (65536, "fd010000")]
INTS = [(0, "00"), (1, "02"), (-1, "01"), (65, "ff82"), (-65, "ff81"), (63, "7e"), (-64, "7f"), (-129, "fe0101")]


@pytest.mark.parametrize(("value", "encoded"), UINTS)
def test_unsigned_integers(value, encoded):
    assert g.write_uint(value) == golden(encoded)
    assert g.read_uint(golden(encoded), 0) == (value, len(golden(encoded)))


@pytest.mark.parametrize(("value", "encoded"), INTS)
def test_signed_integers(value, encoded):
    assert g.write_int(value) == golden(encoded)
    assert g.read_int(golden(encoded), 0) == (value, len(golden(encoded)))


def test_integers_of_more_than_eight_bytes_do_not_exist():
    assert g.read_uint(golden("f8 ffffffffffffffff"), 0) == ((1 << 64) - 1, 9)
    with pytest.raises(BadValueError, match="9 bytes"):
        g.read_uint(golden("f7 00ffffffffffffffff"), 0)


def test_a_float_is_sent_with_its_bytes_reversed():
    assert g.read_float(golden("fe 31 40"), 0) == (17.0, 3)


def test_a_complex_number_is_two_floats():
    assert g.read_complex(golden("fe 31 40 00"), 0) == (17 + 0j, 4)


@pytest.mark.parametrize(("encoded", "value"), [("00", False), ("01", True), ("07", True)])
def test_booleans_are_numbers(encoded, value):
    assert g.read_bool(golden(encoded), 0) == (value, 1)


def test_strings_need_not_be_utf8_and_come_back_as_they_were():
    text, end = g.read_string(golden("03 61 ff 62"), 0)
    assert (text, end) == ("a\udcffb", 4)
    assert text.encode("utf-8", "surrogateescape") == b"a\xffb"


def test_long_strings_have_a_long_length():
    assert g.read_string(golden("ff80") + b"x" * 128, 0) == ("x" * 128, 130)


def test_byte_strings():
    assert g.read_bytes(golden("02 00 ff 07"), 0) == (b"\x00\xff", 3)


def test_a_cut_value_ends_past_the_end_or_raises_index_error():
    assert g.read_bytes(golden("05 00"), 0)[1] > 2
    assert g.read_uint(golden("fe 01"), 0)[1] > 2
    with pytest.raises(IndexError):
        g.read_uint(b"", 0)


@settings(deadline=None)
@given(st.integers(0, (1 << 64) - 1))
def test_reading_undoes_writing_of_unsigned_integers(value):
    encoded = g.write_uint(value)
    assert g.read_uint(encoded + b"\xff", 0) == (value, len(encoded))


@settings(deadline=None)
@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_reading_undoes_writing_of_integers(value):
    encoded = g.write_int(value)
    assert g.read_int(encoded, 0) == (value, len(encoded))


@settings(deadline=None)
@given(st.floats())
def test_floats_of_every_kind(value):
    reversed_bits = int.from_bytes(struct.pack("<d", value), "big")
    found, _ = g.read_float(g.write_uint(reversed_bits), 0)
    assert found == value or (math.isnan(found) and math.isnan(value))
