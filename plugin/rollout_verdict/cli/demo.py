"""The example canaries, judged: what a person sees who has just cloned the repository."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from rollout_verdict.cli import judging
from rollout_verdict.cli.input import InputError, examples_folder
from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.core.quote import visible
from rollout_verdict.core.result import Result
from rollout_verdict.core.values import Gap, SourceKind
from rollout_verdict.render import html
from rollout_verdict.settings import Settings


def demo(settings: Settings, policy: Policy, output: Path | None) -> Iterator[str]:
    """Judge the examples one by one; yields text for stdout. Reports go to ``output``, ``./out`` if it is None."""
    folder = _writable(output)
    with judging.model_for(settings, policy) as model:
        for bundle in sorted(examples_folder().iterdir()):
            if not (bundle / "case.json").is_file():
                continue
            result = judging.judge_path(bundle, policy, model, settings)
            page = folder / f"{bundle.name}.html"
            page.write_text(html.render(result), encoding="utf-8")
            yield f"== {bundle.name}: {result.verdict.decision.value}\n\n"
            yield judging.rendered([result], "text")
            yield f"\n{_asked(result, settings, policy)}\nreport: {page.resolve()}\n\n"


def _asked(result: Result, settings: Settings, policy: Policy) -> str:
    """Say whether Gemini had a part in the verdict, and if not, why."""
    if policy.mode is Mode.RULES:
        return "Gemini was not asked: mode is rules."
    if not settings.model_configured:
        return "Gemini was not asked: there is no API key. Set GEMINI_API_KEY to have it judge as well."
    missing = [gap for gap in result.verdict.gaps if isinstance(gap, Gap) and gap.source is SourceKind.MODEL]
    if missing:
        return visible(f"Gemini was asked and gave no usable answer: {missing[0].reason}. The rules decided.")
    if not result.usage.model:
        return "Gemini was not asked: the rules found what settles the verdict by itself."
    return visible(f"Gemini ({result.usage.model}) was asked; decided by {result.verdict.decided_by.value}.")


def _writable(output: Path | None) -> Path:
    """Return a folder for the reports: the one asked for, ``./out``, or a new one among temporary files."""
    folder = output or Path("out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        if output is not None:
            raise InputError(f"--output {output}: {error.strerror}; choose another folder") from error
        return Path(tempfile.mkdtemp(prefix="rollout-verdict-demo-"))
