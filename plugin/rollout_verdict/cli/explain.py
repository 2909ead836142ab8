"""A rollout on a cluster, judged for a person: gather, judge, render; once, or until the rollout is over."""

import json as encoder
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rollout_verdict.adapters.bundle import write_bundle
from rollout_verdict.cli.input import InputError
from rollout_verdict.cli.judging import EXIT_CODES, NO_KEY, model_for, rendered
from rollout_verdict.cli.target import namespace_of, target
from rollout_verdict.configuration import Configuration
from rollout_verdict.core.policy import Mode, Policy
from rollout_verdict.core.quote import visible
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.core.result import Result
from rollout_verdict.core.target import Gathering, Target, TargetError
from rollout_verdict.engine import judge
from rollout_verdict.gather import gather
from rollout_verdict.settings import Settings
from rollout_verdict.wiring import live_cluster, live_metrics

if TYPE_CHECKING:
    from rollout_verdict.cli.progress import Progress
    from rollout_verdict.core.ports import Cluster, Judge, Metrics

INTERRUPTED = 130  # as a shell has it for a command that an interrupt ended
# Words of core.evidence.Progress.situation after which there is nothing more to come.
OVER = ("promoted", "aborted", "over", "scaled to zero", "first revision", "superseded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a person asked. ``prometheus`` is an address, "" for that of the settings; times are seconds."""

    name: str
    namespace: str = ""
    kubeconfig: str = ""
    context: str = ""
    stable: str = ""
    canary: str = ""
    prometheus: str = ""
    request_timeout_s: float | None = None
    gathering: Gathering = field(default_factory=Gathering)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How long and how often to look again, in seconds."""

    every_s: float = 30.0  # two scrapes of most Prometheus set-ups: enough for something to have changed
    most_s: float = 3600.0  # a rollout that takes longer is best watched by its own analysis


class Explainer:
    """What is needed to look at one target again and again: connections, model, policy."""

    def __init__(
        self,
        *,
        target: Target,
        cluster: "Cluster",
        metrics: "Metrics | None",
        model: "Judge | None",
        question: Question,
    ) -> None:
        self.target = target
        self._cluster, self._metrics, self._model = cluster, metrics, model
        self._gathering = question.gathering

    def result(self, policy: Policy, settings: Settings, progress: "Progress") -> Result:
        """Gather and judge once. Raises InputError where there is nothing of that name."""
        try:
            evidence = gather(self.target, self._cluster, self._metrics, self._gathering, on_stage=progress.stage)
        except TargetError as error:
            raise InputError(str(error)) from None
        progress.say("judging" if self._model is None else "asking the model")
        return judge(evidence, policy, self._model, Redactor(custom=settings.redact))


@contextmanager
def explainer(question: Question, policy: Policy, settings: Settings) -> Iterator[Explainer]:
    """Give what looks at the target. Raises InputError, SettingsError."""
    namespace = question.namespace or namespace_of(question.kubeconfig, question.context)
    named = target(question.name, namespace, stable=question.stable, canary=question.canary)
    metrics = live_metrics(settings, question.prometheus)(Configuration())
    with (
        closing(live_cluster(question.kubeconfig, question.context, question.request_timeout_s)) as cluster,
        model_for(settings, policy) as model,
    ):
        yield Explainer(target=named, cluster=cluster, metrics=metrics, model=model, question=question)


def explained(
    question: Question,
    policy: Policy,
    settings: Settings,
    *,
    output: str,
    progress: "Progress",
    save: Path | None = None,
    watch: Watch | None = None,
    write: Callable[[str], object] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[int, str]:
    """Write the report by ``write``; returns the verdict's exit code and what there is to say besides.

    With ``watch`` a text or Markdown report is written whenever the verdict changes, of the other forms only the last
    one, so that there is one document. An interrupt ends the watch, and so does an object that is there no more: the
    last verdict stands. Raises InputError, SettingsError, BundleError.
    """
    last: Result | None = None
    ended = ""
    shown: object = None

    def show(result: Result) -> None:
        nonlocal shown
        if _seen(result) == shown:
            return
        text = document(result, output)
        with progress.aside():
            (write or sys.stdout.write)(text if shown is None else f"\n{text}")
        shown = _seen(result)

    with explainer(question, policy, settings) as looks, suppress(*((KeyboardInterrupt,) if watch else ())):
        end = clock() + (watch.most_s if watch else 0.0)
        while True:
            try:
                last = looks.result(policy, settings, progress)
            except InputError as error:
                if last is None:
                    raise
                ended = f"rollout-verdict: {visible(str(error))}; the last verdict stands\n"
                break
            if watch is None or over(last) or clock() + watch.every_s > end:
                break
            if output in ("text", "markdown"):
                show(last)
            said = f"{last.verdict.decision.value}: {visible(last.verdict.reason)}"
            progress.say(f"{said}; looking again in {watch.every_s:g} s")
            sleep(watch.every_s)
            progress.say(f"looking at {question.name} again")
    if last is None:
        return INTERRUPTED, ""
    show(last)
    if save is not None:
        write_bundle(save, last)
    unasked = not settings.model_configured and policy.mode is not Mode.RULES
    return EXIT_CODES[last.verdict.decision], ended + (NO_KEY if unasked else "")


def over(result: Result) -> bool:
    """Whether there is nothing more to come of a rollout."""
    progress = result.evidence.progress
    return progress is not None and progress.situation in OVER


def document(result: Result, output: str) -> str:
    """Return a result in one of the forms."""
    if output == "yaml":
        import yaml  # type: ignore[import-untyped]  # it has no types of its own

        tree = encoder.loads(rendered([result], "json"))
        text: str = yaml.safe_dump(tree, allow_unicode=True, sort_keys=False, width=120)
        return text
    return rendered([result], output)


def _seen(result: Result) -> object:
    """Return what makes two reports worth showing apart: not the numbers, which are others each time."""
    verdict = result.verdict
    codes = {finding.code for opinion in verdict.opinions for finding in opinion.findings}
    return verdict.decision, sorted(codes), sorted({gap.what for gap in verdict.gaps})
