"""``replay``: the same evidence judged again, and what changed."""

import json

import pytest

from tests.test_golden import BUNDLES


def test_nothing_changed(run, tmp_path):
    run("judge", BUNDLES / "new_errors", "--save", tmp_path / "b")
    ran = run("replay", tmp_path / "b")
    assert ran.code == 0
    assert ran.out.splitlines()[0] == "rollback, compared with the recorded result: rollback"
    assert "nothing changed" in ran.out


def test_another_policy_shows_in_the_difference(run, tmp_path):
    run("judge", BUNDLES / "new_errors", "--save", tmp_path / "b.tar.gz")
    changed = json.loads(run("replay", tmp_path / "b.tar.gz", "--require", "metrics", "-o", "json").out)["changed"]
    assert changed["decision"] == ["rollback", "inconclusive"]
    assert changed["row"] == [3, 2]
    assert "policy digest" in changed
    assert "evidence digest" not in changed
    told = run("replay", tmp_path / "b.tar.gz", "--require", "metrics").out
    assert "decision: rollback -> inconclusive" in told
    assert "other policy than before" in told


def test_a_finding_that_came_is_told(run, tmp_path):
    run("judge", BUNDLES / "healthy", "--save", tmp_path / "b")
    bad = tmp_path / "bad"
    run("judge", BUNDLES / "new_errors", "--save", bad)
    (bad / "result.json").write_bytes((tmp_path / "b/result.json").read_bytes())
    out = run("replay", bad).out
    assert "rollback, compared with the recorded result: promote" in out
    assert "finding new: fail rules: " in out
    assert "other evidence than before" in out


def test_a_bundle_never_judged_is_compared_with_the_default_rules(run):
    document = json.loads(run("replay", BUNDLES / "slower", "-o", "json").out)
    assert document["against"] == "the default rules (the bundle has no result.json)"
    assert document["after"]["decision"] == "rollback"


def test_a_bundle_never_judged_has_nothing_to_differ_in(run):
    out = run("replay", BUNDLES / "slower").out
    assert "nothing changed" in out
    assert "other policy" not in out


def test_the_recorded_mode_counts_unless_another_is_asked_for(run, tmp_path):
    run("judge", BUNDLES / "healthy", "--save", tmp_path / "b", "--mode", "rules")
    assert "nothing changed" in run("replay", tmp_path / "b").out
    assert "other policy than before" in run("replay", tmp_path / "b", "--mode", "auto").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--prompt-version", "v9"), "--prompt-version: prompt version 'v9' is not one of v1"),
        (("--prompt-version", "v1"), "--prompt-version v1: there is no API key"),
        (("--prompt-version", "v1", "--mode", "rules"), "--prompt-version: mode rules asks no model"),
    ],
)
def test_a_prompt_that_nobody_would_get_is_told(run, arguments, said):
    ran = run("replay", BUNDLES / "slower", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_options_out_of_range_are_wrong_usage(run):
    ran = run("replay", BUNDLES / "slower", "--min-confidence", "101")
    assert ran.code == 2
    assert "--min-confidence" in ran.err


def test_a_broken_result_is_told(run, tmp_path):
    run("judge", BUNDLES / "healthy", "--save", tmp_path / "b")
    (tmp_path / "b/result.json").write_text("{}")
    ran = run("replay", tmp_path / "b")
    assert (ran.code, ran.out) == (2, "")
    assert "result.json: verdict: expected this key, it is missing" in ran.err
