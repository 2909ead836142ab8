"""Logs of both sides over the API: what is read, what is left out, and what becomes of logs that break."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from rollout_verdict.adapters.kubernetes import client
from rollout_verdict.adapters.kubernetes.logs import LogLimits, wanted
from rollout_verdict.core.evidence import ContainerState, ContainerStatus
from rollout_verdict.core.reduction.reduce import LogStream
from rollout_verdict.core.target import Gathering
from rollout_verdict.core.values import Side, SourceKind
from tests.adapters.kubernetes.conftest import NOW
from tests.fakes.kubernetes import Fault, scenarios
from tests.fakes.kubernetes.faults import ANSWERS
from tests.fakes.kubernetes.scenarios import CANARY, STABLE
from tests.fakes.kubernetes.status import Refusal


def partials(side):
    return {pod.pod: pod.partial for pod in side if pod.partial}


def test_every_pod_and_container_of_both_sides_is_read_in_the_window(world):
    scenarios.canary(world.cluster, world.place, newest=replace(CANARY, sidecars=("helper",)))
    sides = world.find()
    logs, gaps, told = world.logs(sides)
    assert gaps == ()
    assert told[0] == (0, 7)
    assert told[-1] == (7, 7)
    assert [pod.pod for pod in logs.pods.canary] == list(sides.scope.pods.canary)
    assert {pod.containers for pod in logs.pods.canary} == {("checkout", "helper")}
    assert all(pod.events > 100 for side in (logs.pods.stable, logs.pods.canary) for pod in side)
    window = sides.scope.window
    assert all(window.start <= pod.first <= pod.last < window.end for pod in logs.pods.stable)
    for entry in world.cluster.asked("pods/log"):
        assert entry.query["sinceTime"] == f"{window.start:%Y-%m-%dT%H:%M:%SZ}"
        assert (entry.query["timestamps"], entry.query["limitBytes"]) == ("true", str(32 << 20))


@pytest.mark.parametrize(
    ("name", "init", "gathering", "read"),
    [
        ("app", False, Gathering(), True),
        ("istio-proxy", False, Gathering(), False),
        ("linkerd-proxy", False, Gathering(), False),
        ("migrate", True, Gathering(), False),
        ("istio-proxy", False, Gathering(include=("istio-proxy",)), True),
        ("migrate", True, Gathering(include=("migrate",)), True),
        ("app", False, Gathering(include=("migrate",)), False),
        ("app", False, Gathering(exclude=("app",)), False),
        ("app", False, Gathering(include=("app",), exclude=("app",)), False),
    ],
)
def test_which_containers_are_read(name, init, gathering, read):
    container = ContainerState(
        name=name,
        image="",
        ready=True,
        restart_count=0,
        state=ContainerStatus(status="running"),
        last_state=ContainerStatus(status=""),
        init=init,
    )
    assert wanted(container, gathering) is read


def test_a_side_of_which_no_container_is_read_says_so(world):
    scenarios.canary(world.cluster, world.place)
    logs, gaps, _ = world.logs(world.find(), Gathering(include=("nothing",)))
    assert logs is None
    assert [(gap.source, gap.side) for gap in gaps] == [(SourceKind.LOGS, Side.STABLE), (SourceKind.LOGS, Side.CANARY)]


@pytest.mark.parametrize(
    ("fares", "asked"), [("out-of-memory", {"true", "false"}), ("crash-loop", {"false"})], ids=["runs", "waits"]
)
def test_each_log_of_a_restarted_container_is_read_once(world, fares, asked):
    """While it waits to start again, its last log is all there is, and is the answer to both questions."""
    scenarios.canary(world.cluster, world.place, newest=replace(CANARY, fares=fares))
    sides = world.find()
    logs, gaps, _ = world.logs(sides)
    entries = [entry for entry in world.cluster.asked("pods/log") if CANARY.hash in entry.name]
    assert {entry.query.get("previous", "false") for entry in entries} == asked
    (died,) = (one for one in logs.patterns if "ledger" in one.template)
    assert died.counts.canary == (1, 1)
    assert gaps == ()


def test_a_log_that_the_kubelet_has_removed_is_a_gap(world):
    scenarios.canary(world.cluster, world.place, newest=replace(CANARY, fares="out-of-memory"))
    with world.cluster.lock:
        for key in [key for key in world.cluster.logs if key[3]]:
            del world.cluster.logs[key]
    logs, (gap,), _ = world.logs(world.find())
    assert (gap.side, gap.reason) == (Side.CANARY, "the log before the restart is gone")
    assert gap.hint
    assert set(partials(logs.pods.canary).values()) == {gap.reason}
    assert all(pod.events for pod in logs.pods.canary)


def test_a_pod_that_waits_for_its_image_is_not_asked(world):
    scenarios.canary(world.cluster, world.place, newest=replace(CANARY, fares="image-pull"))
    logs, gaps, _ = world.logs(world.find())
    assert not [entry for entry in world.cluster.asked("pods/log") if CANARY.hash in entry.name]
    assert [pod.events for pod in logs.pods.canary] == [0, 0]
    assert [gap.side for gap in gaps] == [Side.CANARY]


def test_a_hung_pod_costs_its_own_deadline_and_nothing_else(served):
    world = served(limits=LogLimits(idle_s=2.0, container_s=2.0))
    scenarios.canary(world.cluster, world.place)
    sides = world.find()
    hung = sides.scope.pods.canary[0]
    world.cluster.faults.append(Fault(resource="pods/log", name=hung, share=0.0, then="hang"))
    began = time.monotonic()
    logs, gaps, _ = world.logs(sides)
    assert time.monotonic() - began < 15  # of 20; the deadline of all is not what ends it
    assert list(partials(logs.pods.canary)) == [hung]
    assert logs.pods.canary[1].events > 100
    (gap,) = gaps
    assert hung in gap.what
    assert "took too long" in gap.reason


def lines(count):
    """Return a log of so many lines, all of them in the window and each of another wording."""
    start = NOW - timedelta(seconds=300)
    words = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta")
    return b"".join(
        f"{start + timedelta(milliseconds=number):%Y-%m-%dT%H:%M:%S.%f}000Z {words[number % 7]} was done\n".encode()
        for number in range(count)
    )


@pytest.mark.parametrize("then", ["reset", "close", "hang"])
def test_what_was_read_before_a_break_counts_in_whole_lines(served, then):
    world = served(limits=LogLimits(idle_s=2.0))
    scenarios.canary(world.cluster, world.place)
    sides = world.find()
    broken, text, share = sides.scope.pods.canary[0], lines(1000), 0.5003
    world.cluster.log("shop", broken, "checkout", text)
    world.cluster.faults.append(Fault(resource="pods/log", name=broken, share=share, then=then))
    logs, gaps, _ = world.logs(sides)
    assert list(partials(logs.pods.canary)) == [broken]
    whole = text[: int(len(text) * share)].count(b"\n")
    if then == "reset":  # which may take with it what was sent before
        assert logs.pods.canary[0].lines <= whole
    else:
        assert logs.pods.canary[0].lines == whole
    assert [gap.side for gap in gaps] == [Side.CANARY]


def test_the_last_line_counts_whether_or_not_it_has_an_end(world):
    scenarios.canary(world.cluster, world.place)
    sides = world.find()
    world.cluster.log("shop", sides.scope.pods.canary[0], "checkout", lines(100)[:-1])
    logs, gaps, _ = world.logs(sides)
    assert (logs.pods.canary[0].lines, gaps) == (100, ())


def test_a_cap_is_told_and_its_last_line_left_out(served):
    world = served(limits=LogLimits(container_bytes=10_000))
    scenarios.canary(world.cluster, world.place)
    sides, text = world.find(), lines(1000)
    world.cluster.log("shop", sides.scope.pods.canary[0], "checkout", text)
    logs, gaps, _ = world.logs(sides)
    assert logs.pods.canary[0].lines == text[:10_000].count(b"\n")
    assert all("were read" in pod.partial for pod in logs.pods.stable)
    assert all(0 < pod.size_bytes < 10_000 for pod in logs.pods.stable)
    assert {gap.side for gap in gaps} == set(Side)


def test_what_is_not_read_at_the_deadline_is_told(served):
    world = served()
    scenarios.canary(world.cluster, world.place)
    sides = world.find()
    world.cluster.faults.append(Fault(resource="pods/log", name=f"*{STABLE.hash}*", share=0.0, then="hang"))
    logs, gaps, _ = world.logs(sides, deadline_s=5.0)
    assert partials(logs.pods.canary) == {}
    assert len(partials(logs.pods.stable)) == 3
    assert {gap.side for gap in gaps} == {Side.STABLE}


@pytest.mark.parametrize(
    ("answer", "told"), [("401", "who we are"), ("403", "may not get pods/log"), ("500", "failed (500)")]
)
def test_logs_that_nobody_may_read_are_a_gap_and_no_evidence(world, answer, told):
    scenarios.canary(world.cluster, world.place)
    sides = world.find()
    if answer == "403":
        world.cluster.denied.add(("get", "pods/log"))
    else:
        world.cluster.faults.append(Fault(resource="pods/log", answer=ANSWERS[answer]))
    logs, gaps, _ = world.logs(sides)
    assert logs is None
    assert len(gaps) == 2
    assert all(told in gap.reason for gap in gaps)
    if answer == "403":
        assert "kubectl auth can-i get pods --subresource=log -n shop --as=" in gaps[0].hint


def test_a_pod_that_went_away_is_a_gap_and_the_others_are_read(world):
    scenarios.canary(world.cluster, world.place)
    sides = world.find()
    gone = sides.scope.pods.stable[0]
    world.cluster.remove("", "pods", "shop", gone)
    logs, gaps, _ = world.logs(sides)
    assert list(partials(logs.pods.stable)) == [gone]
    assert [gap.side for gap in gaps] == [Side.STABLE]


@pytest.mark.parametrize("piece", [client.CHUNK, 7])
def test_an_error_of_the_node_in_the_place_of_a_log_is_no_log(world, monkeypatch, piece):
    """Also when it arrives in pieces."""
    monkeypatch.setattr(client, "CHUNK", piece)
    scenarios.canary(world.cluster, world.place)
    sides = world.find()
    pod, *others = [*sides.scope.pods.canary, *sides.scope.pods.stable]
    for other in others:  # a few lines: whole logs in pieces of some bytes take a slow machine longer than a log may
        world.cluster.log("shop", other, "checkout", lines(10))
    text = b"unable to retrieve container logs for containerd://abc"
    world.cluster.faults.append(
        Fault(resource="pods/log", name=pod, answer=Refusal(code=200, body=text, content_type="text/plain"))
    )
    logs, gaps, _ = world.logs(sides)
    assert [one.events for side in (logs.pods.canary, logs.pods.stable) for one in side] == [0, 10, 10, 10, 10]
    assert any("could not read the log" in gap.reason for gap in gaps), gaps


def test_a_reducer_that_breaks_costs_one_log(world, monkeypatch):
    """It is told as what it is, at once, and the thread goes on with the next log."""
    scenarios.canary(world.cluster, world.place)
    sides = world.find()
    broken = sides.scope.pods.canary[0]
    close = LogStream.close

    def breaks(stream, partial=""):
        if stream.pod == broken:
            monkeypatch.setattr(LogStream, "close", close)
            raise MemoryError
        close(stream, partial)

    monkeypatch.setattr(LogStream, "close", breaks)
    logs, gaps, told = world.logs(sides)
    assert [(gap.side, gap.reason) for gap in gaps] == [(Side.CANARY, "reducing it broke (MemoryError)")]
    assert told[-1] == (5, 5)
    assert all(pod.events for pod in logs.pods.stable)


def test_a_line_without_an_end_is_passed_on_in_pieces_that_stay_bounded(world):
    scenarios.canary(world.cluster, world.place)
    sides = world.find()
    pod = sides.scope.pods.canary[0]
    stamp = f"{NOW - timedelta(seconds=5):%Y-%m-%dT%H:%M:%S.000000000Z}".encode()
    world.cluster.log("shop", pod, "checkout", stamp + b" " + b"x" * 1_000_000)
    logs, gaps, _ = world.logs(sides)
    assert gaps == ()
    assert (logs.pods.canary[0].events, logs.pods.canary[0].cut_lines) == (1, 1)


def test_more_containers_than_the_bound_are_left_out_alike(served):
    world = served(limits=LogLimits(containers=2))
    scenarios.canary(world.cluster, world.place)
    logs, gaps, _ = world.logs(world.find())
    assert sum(pod.events > 0 for pod in logs.pods.canary) == 1
    assert sum(pod.events > 0 for pod in logs.pods.stable) == 1
    assert any("only 2 of 5" in gap.reason for gap in gaps)


def test_the_same_logs_make_the_same_evidence(world):
    scenarios.canary(world.cluster, world.place)
    sides = world.find()
    assert world.logs(sides)[0] == world.logs(sides)[0]
