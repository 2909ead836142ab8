"""``demo``: works from a bare clone, writes reports, says whether Gemini had a part."""

import stat
import subprocess
from pathlib import Path

from rollout_verdict.cli.demo import _asked
from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.settings import Secret, Settings


def test_both_examples_are_judged_and_reported(run, tmp_path):
    ran = run("demo", "--output", tmp_path / "reports")
    assert (ran.code, ran.err) == (0, "")
    assert "== bad: rollback" in ran.out
    assert "== good: promote" in ran.out
    assert ran.out.count("Gemini was not asked: there is no API key.") == 2
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == ["bad.html", "good.html"]
    assert ran.out.count(f"report: {tmp_path / 'reports'}") == 2


def test_reports_go_to_out_by_default(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("demo").code == 0
    assert (tmp_path / "out/bad.html").stat().st_mode & stat.S_IRUSR


def test_where_nothing_can_be_written_a_temporary_folder_is_named(run, tmp_path, monkeypatch):
    (tmp_path / "out").touch()  # in the way, for root as well
    monkeypatch.chdir(tmp_path)
    ran = run("demo", "--mode", "rules")
    assert ran.code == 0
    assert "rollout-verdict-demo-" in ran.out
    assert ran.out.count("Gemini was not asked: mode is rules.") == 2


def test_the_script_works_from_elsewhere(tmp_path):
    """Relative folders are the caller's, and the paths that are told lead to the reports from anywhere."""
    script = Path(__file__).resolve().parents[2] / "scripts/demo"
    ran = subprocess.run(
        [script, "--mode", "rules", "--output", "reports"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert f"report: {tmp_path / 'reports' / 'bad.html'}\n" in ran.stdout
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == ["bad.html", "good.html"]


def test_a_folder_that_was_asked_for_is_not_replaced(run, tmp_path):
    (tmp_path / "file").touch()
    ran = run("demo", "--output", tmp_path / "file")
    assert (ran.code, ran.out) == (2, "")
    assert f"--output {tmp_path / 'file'}: " in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_model_that_was_not_needed_is_said_so(golden_result):
    settings = Settings(api_key=Secret("k"), key_source="GEMINI_API_KEY")
    assert "settles the verdict by itself" in _asked(golden_result, settings, Policy(mode=Mode.AUTO))
