"""The HTML report in a real browser: nothing complains, citations jump, a phone shows it whole, text can be read."""

import pytest
from playwright.sync_api import sync_playwright

from rollout_verdict.core.values import Decision
from rollout_verdict.render import html
from tests.conftest import needs
from tests.render import results
from tests.render.hostile import HOSTILE

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HUGE = next(evil for evil in HOSTILE if len(evil) > 50_000)
REPORTS = {
    "full": results.result,
    "promote": lambda: results.result(decision=Decision.PROMOTE),
    "nothing": results.bare,
    "markup": lambda: results.result(
        lambda words: f"{words}\"'></td><script>alert(1)</script><img src=x onerror=alert(1)>"
    ),
    "huge": lambda: results.result(lambda words: words + HUGE[:1500]),
}
# WCAG 2.x relative luminance and contrast ratio, for every element that holds text of its own.
CONTRAST = """() => {
  const parse = c => { const m = c.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const part = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const ground = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > 0.99) return c; } return parse(getComputedStyle(document.body).backgroundColor); };
  const low = [];
  for (const e of document.querySelectorAll("body *")) {
    if (e.closest("script, .skip, svg title") || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const style = getComputedStyle(e);
    const ink = light(parse(e.closest("svg") ? style.fill : style.color)), paper = light(ground(e));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (ratio < 4.5) low.push(`${e.tagName}.${e.className} ${ratio.toFixed(2)} ${e.textContent.slice(0, 40)}`);
  }
  return low;
}"""


@pytest.fixture(scope="module")
def chromium():
    """A browser for all tests of this module."""
    program = needs("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, tmp_path):
    """Open a report from disk; whatever it complains of or asks the network for fails the test."""
    pages = []

    def open_report(name, *, width=1280, scheme="light", javascript=True):
        file = tmp_path / f"{name}.html"
        file.write_text(html.render(REPORTS[name]()), "utf-8")
        page = chromium.new_page(
            viewport={"width": width, "height": 844}, color_scheme=scheme, java_script_enabled=javascript
        )
        heard = []
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: heard.append(request.url) if not request.url.startswith("file:") else None)
        page.goto(file.as_uri())
        pages.append((page, heard))
        return page

    yield open_report
    for page, heard in pages:
        page.close()
        assert heard == []


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_scrolls_sideways_and_nothing_complains(opened, name, width):
    """Whatever the texts, the page is as wide as the window, and the console stays empty."""
    page = opened(name, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["full", "promote", "nothing"])
def test_text_can_be_read(opened, name, scheme):
    """Every text has the contrast that WCAG AA asks for, by day and by night."""
    page = opened(name, scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate(CONTRAST) == []


def test_day_and_night_differ(opened):
    """The page follows the reader's colour scheme."""
    ask = "getComputedStyle(document.body).backgroundColor"
    assert opened("full").evaluate(ask) != opened("full", scheme="dark").evaluate(ask)


def test_every_citation_jumps_to_its_evidence(opened):
    """Each link inside the page has a target; following one brings the evidence into view and marks it."""
    page = opened("full")
    links = page.locator("a[href^='#']")
    targets = {links.nth(index).get_attribute("href") for index in range(links.count())}
    assert {"#m1", "#l1", "#d1", "#p1"} <= targets
    for target in sorted(targets):
        assert page.locator(f"[id='{target[1:]}']").count() == 1, target
    plain = page.locator("#l1").evaluate("e => getComputedStyle(e).backgroundColor")
    page.locator("#why a[href='#l1']").first.click()
    page.wait_for_function("document.querySelector(':target')?.id === 'l1'")
    top = page.locator("#l1").bounding_box()["y"]
    assert 0 <= top < 844
    assert page.locator("#l1").evaluate("e => getComputedStyle(e).backgroundColor") != plain


def test_it_reads_without_script_and_by_keyboard(opened):
    """With scripts switched off the samples still unfold, by the keyboard alone."""
    page = opened("full", javascript=False)
    summary = page.locator("#l1 summary")
    sample = page.locator("#l1 pre").first
    assert not sample.is_visible()
    summary.focus()
    page.keyboard.press("Enter")
    assert sample.is_visible()


def test_print_shows_what_is_folded(opened):
    """On paper nothing can be unfolded, so nothing is folded."""
    page = opened("full")
    page.emulate_media(media="print")
    assert page.locator("#l1 pre").first.is_visible()
    assert not page.locator("nav").is_visible()


def test_missing_data_is_never_a_pass(opened):
    """A report without any source says "no data" in every part."""
    page = opened("nothing")
    assert page.locator("#checks, #logs, #pods, #template").all_inner_texts() == [
        text for text in page.locator("#checks, #logs, #pods, #template").all_inner_texts() if "no data" in text
    ]
    assert page.locator(".badge").all_inner_texts() == ["no data"] * 4
