"""What the service counts, writes down and traces."""

import dataclasses
import io
import json
import logging
import re

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rollout_verdict.core.values import Gap, SourceKind, Usage
from rollout_verdict.jobs.analysis import Phase, Request
from rollout_verdict.service.counting import Ends
from rollout_verdict.service.logs import configure_logs
from rollout_verdict.service.metrics import Metrics
from rollout_verdict.service.tracing import Tracer, tracer
from tests.service.memory import MemoryAnalyses


@pytest.fixture
def analyses(tmp_path):
    found = MemoryAnalyses(tmp_path)
    for name in ("new-errors", "gone"):
        found.start(Request(id=name, namespace="shop", name=name))
    return found


def value(metrics, name, **labels):
    found = metrics.registry.get_sample_value(f"rollout_verdict_{name}", labels)
    return 0.0 if found is None else found


# Counters


def test_an_end_is_counted(analyses):
    metrics = Metrics()
    ends = Ends(metrics)
    ends.analyses = analyses
    ends("new-errors", Phase.DONE, analyses.result("new-errors"))
    ends("gone", Phase.ERROR, None)
    assert value(metrics, "verdicts_total", decision="rollback", decided_by="rules") == 1
    assert value(metrics, "analyses_total", phase="done") == value(metrics, "analyses_total", phase="error") == 1
    assert value(metrics, "stage_seconds_count", stage="total") == 2
    assert value(metrics, "gaps_total", source="metrics") > 0


def test_what_a_model_cost_is_counted(analyses):
    result = analyses.result("new-errors")
    usage = Usage(
        model="gemini-x",
        attempts=3,
        prompt_tokens=100,
        cached_tokens=10,
        output_tokens=20,
        thought_tokens=5,
        cost_usd=0.5,
    )
    gap = Gap(source=SourceKind.MODEL, what="the model's opinion", reason="ungrounded answer: it cites m9")
    verdict = dataclasses.replace(result.verdict, gaps=(gap,))
    metrics = Metrics()
    metrics.judged(dataclasses.replace(result, usage=usage, verdict=verdict, redactions=(("jwt", 2), ("email", 1))))
    assert value(metrics, "model_calls_total", model="gemini-x") == 3
    assert value(metrics, "model_retries_total") == 2
    tokens = {kind: value(metrics, "model_tokens_total", model="gemini-x", kind=kind) for kind in ("prompt", "thought")}
    assert tokens == {"prompt": 100, "thought": 5}
    assert value(metrics, "model_cost_dollars_total", model="gemini-x") == 0.5
    assert value(metrics, "model_fallbacks_total") == value(metrics, "citation_failures_total") == 1
    assert value(metrics, "redactions_total") == 3


def test_labels_are_bounded(analyses):
    metrics = Metrics()
    result = analyses.result("new-errors")
    for number in range(100):
        metrics.judged(dataclasses.replace(result, usage=Usage(model=f"model-{number}", attempts=1)))
        metrics.started(f"door-{number}", new=True)
        metrics.stage(f"stage-{number}", 1.0)
    text = metrics.text().decode()
    assert len(re.findall(r"^rollout_verdict_model_calls_total\{", text, re.MULTILINE)) == 21
    assert len(re.findall(r"^rollout_verdict_starts_total\{", text, re.MULTILINE)) == 1
    assert len(re.findall(r"^rollout_verdict_stage_seconds_count\{", text, re.MULTILINE)) == 1


def test_a_gauge_that_cannot_be_read_leaves_the_others():
    metrics = Metrics()
    metrics.watch("queue_depth", "Analyses that wait", lambda: 7.0)
    metrics.watch("running", "Analyses at work", lambda: 1 / 0)
    text = metrics.text().decode()
    assert "rollout_verdict_queue_depth 7.0" in text
    assert "rollout_verdict_running " not in text


def test_an_end_that_cannot_be_counted_harms_nobody(caplog):
    ends = Ends(Metrics())
    ends.analyses = object()
    ends("x", Phase.DONE, None)
    assert "was not counted" in caplog.text


# Log lines


@pytest.fixture
def lines():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    handler = configure_logs("INFO", redact=(("order", r"ORDER-\d+"),))
    stream = io.StringIO()
    handler.setStream(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = before
    root.setLevel(level)


def test_a_line_is_one_json_object_without_secrets(lines):
    logging.getLogger("rollout_verdict.x").info(
        "asked with %s about ORDER-123",
        "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdefghijklmnop",
        extra={"analysis": "a1"},
    )
    (line,) = lines()
    assert (line["level"], line["logger"], line["analysis"]) == ("info", "rollout_verdict.x", "a1")
    assert line["time"].endswith("Z")
    assert "eyJ" not in json.dumps(line)
    assert "ORDER-123" not in json.dumps(line)


def test_an_exception_is_in_its_line(lines):
    error = RuntimeError("password=hunter2hunter2")
    logging.getLogger("rollout_verdict.x").error("it broke\non two lines", exc_info=error)
    (line,) = lines()
    assert line["message"] == "it broke\non two lines"
    assert "RuntimeError" in line["exception"]
    assert "hunter2hunter2" not in line["exception"]


def test_chatty_libraries_are_heard_from_warnings_on(lines):
    logging.getLogger("uvicorn.access").info("GET /")
    logging.getLogger("uvicorn.error").info("started")
    assert [line["message"] for line in lines()] == ["started"]


# Traces


def test_an_analysis_is_a_trace_without_content(analyses):
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    result = dataclasses.replace(
        analyses.result("new-errors"),
        usage=Usage(model="gemini-x", attempts=1, prompt_tokens=7),
        prompt="SECRET",
        reply="SECRET",
    )
    ends = Ends(Metrics(), Tracer(provider))
    ends.analyses = analyses
    ends("new-errors", Phase.DONE, result)
    queue, work, whole = exporter.get_finished_spans()
    assert (queue.name, work.name, whole.name) == ("queue", "work", "analysis")
    assert queue.parent.span_id == work.parent.span_id == whole.context.span_id
    assert whole.attributes["rollout_verdict.decision"] == "rollback"
    assert work.attributes["gen_ai.usage.input_tokens"] == 7
    assert "SECRET" not in str([span.to_json() for span in (queue, work, whole)])
    provider.shutdown()


def test_without_an_exporter_there_are_no_traces():
    assert tracer({}) is None
    found = tracer({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
    assert found is not None
    found.close()
