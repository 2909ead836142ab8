"""One browser for all tests of the pages, and the checker of accessibility."""

import pytest
from playwright.sync_api import sync_playwright

from tests.conftest import needs
from tests.service.conftest import make_services, served
from tests.service.pages import axe, scenes
from tests.service.pages.browser import ARGUMENTS, FONTS, HOST


@pytest.fixture(scope="module")  # its event loop must not outlive the module: others would meet it running
def chromium():
    """Debian's Chromium."""
    program = needs("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=[*ARGUMENTS, FONTS, f"--host-resolver-rules=MAP {HOST} 127.0.0.1"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe_script():
    """The source of axe-core."""
    return axe.script()


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A service with analyses of every kind, and its address."""
    services = make_services(tmp_path_factory.mktemp("filled"), eager=False)
    scenes.fill(services)
    with served(services) as address:
        yield services, address
