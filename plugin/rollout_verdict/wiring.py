"""The composition root: settings into the parts that an engine is given. The only module that knows every adapter."""

from functools import partial
from typing import TYPE_CHECKING, Any

from rollout_verdict.adapters import prompts
from rollout_verdict.core.model.prompt import Budget, Templates
from rollout_verdict.core.ports import Judge
from rollout_verdict.core.result import Record
from rollout_verdict.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rollout_verdict.adapters.gemini import GeminiJudge
    from rollout_verdict.adapters.gemini.options import Options
    from rollout_verdict.adapters.kubernetes import KubernetesCluster
    from rollout_verdict.adapters.prometheus.options import Server
    from rollout_verdict.configuration import Configuration
    from rollout_verdict.core.ports import Metrics
    from rollout_verdict.jobs.analysis import OnEnd
    from rollout_verdict.jobs.durable import DurableAnalyses
    from rollout_verdict.jobs.memory import RolloutMemory
    from rollout_verdict.jobs.running import Stop
    from rollout_verdict.jobs.settings import JobSettings
    from rollout_verdict.jobs.work import Gather, Models, Notifier, Recall, Took


def prompt_templates(settings: Settings) -> Templates:
    """Return the prompt files of the version that is set, the newest by default. Raises SettingsError."""
    try:
        return prompts.load(settings.prompt_version)
    except ValueError as error:
        raise SettingsError(f"ROLLOUT_VERDICT_PROMPT_VERSION: {error}") from error


def prompt_budget(settings: Settings) -> Budget:
    """Return how many tokens a prompt may have."""
    usual = Budget()
    most = settings.prompt_tokens
    return usual if most is None else Budget(usual=min(usual.usual, most), most=most)


def model_judge(settings: Settings) -> "GeminiJudge | None":
    """Return the model as a judge, None when there is nothing to authenticate with. Raises SettingsError.

    One for the process: its circuit breaker remembers. To be closed at its end.
    """
    if not settings.model_configured:
        return None
    from rollout_verdict.adapters.gemini import GeminiJudge, load_prices

    return GeminiJudge(prompt_templates(settings), model_options(settings), load_prices())


def model_options(settings: Settings) -> "Options":
    """Return how the model is asked. Raises SettingsError."""
    from rollout_verdict.adapters.gemini.options import Options, Thinking

    given: dict[str, Any] = {
        "models": settings.models,
        "thinking": None if settings.thinking is None else Thinking(settings.thinking),
        "attempt_timeout_s": settings.attempt_timeout_s,
        "total_timeout_s": settings.total_timeout_s,
        "attempts": settings.attempts,
        "max_output_tokens": settings.max_output_tokens,
        "measurement_tokens": settings.measurement_tokens,
        "location": settings.location or None,
    }
    try:
        return Options(
            api_key="" if settings.vertex or settings.api_key is None else settings.api_key.reveal(),
            project=settings.project if settings.vertex else "",
            base_url=settings.base_url,
            api_version=settings.api_version,
            budget=prompt_budget(settings),
            **{name: value for name, value in given.items() if value is not None},
        )
    except ValueError as error:  # its text names the setting, never its value
        raise SettingsError(f"{error}: correct the environment variable that sets it") from None


def recorded_judge(record: Record) -> Judge | None:
    """Return the judge that answers as the model did back then, None when no model had a part."""
    if not record.asked:
        return None
    from rollout_verdict.adapters.gemini.parse import parse
    from rollout_verdict.adapters.recorded import RecordedJudge

    return RecordedJudge(record=record, parse=partial(parse, asking=True))


def analyses(
    settings: Settings,
    jobs: "JobSettings",
    gather: "Gather",
    *,
    model: "GeminiJudge | None" = None,
    notifiers: "Sequence[Notifier]" = (),
    recall: "Recall | None" = None,
    on_end: "OnEnd | None" = None,
    took: "Took | None" = None,
) -> "DurableAnalyses":
    """Return what keeps and runs analyses; to be launched, and closed before ``model`` is.

    ``gather`` reads live targets; ``on_end`` hears of every end that this process brings about, ``took`` how long the
    parts of its work took. Raises DatabaseError, SettingsError.
    """
    from rollout_verdict.jobs.durable import DurableAnalyses
    from rollout_verdict.jobs.work import Parts

    hooks = {"recall": recall, "on_end": on_end, "took": took}
    given: dict[str, Any] = {name: hook for name, hook in hooks.items() if hook is not None}
    if model is not None:
        given["models"] = _models(settings, model)
    return DurableAnalyses(jobs, Parts(gather=gather, notifiers=tuple(notifiers), redact=settings.redact, **given))


