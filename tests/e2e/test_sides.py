"""Every way of finding the two sides, on objects that Argo Rollouts' and Kubernetes' own controllers made."""

from typing import Any

import pytest

from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.target import TargetError, TargetKind
from rollout_verdict.core.values import Pair, Side
from tests.e2e.cluster import Cluster
from tests.e2e.looking import first_revision, hashes, look, paused, status, update
from tests.e2e.manifests import NAME, analysis, analysis_template, canary, deployment, rollout, service, template
from tests.e2e.traffic import HASH

HALF = ({"setWeight": 50}, {"pause": {}})
DEPLOYMENT_HASH = "pod-template-hash"


def reasons(evidence: Evidence) -> str:
    return " | ".join(f"{gap.what}: {gap.reason}" for gap in evidence.gaps)


def waiting_analysis(cluster: Cluster, namespace: str) -> None:
    """Make an AnalysisTemplate whose runs stay running: their first measurement is an hour away."""
    cluster.create(analysis_template(namespace, {"mode": "rules"}, count=1, initialDelay="1h"))


def the_run(cluster: Cluster, namespace: str) -> str:
    """Wait for the one AnalysisRun and return its name."""
    (run,) = cluster.wait("an AnalysisRun", lambda: cluster.listed("analysisruns", namespace))
    name: str = run["metadata"]["name"]
    return name


def half_way(cluster: Cluster, namespace: str, **fields: Any) -> tuple[str, str]:
    """Bring a canary to its first pause; return the hashes of stable and canary."""
    cluster.create(rollout(namespace, canary(*HALF, **fields)))
    old = first_revision(cluster, namespace)
    update(cluster, namespace, template("v2"))
    return old, paused(cluster, namespace)


def test_canary_at_a_pause(cluster: Cluster, namespace: str) -> None:
    """Hashes, pods, step, weight, revision, what changed, states and logs of a canary at a pause."""
    old, new = half_way(cluster, namespace)
    evidence = look(cluster.reader, namespace)
    assert (evidence.rollout.stable_hash, evidence.rollout.canary_hash) == (old, new)
    assert hashes(cluster, evidence) == Pair(stable={old}, canary={new})
    progress = evidence.progress
    assert progress is not None
    assert (progress.strategy, progress.situation, progress.step, progress.steps) == ("canary", "paused", 1, 2)
    assert (progress.weight, progress.revision, progress.obstacle) == (50, "2", "")
    assert evidence.diff is not None
    changed = {change.path: (change.stable, change.canary) for change in evidence.diff.changes}
    assert ("registry.example/shop:v1", "registry.example/shop:v2") in changed.values()
    assert evidence.kubernetes is not None
    assert all(pod.phase == "Running" for pod in evidence.kubernetes.pods.canary)
    assert evidence.logs is not None
    assert [log.events for log in evidence.logs.pods.canary] == [1] * len(evidence.pods.canary)


def test_background_analysis(cluster: Cluster, namespace: str) -> None:
    """The AnalysisRun that runs beside the steps leads to its Rollout's sides."""
    waiting_analysis(cluster, namespace)
    old, new = half_way(cluster, namespace, analysis=analysis(startingStep=1))
    evidence = look(cluster.reader, namespace, TargetKind.ANALYSIS_RUN, the_run(cluster, namespace))
    assert evidence.rollout.name == NAME
    assert hashes(cluster, evidence) == Pair(stable={old}, canary={new})


def test_inline_analysis(cluster: Cluster, namespace: str) -> None:
    """The AnalysisRun of a step leads to its Rollout's sides, and the step is told."""
    waiting_analysis(cluster, namespace)
    cluster.create(rollout(namespace, canary({"setWeight": 50}, {"analysis": analysis()})))
    old = first_revision(cluster, namespace)
    update(cluster, namespace, template("v2"))
    evidence = look(cluster.reader, namespace, TargetKind.ANALYSIS_RUN, the_run(cluster, namespace))
    assert hashes(cluster, evidence) == Pair(stable={old}, canary={status(cluster, namespace)["currentPodHash"]})
    assert evidence.progress is not None
    assert (evidence.progress.situation, evidence.progress.step) == ("progressing", 1)


def blue_green(cluster: Cluster, namespace: str, **fields: Any) -> str:
    """Bring a blue-green rollout to its second revision; return the hash of the first."""
    waiting_analysis(cluster, namespace)
    for name in ("active", "preview"):
        cluster.core.create_namespaced_service(namespace, service(name))
    strategy = {"activeService": "active", "previewService": "preview", **fields}
    cluster.create(rollout(namespace, {"blueGreen": strategy}))
    old = first_revision(cluster, namespace)
    update(cluster, namespace, template("v2"))
    return old


