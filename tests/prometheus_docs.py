"""Write the tables of docs/prometheus.md from the presets themselves: ``python -m tests.prometheus_docs``."""

import re

from rollout_verdict.adapters.prometheus.catalogue import Preset, Variant, presets
from rollout_verdict.adapters.prometheus.placeholders import DESCRIPTIONS
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "prometheus.md"
_BLOCK = re.compile(r"(<!-- (\w+): written by python -m tests\.prometheus_docs -->\n).*?(<!-- end -->)", re.DOTALL)
_KNOWN = {"source": "S", "general": "G"}


def page(text: str) -> str:
    """Return the page with its tables anew."""
    tables = {"presets": _presets(), "series": _series(), "placeholders": _placeholders()}
    return _BLOCK.sub(lambda match: f"{match[1]}{tables[match[2]]}{match[3]}", text)


def _presets() -> str:
    rows = ["| preset | for | `trafficRouting` | known | data is late by |\n| --- | --- | --- | --- | --- |\n"]
    for one in presets():
        routers = ", ".join(f"`{name}`" for name in one.routers)
        late = f"{one.delay_s // 60} min" if one.delay_s else ""
        rows.append(f"| `{one.name}` | {one.title} | {routers} | {_KNOWN[one.known]} | {late} |\n")
    return "".join(rows)


def _series() -> str:
    rows = ["| preset | series | sides told apart by | failures | durations |\n| --- | --- | --- | --- | --- |\n"]
    rows += (
        _row(one, variant)
        for one in presets()
        for variant in one.variants
        if not one.name.startswith("gatewayapi-") or variant.prefix in {"gateway", "cilium"}
    )
    return "".join(rows)


def _row(preset: Preset, variant: Variant) -> str:
    ways = ", ".join(f"`{way.name}`" for way in variant.ways) or "nothing"
    errors = "; ".join(f"`{match or one.counter}`" for one in variant.errors for match in one.match)
    durations = "; ".join(
        f"{one.kind} `{one.metric or ', '.join(metric for _, metric in one.gauges)}`" for one in variant.latency
    )
    cells = (f"`{preset.name}`", f"`{variant.counter}`", ways, errors, durations)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _placeholders() -> str:
    rows = [f"| `${{{name}}}` | {meaning} |\n" for name, meaning in DESCRIPTIONS.items()]
    return "| placeholder | filled in with |\n| --- | --- |\n" + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
