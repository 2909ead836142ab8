"""``rollout-verdict serve`` on a bare machine, in a browser: logged in by its link, a bundle uploaded, judged, live."""

import contextlib
import os
import queue
import re
import socket
import subprocess
import sys
import threading

import pytest

from tests.conftest import ROOT
from tests.fakes.gemini import FakeGemini
from tests.fakes.gemini.scenarios import citing
from tests.service.memory import BUNDLES, packed
from tests.service.pages import axe
from tests.service.pages.browser import DESKTOP, PHONE, browsing, shoot

STARTS_S, ENDS_S = 60, 30  # on two busy cores
LINK = re.compile(r"http://\S+/login\?code=\S+")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@contextlib.contextmanager
def serving(tmp_path, **more):
    """Start the service as anybody would, with no setting but where its state goes; gives the first start's link."""
    kept = ("PATH", "LANG", "PYTHONPATH", "SYSTEMROOT")
    environment = {name: value for name, value in os.environ.items() if name in kept} | {
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "PYTHONPATH": str(ROOT / "plugin"),
        **more,
    }
    command = [sys.executable, "-m", "rollout_verdict", "serve", "--port", str(free_port())]
    process = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    lines = queue.Queue()

    def listen():
        for line in process.stderr:
            lines.put(line)
        lines.put("")  # the end

    reader = threading.Thread(target=listen)
    reader.start()
    try:
        said, found, running = [], None, False
        while not (found and running):
            said.append(lines.get(timeout=STARTS_S))
            assert said[-1], said
            found = found or LINK.search(said[-1])
            running = running or "listening on http" in said[-1]
        yield found[0]
    finally:
        process.terminate()
        try:
            process.wait(ENDS_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(ENDS_S)
        reader.join(ENDS_S)
        process.stderr.close()


@pytest.fixture
def link(tmp_path):
    """The link of a service without a key."""
    with serving(tmp_path) as found:
        yield found


def upload(page, base, bundle):
    page.goto(f"{base}/analyses/new")
    form = page.locator("form[enctype='multipart/form-data']")
    form.get_by_label("Bundle").set_input_files(bundle)
    form.get_by_label("Namespace").fill("shop")
    form.get_by_role("button", name="Upload and judge").click()
    page.wait_for_url(re.compile(rf"{base}/analyses/[0-9a-f]+$"))


def test_a_bundle_uploaded_in_the_browser_is_judged_with_live_progress(chromium, axe_script, link, tmp_path):
    """From the first start's link to a verdict, its history and its report: no key, no cluster, SQLite."""
    base = link.partition("/login")[0]
    bundle = tmp_path / "saved.tar.gz"  # it is filed under what it names itself
    bundle.write_bytes(packed(BUNDLES / "failing_requests"))
    with browsing(chromium) as page:
        streams = []
        page.on("request", lambda asked: streams.append(asked.url) if asked.url.endswith("/events") else None)
        page.goto(link)
        page.wait_for_url(f"{base}/analyses")
        assert page.get_by_text("No analyses yet").is_visible()
        upload(page, base, bundle)
        page.locator("h1", has_text="Roll back").wait_for(timeout=30_000)
        # the verdict came by the stream, unless it was there before the page was
        assert all(address.startswith(f"{base}/v1/analyses/") for address in streams)
        assert page.locator("#why .claims li").count()
        assert page.locator("figure svg polyline").count()
        assert axe.complaints(page, axe_script) == []
        shoot(page, "serve-verdict-desktop-light")
        page.get_by_role("link", name="history of cart").click()
        assert page.locator(".timeline li").count() == 1
        page.go_back()
        page.get_by_role("link", name="Report", exact=True).click()
        page.wait_for_url("**/report")
        assert page.locator("h1").inner_text() == "Roll back"
        page.go_back()
        with page.expect_download() as bundle:
            page.get_by_role("link", name="Bundle", exact=True).click()
        assert bundle.value.path().read_bytes().startswith(b"\x1f\x8b")
        state = page.context.storage_state()
    for width, word in ((DESKTOP, "desktop"), (PHONE, "phone")):
        with browsing(chromium, cookies=state["cookies"], width=width, scheme="dark") as page:
            page.goto(f"{base}/analyses")
            assert page.locator(".analyses .open").all_inner_texts() == ["cart"]
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            shoot(page, f"serve-list-{word}-dark")


def test_progress_is_live_while_a_model_thinks(chromium, axe_script, tmp_path):
    """The page follows the stream from the queue to the verdict; then it shows the model's words, prompt and reply."""
    gate = threading.Event()

    def held(call):
        gate.wait(STARTS_S)
        return citing(call)

    bundle = tmp_path / "cart.tar.gz"
    bundle.write_bytes(packed(ROOT / "examples" / "bundles" / "bad"))
    with FakeGemini(held) as fake:
        model = {"GEMINI_API_KEY": "k" * 20, "GOOGLE_GEMINI_BASE_URL": fake.url}
        with serving(tmp_path, **model) as link, browsing(chromium) as page:
            base = link.partition("/login")[0]
            streams = []
            page.on("request", lambda asked: streams.append(asked.url) if asked.url.endswith("/events") else None)
            page.goto(link)
            page.wait_for_url(f"{base}/analyses")
            upload(page, base, bundle)
            page.locator(".stages").wait_for(timeout=30_000)
            page.locator(".stage", has_text="model").wait_for(timeout=30_000)
            shoot(page, "serve-running-desktop-light")
            assert axe.complaints(page, axe_script) == []
            gate.set()
            page.locator("#model .words").first.wait_for(timeout=30_000)
            assert len(streams) >= 1
            assert page.locator("#model a.cite").count()
            assert axe.complaints(page, axe_script) == []
            shoot(page, "serve-model-desktop-light")
            page.get_by_role("link", name="Prompt and reply").click()
            assert page.locator("pre.raw").count() == 2
            assert all(text.strip() for text in page.locator("pre.raw").all_inner_texts())


def test_the_link_of_the_first_start_works_once(chromium, link):
    """Who finds it in a terminal's history afterwards is asked for a token."""
    failed = ("Failed to load resource: the server responded with a status of 401", "[DOM] Password forms should")
    with browsing(chromium) as page:
        page.goto(link)
        page.wait_for_url("**/analyses")
    with browsing(chromium, allowed=failed) as page:
        page.goto(link)
        assert "the link has been used" in page.locator("body").inner_text()
        shoot(page, "login-desktop-light")
