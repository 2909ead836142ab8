"""Masking."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.core.reduction.mask import clean, mask, plain_ids, shape_of, short_numbers, skeleton


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("order 12 shipped", "order <*> shipped"),
        ("took 1,234.5 ms", "took <*> ms"),
        ("cart.go:209 done", "cart.go:<*> done"),
        ("blk_-12 and blk_12", "blk_<*> and blk_<*>"),
        ("from 10.251.71.240:50010", "from <*>"),
        ("4be1a9a2-1c1c-4d1e-beef-0123456789ab gone", "<*> gone"),
        ("2015-10-18T18:02:41,309+02:00 up", "<*> up"),
        ("v1.2.3-beta of worker-7", "<*>-beta of worker-<*>"),
        ("at 0x7f3e5a962c10", "at <*>"),
        ("1 2 3 4 bytes", "<*> bytes"),
        ("Sat May 04 07:00:00 CST 2013 it was", "<*> it was"),
        ("Date: Sat, 29 Sep 2018 05:01:09 GMT", "Date: <*>"),
        ("[23/Nov/2026:10:00:03 +0000] x", "[<*>] x"),
        ("May I 5", "May I <*>"),
        ("delta -5 or +7", "delta <*> or <*>"),
        ("订单12345已发货", "订单<*>已发货"),
        ("no digits, nothing: to-do.", "no digits, nothing: to-do."),
        ("", ""),
    ],
)
def test_mask(text, masked):
    """What varies becomes a hole, the wording stays."""
    assert mask(text) == masked


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  a \t b\r\n", "a b"),
        ("\x1b[31mERROR\x1b[0m x", "ERROR x"),
        ("\x1b]0;title\x07a", "a"),
        ("a\x00b\x07c", "a b c"),
        ("plain", "plain"),
    ],
)
def test_clean(text, cleaned):
    """Colours go, and runs of blanks and control characters are one blank."""
    assert clean(text) == cleaned


@given(st.text(alphabet="0123456789abcdefgxyz .-:_,+<>*/JanSep", max_size=60), st.randoms())
def test_the_mask_does_not_see_which_digit(text, rng):
    """Any other digits give the same mask; so a skeleton is a sound name for the line."""
    other = re.sub("[0-9]", lambda _: rng.choice("0123456789"), text)
    assert mask(text) == mask(other)
    assert skeleton(text.encode()) == skeleton(other.encode())


@given(st.text(alphabet="0123456789abcdefg .-:_", max_size=80))
def test_identifiers_are_masked_anyway(text):
    """Taking identifiers out first changes no mask, and taking them out twice changes nothing."""
    bare = plain_ids(text.encode())
    assert mask(bare.decode()) == mask(text)
    assert plain_ids(bare) == bare
    assert skeleton(bare) == plain_ids(skeleton(text.encode()))


@pytest.mark.parametrize(
    ("data", "bare"),
    [
        (b"id 4be1a9a2-1c1c-4d1e-beef-0123456789ab.", b"id 0000000."),
        (b"trace fa2dc0153b97ce4a6ea88e2a1d301545", b"trace 0000000"),
        (b"deadbeef is a word", b"deadbeef is a word"),
        (b"x0123456 is no identifier, 012345 too short", b"x0123456 is no identifier, 012345 too short"),
        (b"1234567g neither", b"1234567g neither"),
        (b"12345678", b"0000000"),
    ],
)
def test_plain_ids(data, bare):
    """Identifiers of seven hexadecimal digits or more, with a digit among them, become one and the same."""
    assert plain_ids(data) == bare


def test_long_numbers_are_short():
    """Long numbers are as short as identifiers, so that a skeleton of numbers alone is known by it."""
    assert short_numbers(b"size 0000000000 of 00") == b"size 0000000 of 00"
    assert short_numbers(b"id 0a0b0c0d0e") == b"id 0a0b0c0d0e"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (rb"caf\u00e9 12", rb"caf\u00e9 00"),
        (rb"\u4f60\u597d 7", rb"\u4f60\u597d 0"),
        (rb"path \\u1234", rb"path \\u0000"),
        (rb"short \u12", rb"short \u00"),
    ],
)
def test_an_escape_of_json_is_a_letter(data, name):
    """Its digits say which one; a pair of backslashes is a backslash and begins no escape."""
    assert skeleton(data) == name


def test_shape_forgets_the_length_of_numbers():
    """Only after the header, and not where lengths may matter."""
    head = b"0000-00-00 00:00:00,000 INFO [main] shop.Cart: order "
    assert shape_of(head + b"0000 in 00 ms") == head + b"0 in 0 ms"
    assert shape_of(b"000 short") == b"000 short"
    assert shape_of(head + b"on Jun 00") == b""
    assert shape_of(head + b'{"a":"\\u00e0"}') == b""