def test_blue_green_before_the_switch(cluster: Cluster, namespace: str) -> None:
    """Active is stable, preview is the canary."""
    old = blue_green(cluster, namespace, prePromotionAnalysis=analysis())
    evidence = look(cluster.reader, namespace, TargetKind.ANALYSIS_RUN, the_run(cluster, namespace))
    new = status(cluster, namespace)["currentPodHash"]
    assert cluster.core.read_namespaced_service("active", namespace).spec.selector[HASH] == old
    assert hashes(cluster, evidence) == Pair(stable={old}, canary={new})
    assert evidence.progress is not None
    assert evidence.progress.strategy == "blueGreen"


def test_blue_green_after_the_switch(cluster: Cluster, namespace: str) -> None:
    """The old pods are stable although the new ones are active."""
    old = blue_green(cluster, namespace, postPromotionAnalysis=analysis())
    evidence = look(cluster.reader, namespace, TargetKind.ANALYSIS_RUN, the_run(cluster, namespace))
    new = status(cluster, namespace)["currentPodHash"]
    assert cluster.core.read_namespaced_service("active", namespace).spec.selector[HASH] == new
    assert hashes(cluster, evidence) == Pair(stable={old}, canary={new})


@pytest.mark.parametrize("kind", [TargetKind.EXPERIMENT, TargetKind.ANALYSIS_RUN])
def test_experiment(cluster: Cluster, namespace: str, kind: TargetKind) -> None:
    """Baseline and canary of an Experiment are its own pods, not the Rollout's."""
    waiting_analysis(cluster, namespace)
    step = {
        "templates": [{"name": "old", "specRef": "stable"}, {"name": "next", "specRef": "canary"}],
        "analyses": [{"name": "verdict", "templateName": "verdict"}],
    }
    cluster.create(rollout(namespace, canary({"experiment": step}), replicas=1))
    first_revision(cluster, namespace)
    update(cluster, namespace, template("v2"))
    run = the_run(cluster, namespace)
    (experiment,) = cluster.listed("experiments", namespace)
    name = experiment["metadata"]["name"]
    evidence = look(cluster.reader, namespace, kind, name if kind is TargetKind.EXPERIMENT else run)
    assert [pod.rsplit("-", 1)[0] for pod in evidence.pods.stable] == [f"{name}-old"]
    assert [pod.rsplit("-", 1)[0] for pod in evidence.pods.canary] == [f"{name}-next"]
    assert evidence.progress is not None
    assert (evidence.progress.strategy, evidence.progress.situation) == ("experiment", "running")
    assert evidence.diff is not None
    assert any(change.canary.endswith("shop:v2") for change in evidence.diff.changes)


def test_workload_ref(cluster: Cluster, namespace: str) -> None:
    """A Rollout that takes its pod template from a Deployment."""
    cluster.apps.create_namespaced_deployment(namespace, deployment(template("v1"), replicas=0))
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}
    cluster.create(rollout(namespace, canary(*HALF), workloadRef=reference))
    old = first_revision(cluster, namespace)
    cluster.apps.patch_namespaced_deployment(NAME, namespace, {"spec": {"template": template("v2")}})
    new = paused(cluster, namespace)
    assert new != old
    evidence = look(cluster.reader, namespace)
    assert hashes(cluster, evidence) == Pair(stable={old}, canary={new})
    assert evidence.diff is not None
    assert evidence.diff.changes


def test_workload_ref_in_blue_green(cluster: Cluster, namespace: str) -> None:
    """The status of such a Rollout has the selector of its active ReplicaSet; both sides are found all the same."""
    cluster.apps.create_namespaced_deployment(namespace, deployment(template("v1"), replicas=0))
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}
    for name in ("active", "preview"):
        cluster.core.create_namespaced_service(namespace, service(name))
    services = {"activeService": "active", "previewService": "preview"}
    strategy = {"blueGreen": {**services, "autoPromotionEnabled": False, "scaleDownDelaySeconds": 600}}
    cluster.create(rollout(namespace, strategy, workloadRef=reference))
    old = first_revision(cluster, namespace)
    cluster.apps.patch_namespaced_deployment(NAME, namespace, {"spec": {"template": template("v2")}})
    new = paused(cluster, namespace)
    assert f"{HASH}={old}" in status(cluster, namespace)["selector"]
    evidence = look(cluster.reader, namespace)
    assert hashes(cluster, evidence) == Pair(stable={old}, canary={new})
    assert evidence.diff is not None
    assert evidence.diff.changes


def test_deployment(cluster: Cluster, namespace: str) -> None:
    """The newest ReplicaSet of a plain Deployment and the one that serves, while the newest cannot start."""
    cluster.apps.create_namespaced_deployment(namespace, deployment(template("v1")))
    cluster.wait("ready", lambda: cluster.apps.read_namespaced_deployment(NAME, namespace).status.ready_replicas == 2)
    broken = template("v2", image="missing.invalid/shop:v2")
    cluster.apps.patch_namespaced_deployment(NAME, namespace, {"spec": {"template": broken}})

    def pulls() -> bool:
        states = [pod.status.container_statuses for pod in cluster.pods(namespace)]
        return any(one and one[0].state.waiting and one[0].state.waiting.reason == "ImagePullBackOff" for one in states)

    cluster.wait("a pod without an image", pulls)
    evidence = look(cluster.reader, namespace, TargetKind.DEPLOYMENT)
    rollout_ref = evidence.rollout
    expected = Pair(stable={rollout_ref.stable_hash}, canary={rollout_ref.canary_hash})
    assert hashes(cluster, evidence, DEPLOYMENT_HASH) == expected
    assert len(evidence.pods.canary) == 1
    assert evidence.kubernetes is not None
    (pod,) = evidence.kubernetes.pods.canary
    assert pod.containers[0].state.reason == "ImagePullBackOff"
    assert evidence.progress is not None
    assert (evidence.progress.strategy, evidence.progress.situation) == ("deployment", "progressing")


