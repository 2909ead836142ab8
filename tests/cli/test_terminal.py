"""On a terminal there is colour and progress, elsewhere neither; the program starts quickly."""

import os
import pty
import subprocess
import sys

import pytest

from rollout_verdict.cli import terminal
from tests.conftest import ROOT
from tests.test_golden import BUNDLES

COMMAND = [sys.executable, "-m", "rollout_verdict"]


def on_terminal(*arguments, **environment):
    """Run a command with stdout and stderr on a terminal of its own; returns what appeared there."""
    ours, theirs = pty.openpty()
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("GEMINI", "GOOGLE", "NO_COLOR"))}
    env = keep | {"PYTHONPATH": str(ROOT / "plugin"), "TERM": "xterm", "COLUMNS": "100"} | environment
    process = subprocess.Popen([*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    shown = bytearray()
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not block:
            break
        shown += block
    os.close(ours)
    assert process.wait(60) == 0
    return shown.decode()


def test_a_terminal_gets_colour():
    shown = on_terminal("judge", str(BUNDLES / "crash_loop"))
    assert "\x1b[" in shown
    assert "judging" in shown


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_color_and_dumb_terminals_get_none(environment):
    shown = on_terminal("judge", str(BUNDLES / "crash_loop"), **environment)
    assert "\x1b" not in shown
    assert "judging" not in shown
    assert "ROLLBACK" in shown


def test_a_bar_counts_on_a_terminal(tmp_path):
    told = ("--predictions", str(tmp_path / "p.jsonl"))  # these cases have no labels
    shown = on_terminal("evaluate", str(BUNDLES), "--mode", "rules", "--jobs", "1", *told)
    assert "judged" in shown
    assert "0 labelled cases" in shown


def test_without_a_terminal_progress_is_a_few_lines(capsys):
    assert list(terminal.counted(iter("abc"), 3, "done")) == ["a", "b", "c"]
    assert capsys.readouterr().err == "done 1/3\ndone 2/3\ndone 3/3\n"
    assert list(terminal.counted(range(1000), 1000, "done")) == list(range(1000))
    assert len(capsys.readouterr().err.splitlines()) == 10


def test_help_loads_nothing_heavy():
    program = "import sys; import rollout_verdict.cli.app; print(*sorted(sys.modules))"
    env = {"PYTHONPATH": str(ROOT / "plugin")}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded & {"pydantic", "jinja2", "google", "httpx2", "tenacity"} == set()
    assert not any(name.startswith("rollout_verdict.core") for name in done.stdout.split())


def test_output_that_cannot_be_encoded_does_not_stop_a_verdict():
    env = {"PYTHONPATH": str(ROOT / "plugin"), "PYTHONIOENCODING": "ascii", "PATH": os.environ["PATH"]}
    bundle = str(BUNDLES / "crash_loop")
    done = subprocess.run([*COMMAND, "judge", bundle], env=env, capture_output=True, text=True, check=True)
    assert "ROLLBACK" in done.stdout


def test_a_reader_that_goes_away_is_no_traceback():
    env = {"PYTHONPATH": str(ROOT / "plugin"), "PATH": os.environ["PATH"]}
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, "judge", str(BUNDLES / "healthy"), "-o", "html"],
        env=env, stdout=writing, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writing)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
