"""What changed between two pod templates: both made flat, path by path, and held against each other."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rollout_verdict.adapters.kubernetes.fields import Document, mapping, objects, text_of
from rollout_verdict.core.evidence import TemplateChange, TemplateDiff
from rollout_verdict.core.values import Pair

CHANGES = 200  # nobody reads more; the rest are counted
VALUE = 1_000  # characters of a value: an argument list or an annotation with a whole configuration in it
# Labels and annotations that a controller writes: they differ between any two templates, and say nothing.
_HASHES = frozenset({"rollouts-pod-template-hash", "pod-template-hash", "controller-revision-hash"})
_NAMED = ("name", "mountPath", "containerPort", "key", "topologyKey", "ip")  # what tells the items of a list apart
_COMMAND_LINES = ("/command", "/args")  # of containers, probes and hooks
_REFERENCES = ("secretKeyRef", "configMapKeyRef", "fieldRef", "resourceFieldRef")


def template_diff(templates: Pair[Document], digests: Pair[dict[str, str]]) -> TemplateDiff:
    """Return the differences of two ``spec.template`` objects, sorted by path.

    ``digests`` are those of the images that run, by container: a tag may have moved. A reference to a Secret is named,
    its value is not known here.
    """
    flat = Pair(
        stable=dict(_template(templates.stable, digests.stable)),
        canary=dict(_template(templates.canary, digests.canary)),
    )
    paths = [path for path in sorted({*flat.stable, *flat.canary}) if flat.stable.get(path) != flat.canary.get(path)]
    both = set(digests.stable) & set(digests.canary)  # else a side has no pods yet, which is no change
    paths = [path for path in paths if not path.endswith("/digest") or path.split("/")[1] in both]
    changes = [
        TemplateChange(path=path, stable=_cut(flat.stable.get(path, "")), canary=_cut(flat.canary.get(path, "")))
        for path in paths[:CHANGES]
    ]
    if len(paths) > CHANGES:
        changes.append(TemplateChange(path="…", stable="", canary=f"{len(paths) - CHANGES} more differences"))
    return TemplateDiff(changes=tuple(changes))


def _template(template: Document, digests: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield path and value of all that a pod template says."""
    for kind in ("labels", "annotations"):
        for key, value in mapping(template, "metadata", kind).items():
            if key not in _HASHES:
                yield f"{kind}/{key}", _text(value)
    for key, value in mapping(template, "spec").items():
        if key in ("containers", "initContainers", "ephemeralContainers"):
            for container in objects(template, "spec", key):
                yield from _container(f"{key}/{text_of(container, 'name')}", container, digests)
        else:
            yield from _flat(key, value)


def _container(path: str, container: Document, digests: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    digest = digests.get(text_of(container, "name"), "")
    if digest:
        yield f"{path}/digest", digest
    for key, value in container.items():
        if key == "name":
            continue
        if key == "env":
            for variable in objects(container, "env"):
                yield f"{path}/env/{text_of(variable, 'name')}", _variable(variable)
        else:
            yield from _flat(f"{path}/{key}", value)


def _variable(variable: Document) -> str:
    """Return an environment variable's value, or what it refers to."""
    for kind in _REFERENCES:
        found = mapping(variable, "valueFrom", kind)
        if found:
            parts = (text_of(found, key) for key in ("name", "key", "fieldPath", "containerName", "resource"))
            return f"{kind} {'/'.join(part for part in parts if part)}"
    return _text(variable.get("value", ""))


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the leaves below a value. Items of a list go by their name, so that a new one moves none of the others."""
    if path.endswith(_COMMAND_LINES):
        yield path, _text(value)  # whole: an argument alone does not tell what it is
    elif isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(f"{path}/{key}", inner)
    elif isinstance(value, list) and value:
        for place, item in enumerate(value):
            named = next((item[key] for key in _NAMED if item.get(key)), place) if isinstance(item, dict) else place
            yield from _flat(f"{path}/{named}", item)
    else:
        yield path, _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _cut(text: str) -> str:
    return text if len(text) <= VALUE else f"{text[: VALUE - 1]}…"
