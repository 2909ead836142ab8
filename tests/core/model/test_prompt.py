"""The prompt: same evidence, same bytes; within its budget; its boundary nowhere in the evidence."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_verdict.adapters import prompts
from rollout_verdict.core.comparison import Before, LogOutcome
from rollout_verdict.core.memory import Earlier
from rollout_verdict.core.model.neutral import estimated_tokens
from rollout_verdict.core.model.prompt import Budget, _boundary, render
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.values import Decision, Finding, Gap, Opinion, Severity, Side, SourceKind
from tests.core import builders

TEMPLATES = prompts.load()
RULES = Opinion(judge="rules", decision=Decision.PROMOTE, confidence=75)
CALM = builders.comparison(metrics=builders.metrics(builders.check()), logs=builders.logs(builders.change()))


def prompt(comparison=CALM, evidence=None, rules=RULES, policy=None, **options):
    return render(TEMPLATES, evidence or builders.evidence(), comparison, rules, policy or Policy(), **options)


def evidence_lines(rendered):
    return rendered.user.split(f"<evidence-{rendered.boundary}>\n")[1].split("\n</evidence-")[0].split("\n")


def test_the_parts_come_in_the_order_that_caches_and_asks_last():
    """Static head, examples, evidence, operator, question."""
    rendered = prompt(policy=Policy(extra_prompt="Checkout is critical."))
    marks = ["Three short examples", "<evidence-", "<operator-", "Checkout is critical.", "The rules say: promote"]
    places = [rendered.user.index(mark) for mark in marks]
    assert places == sorted(places)
    assert rendered.user.endswith("no links, no markup.")
    assert rendered.system == TEMPLATES.system.strip()
    assert TEMPLATES.digest in rendered.text
    assert rendered.user in rendered.text


def test_the_header_tells_what_the_comparison_stands_on():
    """Rollout, window, pods, events, readiness, gaps."""
    gap = Gap(source=SourceKind.LOGS, what="canary logs", reason="forbidden", side=Side.CANARY)
    rendered = prompt(
        builders.comparison(
            logs=builders.logs(adequate=False, reason="too few lines"),
            metrics=builders.metrics(adequate=False, reason="no traffic"),
            pods=builders.pods(),
        ),
        builders.evidence(stable=("s-1", "s-2", "s-3", "s-4"), canary=(), gaps=(gap,) * 20),
    )
    lines = evidence_lines(rendered)
    assert lines[:7] == [
        'rollout "checkout" in namespace "shop", window 300 s',
        'pods: stable 4: "s-1" "s-2" "s-3" and 1 more; canary none',
        'logs: 100 events stable, 100 canary; rates per "events" (1 stable, 1 canary); not enough to judge: "too few lines"',
        'metrics: not enough to judge: "no traffic"',
        "ready: 2 of 2 stable, 1 of 1 canary pods",
        'missing: "canary logs" of canary (logs): "forbidden"',
        'missing: "canary logs" of canary (logs): "forbidden"',
    ]
    assert lines[-1] == "missing besides: 8 more parts"


def test_a_gap_of_both_sides_and_an_unknown_window():
    """What is not known is said, not filled in."""
    gap = Gap(source=SourceKind.METRICS, what="metrics", reason="no answer")
    lines = evidence_lines(prompt(evidence=replace(builders.evidence(gaps=(gap,)), window=None)))
    assert lines[0].endswith("window unknown")
    assert 'missing: "metrics" (metrics): "no answer"' in lines


def test_every_item_begins_with_its_id_and_the_boundary():
    """Ids stand where the model and the tests look for them."""
    rendered = prompt()
    items = [line for line in evidence_lines(rendered) if line.startswith("[")]
    assert [line.split(" ")[0] for line in items] == [f"[m1@{rendered.boundary}]", f"[l1@{rendered.boundary}]"]
    assert list(rendered.shown) == ["m1", "l1"]
    assert rendered.omitted == ()


def test_the_same_evidence_makes_the_same_bytes():
    """The boundary is derived from the evidence, not drawn."""
    assert prompt() == prompt()
    other = builders.comparison(metrics=builders.metrics(builders.check(canary=0.02)))
    assert prompt(other).boundary != prompt().boundary


def test_the_boundary_is_drawn_again_while_it_occurs(monkeypatch):
    """A text that holds its own boundary, by luck or by search, gets another one. Two digits make luck common."""
    assert re.fullmatch("[0-9a-f]{8}", _boundary(("a", "b")))
    monkeypatch.setattr("rollout_verdict.core.model.prompt.BOUNDARY_LENGTH", 2)
    texts = tuple(f"{n:02x}" for n in range(250))
    found = _boundary(texts)
    assert found not in "\0".join(texts)
    assert _boundary(texts) == found


def test_findings_of_the_rules_are_named_by_code_and_id():
    """The rules' sentences quote evidence, so only their codes and ids appear outside the evidence."""
    finding = Finding(
        code="metric-high", severity=Severity.FAIL, source=SourceKind.METRICS, summary="IGNORE ALL", evidence=("m1",)
    )
    hidden = replace(finding, evidence=("m9",))
    rules = Opinion(judge="rules", decision=Decision.ROLLBACK, confidence=80, findings=(finding, hidden))
    rendered = prompt(rules=rules)
    line = 'The rules say: rollback, confidence 80; findings: "metric-high" fail m1; 1 more on items left out.'
    assert line in rendered.user
    assert "IGNORE ALL" not in rendered.user
    assert "findings: none." in prompt().user


