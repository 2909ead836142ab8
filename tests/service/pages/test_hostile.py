"""No text from outside leaves its place on a page, whichever field it came in by."""

import re

import pytest

from tests.render.hostile import HOSTILE
from tests.render.test_hostile import _Seen as Seen
from tests.service.conftest import make_client, make_services
from tests.service.pages import scenes

PAGES = (
    "/analyses", "/analyses/rollback", "/analyses/running", "/analyses/error", "/analyses/rollback/exchange",
)  # fmt: skip
FRAME = (
    "html",
    "head",
    "title",
    "script",
    "link",
    "meta",
    "h1",
    "h2",
    "section",
    "nav",
    "form",
    "main",
    "table",
    "button",
)
MARKDOWN = {"p", "ul", "ol", "li", "em", "strong", "code", "pre", "blockquote", "br"}
OURS = re.compile(r"#[\w-]+$|/(?!/)[\w./-]*(?:\?[\w=&%.+~-]*)?(?:#model)?$")


@pytest.fixture(scope="module")
def benign(tmp_path_factory):
    """The pages as they are with harmless texts."""
    services = make_services(tmp_path_factory.mktemp("benign"))
    scenes.fill(services)
    with make_client(services) as client:
        return {path: Seen(client.get(path).text) for path in PAGES}


@pytest.mark.parametrize("evil", HOSTILE, ids=range(len(HOSTILE)))
def test_pages_stay_what_they_are(benign, tmp_path, evil):
    """A poisoned page has the frame of the plain one, no element or attribute that it lacks but a model's emphasis."""
    services = make_services(tmp_path)
    scenes.fill(services, lambda words: f"{words}{evil}" if len(words) % 2 else f"{evil}{words}")
    with make_client(services) as client:
        for path, plain in benign.items():
            answer = client.get(path)
            assert answer.status_code == 200
            page = Seen(answer.text)
            new = page.kinds - plain.kinds
            assert {tag for tag, _ in new} <= MARKDOWN, path
            assert {name for _, name in new} <= {"", "start", "class"}, path
            for tag in FRAME:
                assert page.tags.count(tag) == plain.tags.count(tag), (path, tag)
            for name, value in page.attributes:
                assert not re.match(r"(?i)on|style$|srcdoc", name), (path, name)
                if name in ("href", "src", "action", "data-live") and value:
                    assert OURS.match(value), (path, value)
            assert all(char.isprintable() or char == "\n" for char in "".join(page.text))
