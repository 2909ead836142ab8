"""The result as one JSON document, canonical: the same result is the same bytes."""

from rollout_verdict.core.canonical import canonical, plain
from rollout_verdict.core.result import Result

SCHEMA = "rollout-verdict/result/v1"


def render(result: Result) -> str:
    """Return the document, a line of UTF-8 text. Prompt and reply are kept in the bundle beside it, not in here.

    The tree is the one of ``Result``; infinite bounds of an interval are null.
    """
    tree = plain(result, unbounded=True)
    for name in ("prompt", "reply", "exchanges"):
        tree.pop(name, None)
    return canonical({"schema": SCHEMA, **tree}).decode() + "\n"
