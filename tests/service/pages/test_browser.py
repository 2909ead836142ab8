"""The pages in a real browser: desktop and phone, day and night, by keyboard, without script, with axe watching."""

from dataclasses import replace

import pytest

from rollout_verdict.core.stage import Stage
from rollout_verdict.jobs.analysis import Phase
from tests.render import results
from tests.render.test_html_browser import CONTRAST
from tests.service.conftest import TOKENS, make_services, served
from tests.service.memory import BUNDLES, packed
from tests.service.pages import axe, scenes
from tests.service.pages.browser import DESKTOP, HOST, PHONE, browsing, session, shoot

PAGES = {
    "list": "/analyses",
    "nothing-matches": "/analyses?name=nobody",
    "new": "/analyses/new",
    "rollback": "/analyses/rollback",
    "promote": "/analyses/promote",
    "no-data": "/analyses/bare",
    "running": "/analyses/running",
    "queued": "/analyses/queued",
    "error": "/analyses/error",
    "cancelled": "/analyses/cancelled",
    "exchange": "/analyses/rollback/exchange",
    "history": "/history?namespace=shop&name=checkout",
    "missing": "/analyses/missing",
    "nowhere": "/nowhere",
}
# The browser itself says in the console that a page is an answer of 404 or 422.
STATUS = ("Failed to load resource: the server responded with a status of 4",)


def logged_in(services, address, who="run"):
    return [session(services, TOKENS[who], address)]


AT_NIGHT = ("list", "rollback", "running", "history", "new")  # something of everything there is


@pytest.mark.parametrize("width", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize(
    ("name", "scheme"), [*((name, "light") for name in PAGES), *((name, "dark") for name in AT_NIGHT)]
)
def test_every_page_is_whole_readable_and_accessible(chromium, axe_script, filled, name, width, scheme):
    """Nothing scrolls sideways, the console stays empty, texts have contrast, axe finds nothing serious; a picture is kept."""
    services, address = filled
    cookies = logged_in(services, address)
    with browsing(chromium, cookies=cookies, width=width, scheme=scheme, allowed=STATUS) as page:
        page.goto(address + PAGES[name])
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("h1").count() == 1
        shoot(page, f"{name}-{'desktop' if width == DESKTOP else 'phone'}-{scheme}")
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CONTRAST) == []
        assert axe.complaints(page, axe_script) == []


@pytest.mark.parametrize("width", [320, 360])
def test_a_small_phone_shows_everything(chromium, filled, width):
    """Nothing sticks out, the sentences of metrics have the width there is, a section that is jumped to is not painted."""
    services, address = filled
    with browsing(chromium, cookies=logged_in(services, address), width=width) as page:
        for name in ("list", "new", "rollback"):
            page.goto(address + PAGES[name])
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        row, cell = page.locator("#m1"), page.locator("#m1 td.name")
        assert cell.bounding_box()["width"] > 0.9 * row.bounding_box()["width"]
        page.goto(f"{address}{PAGES['rollback']}#checks")
        assert page.locator("#checks").evaluate("e => getComputedStyle(e).backgroundColor") == "rgba(0, 0, 0, 0)"


def test_an_empty_service_says_how_to_start(chromium, axe_script, tmp_path):
    """Who opens the page first reads what to do, and finds the way there."""
    services = make_services(tmp_path)
    with served(services) as address:
        for width, word in ((DESKTOP, "desktop"), (PHONE, "phone")):
            with browsing(chromium, cookies=logged_in(services, address), width=width) as page:
                page.goto(f"{address}/")
                assert page.get_by_text("No analyses yet").is_visible()
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                assert axe.complaints(page, axe_script) == []
                shoot(page, f"empty-{word}-light")
                page.get_by_role("link", name="Upload a recorded bundle").click()
                page.wait_for_url("**/analyses/new")


def test_a_citation_jumps_to_its_evidence_and_marks_it(chromium, filled):
    """What the model's words cite is in view and another colour, even when it is folded away."""
    services, address = filled
    result = results.result()
    said = replace(result.verdict.opinions[1], rationale="It **fails**: see [l1], and [l4] is quiet. Not [l99].")
    verdict = replace(result.verdict, opinions=(result.verdict.opinions[0], said))
    scenes.keep(services, replace(result, verdict=verdict), id="cited")
    with browsing(chromium, cookies=logged_in(services, address)) as page:
        page.goto(f"{address}/analyses/cited")
        words = page.locator("#model .words").first
        assert words.locator("strong").inner_text() == "fails"
        assert words.locator("a").all_inner_texts() == ["l1", "l4"]
        for item in ("l1", "l4"):
            plain = page.locator(f"#{item}").evaluate("e => getComputedStyle(e).backgroundColor")
            words.locator(f"a[href='#{item}']").click()
            page.locator(f"#{item}:target").wait_for()
            assert page.locator(f"#{item}").is_visible()
            assert 0 <= page.locator(f"#{item}").bounding_box()["y"] < 900
            assert page.locator(f"#{item}").evaluate("e => getComputedStyle(e).backgroundColor") != plain


