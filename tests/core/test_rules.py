from dataclasses import replace

import pytest

from rollout_verdict.core import rules
from rollout_verdict.core.comparison import LogOutcome, MetricOutcome, PodFact
from rollout_verdict.core.evidence import (
    KubernetesEvidence,
    LogEvidence,
    MetricEvidence,
    MetricSeries,
    PodLog,
    Progress,
)
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.values import Decision, Pair, Severity, Side, SourceKind
from tests.core.builders import change, check, comparison, evidence, logs, metrics, pod, pods

HIGH = check(outcome=MetricOutcome.HIGH, severity=Severity.FAIL, reason="6 % of requests fail")
DOUBT = check(id="m2", outcome=MetricOutcome.HIGH, severity=Severity.WARN, reason="a little slower")
NEW = change(outcome=LogOutcome.NEW, severity=Severity.FAIL, reason="new error")
ODD = change(outcome=LogOutcome.RISEN, severity=Severity.WARN, reason="more warnings")


def fact(severity, side=Side.CANARY, code="crash-loop"):
    return PodFact(id="p1", code=code, side=side, pods=("c-1",), severity=severity, detail="1 of 1 canary pods")


def judge(compared, found=None, policy=None):
    return rules.judge(found or evidence(), compared, policy or Policy())


@pytest.mark.parametrize(
    ("compared", "decision"),
    [
        (comparison(metrics=metrics(check()), logs=logs(change()), pods=pods()), Decision.PROMOTE),
        (comparison(metrics=metrics(HIGH), logs=logs(change())), Decision.ROLLBACK),
        (comparison(metrics=metrics(check()), logs=logs(NEW)), Decision.ROLLBACK),
        (comparison(metrics=metrics(DOUBT)), Decision.PROMOTE),
        (comparison(metrics=metrics(DOUBT), logs=logs(ODD)), Decision.ROLLBACK),
        (comparison(metrics=metrics(check()), logs=logs(ODD)), Decision.INCONCLUSIVE),
        (comparison(metrics=metrics(check()), pods=pods(fact(Severity.WARN, code="restarted"))), Decision.INCONCLUSIVE),
        (comparison(pods=pods(fact(Severity.VETO))), Decision.ROLLBACK),
        (comparison(pods=pods()), Decision.INCONCLUSIVE),
        (comparison(), Decision.INCONCLUSIVE),
        (comparison(metrics=metrics(HIGH, adequate=False, reason="one sample")), Decision.INCONCLUSIVE),
    ],
)
def test_findings_add_up_to_a_decision(compared, decision):
    assert judge(compared).opinion.decision is decision


def test_findings_are_ordered_by_weight_and_cite_their_item():
    found = judge(comparison(metrics=metrics(DOUBT), logs=logs(NEW), pods=pods(fact(Severity.VETO)))).opinion.findings
    assert [(f.code, f.source, f.evidence) for f in found] == [
        ("crash-loop", SourceKind.KUBERNETES, ("p1",)),
        ("log-new", SourceKind.LOGS, ("l1",)),
        ("metric-high", SourceKind.METRICS, ("m2",)),
    ]


def test_trouble_of_stable_pods_and_harmless_differences_are_no_findings():
    compared = comparison(
        metrics=metrics(check()),
        logs=logs(change()),
        pods=pods(fact(Severity.INFO), fact(Severity.FAIL, Side.STABLE)),
    )
    assert judge(compared).opinion.findings == ()


@pytest.mark.parametrize("source", [SourceKind.LOGS, SourceKind.METRICS, SourceKind.KUBERNETES, SourceKind.DIFF])
def test_a_required_source_that_is_missing_is_a_shortfall(source):
    policy = Policy(required_sources=(source, SourceKind.MODEL))
    parts = {"logs": logs(change()), "metrics": metrics(check()), "pods": pods()}
    parts.pop({"kubernetes": "pods"}.get(source.value, source.value), None)
    assessed = judge(comparison(**parts), policy=policy)
    assert assessed.shortfalls == (f"required source {source.value} is missing or too thin",)
    assert assessed.opinion.decision is Decision.INCONCLUSIVE


