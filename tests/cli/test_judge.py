"""``judge``: one document on stdout, exit codes that a script can rely on, complaints in one line."""

import json

import pytest

from rollout_verdict.adapters.bundle import read_bundle, read_verdict
from rollout_verdict.core.canonical import digest
from tests.test_golden import BUNDLES

BAD, GOOD, UNCLEAR = BUNDLES / "crash_loop", BUNDLES / "healthy", BUNDLES / "no_canary"


def test_a_verdict_is_not_a_failure_of_the_command(run):
    ran = run("judge", BAD, "--mode", "rules")
    assert (ran.code, ran.err) == (0, "")
    assert "ROLLBACK" in ran.out


def test_without_a_key_it_is_said_once_why_no_model_was_asked(run):
    ran = run("judge", BAD, GOOD)
    assert ran.code == 0
    assert ran.err == (
        "rollout-verdict: no model was asked: there is no API key; set GEMINI_API_KEY to have one judge as well\n"
    )


def test_a_complaint_names_the_bundle(run, tmp_path):
    """With several bundles a bare file name could be any of them."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b/metrics.json").write_text("[")
    ran = run("judge", GOOD, tmp_path / "b")
    assert ran.code == 2
    assert ran.err.startswith(f"rollout-verdict: {tmp_path / 'b'}: metrics.json: ")


@pytest.mark.parametrize(
    ("bundles", "code"),
    [([GOOD], 0), ([BAD], 10), ([UNCLEAR], 11), ([GOOD, UNCLEAR], 11), ([UNCLEAR, BAD, GOOD], 10)],
)
def test_with_exit_code_the_worst_verdict_counts(run, bundles, code):
    assert run("judge", *bundles, "--exit-code").code == code


def test_json_is_one_document(run):
    one = json.loads(run("judge", BAD, "-o", "json").out)
    assert one["verdict"]["decision"] == "rollback"
    several = json.loads(run("judge", BAD, GOOD, "--output", "json").out)
    assert [result["verdict"]["decision"] for result in several] == ["rollback", "promote"]


def test_markdown_and_html(run):
    assert run("judge", GOOD, "-o", "markdown").out.count("<!-- rollout-verdict") == 1
    page = run("judge", GOOD, "-o", "html").out
    assert page.lower().startswith("<!doctype html>")
    ran = run("judge", GOOD, BAD, "-o", "html")
    assert (ran.code, ran.out) == (2, "")
    assert "give one bundle" in ran.err


def test_text_has_no_escape_sequences_where_there_is_no_terminal(run):
    assert "\x1b" not in run("judge", BAD).out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["judge", "nowhere"], "nowhere: does not exist; expected a bundle: a folder or a .tar.gz"),
        (["judge", BAD, "--mode", "rules", "--model", "m"], "--model: mode rules asks no model"),
        (["judge", BAD, "--model", "m"], "there is no API key; set GEMINI_API_KEY"),
        (["judge", BAD, GOOD, "--save", "x"], "--save: one place holds one result"),
        (["judge", BAD, "--save", "/dev/null/x"], "cannot be written"),
    ],
)
def test_bad_input_ends_in_one_line_and_code_2(run, arguments, said):
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("rollout-verdict: ")
    assert ran.err.count("\n") == 1
    assert said in ran.err


@pytest.mark.parametrize(
    "arguments", [["judge"], ["judge", BAD, "-o", "yaml"], ["judge", BAD, "--mode", "guess"], ["x"]]
)
def test_wrong_usage_ends_in_code_2(run, arguments):
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "Usage:" in ran.err


def test_a_setting_that_cannot_be_used_ends_in_one_line(run, monkeypatch):
    monkeypatch.setenv("ROLLOUT_VERDICT_ATTEMPTS", "many")
    ran = run("judge", BAD)
    assert ran.code == 2
    assert ran.err == (
        "rollout-verdict: ROLLOUT_VERDICT_ATTEMPTS: expected a whole number of at least 1, got 'many': "
        "correct it or unset it\n"
    )


def test_a_hostile_name_cannot_write_to_the_terminal(run, tmp_path):
    (tmp_path / "a\x1b[31mb").mkdir()
    ran = run("judge", tmp_path / "a\x1b[31mb")
    assert ran.code == 2
    assert "\x1b" not in ran.err


@pytest.mark.parametrize("place", ["folder", "bundle.tar.gz"])
def test_a_saved_result_can_be_judged_again(run, tmp_path, place):
    first = json.loads(run("judge", GOOD, "-o", "json", "--save", tmp_path / place).out)
    assert read_verdict(tmp_path / place).decision.value == "promote"
    assert digest(read_bundle(tmp_path / place)) == first["verdict"]["digests"]["evidence"]
    again = json.loads(run("judge", tmp_path / place, "-o", "json").out)
    assert again == first


def test_an_error_of_ours_is_not_disguised_as_bad_input(run, monkeypatch):
    monkeypatch.setattr("rollout_verdict.cli.judging.judge", lambda *_: (_ for _ in ()).throw(ValueError("bug")))
    with pytest.raises(ValueError, match="bug"):
        run("judge", BAD)
