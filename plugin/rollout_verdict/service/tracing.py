"""Traces, where OpenTelemetry is installed (extra ``otel``) and an exporter is set: one for each analysis.

Nothing of evidence, prompt or reply is in them: ids, decisions, counts and times.
"""

from collections.abc import Mapping
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rollout_verdict import __version__
from rollout_verdict.core.result import Result
from rollout_verdict.jobs.analysis import Analysis

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Tracer:
    """Writes a span for each analysis, with one for its time in the queue and one for the work."""

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("rollout_verdict", __version__)

    def analysis(self, analysis: Analysis, result: Result | None) -> None:
        """Write the spans of an analysis that is over."""
        from opentelemetry.trace import set_span_in_context

        if analysis.finished is None:
            return
        request, usage = analysis.request, result.usage if result else None
        whole = self._tracer.start_span(
            "analysis",
            start_time=_ns(analysis.created),
            attributes={
                "rollout_verdict.analysis": request.id,
                "rollout_verdict.namespace": request.namespace,
                "rollout_verdict.rollout": request.name,
                "rollout_verdict.origin": request.origin,
                "rollout_verdict.phase": analysis.phase.value,
                **({"rollout_verdict.decision": result.verdict.decision.value} if result else {}),
            },
        )
        inside = set_span_in_context(whole)
        started = analysis.started or analysis.finished
        waited = self._tracer.start_span("queue", context=inside, start_time=_ns(analysis.created))
        waited.end(_ns(started))
        work = self._tracer.start_span("work", context=inside, start_time=_ns(started))
        if usage is not None and usage.attempts:  # names of OpenTelemetry's conventions for generative AI
            work.set_attribute("gen_ai.response.model", usage.model)
            work.set_attribute("gen_ai.usage.input_tokens", usage.prompt_tokens)
            work.set_attribute("gen_ai.usage.output_tokens", usage.output_tokens + usage.thought_tokens)
        work.end(_ns(analysis.finished))
        whole.end(_ns(analysis.finished))

    def close(self) -> None:
        """Send what has not been sent."""
        self._provider.shutdown()


def tracer(environment: Mapping[str, str]) -> Tracer | None:
    """Return a tracer for the exporter that OpenTelemetry's own variables name, None where there is none."""
    if not any(environment.get(name) for name in _ENDPOINTS) or find_spec("opentelemetry") is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:  # the API alone is there, as a dependency of something else
        return None
    provider = TracerProvider(resource=Resource.create({"service.name": "rollout-verdict"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracer(provider)


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
