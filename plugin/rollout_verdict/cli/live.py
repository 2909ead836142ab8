"""The commands that look at a live cluster; what they do stands in ``explain`` and ``doctor``."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from rollout_verdict.cli.options import (
    ContextOption,
    KubeconfigOption,
    ModelOption,
    ModeOption,
    NamespaceOption,
    PrometheusOption,
    TimeoutOption,
    seconds,
)


def explain(
    name: Annotated[
        str,
        typer.Argument(metavar="KIND/NAME", help="rollout/NAME, ar/NAME, experiment/NAME, deployment/NAME, or a NAME."),
    ],
    *,
    namespace: NamespaceOption = "",
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = "",
    request_timeout: TimeoutOption = None,
    output: Annotated[
        Literal["text", "json", "yaml", "markdown", "html"], typer.Option("--output", "-o", help="Form of the result.")
    ] = "text",
    mode: ModeOption = "auto",
    model: ModelOption = "",
    window: Annotated[
        float, typer.Option(parser=seconds, metavar="DURATION", show_default="10m", help="How far back to compare.")
    ] = 600.0,
    deadline: Annotated[
        float,
        typer.Option(parser=seconds, metavar="DURATION", show_default="60s", help="When all evidence has to be in."),
    ] = 60.0,
    prometheus: PrometheusOption = "",
    stable_selector: Annotated[str, typer.Option(metavar="LABELS", help="Pods of the stable side, by label.")] = "",
    canary_selector: Annotated[str, typer.Option(metavar="LABELS", help="Pods of the canary, by label.")] = "",
    save_bundle: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write evidence and result here, to be judged again.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Judge again until the rollout is over.")] = False,
    interval: Annotated[
        float, typer.Option(parser=seconds, metavar="DURATION", show_default="30s", help="With --watch: how often.")
    ] = 30.0,
    watch_limit: Annotated[
        float,
        typer.Option(parser=seconds, metavar="DURATION", show_default="1h", help="With --watch: how long at most."),
    ] = 3600.0,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 10 for a rollback, 11 for an inconclusive verdict.")
    ] = False,
) -> None:
    """Judge a rollout on a cluster as it is now: what its canary does differently, and whether it may go on."""
    from rollout_verdict.cli.progress import Progress

    progress = Progress(f"looking at {name}")  # before anything heavy is imported: a person waits
    from rollout_verdict.cli.explain import Question, Watch, explained
    from rollout_verdict.cli.judging import settings_for
    from rollout_verdict.core.policy import Mode, Policy
    from rollout_verdict.core.target import Gathering

    question = Question(
        name=name,
        namespace=namespace,
        kubeconfig=kubeconfig,
        context=context,
        stable=stable_selector,
        canary=canary_selector,
        prometheus=prometheus,
        request_timeout_s=request_timeout,
        gathering=Gathering(window_s=window, deadline_s=deadline),
    )
    with progress:
        code, note = explained(
            question,
            Policy(mode=Mode(mode)),
            settings_for(model, mode),
            output=output,
            progress=progress,
            save=save_bundle,
            watch=Watch(every_s=interval, most_s=watch_limit) if watch else None,
        )
    sys.stderr.write(note)
    raise typer.Exit(code if exit_code or code not in (10, 11) else 0)


def doctor(
    *,
    namespace: NamespaceOption = "",
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = "",
    request_timeout: Annotated[
        float, typer.Option(parser=seconds, metavar="DURATION", show_default="10s", help="How long an answer may take.")
    ] = 10.0,
    prometheus: PrometheusOption = "",
    ask_model: Annotated[
        bool, typer.Option("--ask-model", help="Ask the model a few words, to see it answer.")
    ] = False,
    output: Annotated[Literal["text", "json"], typer.Option("--output", "-o", help="Form of the result.")] = "text",
) -> None:
    """Check what live verdicts need: cluster, permissions, Argo Rollouts, Prometheus, model; say what to do."""
    import os

    from rollout_verdict.cli.check import as_json, as_text, healthy
    from rollout_verdict.cli.doctor import Patient, checks
    from rollout_verdict.settings import read_settings

    patient = Patient(
        namespace=namespace,
        kubeconfig=kubeconfig,
        context=context,
        prometheus=prometheus,
        ask_model=ask_model,
        answer_s=request_timeout,
    )
    found = []
    for check in checks(patient, lambda: read_settings(os.environ)):
        found.append(check)
        if output == "text":
            sys.stdout.write(as_text(check))
            sys.stdout.flush()
    if output == "json":
        sys.stdout.write(as_json(found))
    raise typer.Exit(0 if healthy(found) else 1)
