"""Logging in as browsers do it: under a name, over plain http, and by a link that stands elsewhere."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.conftest import needs
from tests.service.conftest import TOKENS, make_services, served
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
