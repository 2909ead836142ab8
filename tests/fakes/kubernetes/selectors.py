"""Label and field selectors, as the API server reads them in a query."""

import re
from collections.abc import Callable, Mapping
from typing import Any

_SET = re.compile(r"(?P<key>[^\s,!=()]+)\s+(?P<how>in|notin)\s+\((?P<values>[^)]*)\)")
_TERM = re.compile(r"\s*(?P<set>[^\s,!=()]+\s+(?:in|notin)\s+\([^)]*\)|[^,]+)\s*(?:,|$)")


def labels(text: str) -> Callable[[Mapping[str, str]], bool]:
    """Return a test of an object's labels. Raises ValueError for what no selector is."""
    tests = [_label(match["set"].strip()) for match in _TERM.finditer(text)] if text.strip() else []
    return lambda have: all(test(have) for test in tests)


def _label(term: str) -> Callable[[Mapping[str, str]], bool]:
    if match := _SET.fullmatch(term):
        values = {value.strip() for value in match["values"].split(",")}
        key, wanted = match["key"], match["how"] == "in"
        return lambda have: ((have[key] in values) if key in have else False) is wanted
    for sign, equal in (("!=", False), ("==", True), ("=", True)):
        if sign in term:
            key, value = (part.strip() for part in term.split(sign, 1))
            return lambda have: (have.get(key) == value) is equal
    if re.fullmatch(r"![^\s!]+", term):
        return lambda have: term[1:] not in have
    if re.search(r"[\s!()]", term):
        raise ValueError(f"unable to parse requirement: {term!r}")
    return lambda have: term in have


def fields(text: str) -> Callable[[Mapping[str, Any]], bool]:
    """Return a test of an object's fields; only ``=``, ``==`` and ``!=`` exist."""
    tests = []
    for term in filter(None, (part.strip() for part in text.split(","))):
        match = re.fullmatch(r"([\w.]+)(==|!=|=)(.*)", term)
        if match is None:
            raise ValueError(f"invalid selector: {term!r}; can't understand {term!r}")
        tests.append((match[1].split("."), match[3], match[2] != "!="))
    return lambda have: all((_at(have, path) == value) is equal for path, value, equal in tests)


def _at(tree: Any, path: list[str]) -> str:
    for part in path:
        tree = tree.get(part, "") if isinstance(tree, Mapping) else ""
    return str(tree)
