"""Scripted rollouts, from end to end: Argo's controller asks the installed plugin, and does what it says."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.looking import paused
from tests.e2e.manifests import NAME, analysis, analysis_template, canary, rollout, template
from tests.e2e.traffic import HASH, traffic

ROUNDS = 3
REQUESTS_PER_S = 15.0
FEW_PER_S = 0.1
ENOUGH = 100  # requests that each side has answered before the analysis, a canary that is quiet apart
OUTCOME_TIMEOUT_S = 180.0
CONFIGURATION = {
    "mode": "rules",
    "window": "2m",
    "warmUp": "3s",
    "strict": True,
}
Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A new version, who gets requests, and what is to come of it. ``says`` stands in the measurement's message."""

    name: str
    phase: str
    says: str
    ends: Callable[[Document], bool]
    error_share: str = "0"
    quiet: bool = False  # a request now and then for the canary, all others for stable


def promoted(status: Document) -> bool:
    return status.get("phase") == "Healthy" and status["stableRS"] == status["currentPodHash"]


def aborted(status: Document) -> bool:
    return status.get("abort") is True and status.get("phase") == "Degraded"


def waits_for_a_person(status: Document) -> bool:
    reasons = [one["reason"] for one in status.get("pauseConditions", ())]
    return status.get("phase") == "Paused" and reasons == ["InconclusiveAnalysisRun"]


SCRIPTS = (
    Script(name="good", phase="Successful", says="as on stable", ends=promoted),
    Script(name="errors", phase="Failed", says="requests failed on the canary", ends=aborted, error_share="0.3"),
    Script(name="quiet", phase="Inconclusive", says="too little to judge", ends=waits_for_a_person, quiet=True),
)


@pytest.fixture
def namespaces(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """A namespace for each script."""
    found = {one.name: cluster.namespace(f"{one.name}-{request.node.callspec.id}") for one in SCRIPTS}
    yield found
    for name in found.values():
        cluster.clear(name)


@pytest.mark.parametrize("turn", range(1, ROUNDS + 1))
def test_rollouts_end_as_they_should_and_say_why(cluster: Cluster, namespaces: dict[str, str], turn: int) -> None:
    """A good canary is promoted to 100 %, one that throws errors is aborted, one with too little traffic pauses."""
    steps = ({"setWeight": 50}, {"pause": {}}, {"analysis": analysis()}, {"setWeight": 75})
    for namespace in namespaces.values():
        cluster.create(analysis_template(namespace, CONFIGURATION, count=1))
        cluster.create(rollout(namespace, canary(*steps), replicas=4))
    stable = {name: deployed(cluster, namespace) for name, namespace in namespaces.items()}
    answered: dict[str, Counter[str]] = {}
    with ExitStack() as all_traffic:
        for script in SCRIPTS:
            send, old = partial(traffic, cluster, namespaces[script.name]), stable[script.name]
            if script.quiet:
                answered[script.name] = all_traffic.enter_context(
                    send(each_second=REQUESTS_PER_S, to=partial(is_of, old))
                )
                all_traffic.enter_context(send(each_second=FEW_PER_S, to=lambda pod, old=old: not is_of(old, pod)))
            else:
                answered[script.name] = all_traffic.enter_context(send(each_second=REQUESTS_PER_S))
        for script in SCRIPTS:
            served(cluster, script, answered[script.name], stable[script.name])
            new = {"spec": {"template": template("v2", ERROR_SHARE=script.error_share)}}
            cluster.patch("rollouts", namespaces[script.name], NAME, new)
        for script in SCRIPTS:
            canary_hash = paused(cluster, namespaces[script.name])
            answered[script.name].clear()
            served(cluster, script, answered[script.name], stable[script.name] if script.quiet else canary_hash)
            go_on(cluster, namespaces[script.name])
        for script in SCRIPTS:
            namespace = namespaces[script.name]
            measurement = ended(cluster, script, namespace)
            taken = moment(measurement["finishedAt"]) - moment(measurement["startedAt"])
            print(f"{turn}. {script.name}: {measurement['phase']} {taken:.0f} s after Run: {measurement['message']}")
    for script in SCRIPTS:
        check(cluster, script, namespaces[script.name], stable[script.name])


def served(cluster: Cluster, script: Script, answered: Counter[str], hash_: str) -> None:
    """Wait until a side has answered enough to be judged by, however slow the machine is."""
    cluster.wait(f"{script.name}: requests", lambda: answered[hash_] >= ENOUGH, timeout_s=OUTCOME_TIMEOUT_S)


def go_on(cluster: Cluster, namespace: str) -> None:
    """End the pause, as ``kubectl argo rollouts promote`` does."""
    cluster.patch("rollouts", namespace, NAME, {"status": {"pauseConditions": None}}, status=True)


def is_of(hash_: str, pod: Any) -> bool:
    return pod.metadata.labels[HASH] == hash_


def deployed(cluster: Cluster, namespace: str) -> str:
    """Wait for the first revision and return its hash."""
    return cluster.wait(
        f"{namespace}: first revision",
        lambda: (
            promoted(cluster.get("rollouts", namespace, NAME).get("status", {}))
            and cluster.get("rollouts", namespace, NAME)["status"]["stableRS"]
        ),
    )


def ended(cluster: Cluster, script: Script, namespace: str) -> Document:
    """Wait for the rollout's end and return the AnalysisRun's measurement."""
    cluster.wait(
        f"{script.name}: the end of the analysis",
        lambda: [one for one in cluster.listed("analysisruns", namespace) if one.get("status", {}).get("completedAt")],
        timeout_s=OUTCOME_TIMEOUT_S,
    )
    (run,) = cluster.listed("analysisruns", namespace)
    (result,) = run["status"]["metricResults"]
    (measurement,) = result["measurements"]
    assert run["status"]["phase"] == measurement["phase"] == script.phase, measurement
    assert script.says in measurement["message"], measurement["message"]
    return measurement


def check(cluster: Cluster, script: Script, namespace: str, stable: str) -> None:
    """The rollout is where it should be, its pods too."""
    cluster.wait(
        f"{script.name}: its outcome",
        lambda: script.ends(cluster.get("rollouts", namespace, NAME)["status"]),
        timeout_s=OUTCOME_TIMEOUT_S,
    )
    if script.ends is waits_for_a_person:
        assert sorted(is_of(stable, pod) for pod in cluster.pods(namespace)) == [False, False, True, True]
        return
    remain = [script.ends is aborted] * 4
    cluster.wait(
        f"{script.name}: pods of one side", lambda: [is_of(stable, pod) for pod in cluster.pods(namespace)] == remain
    )


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
