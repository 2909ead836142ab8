"""Style sheet, script and icon: served by names that change with their content, so that browsers keep them for long."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

from fastapi import APIRouter, Request, Response

from rollout_verdict.render.environment import asset
from rollout_verdict.service.problems import UnknownError

_TYPES = {
    "pages.css": "text/css; charset=utf-8",
    "pages.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_FOR_EVER = "public, max-age=31536000, immutable"
_DIGITS = 16  # of a sha256: no two versions of a file meet


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A file as it is served; ``version`` are digits of its digest."""

    content: bytes
    media_type: str
    version: str


def router() -> APIRouter:
    """Return the route. It asks for no token: what it serves is in the package, and the login form needs it."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/static/{name}")
    def static(name: str, request: Request, v: str = "") -> Response:
        """Return a file: for ever under its version, to be asked for again without it."""
        found = assets().get(name)
        if found is None:
            raise UnknownError("there is no such file")
        tag = f'"{found.version}"'
        headers = {"Cache-Control": _FOR_EVER if v == found.version else "no-cache", "ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(found.content, media_type=found.media_type, headers=headers)

    return routes


@cache
def assets() -> dict[str, Asset]:
    """Return all files by name. The style sheet is the report's with what pages need beside it."""
    folder = files("rollout_verdict.service.pages").joinpath("static")
    contents = {name: folder.joinpath(name).read_bytes() for name in _TYPES}
    contents["pages.css"] = asset("report.css").encode() + contents["pages.css"]
    return {
        name: Asset(content=content, media_type=_TYPES[name], version=sha256(content).hexdigest()[:_DIGITS])
        for name, content in contents.items()
    }


def address(name: str) -> str:
    """Return where a file is served, below the application's root."""
    return f"/static/{name}?v={assets()[name].version}"
