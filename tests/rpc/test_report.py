"""Measurements within bounds."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_verdict.rpc import report
from rollout_verdict.rpc.measurer import Outcome

OUTCOME = Outcome(
    verdict="rollback",
    score=4,
    confidence=96,
    reason="errors rose",
    summary="Rollback: errors rose",
    analysis="## Why",
    root_cause="an index is gone",
    remediation="restore it",
    url="http://x/1",
    digest="sha256:1",
    decided_by="both",
    rationale="rules and model agree",
    models=({"modelName": "m", "promote": False, "confidence": 96},),
    warnings=("odd",),
)
KEYS = [
    "analysis",
    "analysisJSON",
    "confidence",
    "modelResults",
    "modelCount",
    "votingRationale",
    "verdict.url",
    "verdict.digest",
    "verdict.summary",
    "verdict.decidedBy",
    "verdict.warnings",
]


def test_the_metadata_keys_are_a_public_surface():
    found = report.metadata_of(OUTCOME, ("first",))
    assert list(found) == KEYS
    assert json.loads(found["analysisJSON"]) == {
        "text": "## Why",
        "promote": False,
        "confidence": 96,
        "rootCause": "an index is gone",
        "remediation": "restore it",
    }
    assert json.loads(found["modelResults"]) == [{"modelName": "m", "promote": False, "confidence": 96}]
    assert (found["modelCount"], found["confidence"]) == ("1", "96")
    assert found["verdict.warnings"] == "first; odd"


def test_what_is_empty_is_left_out():
    found = report.metadata_of(Outcome(verdict="promote", score=1, confidence=0, reason="r"), ())
    assert list(found) == ["analysisJSON", "confidence"]


def test_a_url_is_whole_or_not_there():
    assert "verdict.url" not in report.metadata_of(
        Outcome(verdict="promote", score=1, confidence=0, reason="", url="u" * 501), ()
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\tc\r\n  d", "a b c d"),
        ("\x1b[31mred\x07", "[31mred"),
        ("x" * 201, "x" * 199 + "…"),
        ("x" * 200, "x" * 200),
        ("", ""),
        ("a\u2028b\u202ec", "a b c"),
    ],
)
def test_a_message_is_one_line(text, line):
    assert report.one_line(text) == line


def test_secrets_are_found_longest_first_and_short_ones_are_left():
    assert (
        report.redact("hunter2hunter2 hunter2 abc", ["hunter2", "hunter2hunter2", "abc"]) == "[redacted] [redacted] abc"
    )


def test_redacting_reaches_every_text_of_an_outcome():
    found = report.redacted(
        Outcome(
            verdict="promote", score=1, confidence=2, reason="hush", models=({"hush": ["hush", 5]},), warnings=("hush",)
        ),
        ["hush"],
    )
    assert "hush" not in repr(found)
    assert (found.score, found.models[0]["[redacted]"]) == (1, ("[redacted]", 5))


def test_metadata_within_bounds_is_kept():
    found = report.metadata_of(OUTCOME, ())
    assert report.bounded(found) == found


def test_the_id_is_the_last_thing_to_go():
    found = report.bounded({"verdict.id": "1", "theirs": "x" * 9000, "analysis": "y" * 9000, "other": "z"})
    assert found == {"verdict.id": "1", "other": "z"}


def test_even_the_plugins_own_keys_do_not_break_the_bound():
    assert report.bounded({"verdict.id": "1", "verdict.unavailableSince": "x" * 9000}) == {"verdict.id": "1"}


def test_as_many_models_as_there_is_room_for_and_no_more_work_than_that(monkeypatch):
    written = []
    to_json = report._json
    monkeypatch.setattr(report, "_json", lambda value: written.append(1) or to_json(value))
    models = tuple({"modelName": f"model {number}"} for number in range(5000))
    found = report.metadata_of(Outcome(verdict="promote", score=1, confidence=1, reason="", models=models), warnings=())
    kept = json.loads(found["modelResults"])
    assert kept == [{"modelName": f"model {number}"} for number in range(len(kept))]
    assert len(kept) > 30
    assert len(found["modelResults"].encode()) <= 1000
    assert len(written) < 100


def test_text_that_is_no_unicode_reaches_the_metadata_as_question_marks():
    found = report.metadata_of(
        Outcome(verdict="promote", score=1, confidence=1, reason="", models=({"modelName": "\ud800"},)), ()
    )
    assert json.loads(found["modelResults"]) == [{"modelName": "?"}]


def test_odd_bytes_become_question_marks():
    assert report.bounded({"a\udc80": "x\udcff"}) == {"a?": "x?"}


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=20), st.text(max_size=30).map(lambda t: t * 200), max_size=12))
def test_metadata_is_always_bounded(metadata):
    found = report.bounded(metadata)
    assert sum(len(k.encode("utf-8", "replace")) + len(v.encode()) for k, v in found.items()) <= report.MAX_METADATA
    assert set(found) <= {report.clean(key) for key in metadata}


@settings(deadline=None)
@given(
    st.text(), st.text(), st.lists(st.dictionaries(st.text(max_size=9), st.text(max_size=300), max_size=4), max_size=9)
)
def test_json_in_metadata_is_json_whatever_is_cut(analysis, cause, models):
    found = report.metadata_of(
        Outcome(
            verdict="promote",
            score=1,
            confidence=1,
            reason="",
            analysis=analysis * 99,
            root_cause=cause * 99,
            models=tuple(models),
        ),
        (),
    )
    json.loads(found["analysisJSON"])
    json.loads(found.get("modelResults", "[]"))
