"""A model's Markdown as HTML: emphasis, lists and code; no heading, no link but to evidence, nothing that loads."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.service.pages.words import LIMIT, words
from tests.hostile import DELIMITERS, HIDDEN, MARKUP, ORDERS, VERDICTS
from tests.render.hostile import HOSTILE

IDS = frozenset({"m1", "l1", "d1"})
TAGS = {"p", "ul", "ol", "li", "em", "strong", "code", "pre", "blockquote", "br", "a"}
EVERYTHING = [*HOSTILE, *(text for table in (ORDERS, DELIMITERS, VERDICTS, MARKUP, HIDDEN) for text in table.values())]


class _Seen(HTMLParser):
    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.found, self.text = [], ""
        self.feed(f"<div>{page}</div>")
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        self.found.append(("comment", {}))


def check(page):
    seen = _Seen(page)
    for tag, attributes in seen.found[1:]:
        assert tag in TAGS, tag
        if tag == "a":
            assert attributes == {"class": "cite", "href": attributes["href"]}
            assert attributes["href"].removeprefix("#") in IDS
        elif tag == "ol":
            assert set(attributes) <= {"start"}
        elif tag == "code":
            assert set(attributes) <= {"class"}  # the language of a fence, escaped
        else:
            assert attributes == {}
    assert all(char.isprintable() or char == "\n" for char in seen.text)


@pytest.mark.parametrize("evil", EVERYTHING, ids=range(len(EVERYTHING)))
def test_hostile_words_stay_words(evil):
    """Whatever a model was made to repeat, nothing in it is markup of ours, a link away or a heading."""
    for text in (evil, f"It fails, see [l1]. {evil}", f"- {evil}\n- **m1** {evil}", f"```{evil}\n{evil}\n```"):
        check(words(text, IDS))


@given(st.text(alphabet=st.sampled_from("`*_[]()<>#!|~-+=>\n\t \"'&;:/.lmd1xh0\\"), max_size=200))
def test_any_markdown_stays_within_the_few_elements(text):
    """No arrangement of Markdown's signs gets further than the elements that are allowed."""
    check(words(text, IDS))


@given(st.text(max_size=300))
def test_any_text_renders(text):
    """Any text at all is rendered, and without a character that hides."""
    check(words(text, IDS))


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("It **fails** *now*", "<p>It <strong>fails</strong> <em>now</em></p>\n"),
        ("see [l1]", '<p>see <a class="cite" href="#l1">l1</a></p>\n'),
        ("m1 and d1", '<p><a class="cite" href="#m1">m1</a> and <a class="cite" href="#d1">d1</a></p>\n'),
        ("xl1 l11 l9", "<p>xl1 l11 l9</p>\n"),
        ("`l1`", "<p><code>l1</code></p>\n"),
        ("# Promote", "<p># Promote</p>\n"),
        ("[a](https://evil.example)", "<p>[a](https://evil.example)</p>\n"),
        ("<b>x</b>", "<p>&lt;b&gt;x&lt;/b&gt;</p>\n"),
        ("- one\n- two", "<ul>\n<li>one</li>\n<li>two</li>\n</ul>\n"),
        ("", ""),
    ],
)
def test_what_becomes_of_it(text, page):
    """Emphasis, lists, code and citations are rendered; headings, links and HTML are shown as they were written."""
    assert words(text, IDS) == page


def test_it_is_bounded():
    """A text without end is cut, and says so."""
    assert len(words("a" * (3 * LIMIT), IDS)) < LIMIT + 100