def test_every_link_inside_a_verdict_has_its_target(chromium, filled):
    """No citation and no entry of the sections leads nowhere."""
    services, address = filled
    with browsing(chromium, cookies=logged_in(services, address)) as page:
        page.goto(f"{address}/analyses/rollback")
        targets = page.evaluate("[...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.getAttribute('href'))")
        assert {"#m1", "#l1", "#p1", "#d1", "#main", "#missing"} <= set(targets)
        for target in sorted(set(targets)):
            assert page.locator(f"[id='{target[1:]}']").count() == 1, target


def test_a_chart_reads_under_the_pointer_and_nothing_moves(chromium, filled):
    """Both sides' values at the moment under the pointer; the page keeps its height."""
    services, address = filled
    with browsing(chromium, cookies=logged_in(services, address)) as page:
        page.goto(f"{address}/analyses/rollback")
        chart = page.locator("#chart-m1 svg")
        chart.scroll_into_view_if_needed()
        before = page.evaluate("document.documentElement.scrollHeight")
        box = chart.bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60)
        assert page.locator("#chart-m1 .reading").inner_text() == "canary 23.0 % at 12:01:30 · stable 1 % at 12:01:30"
        assert page.evaluate("document.documentElement.scrollHeight") == before
        page.mouse.move(5, 5)
        assert page.locator("#chart-m1 .reading").inner_text() == ""


def test_it_reads_without_script(chromium, filled):
    """Verdict, reason, charts, samples: nothing needs a script, and a running analysis renews itself."""
    services, address = filled
    with browsing(chromium, cookies=logged_in(services, address), javascript=False) as page:
        page.goto(f"{address}/analyses/rollback")
        assert page.locator("h1").inner_text() == "Roll back"
        assert page.locator("#chart-m1 svg polyline").count()
        page.locator("#l1 summary").first.click()
        assert page.locator("#l1 pre").first.is_visible()
        page.goto(f"{address}/analyses/running")
        assert page.locator("progress").count() == 4
        analysis = services.analyses.kept["running"]
        changed = replace(analysis, stages=(Stage(name="metrics", done=7, total=7),))
        services.analyses.kept["running"] = changed
        page.get_by_text("7 of 7").wait_for(timeout=10_000)
        services.analyses.kept["running"] = analysis


def test_the_keyboard_is_enough(chromium, filled):
    """The first stop skips to the content, what has the focus is outlined, and a filter is set without a mouse."""
    services, address = filled
    with browsing(chromium, cookies=logged_in(services, address)) as page:
        page.goto(f"{address}/analyses")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        assert page.locator(".skip").bounding_box()["x"] >= 0
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        page.keyboard.press("Tab")
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate("document.activeElement.textContent") == "New analysis"
        assert page.evaluate(outline) == "solid"
        page.keyboard.press("Tab")
        page.keyboard.type("payments")
        page.keyboard.press("Enter")
        page.wait_for_url("**/analyses?namespace=payments**")
        assert page.locator(".analyses .open").all_inner_texts() == ["ledger"]


def test_progress_is_live_and_ends_in_the_verdict(chromium, tmp_path):
    """Stages fill in as they come, without a reload, and the verdict takes the page's place."""
    services = make_services(tmp_path, eager=False)
    scenes.fill(services)
    kept = services.analyses.kept
    with served(services) as address, browsing(chromium, cookies=logged_in(services, address)) as page:
        page.goto(f"{address}/analyses/running")
        page.evaluate("window.same = true")
        assert page.get_by_text("5 of 7").is_visible()
        kept["running"] = replace(kept["running"], stages=(Stage(name="metrics", done=6, total=7),))
        page.get_by_text("6 of 7").wait_for(timeout=5_000)
        assert page.evaluate("window.same") is True
        scenes.keep(services, results.result(), id="running", name="search")
        page.locator("h1", has_text="Roll back").wait_for(timeout=5_000)


