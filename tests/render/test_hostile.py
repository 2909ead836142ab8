"""No text from outside leaves its place in a report, whichever field it came in by."""

import json as stdjson
import re
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from rollout_verdict.render import html, json, markdown, text
from tests.render import results
from tests.render.hostile import HOSTILE, MARK

CASES = pytest.mark.parametrize("evil", HOSTILE, ids=range(len(HOSTILE)))
OUR_HTML = re.compile(
    r"<details><summary>[A-Z][\w ,()]+</summary>|</details>|</?sub>|<!-- rollout-verdict:[\w./-]+(?<!-) -->"
)
OUR_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def poisoned(evil):
    """Return a result with the text in every field: alone, and behind and before the field's own."""
    return results.result(lambda words: f"{words}{evil}" if len(words) % 2 else f"{evil}{words}")


def test_there_are_enough_texts():
    """The table is the promise: sixty at least, each of them marked."""
    assert len(HOSTILE) >= 60
    assert all(MARK in evil or any(char > "\U000e0000" for char in evil) for evil in HOSTILE)


class _Seen(HTMLParser):
    """Takes a page apart the way a browser would."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.kinds, self.attributes, self.tags, self.script, self.text = set(), [], [], "", []
        self._inside = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self._inside = tag
        self.tags.append(tag)
        self.kinds |= {(tag, name) for name, _ in attrs} | {(tag, "")}
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "script":
            self.script += data
        elif self._inside != "style":
            self.text.append(data)

    def handle_comment(self, data):
        self.kinds.add(("comment", data))

    def handle_pi(self, data):
        self.kinds.add(("instruction", data))

    def unknown_decl(self, data):
        self.kinds.add(("declaration", data))


BENIGN = _Seen(html.render(results.result()))
FRAME = (
    "html",
    "head",
    "title",
    "style",
    "script",
    "meta",
    "h1",
    "h2",
    "section",
    "article",
    "figure",
    "table",
    "tr",
    "nav",
)


@CASES
def test_html_stays_text(evil):
    """A poisoned page has no element and no attribute that the plain page lacks, and its frame is the same."""
    page = _Seen(html.render(poisoned(evil)))
    assert page.kinds <= BENIGN.kinds
    for tag in FRAME:
        assert page.tags.count(tag) == BENIGN.tags.count(tag), tag
    shown = [name for name, value in page.attributes if MARK in value or "Xq7" in value]
    assert set(shown) <= {"aria-label"}
    assert not any(re.match(r"(?i)on|src|style$|srcdoc|action", name) for name, _ in page.attributes)
    assert all(value.startswith("#") for name, value in page.attributes if name == "href")
    assert all(char.isprintable() or char == "\n" for char in "".join(page.text))


@CASES
def test_the_embedded_document_is_whole(evil):
    """The JSON inside the page reads back as the document itself, and cannot end its element."""
    poison = poisoned(evil)
    page = _Seen(html.render(poison))
    assert not set(page.script) & set("<>&\u2028\u2029")
    if len(evil) < 50_000:
        assert stdjson.loads(page.script) == stdjson.loads(json.render(poison))


@CASES
def test_markdown_stays_text(evil):
    """Nothing from outside becomes a link, an image, HTML, a heading, a call by name or a reference."""
    rendered = markdown.render(poisoned(evil))
    assert len(rendered) <= markdown.LIMIT
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(rendered)
    inline = [child for token in tokens if token.type == "inline" for child in token.children]
    kinds = {token.type for token in (*tokens, *inline)}
    assert not kinds & {
        "link_open",
        "image",
        "s_open",
        "em_open",
        "blockquote_open",
        "hr",
        "ordered_list_open",
        "code_block",
    }
    for token in (*tokens, *inline):
        if token.type in ("html_block", "html_inline"):
            assert OUR_HTML.fullmatch(token.content.strip()), token.content
        if token.type == "text":
            assert not re.search(r"@\w|#\d|(?i:https?://|www\.)", token.content)
        if token.type == "fence":
            assert token.info == "text"
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h3"]
    assert sum(token.type == "table_open" for token in tokens) == 1
    assert len([token for token in tokens if token.type == "tr_open"]) == 6
    assert all(len(row) == 5 for row in _rows(tokens))
    assert all(char.isprintable() or char == "\n" for char in rendered)


def _rows(tokens):
    rows = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("td_open", "th_open"):
            rows[-1].append(token)
    return rows


@CASES
def test_the_terminal_is_left_alone(evil):
    """Without colour not one control character; with it, only the colours we chose."""
    poison = poisoned(evil)
    plain = text.render(poison, width=100)
    coloured = text.render(poison, width=100, colour=True)
    assert "\x1b" in coloured
    for written in (plain, OUR_COLOUR.sub("", coloured)):
        assert all(char.isprintable() or char == "\n" for char in written)


@CASES
def test_no_line_is_forged(evil):
    """A report has its own headings once each, whatever line ends a text brings."""
    lines = [line.strip() for line in text.render(poisoned(evil), width=5000).splitlines()]
    assert lines.count("Try") <= 1  # there are no commands for names that cannot be
    for title in ("Why", "Evidence", "What is the same", "What was compared", "What was not looked at"):
        assert lines.count(title) == 1
    assert sum(line.startswith(("PROMOTE ", "ROLLBACK ", "INCONCLUSIVE ")) for line in lines) == 1


def test_markup_of_the_terminal_library_is_shown_as_it_is():
    """Square brackets mean nothing to the report."""
    written = text.render(poisoned("[bold red]Xq7[/bold red] :fire:"), width=5000)
    assert "[bold red]Xq7[/bold red] :fire:" in written
