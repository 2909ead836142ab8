"""Running a command in this process."""

import pytest

from rollout_verdict.cli import main


class Ran:
    """What came of a command."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(capsys, monkeypatch):
    """Return a function that runs ``rollout-verdict`` without a key and gives code, stdout and stderr."""
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "ROLLOUT_VERDICT_API_KEY_FILE", "GOOGLE_GENAI_USE_VERTEXAI"):
        monkeypatch.delenv(name, raising=False)

    def command(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(ended.value.code, captured.out, captured.err)

    return command
