"""A logged-in browser over the real application, that fails a test for whatever the page complains of."""

import contextlib
from pathlib import Path

from rollout_verdict.service.auth import COOKIE
from tests.conftest import ROOT
from tests.render.test_html_browser import ARGUMENTS

ARTIFACTS = ROOT / ".ci" / "artifacts" / "pages"
DESKTOP, PHONE = 1280, 390
FONTS = "--font-render-hinting=none"  # so that screenshots of two machines are alike
HOST = "verdict.test"  # of this machine, and to a browser none that it trusts without TLS, as 127.0.0.1 is
__all__ = ["ARGUMENTS", "ARTIFACTS", "DESKTOP", "FONTS", "HOST", "PHONE", "browsing", "session"]


def session(services, token, address):
    """The cookie of somebody who showed this token."""
    return {"name": COOKIE, "value": services.auth.session(token, "127.0.0.1"), "url": address}


@contextlib.contextmanager
def browsing(chromium, *, cookies=(), width=DESKTOP, scheme="light", javascript=True, allowed=()):
    """A page; what its console says and what it asks of others fails the test, but for ``allowed`` beginnings."""
    height = 844 if width == PHONE else 900
    context = chromium.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        java_script_enabled=javascript,
        reduced_motion="reduce",
    )
    context.add_cookies(list(cookies))
    page = context.new_page()
    heard = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda asked: heard.append(asked.url) if "127.0.0.1" not in asked.url.split("/")[2] else None)
    try:
        yield page
    finally:
        context.close()
    assert [text for text in heard if not text.startswith(tuple(allowed) or ("\0",))] == []


def shoot(page, name):
    """Keep a screenshot of the whole page."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(Path(ARTIFACTS, f"{name}.png")), full_page=True)
