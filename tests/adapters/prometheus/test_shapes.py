"""Texts of queries that the server of the tests cannot run, and those whose form matters to others."""

import pytest

from rollout_verdict.adapters.prometheus import shapes
from rollout_verdict.adapters.prometheus.catalogue import Errors, Latency, Variant, Way, presets
from rollout_verdict.adapters.prometheus.choose import in_order
from rollout_verdict.adapters.prometheus.probe import Reading, form_of, step_s
from rollout_verdict.adapters.prometheus.shapes import Form, Selection
from rollout_verdict.core.values import Pair
from tests import prometheus_docs

FORM = Form(total=False, rate_s=60)
ONE = Selection(matchers='pod=~"a-.*"', by="pod")


def test_zero_failures_are_a_zero_only_where_there_were_requests():
    variant = Variant(prefix="x", counter="c_total", ways=())
    text = shapes.ratio(variant, ONE, FORM, Errors(match=('code=~"5.."',), label="code"))
    every = 'sum by (pod) (rate(c_total{pod=~"a-.*"}[60s]))'
    assert text == (f'(sum by (pod) (rate(c_total{{pod=~"a-.*",code=~"5.."}}[60s])) or 0 * {every}) / ({every} > 0)')


def test_names_that_are_no_identifiers_are_matched_as_a_label():
    """Prometheus 3 may keep dots; this form is understood by every version."""
    assert shapes.picked("http.server.duration_count", 'a="b"') == '{__name__="http.server.duration_count",a="b"}'
    assert shapes.picked("up") == "up"


def test_bounds_are_found_however_they_are_written():
    variant = Variant(
        prefix="x", counter="c_total", ways=(), latency=(Latency(kind="coarse", metric="d", bounds=(1.0, 0.3)),)
    )
    reading = Reading(
        preset=presets()[0],
        variant=variant,
        way=Way(name="w"),
        total=False,
        interval_s=15.0,
        given=frozenset(),
        latency=variant.latency[0],
    )
    texts = [ask.queries.canary for ask in shapes.asks(variant, Pair(stable=ONE, canary=ONE), FORM, reading)]
    assert any('le=~"1([.]0+)?"' in text for text in texts)
    assert any('le=~"0[.]30*"' in text for text in texts)


@pytest.mark.parametrize(
    ("window_s", "interval_s", "step"), [(600, 30, 15), (3600, 15, 15), (86_400, 15, 288), (60, 1, 3), (120, 15, 15)]
)
def test_steps(window_s, interval_s, step):
    """Fifteen seconds, at most 300 samples, and in short windows a twentieth."""
    assert step_s(window_s, interval_s) == step


@pytest.mark.parametrize(
    ("window_s", "interval_s", "rate"), [(600, 15, 60), (600, 60, 200), (60, 1, 4), (60, 30, None), (300, 60, 132)]
)
def test_ranges_of_rates(window_s, interval_s, rate):
    """Four scrapes where the window is long enough for them, two at least, and nothing where it is too short."""
    reading = Reading(
        preset=presets()[0],
        variant=presets()[0].variants[0],
        way=Way(name="w"),
        total=False,
        interval_s=interval_s,
        given=frozenset(),
    )
    found = form_of(reading, window_s)
    assert (found[0].rate_s if found else None) == rate


def test_the_order_of_trying():
    """The Rollout's routers, in its order, then mesh, application, and the routers that it does not name."""
    names = [preset.name for preset in in_order(("argoproj-labs/gatewayAPI", "nginx"))]
    assert names[0] == "gatewayapi-istio"
    assert names.index("gatewayapi-gke") < names.index("nginx") < names.index("istio") < names.index("otel")
    assert names.index("app") < names.index("traefik")
    assert len(names) == len(set(names)) == len(presets()) - 1


def test_every_preset_says_what_to_do():
    for preset in presets():
        assert preset.absent, preset.name
        assert preset.inseparable, preset.name
        assert preset.known in {"source", "general"}
        assert preset.variants


def test_the_page_tells_of_the_presets_as_they_are():
    """docs/prometheus.md is written by ``python -m tests.prometheus_docs``."""
    text = prometheus_docs.PAGE.read_text()
    assert prometheus_docs.page(text) == text
    assert all(f"| `{preset.name}` |" in text for preset in presets())