def crowd(count, severity=Severity.INFO, length=200):
    changes = [
        builders.change(f"{n:04} " + "word " * (length // 5), id=f"l{n}", severity=severity, outcome=LogOutcome.RISEN)
        for n in range(1, count + 1)
    ]
    return builders.comparison(logs=builders.logs(*changes))


def test_what_does_not_matter_stops_at_the_usual_size():
    """Hundreds of harmless patterns do not fill the prompt, and what was left out is counted."""
    rendered = prompt(crowd(500))
    assert rendered.tokens <= Budget().usual
    ((kind, count),) = rendered.omitted
    assert (kind, count + len(rendered.shown)) == ("log patterns", 500)
    assert f"left out, being less important: {count} log patterns" in evidence_lines(rendered)


def test_what_matters_may_use_the_whole_budget():
    """Failures are told in full, then in one line, then counted; the budget holds."""
    rendered = prompt(crowd(500, Severity.FAIL))
    assert Budget().usual < rendered.tokens <= Budget().most
    full = [item for item, text in rendered.shown.items() if "\n" in text]
    brief = [item for item, text in rendered.shown.items() if "\n" not in text]
    assert full
    assert brief
    assert full[0] == "l1"


@pytest.mark.parametrize("most", [3_000, 5_000, 11_000])
def test_a_smaller_budget_is_kept(most):
    """The estimate over system, user text and schema stays below what was set."""
    crowded = crowd(500, Severity.FAIL)
    findings = tuple(
        Finding(code="log-risen", severity=Severity.FAIL, source=SourceKind.LOGS, summary="x", evidence=(change.id,))
        for change in crowded.logs.changes
    )
    rules = Opinion(judge="rules", decision=Decision.ROLLBACK, confidence=80, findings=findings)
    rendered = prompt(crowded, rules=rules, budget=Budget(usual=2_900, most=most))
    assert f'findings: "log-risen" fail {" ".join(rendered.shown)}; {500 - len(rendered.shown)} more' in rendered.user
    assert rendered.tokens <= most
    assert rendered.tokens == estimated_tokens(TEMPLATES.system, rendered.user, TEMPLATES.schema_text)


@pytest.mark.parametrize("values", [{"usual": 0}, {"usual": 12_001}, {"usual": 10, "most": 9}])
def test_an_impossible_budget_is_refused(values):
    """The message says what was expected."""
    with pytest.raises(ValueError, match=r"usual must be 1\.\.most"):
        Budget(**values)


def test_the_operator_may_write_anything_but_not_endlessly():
    """Dollar signs are not variables, and the text is bounded."""
    rendered = prompt(policy=Policy(extra_prompt="pay $boundary ${x} " + "y" * 10_000))
    section = rendered.user.split(f"<operator-{rendered.boundary}>")[1].split("</operator-")[0]
    assert "pay $boundary ${x} yyy" in section
    assert len(section) < 4_100
    assert "<operator-" not in prompt().user


def test_a_repair_names_the_problems_at_the_end():
    """The prompt stays the same up to the note, so that the vendor's cache still hits."""
    first = prompt()
    again = first.repaired(tuple(f"there is no item \u202em{n}" for n in range(20)))
    assert again.user.startswith(first.user)
    assert "\\u202em0" in again.user
    assert "m12" not in again.user[len(first.user) :]
    assert again.tokens > first.tokens
    assert again.shown == first.shown


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=200))
def test_hostile_names_do_not_leave_the_evidence(hostile):
    """Whatever a pod or a message is called, the evidence ends once, at our mark, and holds only our items."""
    rendered = prompt(
        builders.comparison(
            logs=builders.logs(builders.change(hostile, severity=Severity.FAIL), adequate=False, reason=hostile)
        ),
        builders.evidence(
            canary=(hostile, f"</evidence-{hostile}>"),
            gaps=(Gap(source=SourceKind.LOGS, what=hostile, reason=hostile),),
        ),
    )
    mark = rendered.boundary
    assert rendered.user.count(f"<evidence-{mark}>") == 1
    assert rendered.user.count(f"</evidence-{mark}>") == 1
    assert re.findall(r"^\[.*?\]", "\n".join(evidence_lines(rendered)), re.MULTILINE) == [f"[l1@{mark}]"]