def rollout_memory(settings: Settings, jobs: "JobSettings") -> "RolloutMemory":
    """Return what remembers earlier verdicts and people's marks, in the database of the analyses.

    To be handed to ``analyses`` as ``recall`` and used once they are launched; closed after them. Raises DatabaseError.
    """
    from rollout_verdict.jobs.memory import RolloutMemory

    return RolloutMemory(jobs.database.reveal(), settings.redact)


def _models(settings: Settings, judge: "GeminiJudge") -> "Models":
    """Return how the model for one measurement is found."""
    from rollout_verdict.jobs.asking import Model

    words = f"{','.join(settings.models or ())} {settings.thinking} {prompt_templates(settings).digest}"

    def models(configuration: "Configuration", stop: "Stop", within_s: float) -> "Model":
        named = configuration.model
        return Model(
            judge=judge.within(within_s, stop, named),
            fingerprint=f"{named} {words}",
            dearest_usd=judge.dearest_usd,
        )

    return models


def live_cluster(
    kubeconfig: str = "", context: str = "", request_timeout_s: float | None = None
) -> "KubernetesCluster":
    """Return the cluster that live evidence comes from. Raises SettingsError when there is no way to one.

    It is that of the kubeconfig or context named, else the one this process runs in, else that of the user's
    kubeconfig. One for the process, to be closed at its end; safe to use from many threads. A request may take
    ``request_timeout_s`` to connect, and then between two parts of its answer.
    """
    from rollout_verdict.adapters.kubernetes import ConnectionSettingsError, KubernetesCluster, connect
    from rollout_verdict.adapters.kubernetes.client import Patience

    usual = Patience()
    timeout_s = request_timeout_s or usual.read_s
    patience = Patience(connect_s=min(usual.connect_s, timeout_s), read_s=timeout_s)
    try:
        return KubernetesCluster(connect(kubeconfig, context), patience=patience)
    except ConnectionSettingsError as error:
        raise SettingsError(str(error)) from None


def live_metrics(settings: Settings, address: str = "") -> "Callable[[Configuration], Metrics | None]":
    """Return what gives a measurement its source of metrics, None where neither settings nor template name an address.

    One for the process: it remembers for some minutes what a server has. ``address`` is what a person says in place of
    the settings' address; credentials go there.
    """
    from rollout_verdict.adapters.prometheus.collect import Prometheus
    from rollout_verdict.adapters.prometheus.memory import Memory
    from rollout_verdict.adapters.prometheus.options import OwnQuery, Wanted
    from rollout_verdict.core.evidence import Direction

    server, memory = prometheus_server(settings, address), Memory()

    def source(configuration: "Configuration") -> "Metrics | None":
        told = configuration.prometheus
        if not (server.address or told.address):
            return None
        queries = tuple(
            OwnQuery(name=one.name, query=one.query, direction=Direction(one.direction), unit=one.unit)
            for one in told.queries
        )
        wanted = Wanted(
            address=told.address,
            presets=told.presets or settings.prometheus.presets,
            queries=queries,
            matchers=(*settings.prometheus.matchers, *told.matchers.items()),
            min_requests=told.minimum_requests,
        )
        return Prometheus(server=server, wanted=wanted, memory=memory)

    return source


def prometheus_server(settings: Settings, address: str = "") -> "Server":
    """Return the Prometheus of the settings, at another address if one is given."""
    from rollout_verdict.adapters.prometheus.options import Server

    given = settings.prometheus
    return Server(
        address=address or given.address,
        allowed=given.allowed,
        token_file=given.token_file,
        username=given.username,
        password_file=given.password_file,
        headers=tuple((name, value.reveal()) for name, value in given.headers),
        ca_file=given.ca_file,
        cert_file=given.cert_file,
        key_file=given.key_file,
        skip_verify=given.skip_verify,
        timeout_s=given.timeout_s or Server().timeout_s,
    )
