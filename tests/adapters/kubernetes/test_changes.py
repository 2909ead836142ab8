"""What changed between two pod templates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.adapters.kubernetes.changes import CHANGES, VALUE, template_diff
from rollout_verdict.core.values import Pair

NONE = Pair(stable={}, canary={})


def template(**container):
    return {"metadata": {"labels": {"app": "cart"}}, "spec": {"containers": [{"name": "cart", **container}]}}


def changes(stable, canary, digests=NONE):
    diff = template_diff(Pair(stable=stable, canary=canary), digests)
    return {change.path: (change.stable, change.canary) for change in diff.changes}


def env(name, **value):
    return {"name": name, **value}


@pytest.mark.parametrize(
    ("stable", "canary", "found"),
    [
        ({"image": "a:1"}, {"image": "a:2"}, {"image": ("a:1", "a:2")}),
        ({"command": ["a", "b"]}, {"command": ["a"]}, {"command": ('["a", "b"]', '["a"]')}),
        ({}, {"args": ["-v"]}, {"args": ("", '["-v"]')}),
        (
            {"env": [env("A", value="1"), env("B", value="2")]},
            {"env": [env("B", value="2"), env("A", value="3")]},
            {"env/A": ("1", "3")},
        ),
        (
            {"env": [env("P", value="x")]},
            {"env": [env("P", valueFrom={"secretKeyRef": {"name": "db", "key": "pw"}})]},
            {"env/P": ("x", "secretKeyRef db/pw")},
        ),
        (
            {"env": [env("P", valueFrom={"configMapKeyRef": {"name": "c", "key": "k"}})]},
            {"env": [env("P", valueFrom={"fieldRef": {"fieldPath": "metadata.name"}})]},
            {"env/P": ("configMapKeyRef c/k", "fieldRef metadata.name")},
        ),
        (
            {"resources": {"limits": {"memory": "1Gi"}}},
            {"resources": {"limits": {"memory": "512Mi"}}},
            {"resources/limits/memory": ("1Gi", "512Mi")},
        ),
        (
            {"readinessProbe": {"httpGet": {"path": "/a", "port": 80}}},
            {"readinessProbe": {"httpGet": {"path": "/b", "port": 80}}},
            {"readinessProbe/httpGet/path": ("/a", "/b")},
        ),
        (
            {"volumeMounts": [{"name": "a", "mountPath": "/a"}]},
            {"volumeMounts": [{"name": "b", "mountPath": "/b"}, {"name": "a", "mountPath": "/a"}]},
            {"volumeMounts/b/mountPath": ("", "/b"), "volumeMounts/b/name": ("", "b")},
        ),
        (
            {"livenessProbe": {"exec": {"command": ["check", "-p", "a"]}}},
            {"livenessProbe": {"exec": {"command": ["check", "-p", "b"]}}},
            {"livenessProbe/exec/command": ('["check", "-p", "a"]', '["check", "-p", "b"]')},
        ),
        ({"securityContext": {"runAsUser": 1}}, {"securityContext": {}}, None),
        ({"image": "a:1"}, {"image": "a:1"}, {}),
    ],
)
def test_each_part_of_a_container_is_told_by_its_path(stable, canary, found):
    told = changes(template(**stable), template(**canary))
    if found is not None:
        assert told == {f"containers/cart/{path}": values for path, values in found.items()}
    else:
        assert told


def test_labels_that_controllers_write_are_no_change():
    stable, canary = template(), template()
    stable["metadata"]["labels"]["rollouts-pod-template-hash"] = "a"
    canary["metadata"]["labels"] |= {"rollouts-pod-template-hash": "b", "tier": "x"}
    assert changes(stable, canary) == {"labels/tier": ("", "x")}


def test_parts_of_the_pod_are_told_as_well():
    stable, canary = template(), template()
    stable["spec"]["volumes"] = [{"name": "c", "configMap": {"name": "one"}}]
    canary["spec"] |= {"volumes": [{"name": "c", "configMap": {"name": "two"}}], "serviceAccountName": "other"}
    assert changes(stable, canary) == {
        "volumes/c/configMap/name": ("one", "two"),
        "serviceAccountName": ("", "other"),
    }


def test_a_tag_that_moved_is_told_by_its_digest():
    same = template(image="cart:latest")
    moved = Pair(stable={"cart": "sha256:a"}, canary={"cart": "sha256:b"})
    assert changes(same, same, moved) == {"containers/cart/digest": ("sha256:a", "sha256:b")}


def test_a_side_without_pods_has_no_digests_and_that_is_no_change():
    assert changes(template(), template(), Pair(stable={"cart": "sha256:a"}, canary={})) == {}


def test_long_values_and_long_lists_are_bounded():
    told = changes(template(image="a"), template(image="b" * 9_999))
    assert len(told["containers/cart/image"][1]) == VALUE
    assert changes(template(image="b" * 9_999 + "1"), template(image="b" * 9_999 + "2")), "cut alike, and told"
    many = template(env=[env(f"V{number:04}", value="x") for number in range(CHANGES + 7)])
    found = template_diff(Pair(stable=template(), canary=many), NONE).changes
    assert len(found) == CHANGES + 1
    assert found[-1].canary == "7 more differences"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["spec", "metadata", "labels", "containers", "env", "name", "valueFrom", "secretKeyRef", "args", "x"]), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(JSON, JSON)
def test_any_templates_have_a_difference_or_none(stable, canary):
    diff = template_diff(Pair(stable=stable, canary=canary), NONE)
    assert [change.path for change in diff.changes] == sorted({change.path for change in diff.changes})
    assert template_diff(Pair(stable=stable, canary=stable), NONE).changes == ()
