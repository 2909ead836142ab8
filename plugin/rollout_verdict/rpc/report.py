"""How a verdict becomes a measurement: phase, value, message and metadata, all of it bounded.

Everything ends up in the AnalysisRun object, which etcd limits to 1.5 MiB with up to ten measurements a metric, so
metadata stays below 8 KiB. Keys without a prefix are those of the existing Go plugin (argoproj-labs/metric-ai), with
its types: every value is a string, ``analysisJSON`` and ``modelResults`` hold JSON.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rollout_verdict.rpc.measurer import Outcome
from rollout_verdict.rpc.messages import FAILED, INCONCLUSIVE, SUCCESSFUL

MAX_MESSAGE = 200  # characters; it becomes part of the rollout's one-line status
MAX_METADATA = 8192  # bytes of keys and values, UTF-8
ID_KEY = "verdict.id"
UNAVAILABLE_KEY = "verdict.unavailableSince"
OWN_KEYS = (ID_KEY, UNAVAILABLE_KEY)  # what the plugin needs to go on: a hash and a time, so never a secret

_PHASES = {"promote": SUCCESSFUL, "rollback": FAILED, "inconclusive": INCONCLUSIVE}
# Bytes of one text in ``analysis`` and ``analysisJSON``; both together leave room for the rest.
_MAX_TEXT = 2400
_MAX_MODELS = 1000
# A secret shorter than this would turn every text that happens to hold its letters to stars, and hides nothing.
_MIN_SECRET = 4
_STARS = "[redacted]"
# What goes first when there is too much. What is not named here is small, or needed to go on.
_EXPENDABLE = ("modelResults", "votingRationale", "analysisJSON", "analysis", "verdict.warnings", "verdict.summary")


def phase_of(outcome: Outcome, *, inconclusive_is_failure: bool) -> str:
    """Return the phase. A verdict that is not one of the three words raises KeyError: it must not pass for one."""
    phase = _PHASES[outcome.verdict]
    return FAILED if phase == INCONCLUSIVE and inconclusive_is_failure else phase


def value_of(outcome: Outcome, *, number: bool) -> str:
    """Return the value: small JSON, or the Go plugin's number (confidence of a promotion as a fraction, else 0)."""
    if number:
        return f"{outcome.confidence / 100:.2f}" if outcome.verdict == "promote" else "0"
    return _json({"verdict": outcome.verdict, "score": outcome.score, "confidence": outcome.confidence})


def metadata_of(outcome: Outcome, warnings: Sequence[str]) -> dict[str, str]:
    """Return the metadata of a verdict, within bounds but for what ``bounded`` adds up."""
    analysis = {
        "text": _cut(outcome.analysis, _MAX_TEXT // 2),
        "promote": outcome.verdict == "promote",
        "confidence": outcome.confidence,
        "rootCause": _cut(outcome.root_cause, _MAX_TEXT // 4),
        "remediation": _cut(outcome.remediation, _MAX_TEXT // 4),
    }
    found = {
        "analysis": _cut(outcome.analysis, _MAX_TEXT),
        "analysisJSON": _json(analysis),
        "confidence": str(outcome.confidence),
        "modelResults": _first_models(outcome.models),
        "modelCount": str(len(outcome.models)) if outcome.models else "",
        "votingRationale": _cut(outcome.rationale, 600),
        "verdict.url": outcome.url if len(outcome.url) <= 500 else "",
        "verdict.digest": _cut(outcome.digest, 100),
        "verdict.summary": _cut(outcome.summary, 600),
        "verdict.decidedBy": _cut(outcome.decided_by, 40),
        "verdict.warnings": _cut("; ".join([*warnings, *outcome.warnings]), 600),
    }
    return {key: text for key, text in found.items() if text}


def _first_models(models: Sequence[Mapping[str, Any]]) -> str:
    """Return JSON of as many models as there is room for, "" for none. There may be a megabyte of them."""
    room, kept = _MAX_MODELS - 1, []
    for model in models:
        written = clean(_json(model))
        room -= len(written.encode()) + 1
        if room < 0:
            break
        kept.append(written)
    return f"[{','.join(kept)}]" if kept else ""


def one_line(text: str) -> str:
    """Return a message: one line, at most 200 characters, nothing a terminal would act on."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= MAX_MESSAGE else flat[: MAX_MESSAGE - 1] + "…"


def redact(text: str, secrets: Sequence[str]) -> str:
    """Return ``text`` without any of ``secrets``, plain or as JSON writes them, longest first."""
    for secret in sorted(set(secrets), key=lambda secret: (-len(secret), secret)):
        if len(secret) >= _MIN_SECRET:
            for written in (secret, _json(secret)[1:-1], json.dumps(secret)[1:-1]):
                text = text.replace(written, _STARS)
    return text


def redacted(outcome: Outcome, secrets: Sequence[str]) -> Outcome:
    """Return an outcome none of whose texts holds a secret. To be done before texts are cut or put into JSON."""
    return Outcome(**{name: _redact_all(value, secrets) for name, value in outcome._asdict().items()})


def _redact_all(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, tuple | list):
        return tuple(_redact_all(item, secrets) for item in value)
    if isinstance(value, Mapping):
        return {redact(key, secrets): _redact_all(item, secrets) for key, item in value.items()}
    return value


def bounded(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return metadata of at most 8 KiB: first the expendable keys go, then the longest texts."""
    kept = {clean(key): clean(text) for key, text in metadata.items()}
    by_length = sorted(kept, key=lambda key: (key in OWN_KEYS, -len(kept[key]), key))
    for key in (*_EXPENDABLE, *by_length):
        if sum(len(k.encode()) + len(text.encode()) for k, text in kept.items()) <= MAX_METADATA:
            break
        kept.pop(key, None)
    return kept


def clean(text: str) -> str:
    """Return text that Go can put into JSON unchanged: bytes that are not UTF-8 become question marks."""
    return text.encode("utf-8", "replace").decode()


def _cut(text: str, size: int) -> str:
    """Return at most ``size`` bytes of UTF-8."""
    text = clean(text)
    encoded = text.encode()
    return text if len(encoded) <= size else encoded[: size - 3].decode("utf-8", "ignore") + "…"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