@pytest.mark.parametrize("source", [SourceKind.LOGS, SourceKind.METRICS, SourceKind.KUBERNETES])
def test_a_required_source_without_enough_of_the_canary_is_as_good_as_missing(source):
    thin = {
        "logs": logs(change(), adequate=source is not SourceKind.LOGS),
        "metrics": metrics(check(), adequate=source is not SourceKind.METRICS),
        "pods": pods(total=(2, 0 if source is SourceKind.KUBERNETES else 1)),
    }
    assert judge(comparison(**thin)).opinion.decision is Decision.PROMOTE
    assert judge(comparison(**thin), policy=Policy(required_sources=(source,))).shortfalls


def test_no_canary_pods_is_a_shortfall():
    assessed = judge(comparison(metrics=metrics(check())), evidence(canary=()))
    assert assessed.shortfalls == ("there are no canary pods",)
    assert assessed.opinion.rationale == "too little to judge: there are no canary pods"


@pytest.mark.parametrize("found", [None, fact(Severity.FAIL, code="restarts")])
def test_what_stands_in_the_way_of_a_promotion_is_told_and_never_promoted(found):
    progress = Progress(strategy="canary", situation="aborted", obstacle="rollout cart was aborted")
    compared = comparison(metrics=metrics(check()), pods=pods(found) if found else None)
    assessed = judge(compared, replace(evidence(), progress=progress))
    assert assessed.opinion.decision is Decision.INCONCLUSIVE
    assert assessed.opinion.rationale == "nothing can be promoted: rollout cart was aborted"
    assert assessed.shortfalls == ("rollout cart was aborted",)
    free = judge(compared, replace(evidence(), progress=replace(progress, obstacle="")))
    assert free.opinion.decision is not Decision.INCONCLUSIVE


def spoken(*pods):
    """Return metrics with a sample of each pod."""
    series = tuple(MetricSeries(name="m", labels=(), pod=pod, samples=((1.0, 1.0),)) for pod in pods)
    return MetricEvidence(series=Pair(stable=(), canary=series), meta=())


def logged(**events):
    """Return logs with so many events of each pod."""
    pods = tuple(
        PodLog(pod=pod, containers=(), size_bytes=0, lines=0, events=count, cut_lines=0, first=None, last=None)
        for pod, count in events.items()
    )
    return LogEvidence(pods=Pair(stable=(), canary=pods), patterns=(), bucket_edges=())


@pytest.mark.parametrize(
    ("parts", "shortfalls"),
    [
        ({"metrics": spoken("c1")}, ("only 1 of 4 canary pods left logs or metrics",)),
        ({"metrics": spoken("c1"), "logs": logged(c1=0, c2=3)}, ("only 1 of 4 canary pods left logs or metrics",)),
        ({"metrics": spoken("c1", "c2")}, ()),
        ({"metrics": spoken("")}, ()),
        ({"logs": logged(c1=1, c2=1, c3=0)}, ()),
    ],
)
def test_most_canary_pods_without_logs_and_metrics_is_a_shortfall(parts, shortfalls):
    """A few pods that do well say nothing of the many that say nothing; a series of the side speaks of all."""
    found = evidence(canary=("c1", "c2", "c3", "c4"), **parts)
    assert judge(comparison(metrics=metrics(check())), found).shortfalls == shortfalls


def test_trouble_of_both_sides_is_nothing_to_promote_by():
    """With stable crash-looping as well there is no healthy side: a canary as bad as it is not as good as it."""
    fine = {"metrics": metrics(check()), "logs": logs(change())}
    assessed = judge(comparison(**fine, pods=pods(fact(Severity.INFO), fact(Severity.INFO, Side.STABLE))))
    assert assessed.opinion.decision is Decision.INCONCLUSIVE
    assert assessed.shortfalls == ("both sides fail alike: 1 of 1 canary pods",)
    harmless = (fact(Severity.INFO, code="restarted"), fact(Severity.INFO, Side.STABLE))
    assert judge(comparison(**fine, pods=pods(*harmless))).opinion.decision is Decision.PROMOTE


