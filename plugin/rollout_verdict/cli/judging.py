"""Judging bundles for a person: read, judge, render."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from rollout_verdict.adapters.bundle import BundleError, read_bundle, read_record, write_bundle
from rollout_verdict.cli import terminal
from rollout_verdict.cli.input import InputError, with_model
from rollout_verdict.core import rules
from rollout_verdict.core.canonical import canonical, digest
from rollout_verdict.core.compare import compare
from rollout_verdict.core.model import prompt as prompting
from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.core.ports import Judge
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.core.result import Record, Result
from rollout_verdict.core.values import Decision, Severity
from rollout_verdict.engine import judge
from rollout_verdict.settings import Settings, read_settings
from rollout_verdict.wiring import model_judge, prompt_budget, prompt_templates, recorded_judge

EXIT_CODES = {Decision.PROMOTE: 0, Decision.ROLLBACK: 10, Decision.INCONCLUSIVE: 11}
NO_KEY = "rollout-verdict: no model was asked: there is no API key; set GEMINI_API_KEY to have one judge as well\n"


def settings_for(model: str, mode: str) -> Settings:
    """Return the settings of this process, for the model a person named if any."""
    return with_model(read_settings(os.environ), model, mode)


@contextmanager
def model_for(settings: Settings, policy: Policy) -> Iterator[Judge | None]:
    """Give the model that may be asked, None when the policy wants none or there is none; close it at the end."""
    model = None if policy.mode is Mode.RULES else model_judge(settings)
    try:
        yield model
    finally:
        if model is not None:
            with suppress(TimeoutError):  # a connection that will not close ends with the process
                model.close()


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Have every complaint about a bundle name it: with several, it would not be clear which is meant."""
    try:
        yield
    except BundleError as error:
        said = str(error)
        raise BundleError(said if said.startswith(f"{path}:") else f"{path}: {said}") from None


def judge_path(path: Path, policy: Policy, model: Judge | None, settings: Settings) -> Result:
    """Judge one bundle. Raises BundleError."""
    with terminal.working(f"judging {path} ..."), named(path):
        return judge(read_bundle(path), policy, model, Redactor(custom=settings.redact))


def judge_all(
    bundles: Sequence[Path], output: str, policy: Policy, settings: Settings, save: Path | None
) -> tuple[str, int]:
    """Judge bundles. Returns the document for stdout and the exit code of the worst verdict.

    JSON is one result for one bundle and a list of them for several. Raises BundleError, InputError.
    """
    if output == "html" and len(bundles) > 1:
        raise InputError("-o html: one page tells of one canary; give one bundle")
    if save is not None and len(bundles) > 1:
        raise InputError("--save: one place holds one result; give one bundle")
    with model_for(settings, policy) as model:
        results = [judge_path(path, policy, model, settings) for path in bundles]
    if save is not None:
        write_bundle(save, results[0])
    if model is None and policy.mode is not Mode.RULES:
        sys.stderr.write(NO_KEY)
    worst = max((EXIT_CODES[result.verdict.decision] for result in results), key=(0, 11, 10).index)
    return rendered(results, output), worst


def rendered(results: Sequence[Result], output: str) -> str:
    """Return results in one of the forms."""
    from rollout_verdict.render import html, json, markdown, text

    match output:
        case "json":
            documents = [json.render(result).strip() for result in results]
            return (documents[0] if len(documents) == 1 else f"[{','.join(documents)}]") + "\n"
        case "markdown":
            return "\n\n".join(markdown.render(result).rstrip("\n") for result in results) + "\n"
        case "html":
            return html.render(results[0])
        case _:
            width, colour = terminal.width(), terminal.colour(sys.stdout)
            return "\n\n".join(text.render(result, width=width, colour=colour) for result in results)


def prompt_for(path: Path, settings: Settings, policy: Policy) -> tuple[str, list[str]]:
    """Return the exact prompt for a bundle, and what there is to say about it. Raises BundleError."""
    redactor = Redactor(custom=settings.redact)
    with named(path):
        evidence = redactor.tree(read_bundle(path))
    policy = replace(policy, extra_prompt=redactor.text(policy.extra_prompt))
    comparison = compare(evidence, policy)
    opinion = rules.judge(evidence, comparison, policy).opinion
    prompt = prompting.render(
        prompt_templates(settings), evidence, comparison, opinion, policy, budget=prompt_budget(settings)
    )
    redacted = ", ".join(f"{count} {kind}" for kind, count in redactor.counts.items())
    left_out = ", ".join(f"{count} {kind}" for kind, count in prompt.omitted)
    notes = [
        f"about {prompt.tokens} tokens, {len(prompt.shown)} items shown, left out: {left_out or 'none'}",
        f"redacted: {redacted or 'nothing'}",
    ]
    if any(finding.severity is Severity.VETO for finding in opinion.findings):
        notes.append("a veto of the rules settles this verdict: no model would be asked")
    return prompt.text, notes


def replayed(
    path: Path, policy: Policy, settings: Settings, output: str, *, mode: Mode | None = None, afresh: bool = False
) -> str:
    """Judge a bundle again and tell what changed against the recorded verdict, or against the rules by default.

    A recorded exchange with a model takes the model's place, unless it is to be asked ``afresh``. Without a ``mode``
    the recorded one counts. Raises BundleError.
    """
    from rollout_verdict.render.difference import difference, told

    with named(path):
        record = read_record(path)
    policy = replace(policy, mode=mode or (_recorded_mode(policy, record, afresh=afresh) if record else Mode.AUTO))
    if record is None or (afresh and policy.mode is not Mode.RULES):
        with model_for(settings, policy) as model:
            after = judge_path(path, policy, model, settings).verdict
    else:
        model = None if policy.mode is Mode.RULES else recorded_judge(record)
        after = judge_path(path, policy, model, settings).verdict
    if record is None:
        before = judge_path(path, Policy(mode=policy.mode), None, settings).verdict
        source = "the default rules (the bundle has no result.json)"
    else:
        before, source = record.verdict, "the recorded result"
    if output == "json":
        tree = {"against": source, "before": before, "after": after, "changed": difference(before, after)}
        return canonical(tree, unbounded=True).decode() + "\n"
    return told(before, after, source)


def _recorded_mode(policy: Policy, record: Record, *, afresh: bool) -> Mode:
    """Return the mode that makes the policy the recorded one, auto where none does; not rules if a model is asked."""
    modes = (mode for mode in Mode if not (afresh and mode is Mode.RULES))
    told = record.verdict.digests.policy
    return next((mode for mode in modes if digest(replace(policy, mode=mode)) == told), Mode.AUTO)
