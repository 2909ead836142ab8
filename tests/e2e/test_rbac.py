"""The documented role suffices, and each of its verbs is needed: without it there is a gap that names it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kubernetes.client import AuthorizationV1Api

from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.target import TargetKind
from tests.e2e.cluster import READER, Cluster, binding, documented_role, reader_kubeconfig
from tests.e2e.looking import first_revision, look, paused, update
from tests.e2e.manifests import ARGO, NAME, analysis, analysis_template, canary, deployment, rollout, template

# What is looked at to need the resource. All others are needed by a look at a Rollout.
KINDS = {
    "analysisruns": TargetKind.ANALYSIS_RUN,
    "experiments": TargetKind.EXPERIMENT,
    "deployments": TargetKind.DEPLOYMENT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One verb on one resource."""

    group: str
    resource: str
    verb: str

    @property
    def check(self) -> str:
        """The question that a gap's hint has to spell out."""
        name, _, sub = self.resource.partition("/")
        named = f"{name}.{self.group}" if self.group else name
        return f"kubectl auth can-i {self.verb} {named}" + (f" --subresource={sub}" if sub else "")


def grants() -> list[Grant]:
    return [
        Grant(group=group, resource=resource, verb=verb)
        for rule in documented_role()["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]


@pytest.fixture(scope="module")
def shop(cluster: Cluster) -> Iterator[dict[TargetKind, tuple[str, str]]]:
    """A namespace and name of each kind of target, every one of them in the middle of something."""
    rolled, deployed = cluster.namespace("rbac"), cluster.namespace("rbac-deployment")
    cluster.create(analysis_template(rolled, {"mode": "rules"}, count=1, initialDelay="1h"))
    steps = ({"setWeight": 50}, {"pause": {}})
    cluster.create(rollout(rolled, canary(*steps, analysis=analysis(startingStep=1))))
    first_revision(cluster, rolled)
    update(cluster, rolled, template("v2"))
    paused(cluster, rolled)
    (run,) = cluster.wait("an AnalysisRun", lambda: cluster.listed("analysisruns", rolled))
    labels = {"matchLabels": {"app": "trial"}}
    templates = [
        {"name": name, "selector": labels, "template": template(name) | {"metadata": {"labels": {"app": "trial"}}}}
        for name in ("baseline", "canary")
    ]
    cluster.create(
        {
            "apiVersion": ARGO,
            "kind": "Experiment",
            "metadata": {"name": "trial", "namespace": rolled},
            "spec": {"templates": templates},
        }
    )
    cluster.apps.create_namespaced_deployment(deployed, deployment(template("v1"), replicas=1))
    cluster.wait("a Deployment's pod", lambda: cluster.pods(deployed))
    yield {
        TargetKind.ROLLOUT: (rolled, NAME),
        TargetKind.ANALYSIS_RUN: (rolled, run["metadata"]["name"]),
        TargetKind.EXPERIMENT: (rolled, "trial"),
        TargetKind.DEPLOYMENT: (deployed, NAME),
    }
    for namespace in (rolled, deployed):
        cluster.clear(namespace)


def refusals(evidence: Evidence) -> list[str]:
    return [gap.hint for gap in evidence.gaps if "403" in gap.reason or "can-i" in gap.hint]


@pytest.mark.parametrize("kind", list(TargetKind))
def test_the_documented_role_suffices(
    cluster: Cluster, shop: dict[TargetKind, tuple[str, str]], kind: TargetKind
) -> None:
    """Nothing is refused to a ServiceAccount with that role, whatever is looked at."""
    namespace, name = shop[kind]
    evidence = look(cluster.reader, namespace, kind, name)
    assert refusals(evidence) == []
    assert evidence.kubernetes is not None
    assert evidence.logs is not None


@pytest.mark.parametrize("grant", grants(), ids=lambda one: f"{one.verb}-{one.resource.replace('/', '-')}.{one.group}")
def test_each_verb_is_needed_and_named(
    cluster: Cluster, shop: dict[TargetKind, tuple[str, str]], grant: Grant, request: pytest.FixtureRequest
) -> None:
    """Without one verb, the evidence has the gap that names it and the command that checks it, and no other refusal."""
    account = "without-" + "".join(
        char if char.isalnum() else "-" for char in request.node.callspec.id.lower().replace(".", "-")
    ).strip("-")
    kubeconfig = account_without(cluster, grant, account)
    kind = KINDS.get(grant.resource, TargetKind.ROLLOUT)
    namespace, name = shop[kind]
    hints = refusals(look(kubeconfig, namespace, kind, name))
    assert hints
    for hint in hints:
        assert f"{grant.check} -n {namespace} --as=system:serviceaccount:{READER[0]}:{account}" in hint


def account_without(cluster: Cluster, grant: Grant, account: str) -> Any:
    """Return the kubeconfig of a ServiceAccount with all of the documented role but one verb on one resource."""
    rules = [
        {"apiGroups": [one.group], "resources": [one.resource], "verbs": [one.verb]} for one in grants() if one != grant
    ]
    cluster.rbac.create_cluster_role({"metadata": {"name": account}, "rules": rules})
    cluster.rbac.create_cluster_role_binding(binding(account, account))
    cluster.core.create_namespaced_service_account(READER[0], {"metadata": {"name": account}})
    cluster.wait("the authorizer has heard of the role", lambda: all(allowed(cluster, account, rule) for rule in rules))
    return reader_kubeconfig(cluster.client, cluster.folder, account)


def allowed(cluster: Cluster, account: str, rule: dict[str, list[str]]) -> bool:
    resource, _, sub = rule["resources"][0].partition("/")
    asked = {"group": rule["apiGroups"][0], "resource": resource, "subresource": sub, "verb": rule["verbs"][0]}
    review = {"spec": {"user": f"system:serviceaccount:{READER[0]}:{account}", "resourceAttributes": asked}}
    answer = AuthorizationV1Api(cluster.client).create_subject_access_review(review)
    return bool(answer.status.allowed)
