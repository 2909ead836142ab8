"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

ModeName = Literal["auto", "rules", "advisory"]
ModeOption = Annotated[
    ModeName,
    typer.Option(help="auto: rules and model decide; rules: no model; advisory: rules decide, the model explains."),
]
ModelOption = Annotated[str, typer.Option(metavar="NAME", help="Ask this model only, instead of the usual chain.")]


def seconds(text: str | float) -> float:
    """Return the seconds of a duration."""
    from rollout_verdict.durations import EXPECTED, parse_duration

    try:
        return parse_duration(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r}: expected {EXPECTED}") from None


ServiceOption = Annotated[
    str, typer.Option("--service", metavar="URL", envvar="ROLLOUT_VERDICT_SERVICE", help="Base address of the service.")
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file", metavar="FILE", envvar="ROLLOUT_VERDICT_TOKEN_FILE", help="File with a token, one line."
    ),
]
SERVICE = "http://127.0.0.1:8080"  # where `serve` listens when it is not told otherwise

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
        parser=seconds,
        metavar="DURATION",
        help="How long a request to the API server may take, as 5s; 15s if not given.",
    ),
]