def test_a_turn_that_comes_is_told(chromium, tmp_path):
    """From the queue to work the heading changes, too, and nothing is loaded anew."""
    services = make_services(tmp_path, eager=False)
    scenes.fill(services)
    kept = services.analyses.kept
    with served(services) as address, browsing(chromium, cookies=logged_in(services, address)) as page:
        page.goto(f"{address}/analyses/queued")
        page.evaluate("window.same = true")
        assert page.locator("h1").inner_text() == "Waiting for its turn"
        kept["queued"] = replace(kept["queued"], phase=Phase.RUNNING, stages=(Stage(name="logs", total=2),))
        page.locator("h1", has_text="Judging").wait_for()
        assert page.get_by_text("0 of 2").is_visible()
        assert page.title().startswith("Running")
        assert page.evaluate("window.same") is True


def test_the_list_is_live_too(chromium, tmp_path):
    """A verdict appears in the list while somebody looks at it."""
    services = make_services(tmp_path, eager=False)
    scenes.fill(services)
    with served(services) as address, browsing(chromium, cookies=logged_in(services, address)) as page:
        page.goto(f"{address}/analyses?name=search")
        page.evaluate("window.same = true")
        assert page.locator(".badge").all_inner_texts() == ["Running"]
        scenes.keep(services, results.result(), id="running", name="search")
        page.locator(".badge", has_text="Roll back").wait_for(timeout=10_000)
        assert page.evaluate("window.same") is True


def test_a_bundle_is_uploaded_and_judged_again(chromium, tmp_path):
    """The form takes a bundle; the verdict can be had again by other rules, and is linked to the first."""
    services = make_services(tmp_path)
    bundle = tmp_path / "slower.tar.gz"
    bundle.write_bytes(packed(BUNDLES / "slower"))
    with served(services) as address, browsing(chromium, cookies=logged_in(services, address)) as page:
        page.goto(f"{address}/analyses/new")
        upload = page.locator("form[enctype='multipart/form-data']")
        upload.get_by_label("Bundle").set_input_files(bundle)
        upload.get_by_label("Namespace").fill("shop")
        upload.get_by_role("button", name="Upload and judge").click()
        page.locator("h1", has_text="Roll back").wait_for()
        first = page.url.rsplit("/", 1)[1]
        assert services.analyses.kept[first].request.origin == "page"
        assert services.analyses.kept[first].request.namespace == "shop"
        page.locator(".again summary").click()
        page.locator(".again select").select_option("rules")
        page.locator(".again button").click()
        page.wait_for_url(lambda address: not address.endswith(first))
        again = services.analyses.kept[page.url.rsplit("/", 1)[1]].request
        assert (again.replay_of, again.config) == (first, {"mode": "rules"})
        page.get_by_role("link", name="judged again after an earlier analysis").click()
        page.wait_for_url(f"**/{first}")


def test_what_is_no_bundle_is_told_beside_the_form(chromium, axe_script, tmp_path):
    """The form comes back with what was wrong and what was filled in, and the message is announced."""
    services = make_services(tmp_path)
    with served(services) as address:
        cookies = logged_in(services, address)
        with browsing(chromium, cookies=cookies, allowed=STATUS) as page:
            page.goto(f"{address}/analyses/new")
            upload = page.locator("form[enctype='multipart/form-data']")
            upload.get_by_label("Bundle").set_input_files(
                {"name": "notes.gz", "mimeType": "application/gzip", "buffer": b"no bundle"}
            )
            upload.get_by_label("Rollout").fill("cart")
            upload.get_by_role("button", name="Upload and judge").click()
            assert "not a bundle" in page.get_by_role("alert").inner_text()
            assert upload.get_by_label("Rollout").input_value() == "cart"
            assert axe.complaints(page, axe_script) == []
            shoot(page, "no-bundle-desktop-light")


def test_a_message_is_marked_as_harmless(chromium, axe_script, tmp_path):
    """Unfolded beside the message, with a reason; from then on the verdict's page and the history tell of it."""
    services = make_services(tmp_path, eager=False)
    scenes.fill(services)
    with served(services) as address:
        for width, word in ((DESKTOP, "desktop"), (PHONE, "phone")):
            with browsing(chromium, cookies=logged_in(services, address), width=width) as page:
                page.goto(f"{address}/analyses/rollback")
                item = page.locator("#l1" if width == DESKTOP else "#m1")
                item.get_by_text("Known to be harmless?").click()
                item.get_by_label("is harmless").fill("the retry of the cache, SHOP-12")
                shoot(page, f"mark-{word}-light")
                item.get_by_role("button", name="Set it aside").click()
                page.wait_for_url("**#marks")
                assert page.locator("#marks").is_visible()
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                assert axe.complaints(page, axe_script) == []
                page.get_by_role("link", name="history of").click()
                page.locator("#marks").get_by_text("SHOP-12").first.wait_for()
                shoot(page, f"history-marks-{word}-light")
                assert axe.complaints(page, axe_script) == []
        assert len(services.marks.find(None)) == 2


