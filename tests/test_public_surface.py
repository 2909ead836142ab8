"""The public surfaces: commands and options, settings, and the keys of a bundle.

A change here is a change for somebody's scripts. Change the table with it, and tell of it in the changelog.
"""

import json
import re
import typing
from dataclasses import fields, is_dataclass
from types import ModuleType

import pytest

import rollout_verdict
from rollout_verdict.adapters.bundle import read_bundle, schema, write_bundle
from rollout_verdict.adapters.bundle.files import DOCUMENTS, LOG_FILE
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.policy import Policy
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.core.values import Pair
from rollout_verdict.engine import judge
from rollout_verdict.settings import read_settings
from tests.cli.commands import run
from tests.test_golden import BUNDLES

__all__ = ["run"]

MODE = "--mode <auto|rules|advisory>"
COMMANDS = {
    "demo": ["--output <path>", MODE],
    "judge": [
        "BUNDLE <list[Path]>",
        "-o, --output <text|json|markdown|html>",
        MODE,
        "--model NAME",
        "--exit-code",
        "--save <path>",
    ],
    "explain": [
        "KIND/NAME <str>",
        "-n, --namespace NS",
        "--context NAME",
        "--kubeconfig FILE",
        "--request-timeout DURATION",
        "-o, --output <text|json|yaml|markdown|html>",
        MODE,
        "--model NAME",
        "--window DURATION",
        "--deadline DURATION",
        "--prometheus URL",
        "--stable-selector LABELS",
        "--canary-selector LABELS",
        "--save-bundle DIR",
        "-w, --watch",
        "--interval DURATION",
        "--watch-limit DURATION",
        "--exit-code",
    ],
    "doctor": [
        "-n, --namespace NS",
        "--context NAME",
        "--kubeconfig FILE",
        "--request-timeout DURATION",
        "--prometheus URL",
        "--ask-model",
        "-o, --output <text|json>",
    ],
    "prompt": ["BUNDLE <path>", "--extra-prompt TEXT"],
    "replay": [
        "BUNDLE <path>",
        "-o, --output <text|json>",
        MODE,
        "--model NAME",
        "--prompt-version V",
        "--min-confidence <int range>",
        "--override-confidence <int range>",
        "--model-may-override",
        "--require <list[logs|metrics|kubernetes|diff]>",
        "--extra-prompt TEXT",
    ],
    "evaluate": [
        "CASES_DIR <path>",
        MODE,
        "--predictions FILE.jsonl",
        "-o, --output <text|json>",
        "--jobs <int range>",
    ],
    "serve": [
        "--host ADDRESS",
        "--port <int range>",
    ],
    "mcp": [
        "--service URL",
        "--token-file FILE",
    ],
    "marks": ["-n, --namespace NS", "--name ROLLOUT", "--service URL", "--token-file FILE"],
    "mark": ["ANALYSIS <str>", "ITEM <str>", "--why TEXT", "--expires TIME", "--service URL", "--token-file FILE"],
    "unmark": ["MARK <str>", "--service URL", "--token-file FILE"],
    "version": [],
}

ENVIRONMENT = {
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_GEMINI_BASE_URL",
    "GOOGLE_GENAI_API_VERSION",
    "GOOGLE_GENAI_USE_ENTERPRISE",
    "GOOGLE_GENAI_USE_VERTEXAI",
    "GOOGLE_VERTEX_BASE_URL",
    "ROLLOUT_VERDICT_API_KEY_FILE",
    "ROLLOUT_VERDICT_ATTEMPTS",
    "ROLLOUT_VERDICT_ATTEMPT_TIMEOUT",
    "ROLLOUT_VERDICT_MEASUREMENT_TOKENS",
    "ROLLOUT_VERDICT_MODELS",
    "ROLLOUT_VERDICT_MODEL_TIMEOUT",
    "ROLLOUT_VERDICT_OUTPUT_TOKENS",
    "ROLLOUT_VERDICT_PROMETHEUS",
    "ROLLOUT_VERDICT_PROMETHEUS_ALLOWED",
    "ROLLOUT_VERDICT_PROMETHEUS_CA_FILE",
    "ROLLOUT_VERDICT_PROMETHEUS_CERT_FILE",
    "ROLLOUT_VERDICT_PROMETHEUS_HEADERS",
    "ROLLOUT_VERDICT_PROMETHEUS_KEY_FILE",
    "ROLLOUT_VERDICT_PROMETHEUS_MATCHERS",
    "ROLLOUT_VERDICT_PROMETHEUS_PASSWORD_FILE",
    "ROLLOUT_VERDICT_PROMETHEUS_PRESETS",
    "ROLLOUT_VERDICT_PROMETHEUS_SKIP_VERIFY",
    "ROLLOUT_VERDICT_PROMETHEUS_TIMEOUT",
    "ROLLOUT_VERDICT_PROMETHEUS_TOKEN_FILE",
    "ROLLOUT_VERDICT_PROMETHEUS_USERNAME",
    "ROLLOUT_VERDICT_PROMPT_TOKENS",
    "ROLLOUT_VERDICT_PROMPT_VERSION",
    "ROLLOUT_VERDICT_REDACT",
    "ROLLOUT_VERDICT_THINKING",
}

