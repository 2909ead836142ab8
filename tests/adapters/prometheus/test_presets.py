"""Every preset against a real Prometheus with series in the family's own names and labels."""

import pytest

from rollout_verdict.adapters.prometheus import catalogue
from rollout_verdict.core.values import Side
from tests.adapters.prometheus.asking import collect, mean, values
from tests.adapters.prometheus.conftest import world
from tests.adapters.prometheus.families import FAMILIES
from tests.adapters.prometheus.world import BUCKET, CLIENT, FAILING, RATE, quantile

EACH = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.id)


@EACH
def test_ratios_and_durations_of_both_sides(families, family):
    """What was written is what is found: rate, failures, the callers' errors and durations, on either side."""
    there = world(family, "shop")
    evidence, gaps = collect(families, there.scope(), family.preset)
    expected = set() if family.latency or not _promises_durations(family) else {"durations in the"}
    assert {gap.what.partition(" metrics")[0] for gap in gaps if not gap.what.startswith("part of the")} == expected
    for side in Side:
        pods = set(there.pods(side)) if family.pods else {""}
        name = f"{family.prefix}_requests_per_second"
        assert set(values(evidence, name, side)) == pods
        assert mean(evidence, name, side, total=True) == pytest.approx(RATE.of(side), rel=0.02)
        assert mean(evidence, f"{family.prefix}_error_ratio", side) == pytest.approx(FAILING.of(side), rel=0.05)
        if family.client or family.client_counter:
            assert mean(evidence, f"{family.prefix}_4xx_ratio", side) == pytest.approx(CLIENT, rel=0.05)
        if family.latency:
            _durations(evidence, family, side, pods)


def _promises_durations(family):
    (preset,) = [one for one in catalogue.presets() if one.name == family.preset]
    return any(one.latency for one in preset.variants if one.name == family.variant)


def _durations(evidence, family, side, pods):
    middle = sum(BUCKET.of(side)) / 2
    found = {meta.name: meta.unit for meta in evidence.meta if "duration" in meta.name or "slower" in meta.name}
    if family.preset in ("traefik", "gatewayapi-traefik"):
        assert mean(evidence, "traefik_request_duration_mean_seconds", side) == pytest.approx(middle, rel=0.02)
        slow = {Side.STABLE: 0.0, Side.CANARY: 1.0}[side]
        assert mean(evidence, "traefik_slower_than_0_3s_ratio", side) == pytest.approx(slow, abs=0.001)
        assert mean(evidence, "traefik_slower_than_1_2s_ratio", side) == pytest.approx(0.0, abs=0.001)
        return
    kind = family.latency[0]
    if kind in ("mean", "gauge"):
        (name,) = found
        assert mean(evidence, name, side) == pytest.approx(middle, rel=0.02)
        return
    for q in (0.5, 0.95, 0.99):
        name = f"{family.prefix}_request_duration_p{q * 100:g}_seconds"
        assert found[name] == "seconds"
        assert set(values(evidence, name, side)) == pods
        expected = middle if kind == "summary" else quantile(side, q)
        assert mean(evidence, name, side) == pytest.approx(expected, rel=0.01)


@EACH
def test_too_few_requests_are_insufficient(families, family):
    """A canary with thirty requests: the flag, the number of requests, and nothing that could convict or acquit it."""
    evidence, gaps = collect(families, world(family, "thin").scope(), family.preset)
    (gap,) = [gap for gap in gaps if gap.what == f"metrics of preset {family.preset}"]
    assert gap.reason.startswith("insufficient: ")
    assert "100 are needed" in gap.reason
    assert gap.side is Side.CANARY
    assert gap.hint
    assert {meta.direction.value for meta in evidence.meta} == {"neutral"}


@EACH
def test_a_side_without_series_is_insufficient(families, family):
    """Before its first request a canary has no series: there is nothing to blame it for."""
    evidence, gaps = collect(families, world(family, "lone").scope(), family.preset)
    (gap,) = [gap for gap in gaps if gap.what == f"metrics of preset {family.preset}"]
    assert gap.reason.startswith("insufficient: ")
    assert gap.side is Side.CANARY
    assert gap.hint
    assert {meta.direction.value for meta in evidence.meta} == {"neutral"}
    assert not evidence.series.canary


@pytest.mark.parametrize("family", [one for one in FAMILIES if one.merged or one.blind], ids=lambda family: family.id)
def test_sides_that_nothing_tells_apart(families, family):
    """Series of both versions under one name: the flag, what to do, and no evidence."""
    there = world(family, "same")
    evidence, gaps = collect(families, there.scope(blind=family.merged is None), family.preset)
    (gap,) = gaps
    assert gap.reason.startswith("not-separable: ")
    assert gap.hint
    assert evidence is None


@pytest.mark.parametrize("name", catalogue.names())
def test_a_server_without_series_is_absent(empty, name):
    """No series at all: the flag and what to scrape, and no evidence."""
    evidence, gaps = collect(empty, world(FAMILIES[0], "shop").scope(), name)
    (gap,) = gaps
    assert gap.what == f"metrics of preset {name}"
    assert gap.reason.startswith("absent: ")
    assert gap.hint
    assert evidence is None


def test_every_counter_and_way_of_every_preset_is_tried():
    """No preset goes untested: each counter that a preset probes is written by a family above."""
    written = {family.counter for family in FAMILIES}
    for preset in catalogue.presets():
        for variant in preset.variants:
            known = variant.counter in written or preset.name in {"kubernetes", "gatewayapi-nginx"}
            assert known, f"{preset.name} {variant.counter}"
