"""Logging in as browsers do it: under a name, over plain http, and by a link that stands elsewhere."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from tests.conftest import needs
from tests.service.conftest import TOKENS, bearer, make_services, served
from tests.service.pages.browser import ARGUMENTS

NAMES = "--host-resolver-rules=MAP *.lan 127.0.0.1"


@pytest.fixture
def address(tmp_path):
    """A service that does not know its own address, under a name as a company network has it."""
    with served(make_services(tmp_path, public_url="")) as found:
        yield found.replace("127.0.0.1", "verdict.lan")


@pytest.fixture
def page(chromium):
    """A browser that knows that name."""
    browser = chromium.browser_type.launch(executable_path=needs("chromium"), args=[*ARGUMENTS, NAMES])
    yield browser.new_page()
    browser.close()


def log_in(page):
    page.fill("#token", TOKENS["run"])
    page.click("button")
    page.wait_for_load_state()


def test_a_browser_logs_in_and_uses_forms_over_plain_http(page, address):
    """Chromium sends no Sec-Fetch-Site there, so Origin must tell whose page a form is on."""
    page.goto(f"{address}/login")
    log_in(page)
    assert page.url == f"{address}/analyses"
    page.goto(f"{address}/analyses/new")
    form = page.locator("form[action='/analyses/start']")
    form.locator("[name=namespace]").fill("shop")
    form.locator("[name=name]").fill("healthy")
    form.locator("button").click()
    page.wait_for_load_state()
    assert page.get_by_role("heading", level=1).inner_text().lower() == "promote"


@pytest.fixture
def chat():
    """A page of another site; its link leads to what stands in ``links``."""
    links = []

    class Chat(BaseHTTPRequestHandler):
        def do_GET(self):
            content = f'<a href="{links[-1]}">the verdict</a>'.encode()
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Chat)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://chat.lan:{server.server_port}/", links
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_link_in_a_chat_leads_to_its_verdict(page, address, chat):
    elsewhere, links = chat
    made = httpx2.post(
        f"{address.replace('verdict.lan', '127.0.0.1')}/v1/analyses",
        json={"namespace": "shop", "name": "healthy"},
        headers=bearer("run"),
    ).json()["id"]
    links.append(f"{address}/analyses/{made}")
    page.goto(elsewhere)
    page.click("a")
    page.wait_for_load_state()
    log_in(page)
    assert page.url == links[-1], "after logging in"
    page.goto(elsewhere)
    page.click("a")
    page.wait_for_load_state()
    assert page.url == links[-1], "logged in already"
