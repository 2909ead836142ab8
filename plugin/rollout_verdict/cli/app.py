"""The commands and their options; what they do stands in the modules beside this one."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(
    name="rollout-verdict",
    help="Decides, and explains, whether a canary goes on.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # it prints local variables, which may hold secrets
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Bundle = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder or .tar.gz with recorded evidence.")]
ModeName = Literal["auto", "rules", "advisory"]
ModeOption = Annotated[
    ModeName,
    typer.Option(help="auto: rules and model decide; rules: no model; advisory: rules decide, the model explains."),
]
ModelOption = Annotated[str, typer.Option(metavar="NAME", help="Ask this model only, instead of the usual chain.")]


class Source(StrEnum):
    """Sources that may be required; an enum, since typer takes no list of literals."""

    LOGS = "logs"
    METRICS = "metrics"
    KUBERNETES = "kubernetes"
    DIFF = "diff"


def _seconds(text: str | float) -> float:
    """Return the seconds of a duration."""
    from rollout_verdict.durations import EXPECTED, parse_duration

    try:
        return parse_duration(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r}: expected {EXPECTED}") from None


def _print_version(*, wanted: bool) -> None:
    if not wanted:
        return
    from rollout_verdict import __version__

    sys.stdout.write(f"rollout-verdict {__version__}\n")
    raise typer.Exit


@app.callback()
def _common(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda value: _print_version(wanted=value),
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Decides, and explains, whether a canary goes on."""
    del version  # the callback has dealt with it


@app.command()
def demo(
    *,
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder for the HTML reports; ./out if not given.")
    ] = None,
    mode: ModeOption = "auto",
) -> None:
    """Judge the two example canaries and write their HTML reports."""
    from rollout_verdict.cli.demo import demo as run
    from rollout_verdict.cli.judging import settings_for
    from rollout_verdict.core.policy import Mode, Policy

    for text in run(settings_for("", mode), Policy(mode=Mode(mode)), output):
        sys.stdout.write(text)
        sys.stdout.flush()


@app.command()
def judge(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE", help="Folders or .tar.gz files.")],
    *,
    output: Annotated[
        Literal["text", "json", "markdown", "html"], typer.Option("--output", "-o", help="Form of the result.")
    ] = "text",
    mode: ModeOption = "auto",
    model: ModelOption = "",
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 10 for a rollback, 11 for an inconclusive verdict.")
    ] = False,
    save: Annotated[Path | None, typer.Option(help="Write evidence and result here: a folder or a .tar.gz.")] = None,
) -> None:
    """Judge recorded canaries: promote, rollback or inconclusive, and why."""
    from rollout_verdict.cli.judging import judge_all, settings_for
    from rollout_verdict.core.policy import Mode, Policy

    text, code = judge_all(bundles, output, Policy(mode=Mode(mode)), settings_for(model, mode), save)
    sys.stdout.write(text)
    raise typer.Exit(code if exit_code else 0)


NamespaceOption = Annotated[
    str, typer.Option("--namespace", "-n", metavar="NS", help="Namespace; the context's if not given.")
]
ContextOption = Annotated[str, typer.Option(metavar="NAME", help="Context of the kubeconfig.")]
KubeconfigOption = Annotated[str, typer.Option(metavar="FILE", help="Kubeconfig, instead of the usual one.")]
PrometheusOption = Annotated[str, typer.Option(metavar="URL", help="Prometheus, instead of the one of the settings.")]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--request-timeout",
        parser=_seconds,
        metavar="DURATION",
        help="How long a request to the API server may take, as 5s; 15s if not given.",
    ),
]


