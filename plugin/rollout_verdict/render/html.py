"""The report as one HTML file: opens from disk, needs neither network nor script, prints, and works in the dark.

Nothing in it comes from elsewhere and nothing in it runs: the content security policy says so to the browser, by the
digest of our own style sheet. Every text passes ``visible`` and Jinja's escaping, whatever its origin.
"""

from base64 import b64encode
from functools import cache
from hashlib import sha256

from jinja2 import Environment
from markupsafe import Markup

from rollout_verdict.core.result import Result
from rollout_verdict.render import json
from rollout_verdict.render.environment import asset, environment
from rollout_verdict.render.view import view

EMBEDDED = 4_000_000  # bytes of JSON in the file; beyond, result.json beside it has to do


def render(result: Result) -> str:
    """Return the report as one HTML document."""
    style = asset("report.css")
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            view(result),
            style=Markup(style),  # noqa: S704 - our own file
            style_hash=b64encode(sha256(style.encode()).digest()).decode(),
            document=_embedded(result),
        )
    )


@cache
def _environment() -> Environment:
    return environment()


def _embedded(result: Result) -> Markup:
    """Return the JSON document so that nothing in it can end the element it stands in."""
    document = json.render(result)
    if len(document) > EMBEDDED:
        document = '{"schema": null, "note": "too large to embed; see result.json beside this report"}'
    for char in "<>&\u2028\u2029":
        document = document.replace(char, f"\\u{ord(char):04x}")
    return Markup(document)  # noqa: S704 - JSON without a single character that HTML knows
