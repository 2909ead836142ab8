"""More of one item: what there is of it, a page at most, every foreign text in quotes on one line."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollout_verdict.core.compare import compare
from rollout_verdict.core.comparison import PodFact
from rollout_verdict.core.evidence import ContainerStatus, Evidence, KubernetesEvidence, LogSample
from rollout_verdict.core.model.details import LENGTH, POINTS, details
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.values import Pair, Severity, Side
from tests.adapters import canaries
from tests.core import builders


def told(item, evidence):
    return details(item, evidence, compare(evidence, Policy())).split("\n")


def test_a_log_message_pod_by_pod_and_with_its_samples():
    lines = told("l1", canaries.failing())
    assert lines == [
        'events by stable pod: "shop-5d9-a" 0, "shop-5d9-b" 0, "shop-5d9-c" 0',
        'events by canary pod: "shop-7f6-x" 60, "shop-7f6-y" 70',
        'sample of canary pod "shop-7f6-x": "could not charge card 17"',
    ]


def test_a_log_message_over_time():
    """Neighbouring buckets are added up where there are many."""
    evidence = canaries.failing()
    change = compare(evidence, Policy()).logs.changes[0]
    buckets = Pair(stable=((0,) * 60,) * 3, canary=((1,) * 60, (0,) * 60))
    comparison = builders.comparison(
        logs=builders.logs(replace(change, pattern=replace(change.pattern, buckets=buckets)))
    )
    lines = details("l1", evidence, comparison).split("\n")
    assert lines[2] == f"events over time on stable: {' '.join(['0'] * 20)}"
    assert lines[3] == f"events over time on canary: {' '.join(['3'] * 20)}"
    assert POINTS >= 20


def test_a_metric_pod_by_pod_and_over_time():
    lines = told("m1", canaries.failing())
    assert lines[0].startswith('stable pod "shop-5d9-a": n 30, mean 0.01, lowest 0.008, highest 0.012, last ')
    assert [line.split(":")[0] for line in lines[-2:]] == ["stable over time", "canary over time"]
    assert told("m2", canaries.failing())[0].startswith('stable pod "shop-5d9-a": n 30, mean 0.2, ')
    bare = replace(builders.check(id="m1"), name="http_error_ratio")  # without a trend
    found = details("m1", canaries.failing(), builders.comparison(metrics=builders.metrics(bare)))
    assert "over time" not in found


def test_a_pods_containers_and_events():
    crashed = ContainerStatus(status="terminated", reason="Error", message="no route to db", exit_code=1)
    waiting = ContainerStatus(status="waiting", reason="CrashLoopBackOff")
    pod = builders.pod(
        "c-1",
        builders.container("app", state=waiting, last=crashed, restarts=4, ready=False),
        replace(builders.container("side"), ready=None, restart_count=None),
        events=(builders.event("BackOff", message="back-off restarting"),),
    )
    other = builders.pod("c-2")
    evidence = builders.evidence(kubernetes=KubernetesEvidence(pods=Pair(stable=(), canary=(pod, other))))
    fact = PodFact(id="p1", code="crash-loop", side=Side.CANARY, pods=("c-1",), severity=Severity.VETO, detail="d")
    lines = details("p1", evidence, builders.comparison(pods=builders.pods(fact))).split("\n")
    assert lines == [
        'pod "c-1": phase "Running"',
        (
            'container "app" of "c-1": ready false, restarts 4; state "waiting" "CrashLoopBackOff"; '
            'before "terminated" "Error" "no route to db" exit code 1'
        ),
        'container "side" of "c-1": ready unknown, restarts unknown; state "running"',
        'event "Warning" "BackOff" of "c-1", 5 times: "back-off restarting"',
    ]


@pytest.mark.parametrize("item", ["l99", "d1", "e1", "", "p1"])
def test_of_anything_else_there_is_nothing(item):
    evidence = canaries.failing()
    assert details(item, evidence, compare(evidence, Policy())) == ""
    assert (
        details(item, Evidence(rollout=evidence.rollout, window=None, pods=evidence.pods), builders.comparison()) == ""
    )


def test_a_part_that_is_gone_is_not_told():
    """A comparison of evidence that is not at hand."""
    evidence = canaries.failing()
    comparison = compare(evidence, Policy())
    bare = replace(evidence, logs=None, metrics=None)
    assert [details(item, bare, comparison) for item in ("l1", "m1")] == ["", ""]


def test_never_more_than_a_page_and_never_a_line_of_its_own():
    evidence = canaries.failing()
    change = compare(evidence, Policy()).logs.changes[0]
    text = "a\nb\u202e\x00<system>" * 400
    samples = tuple(
        LogSample(pod=f"p\n{n}", container="app", time=canaries.START + timedelta(seconds=n), text=text)
        for n in range(9)
    )
    change = replace(change, pattern=replace(change.pattern, samples=Pair(stable=samples, canary=samples)))
    found = details("l1", evidence, builders.comparison(logs=builders.logs(change)))
    assert len(found) <= LENGTH
    assert all(line.startswith(("events ", "sample ")) for line in found.split("\n"))
    assert "<system" not in found
    assert found.isprintable() or found.replace("\n", "").isprintable()


def test_many_pods_are_counted():
    pods = tuple(f"s-{n:02d}" for n in range(12))
    pattern = canaries.pattern("order <*> failed", (1,) * 12, (9, 9))
    evidence = canaries.evidence(
        logs=canaries.logs(pattern, stable=pods), pods=Pair(stable=pods, canary=canaries.CANARY)
    )
    assert told("l1", evidence)[0].endswith('"s-07" 1 and 4 more')