@app.command()
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
        float, typer.Option(parser=_seconds, metavar="DURATION", help="How far back to compare, as 10m.")
    ] = 600.0,
    deadline: Annotated[
        float, typer.Option(parser=_seconds, metavar="DURATION", help="When all evidence has to be in.")
    ] = 60.0,
    prometheus: PrometheusOption = "",
    stable_selector: Annotated[str, typer.Option(metavar="LABELS", help="Pods of the stable side, by label.")] = "",
    canary_selector: Annotated[str, typer.Option(metavar="LABELS", help="Pods of the canary, by label.")] = "",
    save_bundle: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write evidence and result here, to be judged again.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Judge again until the rollout is over.")] = False,
    interval: Annotated[
        float, typer.Option(parser=_seconds, metavar="DURATION", help="With --watch: how often, as 30s.")
    ] = 30.0,
    watch_limit: Annotated[
        float, typer.Option(parser=_seconds, metavar="DURATION", help="With --watch: how long at most, as 1h.")
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


@app.command()
def doctor(
    *,
    namespace: NamespaceOption = "",
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = "",
    request_timeout: Annotated[
        float, typer.Option(parser=_seconds, metavar="DURATION", help="How long an answer may take, as 5s.")
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


@app.command()
def prompt(
    bundle: Bundle,
    *,
    extra_prompt: Annotated[str, typer.Option(metavar="TEXT", help="Your own words to the model.")] = "",
) -> None:
    """Print the exact prompt a model would get; its size and what was redacted go to stderr."""
    from rollout_verdict.cli.judging import prompt_for, settings_for
    from rollout_verdict.core.policy import Policy

    text, notes = prompt_for(bundle, settings_for("", "auto"), Policy(extra_prompt=extra_prompt))
    sys.stdout.write(text)
    sys.stderr.write("".join(f"{note}\n" for note in notes))


@app.command()
def replay(
    bundle: Bundle,
    *,
    output: Annotated[Literal["text", "json"], typer.Option("--output", "-o", help="Form of the result.")] = "text",
    mode: Annotated[
        ModeName | None, typer.Option(help="As for judge; the mode of the recorded result if not given.")
    ] = None,
    model: ModelOption = "",
    prompt_version: Annotated[str, typer.Option(metavar="V", help="Version of the prompt files, as v1.")] = "",
    min_confidence: Annotated[
        int, typer.Option(min=0, max=100, help="A model less sure than this only explains.")
    ] = 70,
    override_confidence: Annotated[
        int, typer.Option(min=0, max=100, help="What it takes to speak against findings of the rules.")
    ] = 85,
    model_may_override: Annotated[
        bool, typer.Option("--model-may-override", help="A sure model may promote against findings of the rules.")
    ] = False,
    require: Annotated[list[Source] | None, typer.Option(help="A source without which nothing is promoted.")] = None,
    extra_prompt: Annotated[str, typer.Option(metavar="TEXT", help="Your own words to the model.")] = "",
) -> None:
    """Judge a bundle again, by its recorded reply or with another model, prompt or policy; show what changed."""
    from rollout_verdict.cli.input import with_prompt
    from rollout_verdict.cli.judging import replayed, settings_for
    from rollout_verdict.core.policy import Mode, Policy
    from rollout_verdict.core.values import SourceKind

    policy = Policy(
        min_confidence=min_confidence,
        override_confidence=override_confidence,
        model_may_override=model_may_override,
        required_sources=tuple(sorted({SourceKind(name) for name in require or ()})),
        extra_prompt=extra_prompt,
    )
    settings = with_prompt(settings_for(model, mode or ""), prompt_version, mode or "")
    afresh = bool(model or prompt_version or extra_prompt)
    sys.stdout.write(replayed(bundle, policy, settings, output, mode=Mode(mode) if mode else None, afresh=afresh))


@app.command()
def evaluate(
    cases: Annotated[
        Path,
        typer.Argument(metavar="CASES_DIR", help="Folder of labelled bundles, metric facts or labelled log lines."),
    ],
    *,
    mode: ModeOption = "auto",
    predictions: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Write each verdict there, a JSON object a line.")
    ] = None,
    output: Annotated[Literal["text", "json"], typer.Option("--output", "-o", help="Form of the scores.")] = "text",
    jobs: Annotated[
        int, typer.Option(min=0, help="Processes; 0: one a processor, and one where a model is asked.")
    ] = 0,
) -> None:
    """Score the judge on labelled cases, or parts of it on facts of their own."""
    from rollout_verdict.cli.evaluate import evaluated

    sys.stdout.write(evaluated(cases, mode, predictions, output, jobs))


@app.command()
def serve(
    *,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8080,
) -> None:
    """Run the service: analyses over HTTP, for the plugin, for other systems and for people."""
    from rollout_verdict.cli.serve import Door
    from rollout_verdict.cli.serve import serve as run

    run(Door(host=host, port=port))


@app.command()
def mcp(
    *,
    service: Annotated[
        str, typer.Option(metavar="URL", envvar="ROLLOUT_VERDICT_SERVICE", help="Base address of the service.")
    ] = "http://127.0.0.1:8080",
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", envvar="ROLLOUT_VERDICT_TOKEN_FILE", help="File with a token, one line."),
    ] = None,
) -> None:
    """Let an assistant read verdicts: an MCP server on standard input and output, read-only."""
    from rollout_verdict.cli.mcp import run

    run(service, token_file)


@app.command()
def version() -> None:
    """Print the version, and that of the prompt files."""
    from rollout_verdict import __version__
    from rollout_verdict.adapters import prompts

    templates = prompts.load()
    about = {"version": __version__, "prompt": templates.version, "prompt_digest": templates.digest}
    sys.stdout.write(json.dumps(about) + "\n")
