"""The one way by which text gets into a page: Jinja that escapes, and every character made visible."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from rollout_verdict.core.quote import visible

TEXT = 6000  # characters of one text: a whole sample of 4 KiB with room for what escaping adds


def asset(name: str, package: str = "rollout_verdict.render") -> str:
    """Return a file of a package's ``templates`` folder, out of a checkout, a wheel or a zip alike."""
    return files(package).joinpath("templates", name).read_text("utf-8")


def environment(*packages: str, shared: Mapping[str, Any] | None = None) -> Environment:
    """Return an environment over the templates of ``packages`` and of this one; ``shared`` is known to all of them."""

    def load(name: str) -> str | None:
        for package in (*packages, "rollout_verdict.render"):
            try:
                return asset(name, package)
            except FileNotFoundError:
                continue
        return None

    made = Environment(
        loader=FunctionLoader(load),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    made.globals.update(shared or {})
    return made


def _finalize(value: Any) -> Any:
    """Make every printed text visible, at the one place all of them pass."""
    if isinstance(value, Markup):
        return value
    return visible(str(value), limit=TEXT, lines=True)
