"""An analysis as a line: words and numbers for people."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rollout_verdict.core.values import Decision
from rollout_verdict.jobs.analysis import Analysis, Phase, Request, Summary
from rollout_verdict.service.pages.rows import UNNAMED, in_url, row, tally
from tests.service.memory import BEGAN

REQUEST = Request(id="a/b", namespace="shop", name="cart")
SUMMARY = Summary(
    decision=Decision.ROLLBACK, score=12, confidence=90, decided_by="both", reason="it fails", headline="h", digest="d"
)
DONE = Analysis(
    request=REQUEST, phase=Phase.DONE, created=BEGAN, started=BEGAN + timedelta(seconds=1),
    finished=BEGAN + timedelta(seconds=3.25), summary=SUMMARY,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"word": "Roll back", "tone": "bad", "score": 12, "took": "2.2 s", "cost": "no model", "reason": "it fails"}),
        ({"finished": BEGAN + timedelta(seconds=91)}, {"took": "1 min 30 s"}),
        ({"started": None}, {"took": "3.2 s"}),
        ({"summary": replace(SUMMARY, tokens=3714, cost_usd=0.00213)}, {"cost": "$0.0021", "tokens": "3,714 tokens"}),
        ({"summary": replace(SUMMARY, tokens=12)}, {"cost": "cost unknown", "tokens": "12 tokens"}),
        ({"request": replace(REQUEST, name="")}, {"name": UNNAMED}),
        ({"phase": Phase.ERROR, "summary": None, "message": "no pods"}, {"word": "Error", "score": None, "reason": "no pods"}),
        ({"phase": Phase.ERROR, "summary": None}, {"reason": "No reason told."}),
        ({"phase": Phase.CANCELLED, "summary": None}, {"word": "Cancelled", "reason": "Somebody cancelled it.", "live": False}),
        ({"phase": Phase.RUNNING, "summary": None, "finished": None}, {"live": True, "reason": "begins", "took": "59 s"}),
        ({"phase": Phase.QUEUED, "summary": None, "finished": None}, {"live": True, "reason": "waits for its turn", "took": ""}),
        ({"created": BEGAN - timedelta(hours=5)}, {"ago": "5 h ago"}),
        ({"created": BEGAN - timedelta(days=9)}, {"ago": "9 d ago"}),
        ({"created": BEGAN + timedelta(hours=1)}, {"ago": "just now"}),
        ({"finished": BEGAN - timedelta(hours=1)}, {"took": "0.0 s"}),
    ],
)  # fmt: skip
def test_rows(changes, expected):
    """Each column of each kind of analysis; a clock that goes back gives no negative time."""
    found = row(replace(DONE, **changes), "/base", BEGAN + timedelta(minutes=1))
    assert {name: getattr(found, name) for name in expected} == expected
    assert found.href == "/base/analyses/a%2Fb"


def test_a_tally_counts_words():
    """The most frequent verdict first."""
    rows = [row(DONE, "", BEGAN)] * 2 + [row(replace(DONE, phase=Phase.ERROR, summary=None), "", BEGAN)]
    assert tally(rows) == "2 roll back, 1 error"


def test_any_name_fits_into_an_address():
    """Half of a surrogate pair, too."""
    assert in_url("a b/ü?\ud800") == "a%20b%2F%C3%BC%3F%3F"