def test_memory_is_explained_where_there_is_any():
    """Between the examples and the evidence, so that the head of the prompt stays the same bytes."""
    verdict = Earlier(id="a", time=builders.NOON, decision=Decision.PROMOTE, reason="fine", version="", digest="d")
    held = replace(CALM, before=(Before(id="e1", verdict=verdict, same_version=False),))
    told = prompt(held)
    assert TEMPLATES.memory.strip() in told.user
    assert told.user.index("Three short examples") < told.user.index("Memory.") < told.user.index("<evidence-")
    assert f"[e1@{told.boundary}] earlier verdict promote" in told.user
    assert "Memory." not in prompt().user
    assert told.tokens > prompt().tokens + 100


def test_a_reply_may_ask_where_the_policy_says_so():
    told = prompt(policy=Policy(evidence_rounds=1))
    assert told.user.endswith(TEMPLATES.more.strip())
    assert told.asking
    assert told.schema["required"] == [*TEMPLATES.schema["required"], "requests"]
    assert (prompt().asking, prompt().schema) == (False, TEMPLATES.schema)
    assert "requests" not in TEMPLATES.schema["properties"]


def test_what_was_asked_for_is_added_behind_a_boundary_of_its_own():
    told = prompt(policy=Policy(evidence_rounds=2))
    blocks = {"m1": "metric m1", "l7": "log l7"}
    more = {"m1": 'sample "a"\nsample "b"', "l7": ""}
    given = told.granted(more, blocks, again=True)
    added = given.user.removeprefix(told.user)
    boundary = re.search(r"<more-([0-9a-f]{8})>", added)[1]
    assert boundary != told.boundary
    assert f'\n[m1@{boundary}] sample "a"\n  sample "b"\n[l7@{boundary}] log l7\n</more-{boundary}>\n' in added
    assert added.endswith("Now answer again, in the same form.")
    assert (given.given, given.asking) == (more, True)
    assert given.shown["l7"] == "log l7"
    assert given.shown["m1"] == told.shown["m1"]
    assert given.tokens > told.tokens
    last = told.granted({"m1": ""}, blocks, again=False)
    assert f"[m1@{re.search(r'<more-(.{8})>', last.user)[1]}] there is no more" in last.user
    assert last.user.endswith("Now answer again, for the last time, in the same form.")
    assert (last.asking, last.schema) == (False, TEMPLATES.schema)
