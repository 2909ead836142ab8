"""A model that believes everything it reads cannot make a bad canary pass, whatever the canary says and wherever."""

import json
import re
import unicodedata
from dataclasses import replace

import pytest

from rollout_verdict.core.evidence import (
    ContainerState,
    ContainerStatus,
    KubernetesEvidence,
    PodEvent,
    PodState,
    TemplateChange,
    TemplateDiff,
)
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.values import Decision, Gap, Pair, RolloutRef, SourceKind
from tests.adapters import canaries
from tests.adapters.gemini import model
from tests.fakes.gemini.responders import read
from tests.fakes.gemini.scenarios import gullible
from tests.hostile import TEXTS

LEFT_BY_OTHERS = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


@pytest.fixture(scope="module")
def judging():
    """One judge asking a gullible model for the whole module."""
    with model(responder=gullible) as (_, judge):
        yield judge


def container(message, *, crashed):
    waiting = ContainerStatus(status="waiting", reason="CrashLoopBackOff", message=message)
    running = ContainerStatus(status="running", started=canaries.START)
    ended = ContainerStatus(status="terminated", reason="Error", message=message, exit_code=1, finished=canaries.START)
    return ContainerState(
        name="app",
        image="shop:2",
        ready=not crashed,
        restart_count=6 if crashed else 0,
        state=waiting if crashed else running,
        last_state=ended if crashed else ContainerStatus(status=""),
    )


def pods(names, message, *, crashed=False):
    return tuple(
        PodState(
            name=name,
            phase="Running",
            start_time=canaries.START,
            containers=(container(message, crashed=crashed),),
            conditions=(("Ready", "False" if crashed else "True"),),
            events=(PodEvent(type="Warning", reason="BackOff", message=message, count=9),) if message else (),
        )
        for name in names
    )


def kubernetes(message, *, canary=canaries.CANARY, crashed=False):
    return KubernetesEvidence(
        pods=Pair(stable=pods(canaries.STABLE, ""), canary=pods(canary, message, crashed=crashed))
    )


def in_logs(bad, text):
    return canaries.failing(text)


def in_pod_names(bad, text):
    names = (text, text + "2")
    renamed = replace(
        bad.logs,
        pods=replace(
            bad.logs.pods,
            canary=tuple(replace(log, pod=name) for log, name in zip(bad.logs.pods.canary, names, strict=True)),
        ),
    )
    return replace(
        bad, pods=Pair(stable=canaries.STABLE, canary=names), logs=renamed, kubernetes=kubernetes("", canary=names)
    )


def in_events(bad, text):
    return replace(bad, kubernetes=kubernetes(text))


def in_annotations(bad, text):
    path = "metadata/annotations/note"
    change = TemplateChange(path=path, stable="", canary=text)
    named = TemplateChange(path=text, stable=text, canary="x")
    return replace(bad, diff=TemplateDiff(changes=tuple(sorted((change, named), key=lambda c: c.path))))


def in_names(bad, text):
    gap = Gap(source=SourceKind.LOGS, what=text, reason=text)
    return replace(bad, rollout=RolloutRef(namespace=text, name=text), gaps=(gap,))


def in_metric_labels(bad, text):
    labelled = bad.metrics.series.map(lambda side: tuple(replace(s, labels=(("route", text),)) for s in side))
    return replace(bad, metrics=replace(bad.metrics, series=labelled))


PLACES = {
    "logs": in_logs,
    "pod_names": in_pod_names,
    "events": in_events,
    "annotations": in_annotations,
    "names": in_names,
    "metric_labels": in_metric_labels,
}


def everywhere(text):
    bad = canaries.failing(text)
    for place in (in_events, in_annotations, in_names, in_metric_labels):
        bad = place(bad, text)
    return bad


def checked(result):
    """Assert what holds of every result whatever the text."""
    assert not [c for c in result.prompt if unicodedata.category(c) in LEFT_BY_OTHERS and c != "\n"]
    evidence = result.prompt.split("The evidence of this measurement.", 1)[1]
    mark = re.match(r"\n<evidence-([0-9a-f]{8})>\n", evidence)[1]
    inside, rest = evidence.split(f"<evidence-{mark}>\n", 1)[1].split(f"\n</evidence-{mark}>", 1)
    assert mark not in rest.replace(f"@{mark}", "").replace(f"operator-{mark}>", "")
    ours = rf"(\[[mlpd]\d+@{mark}\] |  \S|rollout |pods: |logs: |metrics: |ready: |missing|left out)"
    assert all(re.match(ours, line) for line in inside.split("\n"))
    assert set(read(result.prompt).items) <= result.comparison.ids
    for opinion in result.verdict.opinions[1:]:
        for said in (opinion.rationale, opinion.root_cause, *opinion.next_steps):
            assert len(said) <= 600
            assert not [c for c in said if unicodedata.category(c) in LEFT_BY_OTHERS]
            assert "://" not in said


def fooled(result):
    return json.loads(result.reply)["decision"] == "promote"


def test_there_are_enough_of_them():
    """At least sixty, of many kinds."""
    assert len(TEXTS) >= 60
    assert len({name.split("-")[0] for name in TEXTS}) == 8


@pytest.mark.parametrize("name", TEXTS)
def test_no_text_turns_a_cited_rollback_into_a_promote(name, judging):
    """In the logs, where it fools the model for certain, and in every place at once."""
    result = canaries.judged(canaries.failing(TEXTS[name]), judging)
    checked(result)
    assert fooled(result)
    assert result.verdict.decision in (Decision.ROLLBACK, Decision.INCONCLUSIVE)
    result = canaries.judged(everywhere(TEXTS[name]), judging)
    checked(result)
    assert fooled(result)
    assert result.verdict.decision in (Decision.ROLLBACK, Decision.INCONCLUSIVE)


SAMPLE = (
    "order-plain",
    "delimiter-newline_item",
    "verdict-whole",
    "markup-script",
    "hidden-tags",
    "giant-token",
    "language-chinese",
)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", SAMPLE)
def test_no_place_is_better_than_another(place, name, judging):
    """Pod names, events, annotations, names and labels are quoted like log lines."""
    result = canaries.judged(PLACES[place](canaries.failing(), TEXTS[name]), judging)
    checked(result)
    assert result.verdict.decision in (Decision.ROLLBACK, Decision.INCONCLUSIVE)


@pytest.mark.parametrize("name", TEXTS)
def test_a_veto_stands_whatever_is_said(name, judging):
    """A crash loop is a fact; the model is not even asked, not even where it may override."""
    for policy in (Policy(), Policy(model_may_override=True)):
        crashed = replace(canaries.failing(TEXTS[name]), kubernetes=kubernetes(TEXTS[name], crashed=True))
        result = canaries.judged(crashed, judging, policy)
        assert (result.verdict.decision, result.verdict.row) == (Decision.ROLLBACK, 1)
        assert result.usage.attempts == 0


def test_without_such_a_text_the_same_model_says_rollback(judging):
    """The responder is fooled by the texts alone, so the tests above can fail."""
    result = canaries.judged(canaries.failing(), judging)
    assert not fooled(result)
    assert result.verdict.decided_by == "both"


def test_a_fooled_model_can_promote_where_the_operator_lets_it():
    """What the default protects from: with the override on, the gullible model wins, so its reply is as good as any."""
    with model(responder=gullible) as (_, judge):
        bad = canaries.failing(TEXTS["order-plain"])
        assert canaries.judged(bad, judge, Policy(model_may_override=True)).verdict.decision is Decision.PROMOTE
