"""Hostile text is shown, and only shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from rollout_verdict.core.quote import code_block, code_span, prose, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\r\nc\rd", "a ⏎ b ⏎ c\\x0dd"),
        ("a\tb", "a b"),
        ("a\u202eb", "a\\u{202e}b"),
        ("a\u200bb\ufeff", "a\\u{200b}b\\u{feff}"),
        ("\U000e0041", "\\u{e0041}"),
        ("\x85\u2028", "\\x85\\u{2028}"),
        ("a\u00a0b\u3000c", "a b c"),
        ("\u3164\ufe0f", "\\u{3164}\\u{fe0f}"),
        ("e" + "\u0301" * 9, "e" + "\u0301" * 3),
        ("\ud800", "\\u{d800}"),
        ("你好 שלום 🙂", "你好 שלום 🙂"),
    ],
)
def test_every_character_is_seen(text, shown):
    """What cannot be seen is written out; letters of any language stay."""
    assert visible(text) == shown


def test_lines_are_kept_on_request():
    """A sample keeps its lines; tabs become blanks."""
    assert visible("a\r\n\tb\nc", lines=True) == "a\n    b\nc"


def test_what_is_cut_is_told():
    """A cut text says how much is missing."""
    assert visible("abcdef", limit=4) == "abcd… (+2 characters)"


@given(st.text())
def test_nothing_invisible_survives(text):
    """Any text at all becomes printable characters, on one line."""
    assert visible(text).isprintable()
    assert all(line.isprintable() for line in visible(text, lines=True).split("\n"))


def _parsed(text):
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def _kinds(text):
    return [child.type for token in _parsed(text) if token.type == "inline" for child in token.children]


@given(st.text(alphabet=st.sampled_from("`|\\ ab\n[]()<>*_#@!~&;"), max_size=40))
def test_a_code_span_holds_any_text(text):
    """One code span, nothing else, and its text is the text."""
    assert _kinds(f"x{code_span(text)}x") == ["text", "code_inline", "text"]


@given(st.text(alphabet=st.sampled_from("`|\\ ab"), max_size=30))
def test_a_code_span_stays_in_its_cell(text):
    """A bar inside code is no border of the table."""
    table = f"|a|b|\n|---|---|\n| {code_span(text, cell=True)} | x |"
    tokens = _parsed(table)
    assert sum(token.type == "td_open" for token in tokens) == 2
    assert [token.content for token in tokens if token.type == "inline"][-1] == "x"


@given(st.text(alphabet=st.sampled_from("`~\n ab#"), max_size=60))
def test_a_block_holds_any_text(text):
    """One fence, whatever fences the text holds."""
    assert [token.type for token in _parsed(code_block(text))] == ["fence"]


@given(st.text(alphabet=st.sampled_from("`|\\ ab1.-+=\n[]()<>*_#@!~&;:/w"), max_size=40))
def test_prose_is_prose(text):
    """Nothing but a paragraph of text and our own code spans around signs that would call or link."""
    tokens = _parsed(f"{prose(text)}")
    assert {token.type for token in tokens} <= {"paragraph_open", "inline", "paragraph_close"}
    assert set(_kinds(prose(text))) <= {"text", "text_special", "code_inline"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("@team #12", "`@`team `#`12"),
        ("see https://x.example", "see https`://`x.example"),
        ("1. first", "1\\. first"),
        ("- item", "\\- item"),
        ("6.7 % of +7", "6.7 % of +7"),
        ("a_b <c> & [d]", "a\\_b \\<c\\> \\& \\[d\\]"),
    ],
)
def test_prose_stays_readable(text, shown):
    """Only what must be escaped is."""
    assert prose(text) == shown
