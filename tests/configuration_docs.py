"""Write what the docs say about the configuration from the model: ``python -m tests.configuration_docs``."""

import inspect
import json
import re
from typing import Any

from rollout_verdict.configuration import json_schema, tunable
from rollout_verdict.core.logs.judge import LogPolicy
from rollout_verdict.core.metrics.judge import MetricPolicy
from rollout_verdict.core.pods import PodPolicy
from tests.conftest import ROOT

SCHEMA = ROOT / "docs" / "configuration.schema.json"
PAGE = ROOT / "docs" / "configuration.md"

_HEAD = """\
# Configuration

What may stand under the plugin's name in an AnalysisTemplate. The plugin answers to whatever name the template and the
ConfigMap use for it; there must be exactly one. This page and `configuration.schema.json` are written from the model
by `python -m tests.configuration_docs`.

```yaml
metrics:
- name: verdict
  provider:
    plugin:
      acme/rollout-verdict:
        mode: auto
        window: 10m
        requiredSources: [logs, metrics]
```

Durations are texts such as `90s`, `5m` or `1h30m`, or numbers of seconds. A key that is not listed is ignored with a
warning in the measurement's `verdict.warnings`, and an error with `strict: true`. A value of the wrong type, or an
impossible one, makes the measurement an Error whose message names the key, the value (unless it may be a secret) and
what was expected.

Templates written for argoproj-labs/metric-ai keep working: all its keys are known. Its pod labels default to
`role=stable` and `role=canary`; here both sides are found by the Rollout's own pod template hash when no label is set.

| key | type | default | meaning |
| --- | --- | --- | --- |
"""


_THRESHOLDS = """
## Thresholds

What may stand below `thresholds`: numbers not below 0, whole ones where the default is one.

```yaml
thresholds:
  logs: {minNewPods: 1}
  pods: {neverReadyAfterS: 300}
```

| key | default | why |
| --- | --- | --- |
"""
_FIELD = re.compile(r"    (\w+): (?:int|float) = [^#\n]*# (.*)")


def rendered_schema() -> str:
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    schema = json_schema()
    out = [_HEAD, *_rows("", schema, schema["$defs"])]
    return "".join([*out, _THRESHOLDS, *_thresholds()])


def _thresholds() -> list[str]:
    """Return a row for each threshold; its reason is the comment in the policy's source."""
    rows = []
    for name, policy in (("logs", LogPolicy()), ("metrics", MetricPolicy()), ("pods", PodPolicy())):
        reasons = dict(_FIELD.findall(inspect.getsource(type(policy))))
        rows += [
            f"| `{name}.{key}` | `{json.dumps(getattr(policy, field))}` | {reasons[field]} |\n"
            for key, field in tunable(policy).items()
        ]
    return rows


def _rows(prefix: str, part: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    rows: list[str] = []
    for name, found in part["properties"].items():
        inner = definitions.get(found.get("$ref", "").rpartition("/")[2], {})
        if "properties" in inner:
            rows.append(_row(prefix + name, "object", "", found.get("description", inner["description"])))
            rows += _rows(f"{prefix}{name}.", inner, definitions)
            continue
        rows.append(
            _row(prefix + name, _type(found, inner, definitions), _default(found), found.get("description", ""))
        )
        items = definitions.get(found.get("items", {}).get("$ref", "").rpartition("/")[2], {})
        if "properties" in items:
            rows += _rows(f"{prefix}{name}[].", items, definitions)
    return rows


def _row(name: str, kind: str, default: str, description: str) -> str:
    return f"| `{name}` | {kind} | {default} | {' '.join(description.split()).replace('|', chr(92) + '|')} |\n"


def _type(found: dict[str, Any], inner: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "enum" in inner:
        return " / ".join(f"`{word}`" for word in inner["enum"])
    kinds = [part.get("type") for part in found.get("anyOf", ())]
    if kinds == ["string", "number"]:
        return "duration"
    if len(kinds) > 1 and "null" not in kinds:
        return " or ".join(_type(part, {}, definitions) for part in found["anyOf"])
    kind = found.get("type") or next((kind for kind in kinds if kind), "")
    if "minimum" in found and "maximum" in found:
        kind = f"{kind} {found['minimum']}..{found['maximum']}"
    if kind == "array":
        items = found.get("items", {})
        words = definitions.get(items.get("$ref", "").rpartition("/")[2], {}).get("enum")
        return "list of " + (" / ".join(f"`{word}`" for word in words) if words else items.get("type", "object") + "s")
    return str(kind)


def _default(found: dict[str, Any]) -> str:
    default = found.get("default")
    return "" if default in (None, "", [], {}) else f"`{json.dumps(default)}`"


if __name__ == "__main__":
    SCHEMA.write_text(rendered_schema())
    PAGE.write_text(page())
