"""The HTML report, as far as it can be told without a browser."""

import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256

import pytest

from rollout_verdict.core.comparison import SetAside
from rollout_verdict.core.memory import Mark
from rollout_verdict.core.recall import markable
from rollout_verdict.core.values import Decision, Pair, Severity
from rollout_verdict.render import html
from rollout_verdict.render.view import view
from tests.core.builders import NOON
from tests.render import results

PAGE = html.render(results.result())


def test_the_style_is_the_only_thing_allowed():
    """The policy names the digest of the style sheet that is in the file, and nothing else is let in."""
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', PAGE)[1]
    style = re.search(r"<style>(.*?)</style>", PAGE, re.DOTALL)[1]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_nothing_comes_from_elsewhere():
    """No address in the file, but inside the evidence."""
    assert not re.search(r"(?:src|href|action|data|poster)\s*=\s*[\"'](?!#)", PAGE)
    assert "url(" not in PAGE
    assert "@import" not in PAGE
    assert PAGE.count("<script") == 1
    assert '<script type="application/json"' in PAGE


def test_checks_are_sorted_by_result():
    """Harm first, missing data before passes."""
    order = re.findall(r'<tr id="(m\d)"', PAGE)
    assert order == ["m1", "m2", "m4", "m5", "m3"]


@pytest.mark.parametrize(
    ("decision", "word"),
    [(Decision.PROMOTE, "Promote"), (Decision.ROLLBACK, "Roll back"), (Decision.INCONCLUSIVE, "Inconclusive")],
)
def test_the_verdict_is_the_heading(decision, word):
    """One heading of the first rank: the decision."""
    assert re.findall(r"<h1>(.*?)</h1>", html.render(results.result(decision=decision))) == [word]


def test_every_item_has_its_place():
    """Each id of the comparison is an anchor, once."""
    anchors = re.findall(r'\sid="([mlpd]\d+)"', PAGE)
    assert sorted(anchors) == sorted(results.comparison().ids)


def test_a_result_too_large_is_not_embedded(monkeypatch):
    """A file that no browser would open helps nobody; it says where the document is."""
    monkeypatch.setattr(html, "EMBEDDED", 100)
    script = re.search(r"<script[^>]*>(.*?)</script>", html.render(results.result()), re.DOTALL)[1]
    assert json.loads(script)["schema"] is None


def test_no_data_is_said_in_every_part():
    """A report of nothing calls nothing a pass."""
    page = html.render(results.bare())
    assert page.count("no data</span>") == 4
    assert page.count("<b>no data</b>") == 4
    assert "tone-good" not in page.split("<main>")[1].replace("No log message differs", "")


def test_a_side_without_samples_is_told_in_the_chart():
    """A chart of one side says that the other has no data."""
    result = results.result()
    checks = result.comparison.metrics.checks
    halved = replace(checks[0], trend=Pair(stable=(), canary=checks[0].trend.canary))
    other = replace(checks[1], trend=Pair(stable=checks[1].trend.stable, canary=()))
    metrics = replace(result.comparison.metrics, checks=(halved, other))
    page = html.render(replace(result, comparison=replace(result.comparison, metrics=metrics)))
    assert "stable: no data" in page
    assert "canary: no data" in page


def test_log_rows_without_reduced_logs_and_many_of_them():
    """A comparison may outlive its evidence; a list without end is cut and counted."""
    result = results.result()
    changes = tuple(replace(result.comparison.logs.changes[0], id=f"l{n}") for n in range(210))
    same = tuple(replace(result.comparison.logs.changes[2], id=f"l{n}") for n in range(300, 610))
    comparison = replace(
        result.comparison, logs=replace(result.comparison.logs, changes=changes + same, adequate=False)
    )
    page = html.render(replace(result, comparison=comparison, evidence=replace(result.evidence, logs=None)))
    assert "and 10 more that differ, in the JSON." in page
    assert "and 10 more, in the JSON." in page
    assert "Not enough to judge" in page


def test_the_cards_count_in_words_and_not_what_was_set_aside():
    """One is no plural; a message that was set aside is told there and counted nowhere else."""
    (new,) = (card for card in view(results.result())["cards"] if card[0] == "logs")
    assert new[1:3] == ("1", "log message new or more frequent")
    held = results.result()
    one = replace(held, comparison=replace(held.comparison, diff=held.comparison.diff[:1]))
    for result, words in ((held, ("2", "changes of the pod template")), (one, ("1", "change of the pod template"))):
        assert [card[1:3] for card in view(result)["cards"] if card[0] == "template"] == [words]
    mark = Mark(
        id="k1", about=markable(held.comparison, "l1"), who="alice", when=NOON, why="retried later", expires=None
    )
    aside = (SetAside(id="l1", severity=Severity.FAIL, mark=mark),)
    marked = replace(held, comparison=replace(held.comparison, set_aside=aside))
    assert [card[1:3] for card in view(marked)["cards"] if card[0] == "logs"] == [
        ("0", "log messages new or more frequent")
    ]
