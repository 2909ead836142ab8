"""What is wrong with a request, in a line: the key, and what was expected. Its values are never repeated."""

from fastapi.exceptions import RequestValidationError

_LONGEST = 300
_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?"  # how the names in ``schemas`` begin


def told(error: RequestValidationError) -> str:
    """Return the first problem in words."""
    first = error.errors()[0]
    where = [str(part)[:60] for part in first.get("loc", ()) if part not in ("body", "query", "path")]
    kind, message = str(first.get("type", "")), str(first.get("msg", "")).removeprefix("Value error, ")
    if kind in ("json_invalid", "json_type"):
        return "the body is not JSON"
    if kind == "missing" and not where:
        return "the request needs a body"
    if kind == "missing":
        return f"{'.'.join(where)} is missing"[:_LONGEST]
    if kind == "extra_forbidden":
        return f"unknown key: {'.'.join(where)}"[:_LONGEST]
    if kind == "string_pattern_mismatch":
        message = _form(str(first.get("ctx", {}).get("pattern", "")))
    line = f"{'.'.join(where)}: {message}" if where else message
    return "".join(c if c.isprintable() else "?" for c in line)[:_LONGEST]


def _form(pattern: str) -> str:
    """Return what a pattern asks for, for people who do not read patterns."""
    if not pattern.startswith(_LABEL):
        return "holds a character that is not taken here"
    dot = " or '.'" if r"\." in pattern else ""
    return f"expected a name as Kubernetes has them: lower-case letters, digits, '-'{dot}"
