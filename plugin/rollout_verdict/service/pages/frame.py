"""What every page has around its content, and the one way by which pages are made."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment

from rollout_verdict.render.environment import environment
from rollout_verdict.service.pages.assets import address
from rollout_verdict.service.tokens import Scope

# No inline script or style anywhere: evidence that got past the escaping would still not run.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_TITLES = {
    400: "That cannot be understood",
    401: "Not logged in",
    403: "Not allowed",
    404: "Not found",
    409: "Not possible just now",
    413: "Too large",
    422: "That cannot be done as it stands",
    429: "Too often",
    503: "Not just now",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where the application is mounted (``base``), which entry of the bar is the page's, who reads and may they run.

    ``session`` says that a browser's session told who reads: what it can end.
    """

    base: str
    origin: str
    here: str
    who: str
    may_run: bool
    session: bool

    def static(self, name: str) -> str:
        """Return where a file of ours is served."""
        return f"{self.base}{address(name)}"


def page(
    request: Request, template: str, context: dict[str, Any], *, here: str = "", status: int = 200
) -> HTMLResponse:
    """Return a page for whoever asked, as the guard told who that is."""
    principal = getattr(request.state, "principal", None)  # as the guard left it; none on the way to the form
    frame = Frame(
        base=request.scope.get("root_path", ""),
        origin=f"{request.url.scheme}://{request.url.netloc}",
        here=here,
        who=principal.name if principal else "",
        may_run=principal is not None and principal.scope.includes(Scope.RUN),
        session=principal is not None and principal.session,
    )
    text = _environment().get_template(template).render(context, page=frame)
    # a text may hold half of a surrogate pair only if ``visible`` was not asked: better a mark than an error
    content = text.encode("utf-8", "replace")
    return HTMLResponse(content, status, headers={"Content-Security-Policy": POLICY})


def problem(request: Request, status: int, message: str) -> HTMLResponse:
    """Return a page that says what went wrong."""
    title = _TITLES.get(status, "Something went wrong")
    return page(request, "problem.html.j2", {"status": status, "title": title, "message": message}, status=status)


@cache
def _environment() -> Environment:
    return environment("rollout_verdict.service.pages")
