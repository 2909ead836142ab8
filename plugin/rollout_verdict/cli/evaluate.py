"""The command that scores: what is in the folder decides what is scored."""

import json
from pathlib import Path

from rollout_verdict.cli import evaluation, facts
from rollout_verdict.cli.input import InputError
from rollout_verdict.cli.judging import settings_for
from rollout_verdict.core.policy import Mode, Policy


def evaluated(folder: Path, mode: str, predictions: Path | None, output: str, jobs: int) -> str:
    """Return the document for stdout: metric facts, grouping scores, or the scores of labelled cases.

    Raises InputError, BundleError.
    """
    if files := facts.metric_facts(folder):
        metric = facts.metric_report(files)
        return _json(metric) if output == "json" else facts.metric_text(metric)
    if files := facts.line_files(folder):
        lines = facts.line_report(files)
        return _json(lines) if output == "json" else facts.line_text(lines)
    cases = evaluation.cases_in(folder)
    policy, settings = Policy(mode=Mode(mode)), settings_for("", mode)
    judged = evaluation.judge_cases(cases, policy, settings, jobs or evaluation.default_jobs(policy, settings))
    if predictions is not None:
        try:
            predictions.write_text(evaluation.predictions(judged), encoding="utf-8")
        except OSError as error:
            raise InputError(f"--predictions {predictions}: {error.strerror}") from error
    scored = evaluation.scored(cases, judged)
    if not scored and predictions is None:
        raise InputError(
            f"{folder}: no case has a label, so that there is nothing to score; put expected.verdict into each "
            "case.json, or give --predictions FILE.jsonl for the verdicts alone"
        )
    return _json(evaluation.report(scored)) if output == "json" else evaluation.told(scored)


def _json(tree: object) -> str:
    return json.dumps(tree, indent=1, sort_keys=True) + "\n"
