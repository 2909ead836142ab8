"""What the service counts, for Prometheus, in a registry of its own. No label takes a value that callers choose."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from rollout_verdict import __version__
from rollout_verdict.core.result import Result
from rollout_verdict.core.values import SourceKind
from rollout_verdict.jobs.analysis import Phase

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Seconds. A request takes milliseconds, a judgement tenths, gathering seconds, a model up to two minutes.
_REQUEST = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30, 300)
_STAGE = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
STAGES = ("gather", "rules", "model", "decide", "store", "notify", "total")
DOORS = ("plugin", "api", "page", "a2a", "web", "mcp")
_MODEL_LENGTH = 60
_MOST_MODELS = 20  # the chain has a handful; a request may name another


class Metrics:
    """The counters of this process. Safe to use from many threads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._verdicts = self._counter("verdicts", "Verdicts", ("decision", "decided_by"))
        self._ended = self._counter("analyses", "Analyses that ended", ("phase",))
        self._started = self._counter("starts", "Analyses asked for", ("origin", "new"))
        self._stages = self._histogram("stage_seconds", "Parts of an analysis", ("stage",), _STAGE)
        self._tokens = self._counter("model_tokens", "Tokens of model calls", ("model", "kind"))
        self._cost = self._counter("model_cost_dollars", "Cost of model calls as far as prices are known", ("model",))
        self._calls = self._counter("model_calls", "HTTP calls to the model", ("model",))
        self._retries = self._counter("model_retries", "HTTP calls to the model beyond the first of an analysis")
        self._fallbacks = self._counter("model_fallbacks", "Analyses in which the model gave no usable reply")
        self._gaps = self._counter("gaps", "Sources, or parts of one, that were missing", ("source",))
        self._redactions = self._counter("redactions", "Secrets replaced in evidence and replies")
        self._citations = self._counter("citation_failures", "Replies whose citations did not hold")
        self._requests = self._histogram("http_request_seconds", "Requests", ("route", "status"), _REQUEST)
        Gauge("rollout_verdict_build_info", "Version", ("version",), registry=self.registry).labels(__version__).set(1)
        self._models: set[str] = set()

    def _counter(self, name: str, about: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"rollout_verdict_{name}", about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"rollout_verdict_{name}", about, labels, buckets=buckets, registry=self.registry)

    def started(self, origin: str, *, new: bool) -> None:
        """Count an analysis that was asked for."""
        self._started.labels(origin if origin in DOORS else "other", str(new).lower()).inc()

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request. ``route`` is the template of its path, never the path."""
        self._requests.labels(route, str(status)).observe(seconds)

    def stage(self, stage: str, seconds: float) -> None:
        """Count how long a part of an analysis took."""
        self._stages.labels(stage if stage in STAGES else "other").observe(seconds)

    def ended(self, phase: Phase) -> None:
        """Count an analysis that has come to its end."""
        self._ended.labels(phase.value).inc()

    def judged(self, result: Result) -> None:
        """Count a verdict and what it took."""
        verdict, usage = result.verdict, result.usage
        self._verdicts.labels(verdict.decision.value, verdict.decided_by.value).inc()
        for gap in verdict.gaps:
            self._gaps.labels(gap.source.value).inc()
        self._redactions.inc(sum(count for _, count in result.redactions))
        if any(gap.source is SourceKind.MODEL for gap in verdict.gaps):
            self._fallbacks.inc()
        if any(gap.source is SourceKind.MODEL and "ungrounded" in gap.reason for gap in verdict.gaps):
            self._citations.inc()
        if not usage.attempts:
            return
        model = self._bounded(usage.model)
        self._calls.labels(model).inc(usage.attempts)
        self._retries.inc(usage.attempts - 1)
        for kind in ("prompt", "cached", "output", "thought"):
            self._tokens.labels(model, kind).inc(getattr(usage, f"{kind}_tokens"))
        if usage.cost_usd is not None:
            self._cost.labels(model).inc(usage.cost_usd)

    def watch(self, name: str, about: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read when somebody asks; one that cannot be read just now is left out."""
        self.registry.register(_Gauge(f"rollout_verdict_{name}", about, read))

    def text(self) -> bytes:
        """Return everything, in Prometheus' text format."""
        return generate_latest(self.registry)

    def _bounded(self, model: str) -> str:
        name = model[:_MODEL_LENGTH]
        if name not in self._models and len(self._models) >= _MOST_MODELS:
            return "other"
        self._models.add(name)
        return name


class _Gauge(Collector):
    """A value that is read at the time."""

    def __init__(self, name: str, about: str, read: Callable[[], float]) -> None:
        self._name, self._about, self._read = name, about, read

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Say what there would be, without reading."""
        yield GaugeMetricFamily(self._name, self._about)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Read it."""
        family = GaugeMetricFamily(self._name, self._about)
        try:
            family.add_metric([], self._read())
        except Exception:  # noqa: BLE001 -- whatever keeps one value from being read, the others must be served
            return
        yield family
