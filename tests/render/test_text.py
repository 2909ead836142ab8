"""The terminal report: verdict first, every claim with an id that exists."""

import re
from dataclasses import replace

import pytest

from rollout_verdict.core.evidence import Progress
from rollout_verdict.core.values import Decision, Pair, Usage
from rollout_verdict.render import text
from rollout_verdict.render.items import items
from tests.render import results


def test_it_reads_in_the_order_of_need():
    """Who, verdict, why, cause, commands, evidence, and last what was not looked at."""
    written = text.render(results.result(), width=100)
    places = [
        written.index(mark)
        for mark in (
            "checkout (shop)   canary 7d4cc1 vs stable 5b8f9c   window 5 min",
            "ROLLBACK    score 12/100   confidence 92/100   decided by both   (2 of 3 metrics worse)",
            "  Why\n  1. http_error_ratio: 25.0%",
            "Likely cause (inferred by rules, not measured)",
            "The model (gemini-flash) (its words, not measured)",
            "     kubectl logs checkout-7d4cc1-x2v -n shop",
            "  Evidence\n  [m1] ",
            "  What is the same",
            "  What was compared",
            "  What was not looked at",
            "warning: the key of the store is missing",
            "model gemini-flash · tokens: 3,214 prompt (100 of them cached) + 420 reply + 80 thinking · 2 calls",
        )
    ]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("progress", "told"),
    [
        (Progress(strategy="canary", step=3, steps=6, weight=25), "5b8f9c   step 4/6, weight 25 %   window"),
        (Progress(strategy="canary", step=6, steps=6), "5b8f9c   step 6/6   window"),
        (Progress(strategy="blueGreen", weight=0), "5b8f9c   weight 0 %   window"),
        (Progress(strategy="deployment"), "5b8f9c   window"),
    ],
)
def test_the_first_line_tells_how_far_a_rollout_is(progress, told):
    """Step and weight, where the cluster told them."""
    result = results.result()
    live = replace(result, evidence=replace(result.evidence, progress=progress))
    assert told in text.render(live, width=100).splitlines()[0]


def test_the_evidence_has_numbers_and_a_course():
    """A metric with both spark lines, a message with a sample, a change with both values."""
    lines = text.render(results.result(), width=100).splitlines()
    assert '  [m1] http_error_ratio{route="/pay/m1"}  high  +24.0 pp  p < 0.001' in lines
    assert "       canary ▆▆▆ ▇    ███ 25.0 % (n=10)   stable ▁▁▁ ▁    ▁▁▁ 1 % (n=10)" in lines
    assert '  [l1] new: 212× on canary, 0× on stable  "connect() failed (<*>: Connection refused) to' in lines
    assert "       checkout-7d4cc1-x2v 12:00:00Z: connect() failed (111: Connection refused) to payments:8443" in lines
    assert "  [d1] pod template: containers/api/env/PAYMENTS_PORT  443 → 8443" in lines
    assert "  [d2] pod template: spec/image  nothing → app:2" in lines


def test_what_is_not_known_is_left_out():
    """No interval, no chance, no sample, no time: no words about them."""
    result = results.result()
    check = replace(result.comparison.metrics.checks[0], effect=None, p=None, summary=Pair(stable=None, canary=None))
    change = result.comparison.logs.changes[0]
    silent = replace(change, pattern=replace(change.pattern, samples=Pair(stable=(), canary=())))
    later = replace(change.pattern, samples=Pair(stable=(), canary=change.pattern.samples.canary[1:]))
    comparison = replace(
        result.comparison,
        metrics=replace(result.comparison.metrics, checks=(check,)),
        logs=replace(result.comparison.logs, changes=(silent, replace(change, id="l2", pattern=later))),
    )
    written = text.render(replace(result, comparison=comparison), width=120)
    assert "  [m1] http_error_ratio  high\n       canary no data   stable no data\n" in written
    assert "checkout-7d4cc1-x2v: connect() failed" in written
    assert "more in the full report" not in written


def test_a_short_report_stays_short():
    """Differences beyond the first few are left to the full report, and counted."""
    result = results.result()
    checks = tuple(replace(result.comparison.metrics.checks[0], id=f"m{n}") for n in range(1, 31))
    comparison = replace(result.comparison, metrics=replace(result.comparison.metrics, checks=checks))
    written = text.render(replace(result, comparison=comparison), width=120)
    assert written.count("  high  ") == 5
    assert "and 30 more in the full report" in written


def test_the_usage_line_knows_what_it_does_not_know():
    """A price that is unknown is not free."""
    usage = Usage(model="", attempts=1, prompt_tokens=10, output_tokens=5)
    digests = replace(results.verdict().digests, prompt="")
    result = replace(results.result(), usage=usage, redactions=(), verdict=replace(results.verdict(), digests=digests))
    line = " ".join(text.render(result, width=200).splitlines()[-1].split())
    assert line == (
        "model unknown · tokens: 10 prompt + 5 reply · 1 call · cost unknown · evidence abababababab · policy cdcdcdcdcdcd"
    )


def test_every_id_exists():
    """No claim points nowhere."""
    result = results.result()
    cited = set(re.findall(r"\[([mlpd]\d+)\]", text.render(result, width=5000)))
    assert cited
    assert cited <= set(items(result.comparison))


def test_nothing_at_all_is_reported_as_such():
    """Without evidence the report is short and says what is missing."""
    written = text.render(results.bare())
    assert "INCONCLUSIVE" in written
    assert "Evidence" not in written
    assert "- logs: not in the evidence" in written
    assert "no model call" in written


@pytest.mark.parametrize("width", [1, 40, 72, 100, 200])
def test_lines_fit_but_commands_stay_whole(width):
    """Everything wraps to the width, but a command that was wrapped could not be copied."""
    result = results.result()
    steps = set(result.explanation.next_steps)
    for line in text.render(result, width=width).splitlines():
        assert line == line.rstrip()
        assert len(line) <= max(40, width) or line.strip() in steps


@pytest.mark.parametrize("decision", Decision)
def test_colour_changes_no_word(decision):
    """Colour is only added; the words are the same."""
    result = results.result(decision=decision)
    coloured = text.render(result, colour=True)
    assert coloured != text.render(result)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in plain.splitlines()] == text.render(result).splitlines()


def test_the_environment_has_no_say(monkeypatch):
    """Width and colour are arguments; variables that a terminal library heeds change nothing."""
    expected = text.render(results.result(), width=90, colour=True)
    for name, value in {
        "NO_COLOR": "1",
        "COLUMNS": "20",
        "TERM": "dumb",
        "FORCE_COLOR": "1",
        "JUPYTER_COLUMNS": "9",
    }.items():
        monkeypatch.setenv(name, value)
    assert text.render(results.result(), width=90, colour=True) == expected