INPUT_KEYS = {
    schema.Case: {"input"},
    schema.CaseInput: {
        "namespace", "service", "window", "metrics_window", "stable_pods", "canary_pods", "log_timestamps",
    },
    schema.Span: {"start", "end"},
    schema.Pods: {"stable", "canary"},
    schema.Pod: {
        "name", "phase", "startTime", "labels", "node", "containers", "initContainers", "conditions", "events",
    },
    schema.Container: {
        "name", "image", "ready", "restartCount", "state", "lastState", "limits", "requests",
    },
    schema.Status: {"status", "reason", "message", "exitCode", "started", "finished"},
    schema.Event: {"type", "reason", "message", "count", "from", "age"},
    schema.Change: {"path", "stable", "canary"},
}  # fmt: skip

EVIDENCE_KEYS = {
    "Evidence": "rollout window pods logs metrics kubernetes diff progress gaps memory",
    "RolloutRef": "namespace name stable_hash canary_hash",
    "Window": "start end",
    "LogEvidence": "pods patterns bucket_edges coarse_events",
    "PodLog": "pod containers size_bytes lines events cut_lines first last partial outside_lines",
    "LogPattern": "template level kind status logger counts buckets samples",
    "LogSample": "pod container time text",
    "MetricEvidence": "series meta window",
    "MetricSeries": "name labels pod samples dropped",
    "MetricMeta": "name unit direction help acquits",
    "KubernetesEvidence": "pods",
    "Progress": "strategy situation step steps weight revision message window_basis obstacle",
    "PodState": "name phase start_time containers conditions events node",
    "ContainerState": "name image ready restart_count state last_state limits requests init usage",
    "ContainerStatus": "status reason message exit_code started finished",
    "PodEvent": "type reason message count source age",
    "TemplateDiff": "changes",
    "TemplateChange": "path stable canary",
    "Gap": "source what reason hint side",
    "Memory": "earlier marks",
    "Earlier": "id time decision reason version digest findings",
    "Recalled": "code severity key",
    "Mark": "id about who when why expires",
    "Marked": "kind key text",
}


def listed(run, *command):
    """Return what a help text lists: what stands before the explanation on each line that begins an entry."""
    page = run(*command, "--help")
    assert page.code == 0
    return re.findall(
        r"^  ([A-Z-][^ \n]*(?: [^ \n]+)*)(?=  |$)", page.out.partition("\n\n")[2].partition("\n\n")[2], re.MULTILINE
    )


def test_commands_and_their_options(run):
    assert re.findall(r"^  ([a-z]+)  ", run("--help").out, re.MULTILINE) == list(COMMANDS)
    for name, expected in COMMANDS.items():
        assert listed(run, name) == [*expected, "-h, --help"], name


def test_settings_are_documented_where_they_are_read():
    assert set(re.findall(r"``([A-Z][A-Z_]+[A-Z])``", read_settings.__doc__)) == ENVIRONMENT


def test_exports_of_the_package():
    exported = {name for name, value in vars(rollout_verdict).items() if not isinstance(value, ModuleType)}
    assert {name for name in exported if not name.startswith("_")} == set()
    assert rollout_verdict.__version__ == "0.1.0"


def test_files_of_a_bundle():
    assert set(DOCUMENTS) == {
        "case.json", "metrics.json", "kubernetes.json", "diff.json",
        "evidence.json", "prompt.txt", "reply.json", "result.json",
    }  # fmt: skip
    assert LOG_FILE.fullmatch("logs/canary/pod-1/api.log.gz")
    assert LOG_FILE.fullmatch("logs/stable/pod-1/api.log")


@pytest.mark.parametrize("model", INPUT_KEYS, ids=lambda model: model.__name__)
def test_keys_that_are_read_of_a_bundle(model):
    assert {field.alias or name for name, field in model.model_fields.items()} == INPUT_KEYS[model]


def dataclasses_of(kind: object, found: dict[str, str]) -> dict[str, str]:
    """Collect the dataclasses reachable from a type, with their fields."""
    if isinstance(kind, type) and is_dataclass(kind) and kind is not Pair and kind.__name__ not in found:
        found[kind.__name__] = " ".join(field.name for field in fields(kind))
        for inner in typing.get_type_hints(kind).values():
            dataclasses_of(inner, found)
    for inner in (typing.get_origin(kind), *typing.get_args(kind)):
        if inner is not None:
            dataclasses_of(inner, found)
    return found


def test_keys_of_recorded_evidence():
    assert dataclasses_of(Evidence, {}) == EVIDENCE_KEYS


def test_keys_of_a_recorded_result(tmp_path):
    result = judge(read_bundle(BUNDLES / "healthy"), Policy(), None, Redactor())
    write_bundle(tmp_path, result)
    document = json.loads((tmp_path / "result.json").read_bytes())
    assert sorted(document) == ["comparison", "explanation", "redactions", "usage", "verdict", "warnings"]
    assert sorted(document["verdict"]) == [
        "confidence", "decided_by", "decision", "digests", "gaps", "opinions", "reason", "row", "score",
    ]  # fmt: skip
