"""Which address is asked, and with whose credentials."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.adapters.prometheus.options import (
    Address,
    AddressError,
    Server,
    Wanted,
    matching,
    normal,
    permitted,
)
from tests.adapters.prometheus.asking import collect
from tests.adapters.prometheus.world import World

OWN = Server(address="http://prometheus.monitoring:9090/", allowed=("https://vm.example/select/0/prometheus",))


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("", Address(base="http://prometheus.monitoring:9090", own=True)),
        ("HTTP://Prometheus.Monitoring:9090", Address(base="http://prometheus.monitoring:9090", own=True)),
        ("http://prometheus.monitoring:9090/api/v1/", Address(base="http://prometheus.monitoring:9090", own=True)),
        (
            "https://vm.example:443/select/0/prometheus",
            Address(base="https://vm.example/select/0/prometheus", own=False),
        ),
        (
            "https://vm.example/select/0/prometheus/tenant",
            Address(base="https://vm.example/select/0/prometheus/tenant", own=False),
        ),
    ],
)
def test_addresses_that_may_be_asked(named, expected):
    assert permitted(OWN, named) == expected


@pytest.mark.parametrize(
    "named",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://prometheus.monitoring:9091",
        "https://prometheus.monitoring:9090",
        "http://prometheus.monitoring:9090/other",
        "http://prometheus.monitoring.evil.example:9090",
        "http://prometheus.monitoring@evil.example:9090",
        "https://vm.example/select/0/prometheus-evil",
        "https://vm.example/select/0/prometheus/../../../admin",
        "https://vm.example/select/0/prometheus/%2e%2e/admin",
        "https://vm.example/select/0/prometheus//x",
        "https://vm.example/select/0/prometheus?x=1",
        "https://vm.example/select/0/prometheus#x",
        "https://me:pw@vm.example/select/0/prometheus",
        "https://vm.example\\@evil/select/0/prometheus",
        "file:///etc/passwd",
        "gopher://x",
        "//prometheus.monitoring:9090",
        "http://",
        "http://[::1",
        "http://x:99999",
        "http://prometh\u00e9us",
    ],
)
def test_addresses_that_may_not_be_asked(named):
    with pytest.raises(AddressError) as caught:
        permitted(OWN, named)
    assert "pw" not in str(caught.value)


def test_nothing_is_set():
    with pytest.raises(AddressError, match="no address"):
        permitted(Server(), "")


def test_an_address_that_may_not_be_asked_is_a_gap():
    """Nothing is sent; the gap says which setting would allow it."""
    wanted = Wanted(address="http://169.254.169.254", presets=("nginx",))
    evidence, (gap,) = collect("http://127.0.0.1:1", World(namespace="x").scope(), wanted=wanted)
    assert evidence is None
    assert "169.254.169.254" in gap.reason
    assert "ROLLOUT_VERDICT_PROMETHEUS_ALLOWED" in gap.hint


@given(st.text(max_size=60) | st.builds("http://{}".format, st.text(max_size=40)))
def test_any_text_is_an_address_or_refused(text):
    """The one form is its own normal form, so that comparing it compares what is asked."""
    try:
        found = normal(text)
    except AddressError:
        return
    assert normal(found) == found


@given(st.text(max_size=60))
def test_no_text_gets_past_the_list(text):
    """What is asked is the operator's address, or lies below an allowed one."""
    try:
        found = permitted(OWN, text)
    except AddressError:
        return
    assert found.own or found.base.startswith("https://vm.example/select/0/prometheus")


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ((), ""),
        ((("cluster", "eu-1"),), 'cluster="eu-1"'),
        ((("tenant", "a"), ("cluster", 'e"u\\'), ("tenant", "a")), r'cluster="e\"u\\",tenant="a"'),
        ((("cluster", "eu-1"), ("cluster", "us-1")), 'cluster="eu-1",cluster="us-1"'),  # no series is of both
    ],
)
def test_matchers_stand_in_a_selector(pairs, expected):
    assert matching(pairs) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, "x") for name in ("", "1a", "a-b", "a=b", 'a"', "__name__", "a\n", "\u00e9")],
        *[("a", value) for value in ("", "x\ny", "x" * 201)],
    ],
)
def test_what_is_no_label_and_no_value_is_refused(name, value):
    with pytest.raises(ValueError, match="labels"):
        matching(((name, value),))


@given(st.text(min_size=1, max_size=40))
def test_no_value_ends_its_string(value):
    """What stands between the quotes is the value again."""
    try:
        told = matching((("a", value),))
    except ValueError:
        return
    inside = re.fullmatch(r'a="((?:[^"\\\n]|\\.)*)"', told)
    assert inside
    assert re.sub(r"\\(.)", r"\1", inside[1]) == value
