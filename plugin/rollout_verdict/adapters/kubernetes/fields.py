"""Reading of Kubernetes objects as they come: dicts of which nothing is sure but that JSON held them.

A field that is missing or of another kind is "", None or an empty list; nothing here raises.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Document = dict[str, Any]


def at(document: Any, *path: str) -> Any:
    """Return what stands at a path of keys, None when there is nothing."""
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def text_of(document: Any, *path: str) -> str:
    """Return the text at a path of keys, "" when there is none."""
    found = at(document, *path)
    return found if isinstance(found, str) else ""


def number(document: Any, *path: str) -> int | None:
    """Return the whole number at a path of keys, None when there is none."""
    found = at(document, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def objects(document: Any, *path: str) -> list[Document]:
    """Return the objects of the list at a path of keys; what is no object is left out."""
    found = at(document, *path)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def mapping(document: Any, *path: str) -> Document:
    """Return the object at a path of keys, an empty one when there is none."""
    found = at(document, *path)
    return found if isinstance(found, dict) else {}


def texts(document: Any, *path: str) -> tuple[tuple[str, str], ...]:
    """Return the texts and numbers of the object at a path of keys as sorted pairs: labels, quantities."""
    found = mapping(document, *path)
    kinds = str | int | float
    return tuple(sorted((key, str(value)) for key, value in found.items() if isinstance(value, kinds)))


def moment(document: Any, *path: str) -> datetime | None:
    """Return the time at a path of keys in UTC, None when there is none."""
    try:
        found = datetime.fromisoformat(text_of(document, *path))
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None


def name_of(document: Any) -> str:
    """Return an object's name."""
    return text_of(document, "metadata", "name")


def label(document: Any, key: str) -> str:
    """Return the value of a label, "" when there is none."""
    return text_of(document, "metadata", "labels", key)


def annotation(document: Any, key: str) -> str:
    """Return the value of an annotation, "" when there is none."""
    return text_of(document, "metadata", "annotations", key)


def controller(document: Any) -> Document:
    """Return the reference to the object that controls this one, an empty one when there is none."""
    owners = objects(document, "metadata", "ownerReferences")
    return next((owner for owner in owners if owner.get("controller") is True), owners[0] if len(owners) == 1 else {})
