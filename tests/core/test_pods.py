from datetime import timedelta

import pytest

from rollout_verdict.core.evidence import ContainerStatus, KubernetesEvidence
from rollout_verdict.core.pods import PodPolicy, judge_pods
from rollout_verdict.core.values import Pair, Severity, Side
from tests.core.builders import NOON, WINDOW, container, event, pod

WELL = pod("s-1", start=NOON - timedelta(days=2))
POLICY = PodPolicy()


def judge(canary, stable=(WELL,), window=WINDOW):
    evidence = KubernetesEvidence(pods=Pair(stable=tuple(stable), canary=tuple(canary)))
    return judge_pods(evidence, window, POLICY)


def waiting(reason, **rest):
    return pod(
        "c-1",
        container(state=ContainerStatus(status="waiting", reason=reason), ready=False, **rest),
        ready=False,
    )


def ended(reason, code, at=NOON + timedelta(minutes=1)):
    return ContainerStatus(status="terminated", reason=reason, exit_code=code, finished=at)


TROUBLES = [
    (
        "crash loop",
        waiting("CrashLoopBackOff", last=ended("Error", 1), restarts=4),
        "crash-loop",
        Severity.VETO,
    ),
    ("image pull", waiting("ImagePullBackOff"), "image-pull", Severity.VETO),
    ("start error", waiting("CreateContainerConfigError"), "start-error", Severity.VETO),
    (
        "killed for memory",
        pod("c-1", container(last=ended("OOMKilled", 137), restarts=1, limits=(("memory", "64Mi"),))),
        "oom-killed",
        Severity.VETO,
    ),
    ("never ready", pod("c-1", ready=False), "never-ready", Severity.VETO),
    ("restarts", pod("c-1", container(last=ended("Error", 1), restarts=2)), "restarts", Severity.FAIL),
    ("one restart", pod("c-1", container(last=ended("Error", 1), restarts=1)), "restarted", Severity.WARN),
    ("failed", pod("c-1", phase="Failed", ready=False, start=None), "pod-failed", Severity.FAIL),
    (
        "unscheduled",
        pod("c-1", phase="Pending", ready=False, start=None, conditions=(("PodScheduled", "False"),)),
        "unscheduled",
        Severity.WARN,
    ),
    (
        "warnings",
        pod("c-1", events=(event("Unhealthy"), event("BackOff", count=1))),
        "warning-events",
        Severity.WARN,
    ),
]


@pytest.mark.parametrize(("canary", "code", "severity"), [t[1:] for t in TROUBLES], ids=[t[0] for t in TROUBLES])
def test_trouble_on_the_canary_alone_is_a_finding_of_its_weight(canary, code, severity):
    fact = judge([canary]).facts[0]
    assert (fact.code, fact.severity, fact.side, fact.pods) == (code, severity, Side.CANARY, ("c-1",))


@pytest.mark.parametrize(("canary", "code", "severity"), [t[1:] for t in TROUBLES], ids=[t[0] for t in TROUBLES])
def test_trouble_that_stable_shares_is_only_told(canary, code, severity):
    facts = judge([canary], stable=[canary]).facts
    assert {(fact.code, fact.severity) for fact in facts if fact.code == code} == {(code, Severity.INFO)}
    assert {fact.side for fact in facts if fact.code == code} == set(Side)


def test_trouble_of_few_stable_pods_does_not_excuse_the_canary():
    """One of four stable pods in a crash loop is less than half the canary's share."""
    facts = judge([waiting("CrashLoopBackOff")], stable=[waiting("CrashLoopBackOff"), WELL, WELL, WELL]).facts
    assert facts[0].severity is Severity.VETO
    assert "1 of 4 stable pods" in facts[0].detail


def test_a_veto_comes_first_and_names_limit_exit_code_and_restarts():
    canary = pod("c-1", container(last=ended("OOMKilled", 137), restarts=3, limits=(("memory", "64Mi"),)))
    first = judge([canary]).facts[0]
    assert first.id == "p1"
    assert first.detail == (
        "1 of 1 canary pods: container app killed for memory at its memory limit 64Mi, "
        "last exit code 137 (OOMKilled), 3 restarts; none of 1 stable pods"
    )


def test_an_old_kill_of_a_stable_pod_excuses_nothing():
    """A stable pod killed a day before the window is not the canary's excuse."""
    old = pod("s-1", container(last=ended("OOMKilled", 137, at=NOON - timedelta(days=1)), restarts=1))
    new = pod("c-1", container(last=ended("OOMKilled", 137), restarts=1))
    assert judge([new], stable=[old]).facts[0].severity is Severity.VETO


def test_without_a_stable_side_the_canary_is_still_judged():
    fact = judge([waiting("ErrImagePull")], stable=[]).facts[0]
    assert fact.severity is Severity.VETO
    assert "no stable pods to compare with" in fact.detail


@pytest.mark.parametrize(
    "canary",
    [
        pod("c-1"),
        pod("c-1", ready=False, phase="Succeeded"),
        pod("c-1", container(last=ended("Error", 1, at=NOON - timedelta(hours=1)), restarts=1)),
        pod("c-1", phase="Pending"),
        pod("c-1", events=(event("Pulled", type="Normal"), event("Unhealthy", count=1))),
    ],
    ids=["well", "done", "old restart", "pending", "few warnings"],
)
def test_what_is_usual_is_no_finding(canary):
    assert not [fact for fact in judge([canary]).facts if fact.severity is not Severity.INFO]


def test_without_a_window_nothing_is_called_never_ready():
    assert [fact.code for fact in judge([pod("c-1", ready=False)], window=None).facts] == ["not-ready"]


def test_a_pod_in_a_crash_loop_is_not_told_twice():
    assert [fact.code for fact in judge([waiting("CrashLoopBackOff")]).facts] == ["crash-loop"]


def test_pods_and_ready_pods_are_counted():
    compared = judge([pod("c-1"), pod("c-2", ready=False, start=WINDOW.end)], stable=[WELL])
    assert (compared.total, compared.ready) == (Pair(stable=1, canary=2), Pair(stable=1, canary=1))