def test_selectors(cluster: Cluster, namespace: str) -> None:
    """Label selectors name the sides outright, whatever the Rollout says."""
    old, new = half_way(cluster, namespace)
    told = Pair(stable=f"app={NAME},{HASH}={new}", canary=f"app={NAME},{HASH}={old}")
    evidence = look(cluster.reader, namespace, selectors=told)
    assert hashes(cluster, evidence) == Pair(stable={new}, canary={old})


def test_first_revision(cluster: Cluster, namespace: str) -> None:
    """Without a revision before it there is nothing to compare with."""
    cluster.create(rollout(namespace, canary(*HALF)))
    first_revision(cluster, namespace)
    evidence = look(cluster.reader, namespace)
    assert evidence.pods.canary == ()
    assert evidence.progress is not None
    assert evidence.progress.situation in ("first revision", "promoted")
    assert evidence.progress.obstacle


def test_fully_promoted(cluster: Cluster, namespace: str) -> None:
    """After full promotion there is no canary, and that is said."""
    cluster.create(rollout(namespace, canary({"setWeight": 50})))
    old = first_revision(cluster, namespace)
    update(cluster, namespace, template("v2"))
    cluster.wait("promotion", lambda: status(cluster, namespace)["stableRS"] not in ("", old))
    new = status(cluster, namespace)["stableRS"]
    evidence = look(cluster.reader, namespace)
    assert evidence.progress is not None
    assert evidence.progress.situation == "promoted"
    assert evidence.pods.canary == ()
    assert hashes(cluster, evidence).stable == {new}
    assert "fully promoted" in reasons(evidence)


def test_aborted(cluster: Cluster, namespace: str) -> None:
    """An aborted rollout says so, and can promote nothing."""
    half_way(cluster, namespace)
    cluster.patch("rollouts", namespace, NAME, {"status": {"abort": True}}, status=True)
    cluster.wait("abort", lambda: status(cluster, namespace).get("phase") == "Degraded")
    evidence = look(cluster.reader, namespace)
    assert evidence.progress is not None
    assert evidence.progress.situation == "aborted"
    assert "was aborted" in reasons(evidence)


def test_scaled_to_zero(cluster: Cluster, namespace: str) -> None:
    """A rollout without replicas says so."""
    cluster.create(rollout(namespace, canary(*HALF)))
    first_revision(cluster, namespace)
    cluster.patch("rollouts", namespace, NAME, {"spec": {"replicas": 0}})
    cluster.wait("no pods", lambda: not cluster.pods(namespace))
    evidence = look(cluster.reader, namespace)
    assert evidence.progress is not None
    assert evidence.progress.situation == "scaled to zero"
    assert evidence.pods == Pair(stable=(), canary=())


def test_canary_without_pods(cluster: Cluster, namespace: str) -> None:
    """A canary whose ReplicaSet may make no pods: the reason is that of the API server."""
    cluster.create(rollout(namespace, canary(*HALF)))
    old = first_revision(cluster, namespace)
    cluster.core.create_namespaced_resource_quota(
        namespace, {"metadata": {"name": "full"}, "spec": {"hard": {"pods": "2"}}}
    )
    counted = {"status": {"hard": {"pods": "2"}, "used": {"pods": "2"}}}
    cluster.core.patch_namespaced_resource_quota_status("full", namespace, counted)
    update(cluster, namespace, template("v2"))

    def refused() -> bool:
        sets = cluster.apps.list_namespaced_replica_set(namespace).items
        return any(one.type == "ReplicaFailure" for each in sets for one in each.status.conditions or ())

    cluster.wait("a refused pod", refused)
    evidence = look(cluster.reader, namespace)
    assert hashes(cluster, evidence) == Pair(stable={old}, canary=set())
    (gap,) = [one for one in evidence.gaps if one.what == "canary pods"]
    assert gap.side is Side.CANARY
    assert "exceeded quota" in gap.reason


@pytest.mark.parametrize("kind", list(TargetKind))
def test_nothing_of_that_name(cluster: Cluster, namespace: str, kind: TargetKind) -> None:
    """What does not exist is an error that names it."""
    with pytest.raises(TargetError, match=f"there is no {kind.value}/ghost in namespace"):
        look(cluster.reader, namespace, kind, "ghost")