def test_cancel_ends_what_runs(chromium, tmp_path):
    """The button cancels; the page says so and offers nothing more to cancel."""
    services = make_services(tmp_path, eager=False)
    scenes.fill(services)
    with served(services) as address, browsing(chromium, cookies=logged_in(services, address)) as page:
        page.goto(f"{address}/analyses/running")
        page.get_by_role("button", name="Cancel").click()
        page.locator("h1", has_text="Cancelled").wait_for()
        assert services.analyses.kept["running"].phase is Phase.CANCELLED
        assert page.get_by_role("button", name="Cancel").count() == 0


def test_who_may_only_read_is_offered_nothing_else(chromium, filled):
    """A reader sees verdicts and no button that would be refused."""
    services, address = filled
    with browsing(chromium, cookies=logged_in(services, address, "read")) as page:
        for path in ("/analyses", "/analyses/rollback", "/analyses/running"):
            page.goto(address + path)
            assert page.locator("main form[method=post]").count() == 0
            assert page.get_by_role("link", name="New analysis").count() == 0


@pytest.mark.parametrize("width", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
def test_who_is_logged_in_logs_out(chromium, filled, width, javascript):
    """From any page, by keyboard, without script; the session is then gone and the page leads to the form."""
    services, address = filled
    cookies = logged_in(services, address, "read")
    form = "[DOM] Password forms should"  # have a field for the user's name: a token has none
    with browsing(chromium, cookies=cookies, width=width, javascript=javascript, allowed=[form]) as page:
        page.goto(f"{address}/analyses/rollback")
        assert page.get_by_role("button", name="Log out").is_visible()
        for _ in range(10):
            page.keyboard.press("Tab")
            if page.locator(":focus").inner_text() == "Log out":
                break
        page.keyboard.press("Enter")
        page.wait_for_url("**/login")
        assert page.context.cookies() == []
        page.goto(f"{address}/analyses")
        assert page.url.endswith("/login?next=%2Fanalyses")


def test_who_comes_without_tls_logs_in_and_out(chromium, tmp_path):
    """Over plain HTTP a browser sends no Sec-Fetch-Site, and tells its origin only if the page's policy lets it."""
    services = make_services(tmp_path, public_url=f"http://{HOST}")
    says = ("[DOM] Password forms should", "The Cross-Origin-Opener-Policy header has been ignored", f"http://{HOST}:")
    with served(services) as address, browsing(chromium, allowed=says) as page:
        page.goto(f"{address.replace('127.0.0.1', HOST)}/login")
        page.get_by_label("Token").fill(TOKENS["run"])
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/analyses", timeout=20_000)
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url("**/login", timeout=20_000)


def test_day_and_night_differ(chromium, filled):
    """The pages follow the reader's colour scheme."""
    services, address = filled
    seen = set()
    for scheme in ("light", "dark"):
        with browsing(chromium, cookies=logged_in(services, address), scheme=scheme) as page:
            page.goto(f"{address}/analyses")
            seen.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(seen) == 2


@pytest.mark.parametrize("width", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_hostile_texts_run_nothing_and_push_nothing_aside(chromium, tmp_path, width):
    """Markup and endless words in every field: the console stays empty, the page as wide as the window."""
    services = make_services(tmp_path, eager=False)
    evil = "\"'></td></code><script>alert(1)</script><img src=x onerror=alert(1)><b style=x>" + "W" * 150
    scenes.fill(services, lambda words: words + evil)
    with served(services) as address, browsing(chromium, cookies=logged_in(services, address), width=width) as page:
        for path in (
            "/analyses",
            "/analyses/rollback",
            "/analyses/running",
            "/analyses/error",
            "/analyses/rollback/exchange",
        ):
            page.goto(address + path)
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert page.locator("img, b[style], script:not([src])").count() == 0
        page.goto(f"{address}/analyses/rollback")
        page.get_by_role("link", name="history of").click()
        assert page.locator(".timeline li").count() == len(scenes.HISTORY) + 1
        assert page.evaluate("document.documentElement.scrollWidth") <= width