def state(*canary):
    return KubernetesEvidence(pods=Pair(stable=(pod("s1"),), canary=canary))


@pytest.mark.parametrize(
    ("canary", "shortfalls"),
    [
        ((pod("c1", ready=False), pod("c2", ready=False)), ("no canary pod is ready",)),
        ((pod("c1", ready=False), replace(pod("c2"), conditions=())), ("no canary pod is ready",)),
        ((pod("c1", ready=False), pod("c2")), ()),
        ((replace(pod("c1"), conditions=(("PodScheduled", "True"),)),), ()),
        ((), ()),
    ],
    ids=["none", "none that tells", "one", "not told", "no state"],
)
def test_without_a_canary_pod_that_is_ready_nothing_is_promoted(canary, shortfalls):
    assessed = judge(comparison(metrics=metrics(check())), evidence(kubernetes=state(*canary)))
    assert assessed.shortfalls == shortfalls
    assert assessed.opinion.decision is (Decision.INCONCLUSIVE if shortfalls else Decision.PROMOTE)


def test_measured_harm_outweighs_pods_that_are_in_no_state_to_be_promoted():
    compared = comparison(metrics=metrics(HIGH), pods=pods(fact(Severity.INFO)))
    assessed = judge(compared, evidence(kubernetes=state(pod("c1", ready=False))))
    assert assessed.opinion.decision is Decision.ROLLBACK
    assert assessed.shortfalls == ()


def test_one_adequate_source_is_enough():
    compared = comparison(metrics=metrics(check()), logs=logs(adequate=False, reason="three lines"))
    assert judge(compared).shortfalls == ()


def test_score_and_decision_agree():
    """A promote never scores below an inconclusive, nor that below a rollback; a veto scores 0."""
    scores = [
        judge(comparison(pods=pods(fact(Severity.VETO)))).score,
        judge(comparison(metrics=metrics(HIGH))).score,
        judge(comparison()).score,
        judge(comparison(metrics=metrics(DOUBT))).score,
        judge(comparison(metrics=metrics(check()))).score,
    ]
    assert scores == sorted(scores)
    assert (scores[0], scores[-1]) == (0, 100)


def test_agreement_of_sources_makes_surer():
    one = judge(comparison(metrics=metrics(HIGH))).opinion.confidence
    two = judge(comparison(metrics=metrics(HIGH), logs=logs(NEW))).opinion.confidence
    veto = judge(comparison(pods=pods(fact(Severity.VETO)))).opinion.confidence
    assert one < two < veto


def test_the_all_clear_says_what_was_seen():
    said = judge(comparison(metrics=metrics(check()), logs=logs(change()), pods=pods())).opinion
    assert said.rationale == (
        "No harm found: 1 of 1 metric as on stable; 1 of 1 log message unchanged; 1 of 1 canary pods ready"
    )
    assert judge(comparison(metrics=metrics(check()))).opinion.rationale == "No harm found: 1 of 1 metric as on stable"


def test_the_all_clear_says_what_the_others_are():
    """Those that differ without harm and those that nobody could judge are not the same."""
    outcomes = (MetricOutcome.PASS, MetricOutcome.LOW, MetricOutcome.NO_DATA, MetricOutcome.TOO_FEW)
    checks = [check(id=f"m{place}", outcome=outcome) for place, outcome in enumerate(outcomes)]
    kinds = (LogOutcome.UNCHANGED, LogOutcome.REWORDED, LogOutcome.TOO_FEW)
    changes = [change(id=f"l{place}", outcome=outcome) for place, outcome in enumerate(kinds)]
    said = judge(comparison(metrics=metrics(*checks), logs=logs(*changes))).opinion
    assert said.rationale == (
        "No harm found: 1 of 4 metrics as on stable (1 different without harm, 2 without enough samples); "
        "1 of 3 log messages unchanged (1 different without harm, 1 too rare to judge)"
    )
