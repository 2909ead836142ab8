"""Pods, their events and what they use, from plain objects and over the API."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.adapters.kubernetes import fields
from rollout_verdict.adapters.kubernetes.deployment import plan_deployment
from rollout_verdict.adapters.kubernetes.events import MOST, PER_POD, pod_events
from rollout_verdict.adapters.kubernetes.experiment import plan_experiment
from rollout_verdict.adapters.kubernetes.pods import address, digests, pod_state, present, ready_since
from rollout_verdict.adapters.kubernetes.rollout import plan_rollout
from rollout_verdict.adapters.kubernetes.search import selector_of
from rollout_verdict.adapters.kubernetes.usage import usage_of
from rollout_verdict.core.target import UNSAID
from rollout_verdict.core.values import SourceKind
from tests.fakes.kubernetes import Fault, scenarios
from tests.fakes.kubernetes.faults import ANSWERS
from tests.fakes.kubernetes.scenarios import CANARY

NOW = datetime(2026, 1, 31, 10, tzinfo=UTC)
READY = "2026-01-31T09:50:00Z"
STARTED = "2026-01-31T09:00:00Z"


def pod(*, ready="True", restarts=0, **status):
    return {
        "metadata": {"name": "p"},
        "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i:1"}]},
        "status": {
            "phase": "Running",
            "startTime": STARTED,
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": READY}],
            "containerStatuses": [
                {"name": "c", "restartCount": restarts, "ready": True, "imageID": "docker-pullable://i@sha256:1"}
            ],
            **status,
        },
    }


@pytest.mark.parametrize(
    ("given_pod", "since"),
    [
        (pod(), READY),
        (pod(ready="False"), None),
        (pod(restarts=2), STARTED),  # its Ready condition tells of the last recovery
        (pod(ready="False", restarts=2), STARTED),
        (pod(conditions=[]), None),
    ],
)
def test_since_when_a_pod_can_answer(given_pod, since):
    assert ready_since(given_pod) == (datetime.fromisoformat(since) if since else None)


def test_pods_that_are_about_to_go_count_only_when_there_are_no_others():
    going = {"metadata": {"name": "b", "deletionTimestamp": READY}}
    assert present([going, pod()]) == [pod()]
    assert present([going]) == [going]


def test_a_container_is_told_with_its_last_end():
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": READY, "message": "x" * 9_999}}
    status = {"name": "c", "restartCount": 3, "ready": False, "lastState": ended}
    status["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
    state = pod_state(pod(containerStatuses=[status]))
    (container,) = state.containers
    assert (container.state.status, container.state.reason) == ("waiting", "CrashLoopBackOff")
    last = container.last_state
    assert (last.status, last.exit_code, last.reason) == ("terminated", 137, "OOMKilled")
    assert last.finished == datetime.fromisoformat(READY)
    assert len(last.message) == 1_024
    assert (container.restart_count, container.ready, state.node) == (3, False, "n")


def test_digests_of_what_runs_are_told_by_container():
    assert digests([pod(), pod()]) == {"c": "sha256:1"}
    other = pod(containerStatuses=[{"name": "c", "imageID": "i@sha256:0"}])
    assert digests([pod(), other]) == {"c": "sha256:0, sha256:1"}
    assert digests([pod(containerStatuses=[{"name": "c", "imageID": "i:1"}])]) == {}


def event(reason="BackOff", message="again", kind="Pod", name="p", **more):
    return {
        "involvedObject": {"kind": kind, "name": name},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "lastTimestamp": "2026-01-31T09:58:00Z",
        **more,
    }


def test_events_alike_are_told_once_with_their_number():
    found = pod_events(
        [
            event(count=3),
            event(series={"count": 4, "lastObservedTime": "2026-01-31T09:59:30.000000Z"}),
            event("Pulled", type="Normal"),
            event(name="other"),
            event(kind="ReplicaSet"),
            event("Old", lastTimestamp=None, eventTime="2026-01-29T10:00:00.5Z", source={"component": "kubelet"}),
            event("Huge", count=2**40, lastTimestamp="never"),
        ],
        ["p"],
        NOW,
    )
    assert [(one.reason, one.count, one.age) for one in found["p"]] == [
        ("Huge", MOST, ""),
        ("BackOff", 7, "30s"),
        ("Old", 1, "47h"),
        ("Pulled", 1, "2m"),
    ]
    assert found["p"][2].source == "kubelet"
    assert set(found) == {"p"}


def test_events_of_a_pod_are_bounded():
    found = pod_events([event(message=f"m{number}" + "x" * 5_000) for number in range(99)], ["p"], NOW)
    assert len(found["p"]) == PER_POD
    assert max(len(one.message) for one in found["p"]) == 1_024


def test_states_come_with_events_and_use(world):
    scenarios.canary(world.cluster, world.place, newest=replace(CANARY, fares="crash-loop"))
    sides = world.find()
    evidence, gaps = world.adapter.pods(sides, deadline_s=20)
    assert gaps == ()
    assert [one.name for one in evidence.pods.canary] == list(sides.scope.pods.canary)
    assert any(one.type == "Warning" for one in evidence.pods.canary[0].events)
    assert dict(evidence.pods.stable[0].containers[0].usage).keys() == {"cpu", "memory"}


def test_without_a_metrics_api_there_is_nothing_to_tell(world):
    scenarios.canary(world.cluster, world.place)
    world.cluster.groups_away.add("metrics.k8s.io")
    evidence, gaps = world.adapter.pods(world.find(), deadline_s=20)
    assert gaps == ()
    assert evidence.pods.stable[0].containers[0].usage == ()


@pytest.mark.parametrize(
    ("verb_and_resource", "told"),
    [
        (("list", "events"), "kubectl auth can-i list events -n shop"),
        (("list", "pods.metrics.k8s.io"), "kubectl auth can-i list pods.metrics.k8s.io -n shop"),
    ],
)
def test_what_may_not_be_read_is_a_gap_and_the_states_stand(world, verb_and_resource, told):
    scenarios.canary(world.cluster, world.place)
    sides = world.find()
    world.cluster.denied.add(verb_and_resource)
    evidence, (gap,) = world.adapter.pods(sides, deadline_s=20)
    assert told in gap.hint
    assert len(evidence.pods.stable) == 3


def test_a_metrics_server_that_is_down_is_a_gap(world):
    scenarios.canary(world.cluster, world.place)
    sides = world.find()
    world.cluster.faults.append(Fault(resource="pods.metrics.k8s.io", answer=ANSWERS["503"]))
    _, (gap,) = world.adapter.pods(sides, deadline_s=20)
    assert (gap.source, gap.what) == (SourceKind.KUBERNETES, "resource use of the pods")


def test_without_pods_nothing_is_asked(world):
    scenarios.canary(world.cluster, world.place)
    world.cluster.denied.add(("list", "pods"))
    assert world.adapter.pods(world.find(), deadline_s=20) == (None, ())
    assert world.cluster.asked("events") == []


def rollout(index=0, steps=(), **parts):
    strategy = {"canary": {"steps": list(steps), **parts.pop("canary", {})}}
    status = {"stableRS": "a", "currentPodHash": "b", "currentStepIndex": index, **parts.pop("status", {})}
    return {"metadata": {"name": "r"}, "spec": {"replicas": 1, "strategy": strategy, **parts}, "status": status}


STEPS = ({"setWeight": 0}, {"pause": {}}, {"setWeight": 20}, {"pause": {"duration": "5m"}}, {"setWeight": 60})


@pytest.mark.parametrize(
    ("tree", "weight"),
    [
        (rollout(), None),
        (rollout(0, STEPS), 0),
        (rollout(1, STEPS), 0),
        (rollout(3, STEPS), 20),
        (rollout(4, STEPS), 60),
        (rollout(5, STEPS), 100),
        (rollout(0, ({"pause": {}},)), 0),
        (rollout(3, STEPS, status={"canary": {"weights": {"canary": {"weight": 7}}}}), 7),
    ],
)
def test_the_canarys_weight(tree, weight):
    assert plan_rollout(tree, [], UNSAID).progress.weight == weight


@pytest.mark.parametrize(("stable", "services"), [("ping", ("p1", "p2")), ("pong", ("p2", "p1")), ("", ("p1", "p2"))])
def test_ping_pong_services_change_places(stable, services):
    tree = rollout(
        canary={"pingPong": {"pingService": "p1", "pongService": "p2"}}, status={"canary": {"stablePingPong": stable}}
    )
    found = plan_rollout(tree, [], UNSAID).services
    assert (found.stable, found.canary) == services


def test_a_pause_counts_as_the_beginning_of_traffic_after_the_first_weight_only():
    pause = {"pauseConditions": [{"reason": "CanaryPauseStep", "startTime": READY}]}
    routed = {"trafficRouting": {"nginx": {}}}
    assert plan_rollout(rollout(3, STEPS, canary=routed, status=pause), [], UNSAID).floor
    assert not plan_rollout(rollout(3, STEPS, status=pause), [], UNSAID).floor, "without a router readiness decides"
    late = (*STEPS, {"pause": {}})
    assert not plan_rollout(rollout(5, late, canary=routed, status=pause), [], UNSAID).floor
    assert not plan_rollout(rollout(1, STEPS, canary=routed, status=pause), [], UNSAID).floor, "no weight yet"


@pytest.mark.parametrize(
    ("tree", "situation"),
    [
        (rollout(status={"currentPodHash": ""}), "new"),
        (rollout(paused=True), "paused"),
        (rollout(status={"phase": "Degraded"}), "degraded"),
        (rollout(), "progressing"),
    ],
)
def test_other_situations(tree, situation):
    assert plan_rollout(tree, [], UNSAID).progress.situation == situation


def test_a_change_that_the_controller_has_not_seen_is_told():
    tree = rollout(status={"observedGeneration": "3"})
    tree["metadata"]["generation"] = 4
    assert any("generation 3 of 4" in gap.reason for gap in plan_rollout(tree, [], UNSAID).gaps)


def test_a_pause_by_a_person_is_told():
    assert any("spec.paused" in gap.reason for gap in plan_rollout(rollout(paused=True), [], UNSAID).gaps)


def test_a_deployment_that_is_stuck_or_paused_says_so():
    sets = [
        {
            "metadata": {
                "labels": {"pod-template-hash": name},
                "annotations": {"deployment.kubernetes.io/revision": str(number)},
            },
            "status": {"replicas": 1},
        }
        for number, name in enumerate("ab", 1)
    ]
    condition = {"type": "Progressing", "status": "False", "message": "timed out"}
    tree = {"metadata": {"name": "d"}, "spec": {"paused": True}, "status": {"conditions": [condition]}}
    plan = plan_deployment(tree, sets, UNSAID)
    assert (plan.progress.situation, plan.progress.message) == ("paused", "timed out")
    assert (plan.hashes.stable, plan.hashes.canary) == ("a", "b")
    tree["spec"] = {"replicas": 0}
    assert plan_deployment(tree, sets, UNSAID).progress.situation == "scaled to zero"


def test_an_experiment_that_is_being_ended_promotes_nothing():
    plan = plan_experiment({"metadata": {"name": "e"}, "spec": {"terminate": True}, "status": {}}, [], None)
    assert plan.progress.obstacle == "experiment e is being ended"


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["x", "y"]}]}, "a in (x,y)"),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["x"]}]}, "a notin (x)"),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, "a"),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, "!a"),
        ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "a", "operator": "Odd"}]}, ""),
        ({}, "from=status"),
    ],
)
def test_a_label_selector_as_text(selector, text):
    assert selector_of({"spec": {"selector": selector}, "status": {"selector": "from=status"}}) == text


@pytest.mark.parametrize(
    "selector",
    [
        "app=a,rollouts-pod-template-hash=5b8f9c,tier in (x,y)",
        "rollouts-pod-template-hash=5b8f9c,app=a,tier in (x,y)",
        "app=a,tier in (x,y),rollouts-pod-template-hash=5b8f9c",
    ],
)
def test_a_label_selector_in_the_status_is_taken_without_the_hash_of_one_side(selector):
    assert selector_of({"status": {"selector": selector}}) == "app=a,tier in (x,y)"


KEYS = st.sampled_from(
    ["metadata", "spec", "status", "name", "labels", "annotations", "ownerReferences", "containers", "strategy", "canary",
     "blueGreen", "steps", "setWeight", "conditions", "type", "pauseConditions", "startTime", "containerStatuses",
     "state", "waiting", "templates", "templateStatuses", "trafficRouting", "nginx", "plugins", "currentStepIndex",
     "stableRS", "currentPodHash", "involvedObject", "count", "series", "usage", "alb", "weights", "selector",
     "matchLabels", "matchExpressions", "values", "replicas", "experiment"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just(READY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=40,
)
OBJECT = st.dictionaries(KEYS, JSON, max_size=8)


@given(OBJECT, st.lists(OBJECT, max_size=3))
def test_any_objects_are_read_without_a_traceback(tree, others):
    plan_rollout(tree, others, UNSAID, others[0] if others else None)
    plan_experiment(tree, others, others[0] if others else None)
    plan_deployment(tree, others, UNSAID)
    selector_of(tree)
    pod_state(tree)
    ready_since(tree)
    address(tree)
    digests([tree, *others])
    present([tree, *others])
    pod_events([tree, *others], ["", "p"], NOW)
    usage_of([tree, *others])


@given(JSON, st.lists(KEYS, max_size=4))
def test_fields_of_anything_have_the_kind_asked_for(document, path):
    assert isinstance(fields.text_of(document, *path), str)
    assert isinstance(fields.objects(document, *path), list)
    assert isinstance(fields.mapping(document, *path), dict)
    assert isinstance(fields.texts(document, *path), tuple)
    found = fields.number(document, *path)
    assert found is None or isinstance(found, int)
    time = fields.moment(document, *path)
    assert time is None or time.utcoffset() == timedelta(0)
    fields.controller(document)
