"""Placeholders in queries: ``${namespace}``, ``${hash}``, ``${pods}`` and so on, filled in for one side.

The form is ``${name}`` because neither PromQL nor an AnalysisTemplate (``{{ }}``) has another use for it; ``${1}``, a
group of ``label_replace``, is left alone, and ``$${name}`` stands for itself. Text that is filled in never needs
an escape: it is the same in all three kinds of PromQL strings.
"""

import re
from collections.abc import Callable, Mapping

from rollout_verdict.core.target import Scope
from rollout_verdict.core.values import Side

# What an operator's query may say. "name:re" is the value for use inside a regular expression.
DESCRIPTIONS = {
    "side": "`stable` or `canary`",
    "namespace": "namespace of the rollout",
    "rollout": "name of the rollout",
    "hash": "pod template hash of the side",
    "service": "name of the side's Service",
    "pods": "regular expression that matches the names of the side's pods",
    "instances": "regular expression that matches `ip:port` of the side's pods",
    "window": "length of the window, such as `600s`",
    "rate": "range for `rate()`: at least four scrapes and one step, such as `60s`",
    "step": "time between two samples, such as `15s`",
    "matchers": "what `prometheus.matchers` and `ROLLOUT_VERDICT_PROMETHEUS_MATCHERS` ask of labels, such as "
    '`cluster="eu-1"`',
}
KNOWN = frozenset(
    {
        *DESCRIPTIONS,
        *(f"{side}_{name}" for side in ("stable", "canary") for name in ("hash", "service", "pods", "instances")),
    }
)
SIDED = frozenset({"side", "hash", "service", "pods", "instances"})  # what differs between the sides

_PLACEHOLDER = re.compile(r"\$(\$?)\{([^{}]*)\}")
_GROUP = re.compile(r"\d+", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9._:/-]*", re.ASCII)  # names of Kubernetes and AWS; nothing that ends a PromQL string
_LONGEST_STEM = 57  # of "<rollout>-<hash>": longer ones are cut in the pods' names, which have at most 63 characters


class UnknownPlaceholderError(ValueError):
    """A placeholder that does not exist; the text names it and those that do."""


class EmptyPlaceholderError(ValueError):
    """A placeholder without a value for this rollout; ``name`` says which."""

    def __init__(self, name: str) -> None:
        super().__init__(f"nothing is known to put in for ${{{name}}}")
        self.name = name


def used(template: str) -> frozenset[str]:
    """Return the placeholders in a template, without ``:re``."""
    return frozenset(
        name.partition(":")[0]
        for dollar, name in _PLACEHOLDER.findall(template)
        if not dollar and not _GROUP.fullmatch(name)
    )


def check(template: str) -> None:
    """Check an operator's query. Raises UnknownPlaceholderError."""
    for name in sorted(used(template) - KNOWN):
        known = ", ".join(f"${{{one}}}" for one in sorted(KNOWN))
        raise UnknownPlaceholderError(
            f"${{{name}}} is no placeholder; known are {known} ($${{{name}}} stands for itself)"
        )


def render(template: str, values: Mapping[str, str], *, may_be_empty: frozenset[str] = frozenset()) -> str:
    """Return the template with all placeholders filled in.

    Raises UnknownPlaceholderError for a name without an entry, EmptyPlaceholderError for one whose entry is "".
    """

    def filled(match: "re.Match[str]") -> str:
        dollar, name = match[1], match[2]
        if dollar:
            return match[0][1:]
        if _GROUP.fullmatch(name):
            return match[0]
        bare, _, form = name.partition(":")
        if bare not in values or form not in _FORMS:
            raise UnknownPlaceholderError(f"${{{name}}} is no placeholder")
        if not values[bare] and bare not in may_be_empty:
            raise EmptyPlaceholderError(bare)
        return _FORMS[form](values[bare])

    return _PLACEHOLDER.sub(filled, template)


def values(scope: Scope, side: Side, matchers: str = "") -> dict[str, str]:
    """Return what can be filled in for one side; "" for what is not known, or not fit to stand in a query.

    ``matchers`` are those that all series must have, as they stand in a selector.
    """
    other = Side.CANARY if side is Side.STABLE else Side.STABLE
    own, others = _of_side(scope, side), _of_side(scope, other)
    longer = others["service"] if others["service"].startswith(own["service"] + "-") else ""
    return {
        **own,
        **{f"{side.value}_{name}": value for name, value in own.items()},
        **{f"{other.value}_{name}": value for name, value in others.items()},
        "side": side.value,
        "namespace": _fit(scope.rollout.namespace),
        "rollout": _fit(scope.rollout.name),
        "ingresses": alternation(scope.ingresses),
        "longer_service": longer,
        "matchers": matchers,
        "window": f"{int(scope.window.seconds)}s",
    }


def alternation(names: tuple[str, ...]) -> str:
    """Return a regular expression that matches any of the names, "" without names."""
    return "|".join(quoted(name) for name in sorted(set(names)) if name)


def quoted(name: str) -> str:
    """Return a regular expression that matches the name; what no name of Kubernetes holds matches as any character."""
    return re.sub(r"[^A-Za-z0-9_-]", lambda match: "[.]" if match[0] == "." else ".", name)


def _of_side(scope: Scope, side: Side) -> dict[str, str]:
    rollout = scope.rollout
    template_hash = _fit(rollout.canary_hash if side is Side.CANARY else rollout.stable_hash)
    stem = f"{rollout.name}-{template_hash}"
    cut = not template_hash or len(stem) > _LONGEST_STEM
    pods = "" if cut else f"{quoted(stem)}-.*"  # finds those, too, that were replaced inside the window
    listed = tuple(pod for pod in scope.pods.of(side) if cut or not pod.startswith(f"{stem}-"))
    hosts = (quoted(f"[{ip}]" if ":" in ip else ip) for ip in sorted(set(scope.addresses.of(side))) if ip)
    return {
        "hash": template_hash,
        "service": _fit(scope.services.of(side)),
        "target_group": _fit(scope.target_groups.of(side)),
        "pods": "|".join(part for part in (pods, alternation(listed)) if part),
        "instances": "|".join(f"{host}(:[0-9]+)?" for host in hosts),
    }


def _fit(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else ""


_FORMS: dict[str, Callable[[str], str]] = {
    "": str,
    "re": quoted,
    "id": lambda name: re.sub(r"[^A-Za-z0-9]", "_", name),  # as proxies turn names into identifiers
}
