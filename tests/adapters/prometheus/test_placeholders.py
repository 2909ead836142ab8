"""Placeholders: what is filled in, what is refused, and that nothing filled in breaks out of its string."""

import contextlib
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.adapters.prometheus import placeholders
from rollout_verdict.adapters.prometheus.options import OwnQuery
from rollout_verdict.adapters.prometheus.own import questions
from rollout_verdict.adapters.prometheus.placeholders import (
    EmptyPlaceholderError,
    UnknownPlaceholderError,
    check,
    render,
    used,
    values,
)
from rollout_verdict.core.values import Pair, Side
from tests.adapters.prometheus.world import World

SCOPE = World(namespace="shop").scope()
STABLE, CANARY = values(SCOPE, Side.STABLE), values(SCOPE, Side.CANARY)


def test_each_side_has_values_of_its_own():
    assert (STABLE["hash"], CANARY["hash"]) == ("5d8f7c9b6d", "7b4c8f66f5")
    assert (STABLE["service"], CANARY["service"]) == ("checkout", "checkout-canary")
    assert STABLE["canary_service"] == CANARY["service"] == "checkout-canary"
    assert (STABLE["namespace"], STABLE["rollout"], STABLE["window"], STABLE["side"]) == (
        "shop",
        "checkout",
        "600s",
        "stable",
    )


def test_pods_match_by_name_and_by_prefix():
    """Pods of the side, and those that were replaced inside the window; nobody else's."""
    for name in (*SCOPE.pods.stable, "checkout-5d8f7c9b6d-gone1"):
        assert re.fullmatch(STABLE["pods"], name)
    for name in (*SCOPE.pods.canary, "checkout-5d8f7c9b6d", "x-checkout-5d8f7c9b6d-aaaaa"):
        assert not re.fullmatch(STABLE["pods"], name)


def test_a_long_name_is_cut_in_the_pods_names_so_they_are_listed():
    """A prefix beyond 57 characters is not what the pods' names begin with."""
    long = "a" * 50
    pods = Pair(stable=(f"{long}-5d8f7c9-abcde",), canary=())
    scope = replace(SCOPE, rollout=replace(SCOPE.rollout, name=long), pods=pods)
    assert values(scope, Side.STABLE)["pods"] == f"{long}-5d8f7c9-abcde"


def test_dots_are_no_wildcards():
    scope = replace(SCOPE, pods=Pair(stable=("a.b",), canary=()), rollout=replace(SCOPE.rollout, stable_hash=""))
    assert re.fullmatch(values(scope, Side.STABLE)["pods"], "a.b")
    assert not re.fullmatch(values(scope, Side.STABLE)["pods"], "axb")


def test_addresses_of_both_families():
    scope = replace(SCOPE, addresses=Pair(stable=("10.0.0.1", "fd00::7", ""), canary=()))
    told = values(scope, Side.STABLE)["instances"]
    for instance in ("10.0.0.1:8080", "10.0.0.1", "[fd00::7]:8080"):
        assert re.fullmatch(told, instance)
    for instance in ("10.0.0.11:8080", "1010.0.0.1"):
        assert not re.fullmatch(told, instance)
    assert values(scope, Side.CANARY)["instances"] == ""


def test_rendering():
    assert (
        render('up{pod=~"${pods}",ns="${namespace:re}"}', {"pods": "a|b", "namespace": "x"}) == 'up{pod=~"a|b",ns="x"}'
    )
    assert render("${a:id}", {"a": "x-y.z"}) == "x_y_z"
    assert render("$${a} ${1} {a} $a", {"a": "b"}) == "${a} ${1} {a} $a"
    assert used("${a} $${b} ${c:re} ${1}") == {"a", "c"}


@pytest.mark.parametrize("template", ["${podz}", "${}", "${pods:upper}", "${Pods}", "${ pods }"])
def test_an_unknown_placeholder_is_named(template):
    with pytest.raises(UnknownPlaceholderError) as caught:
        render(template, STABLE)
    assert template in str(caught.value)


def test_checking_names_the_unknown_and_the_known():
    with pytest.raises(UnknownPlaceholderError, match=r"\$\{podz\} is no placeholder.*\$\{pods\}"):
        check('up{pod=~"${podz}"}')
    check("".join(f"${{{name}}}" for name in placeholders.KNOWN))


def test_what_is_described_is_what_there_is():
    given = {**STABLE, "rate": "60s", "step": "15s"}
    assert set(placeholders.DESCRIPTIONS) <= placeholders.KNOWN <= set(given)


def test_nothing_to_put_in_is_an_error_of_its_own():
    with pytest.raises(EmptyPlaceholderError) as caught:
        render("${service}", {"service": ""})
    assert caught.value.name == "service"


def test_a_query_with_a_side_is_two_questions_and_one_without_is_one():
    two = questions(OwnQuery(name="q", query='up{pod=~"${pods}"}[${window}]'), SCOPE, rate_s=60, step_s=15)
    assert [one.side for one in two] == [Side.STABLE, Side.CANARY]
    (one,) = questions(OwnQuery(name="q", query="rate(up[${rate}])"), SCOPE, rate_s=60, step_s=15)
    assert (one.side, one.text) == (None, "rate(up[60s])")


@given(st.text(max_size=80))
def test_any_template_renders_or_raises_the_documented_errors(template):
    with contextlib.suppress(UnknownPlaceholderError, EmptyPlaceholderError):
        render(template, STABLE)
    with contextlib.suppress(UnknownPlaceholderError):
        check(template)


@given(name=st.text(max_size=40), kind=st.sampled_from(['"', "'", "`"]))
def test_hostile_names_stay_inside_their_string(name, kind):
    """Whatever a name holds: no quote, backslash or line end of it reaches a query."""
    scope = replace(
        SCOPE,
        rollout=replace(SCOPE.rollout, namespace=name, name=name, stable_hash=name),
        pods=Pair(stable=(name,), canary=()),
        addresses=Pair(stable=(name,), canary=()),
        services=Pair(stable=name, canary=""),
        ingresses=(name,),
    )
    for key, value in values(scope, Side.STABLE).items():
        assert not set(value) & {kind, "\\", "\n"}, key
        re.compile(value)
