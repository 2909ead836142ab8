"""The commands and their options; what they do stands in the modules beside this one."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from rollout_verdict.cli.live import doctor, explain
from rollout_verdict.cli.options import SERVICE, ModelOption, ModeName, ModeOption, ServiceOption, TokenFileOption

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


class Source(StrEnum):
    """Sources that may be required; an enum, since typer takes no list of literals."""

    LOGS = "logs"
    METRICS = "metrics"
    KUBERNETES = "kubernetes"
    DIFF = "diff"


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


app.command()(explain)
app.command()(doctor)


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
    service: ServiceOption = SERVICE,
    token_file: TokenFileOption = None,
) -> None:
    """Let an assistant read verdicts: an MCP server on standard input and output, read-only."""
    from rollout_verdict.cli.mcp import run

    run(service, token_file)


@app.command()
def marks(
    *,
    namespace: Annotated[str, typer.Option("--namespace", "-n", metavar="NS", help="Only of this namespace.")] = "",
    name: Annotated[str, typer.Option(metavar="ROLLOUT", help="Only of this rollout.")] = "",
    service: ServiceOption = SERVICE,
    token_file: TokenFileOption = None,
) -> None:
    """List what is marked as known to be benign, newest first."""
    from rollout_verdict.cli.marks import Service

    sys.stdout.writelines(Service(url=service, token_file=token_file).listed(namespace, name))


@app.command()
def mark(
    analysis: Annotated[str, typer.Argument(metavar="ANALYSIS", help="Id of an analysis that shows it.")],
    item: Annotated[str, typer.Argument(metavar="ITEM", help="The item there: a log message (l1) or a metric (m1).")],
    *,
    why: Annotated[str, typer.Option(metavar="TEXT", help="Why it is harmless.")],
    expires: Annotated[str, typer.Option(metavar="TIME", help="When it counts again: 2027-01-01T00:00:00Z.")] = "",
    service: ServiceOption = SERVICE,
    token_file: TokenFileOption = None,
) -> None:
    """Mark a log message or a metric as known to be benign: later verdicts on the rollout set it aside, and say so."""
    from rollout_verdict.cli.marks import Service

    sys.stdout.write(Service(url=service, token_file=token_file).add(analysis, item, why, expires))


@app.command()
def unmark(
    mark: Annotated[str, typer.Argument(metavar="MARK", help="The mark's id.")],
    *,
    service: ServiceOption = SERVICE,
    token_file: TokenFileOption = None,
) -> None:
    """Take a mark back: what was marked counts again."""
    from rollout_verdict.cli.marks import Service

    Service(url=service, token_file=token_file).remove(mark)


@app.command()
def version() -> None:
    """Print the version, and that of the prompt files."""
    from rollout_verdict import __version__
    from rollout_verdict.adapters import prompts

    templates = prompts.load()
    about = {"version": __version__, "prompt": templates.version, "prompt_digest": templates.digest}
    sys.stdout.write(json.dumps(about) + "\n")
