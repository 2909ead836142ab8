"""The Helm chart: its values, its role, and, where helm is installed, what it renders."""

import json
import re
import subprocess

import jsonschema
import pytest
import yaml

from rollout_verdict import __version__
from rollout_verdict.jobs.settings import read_job_settings
from rollout_verdict.service.settings import read_service_settings
from rollout_verdict.settings import read_settings
from tests.conftest import ROOT, needs

CHART = ROOT / "charts" / "rollout-verdict"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SECRETS = {name: {"existingSecret": name} for name in ("tokens", "model", "database")} | {
    "sessionKey": {"existingSecret": "session"}
}
FULL = {
    **SECRETS,
    "replicas": 3,
    "prometheus": {"address": "http://prometheus:9090"},
    "url": "https://verdict.example",
    "settings": {"ROLLOUT_VERDICT_REUSE": "10m"},
    "env": [
        {
            "name": "GOOGLE_CLOUD_PROJECT",
            "valueFrom": {"secretKeyRef": {"name": "vertex", "key": "project"}},
        }
    ],
    "volumes": [{"name": "prometheus", "secret": {"secretName": "prometheus-token"}}],
    "volumeMounts": [{"name": "prometheus", "mountPath": "/etc/rollout-verdict/prometheus", "readOnly": True}],
    "serviceAccount": {"annotations": {"iam.gke.io/gcp-service-account": "verdict@project.iam.example"}},
    "networkPolicy": {"enabled": True, "controllerNamespace": "argo", "from": [{"podSelector": {}}]},
    "rbac": {"create": True, "scope": "namespaces", "namespaces": ["shop", "till"], "tokenReview": False},
}


def test_the_values_are_of_their_schema_and_all_are_told():
    jsonschema.Draft7Validator(SCHEMA).validate(VALUES)
    assert set(VALUES) == set(SCHEMA["properties"]) - {"global"}
    jsonschema.Draft7Validator(SCHEMA).validate(VALUES | FULL)


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": "red"},
        {"replicas": 0},
        {"url": "verdict"},
        {"url": "https://verdict.example/x"},
        {"rbac": {"scope": "all"}},
        {"settings": {"x": 1}},
        {"env": [{"value": "1"}]},
        {"volumeMounts": [{"name": "ca"}]},
        {"serviceAccount": {"name": "other"}},
    ],
    ids=lambda one: next(iter(one)),
)
def test_wrong_values_are_refused(wrong):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(SCHEMA).validate(VALUES | wrong)


def test_the_role_is_that_of_the_docs():
    text = (CHART / "templates" / "_helpers.tpl").read_text()
    rules = yaml.safe_load(re.search(r'define "rollout-verdict.rules" -}}\n(.*?)\n\{\{- end', text, re.DOTALL)[1])
    assert rules == yaml.safe_load((ROOT / "docs" / "rbac.yaml").read_text().partition("---")[0])["rules"]


def test_the_settings_it_sets_are_settings():
    text = (CHART / "templates" / "statefulset.yaml").read_text()
    known = "".join(str(read.__doc__) for read in (read_settings, read_service_settings, read_job_settings))
    named = set(re.findall(r"ROLLOUT_VERDICT_[A-Z_]+", text))
    assert named == {name for name in named if f"``{name}``" in known}
    assert len(named) > 5


def test_the_chart_is_of_this_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__


# With helm


@pytest.fixture
def render(tmp_path):
    helm = needs("helm")

    def run(values, *, ok=True):
        path = tmp_path / "values.yaml"
        path.write_text(yaml.safe_dump(values))
        command = [helm, "template", "rv", CHART, "--namespace", "verdict", "--kube-version", "1.32.0", "-f", path]
        found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (found.returncode == 0) is ok, found.stderr
        return [one for one in yaml.safe_load_all(found.stdout) if one] if ok else found.stderr

    return run


@pytest.mark.parametrize("values", [{}, FULL], ids=["usual", "full"])
def test_what_is_rendered_is_what_kubernetes_takes(render, values):
    import kubernetes_validate

    for manifest in render(values):
        kubernetes_validate.validate(manifest, "1.32", strict=True)


def test_the_pod_may_do_little_and_secrets_are_files(render):
    found = {one["kind"]: one for one in render(FULL)}
    pod = found["StatefulSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {one["name"] for one in pod["volumes"]} == {"tmp", "tokens", "session", "model", "prometheus"}
    assert "ClusterRole" not in found
    assert found["NetworkPolicy"]["spec"]["policyTypes"] == ["Ingress"]


def test_what_the_settings_need_reaches_the_pod(render):
    found = {one["kind"]: one for one in render(FULL)}
    pod = found["StatefulSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert all(one in container["env"] for one in FULL["env"])
    assert all(one in container["volumeMounts"] for one in FULL["volumeMounts"])
    assert all(one in pod["volumes"] for one in FULL["volumes"])
    assert found["ServiceAccount"]["metadata"]["annotations"] == FULL["serviceAccount"]["annotations"]
    assert "annotations" not in {one["kind"]: one for one in render({})}["ServiceAccount"]["metadata"]


def test_replicas_without_what_they_share_are_refused(render):
    assert "they share work, tokens and sessions" in render({"replicas": 2}, ok=False)
