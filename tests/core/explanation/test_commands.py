"""Commands to go on with."""

import shlex
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.core.comparison import LogOutcome, PodFact
from rollout_verdict.core.evidence import LogSample, Progress
from rollout_verdict.core.explanation.commands import next_steps
from rollout_verdict.core.values import Decision, Gap, Pair, RolloutRef, Severity, Side, SourceKind
from tests.core import builders
from tests.render import results

HASHED = RolloutRef(namespace="shop", name="checkout", canary_hash="7d4cc1")
SINCE = "--since-time=2026-01-01T12:00:00Z"


def steps(decision=Decision.ROLLBACK, *, rollout=None, evidence=None, **parts):
    evidence = evidence or builders.evidence()
    if rollout:
        evidence = replace(evidence, rollout=rollout)
    return next_steps(evidence, builders.comparison(**parts), results.verdict(decision=decision))


def fact(code, *, pods=("c-1",), severity=Severity.VETO, side=Side.CANARY):
    return PodFact(id="p1", code=code, side=side, pods=pods, severity=severity, detail="x")


def error(template, sample):
    change = builders.change(template, outcome=LogOutcome.NEW, severity=Severity.FAIL)
    samples = Pair(stable=(), canary=(LogSample(pod="c", container="", time=None, text=sample),))
    return builders.logs(replace(change, pattern=replace(change.pattern, samples=samples)))


def test_a_promotion_is_watched():
    """Nothing to repair: one command."""
    assert steps(Decision.PROMOTE) == ("kubectl argo rollouts get rollout checkout -n shop --watch",)


def test_an_undecided_one_offers_both_ways():
    """Look, then promote or abort."""
    assert steps(Decision.INCONCLUSIVE) == (
        f"kubectl logs c-1 -n shop --all-containers {SINCE}",
        "kubectl argo rollouts get rollout checkout -n shop",
        "kubectl argo rollouts promote checkout -n shop   # go on, once you are satisfied",
        "kubectl argo rollouts abort checkout -n shop   # or go back to stable",
    )


def unread(*gaps, pods=()):
    """The steps where the state of the rollout could not be read."""
    progress = Progress(strategy="", situation="unknown", obstacle="the state could not be read: connection refused")
    evidence = replace(builders.evidence(), progress=progress, pods=Pair(stable=(), canary=pods))
    verdict = replace(results.verdict(decision=Decision.INCONCLUSIVE), gaps=gaps)
    return next_steps(evidence, builders.comparison(), verdict)


def test_what_kept_everything_from_being_read_is_mended_first_and_nothing_is_promoted():
    """The hint of that gap is a comment on one line; without one, see whether there is a cluster."""
    other = Gap(source=SourceKind.METRICS, what="metrics", reason="none", hint="set the address")
    cause = Gap(source=SourceKind.KUBERNETES, what="it", reason="connection refused", hint="check\nthe address")
    look = "kubectl argo rollouts get rollout checkout -n shop"
    assert unread(other, cause) == ("# check ⏎ the address", look)
    assert unread(other) == ("kubectl cluster-info", look)


def test_an_unread_rollout_with_pods_offers_both_ways():
    """The caller named the sides: there is evidence to be satisfied by."""
    assert any("promote" in step for step in unread(pods=("c-1",)))


@pytest.mark.parametrize(
    ("code", "first"),
    [
        ("crash-loop", ["kubectl logs c-1 -n shop --all-containers --previous --tail=100"]),
        ("image-pull", ["kubectl describe pod c-1 -n shop"]),
        (
            "oom-killed",
            [
                "kubectl logs c-1 -n shop --all-containers --previous --tail=100",
                "kubectl describe pod c-1 -n shop",
                "kubectl top pod c-1 -n shop --containers",
            ],
        ),
    ],
)
def test_pod_trouble_has_its_commands(code, first):
    """The trouble decides where to look."""
    assert list(steps(pods=builders.pods(fact(code))))[: len(first)] == first


def test_only_the_canarys_trouble_is_looked_at():
    """Stable's trouble, shared trouble and impossible pod names give no command."""
    facts = (
        fact("crash-loop", side=Side.STABLE),
        fact("crash-loop", severity=Severity.INFO),
        fact("restarts", pods=("$(x)",)),
    )
    assert not any("--previous" in step for step in steps(pods=builders.pods(*facts)))


def test_a_new_message_is_searched_for():
    """By a piece that the samples really hold, quoted for a shell; over all canary pods when their label is known."""
    found = steps(
        rollout=HASHED, logs=error("<*> it's lost: (code <*>) again and again", "7 it's lost: (code 3) again and again")
    )
    assert found[0] == (
        f"kubectl logs -l rollouts-pod-template-hash=7d4cc1 --prefix --tail=-1 -n shop --all-containers {SINCE}"
        " | grep -F -- ') again and again'"
    )
    long = "word " * 30
    assert shlex.split(steps(logs=error(long, long))[0])[-1] == ("word " * 12).strip()


def test_a_message_that_no_sample_holds_is_not_searched_for():
    """A made-up wording would find nothing."""
    assert not any("grep" in step for step in steps(logs=error("all errors together", "connection lost")))


def test_without_window_pods_and_names_little_is_left():
    """No guess is put into a command."""
    evidence = builders.evidence(canary=())
    assert steps(evidence=evidence, rollout=RolloutRef(namespace="", name="")) == ()
    undated = replace(builders.evidence(), window=None)
    assert steps(evidence=undated)[0] == "kubectl logs c-1 -n shop --all-containers --since=15m"


@given(st.text(max_size=40))
def test_no_text_becomes_a_command(text):
    """Whatever the names and messages, a command is one line of known words."""
    poisoned = results.result(lambda _: text)
    for step in poisoned.explanation.next_steps:
        assert step.isprintable()
        words = shlex.split(step, comments=True)
        assert words[0] == "kubectl"
        assert set(words) & {";", "&&", "&", ">", "`"} <= {text}


@pytest.mark.parametrize("decision", list(Decision))
def test_a_rollout_without_a_namespace_gets_no_command_by_name(decision):
    """A bundle without case.json lends its file name to the rollout: no command may act on that."""
    told = steps(decision, rollout=RolloutRef(namespace="", name="checkout"))
    assert not [step for step in told if "checkout" in step]
