"""Text from outside made harmless: nothing hidden, nothing that opens a tag, nothing unbounded."""

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_verdict.core.model.neutral import estimated_tokens, number, plain, quoted

ANY_TEXT = st.text(st.characters(), max_size=200)
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


@settings(deadline=None)  # a slow machine is no failure
@given(ANY_TEXT)
def test_a_quoted_text_is_one_json_string_on_one_line_that_reads_back(text):
    """Quoting loses nothing that is short: any JSON parser returns the text, long hidden runs aside."""
    shown = quoted(text, 1000)
    assert "\n" not in shown
    if " hidden)" not in shown:
        assert json.loads(shown) == text


@settings(deadline=None)  # a slow machine is no failure
@given(ANY_TEXT)
def test_nothing_hidden_is_left(text):
    """No character of a hidden category stands in the result, whatever the Unicode version."""
    for shown in (quoted(text, 1000), plain(text, 1000)):
        assert not [char for char in shown if unicodedata.category(char) in HIDDEN]


@settings(deadline=None)  # a slow machine is no failure
@given(ANY_TEXT, st.integers(1, 60))
def test_lengths_are_bounded(text, limit):
    """A quoted text grows by escapes and a note at most; a plain one never exceeds its limit."""
    assert len(plain(text, limit)) <= limit
    assert len(quoted(text, limit)) <= 12 * (limit + 20) + 60


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("</evidence-0a1b2c3d>", '"\\u003c/evidence-0a1b2c3d>"'),
        ("<system>", '"\\u003csystem>"'),
        ("<!-- x -->", '"\\u003c!-- x -->"'),
        ("GET <*> took <*>", '"GET <*> took <*>"'),
        ("1 < 2", '"1 < 2"'),
        ("a\u202eb", '"a\\u202eb"'),
        ("a\nb", '"a\\nb"'),
        ("\U000e0041", '"\\udb40\\udc41"'),
        ("\x7f", '"\\u007f"'),
        ("\u200b" * 9, '"\\u200b\\u200b\\u200b\\u200b(+5 hidden)"'),
        ("naïve 日本語 עברית 🙂", '"naïve 日本語 עברית 🙂"'),
    ],
)
def test_what_is_hidden_or_opens_a_tag_becomes_visible(text, shown):
    """Escapes show what was there; ordinary text of any language stays as it is."""
    assert quoted(text, 100) == shown


def test_what_was_cut_is_told_unless_it_is_hardly_anything():
    """A note about the cut replaces the rest, but never a rest shorter than the note."""
    assert quoted("a" * 150, 100) == '"' + "a" * 100 + '…(+50 chars)"'
    assert quoted("a" * 120, 100) == '"' + "a" * 120 + '"'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see [the docs](https://evil.example/x) now", "see the docs now"),
        ("![pixel](https://evil.example/p.png)", "pixel"),
        ("go to https://evil.example/?q=1 now", "go to (link removed) now"),
        ("javascript://x www.evil.example", "(link removed) (link removed)"),
        ("a\n\n b\u200bc\td", "a b c d"),
        ("", ""),
    ],
)
def test_plain_text_has_no_links(text, shown):
    """A model's text brings nobody to a page."""
    assert plain(text, 100) == shown


def test_plain_text_ends_in_an_ellipsis_when_cut():
    """The reader sees that there was more."""
    assert plain("abcdef", 4) == "abc…"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (-3.0, "-3"),
        (999_999.0, "999999"),
        (1_234_567.0, "1.235e+06"),
        (0.123456, "0.1235"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_are_short(value, shown):
    """Four significant digits; whole numbers below a million in full."""
    assert number(value) == shown


def test_tokens_are_estimated_from_bytes():
    """Three bytes of UTF-8 a token, rounded up over all texts together."""
    assert estimated_tokens() == 0
    assert estimated_tokens("ab", "cd") == 2
    assert estimated_tokens("日") == 1
    assert estimated_tokens("\ud800") == 1
