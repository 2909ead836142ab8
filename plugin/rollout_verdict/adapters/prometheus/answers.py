"""The JSON of the Prometheus HTTP API into values. Pure: bytes in, an ``Answer`` out, or ``ValueError``.

Source: Prometheus documentation, "HTTP API"; ``isPartial`` is VictoriaMetrics', ``partialResponse`` Thanos' wording.
"""

# ruff: noqa: TRY004 - a wrong type in foreign JSON is a ValueError to the caller, like any other wrong shape

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

NOTES = 5  # of each kind that are kept of one answer: the rest say the same in other words
_OF_QUERY = "PromQL "  # Prometheus, util/annotations: "PromQL warning: ..."
_PARTIAL = ("isPartial", "partialResponse", "partial_response")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A successful answer. ``data`` is what stands under that key, unchecked.

    ``warnings`` say that something is missing or doubtful, ``infos`` that a query may not mean what it says;
    ``partial`` is set when the server said that its answer is not whole.
    """

    data: Any
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    partial: bool = False

    @property
    def whole(self) -> bool:
        """Whether nothing is missing: Prometheus warns of queries, Thanos and Mimir of stores that do not answer."""
        return not self.partial and all(text.startswith(_OF_QUERY) for text in self.warnings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer with ``"status": "error"``: the API's own word for the error, and its text."""

    kind: str
    text: str


def parse(body: bytes) -> Answer | Refusal:
    """Return what an API's answer says. Raises ValueError for anything that is none."""
    try:
        document = json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(document, dict) or document.get("status") not in ("success", "error"):
        raise ValueError('there is no "status" of success or error')
    if document["status"] == "error":
        return Refusal(kind=_word(document.get("errorType")), text=_word(document.get("error")))
    if "data" not in document:
        raise ValueError('there is no "data"')
    return Answer(
        data=document["data"],
        warnings=_notes(document.get("warnings")),
        infos=_notes(document.get("infos")),
        partial=any(document.get(name) is True for name in _PARTIAL),
    )


def vector(data: Any) -> tuple[tuple[dict[str, str], float], ...]:
    """Return the labels and values of an instant query, without what is not finite. Raises ValueError."""
    if not isinstance(data, dict) or data.get("resultType") != "vector" or not isinstance(data.get("result"), list):
        raise ValueError("expected an instant vector")
    found = []
    for one in data["result"]:
        if not isinstance(one, dict) or "value" not in one:
            raise ValueError("expected series with a value")
        sample = one["value"]
        if not isinstance(sample, list) or len(sample) != 2 or not isinstance(sample[1], str):
            raise ValueError('expected values of the form [unix seconds, "number"]')
        value = float(sample[1])
        if math.isfinite(value):
            found.append((labels(one.get("metric")), value))
    return tuple(found)


def names(data: Any) -> frozenset[str]:
    """Return a list of label values. Raises ValueError."""
    if not isinstance(data, list) or not all(isinstance(name, str) for name in data):
        raise ValueError("expected a list of names")
    return frozenset(data)


def labels(metric: Any) -> dict[str, str]:
    """Return the labels of a series. Raises ValueError."""
    if not isinstance(metric, dict) or not all(isinstance(text, str) for text in metric.values()):
        raise ValueError("expected labels that are text")
    return metric


def matrix(data: Any, name: str, *, pod_label: str = "", pod_of: Callable[[str], str] = str) -> dict[str, Any]:
    """Return the matrix of a range query with the series called ``name``, and ``pod_label`` called ``pod``.

    ``pod_of`` says which pod a value of that label stands for, where it is not the pod's own name. Raises ValueError.
    """
    if not isinstance(data, dict) or data.get("resultType") != "matrix" or not isinstance(data.get("result"), list):
        raise ValueError("expected a range of samples")
    series = []
    for one in data["result"]:
        if not isinstance(one, dict):
            raise ValueError("expected a list of series")
        if "values" not in one and "histograms" in one:
            raise ValueError("expected numbers, got native histograms: wrap the query in histogram_quantile()")
        told = {key: value for key, value in labels(one.get("metric")).items() if key != "__name__"}
        if pod_label in told:
            told["pod"] = pod_of(told.pop(pod_label))
        series.append({"metric": {**told, "__name__": name}, "values": one.get("values")})
    return {"resultType": "matrix", "result": series}


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _notes(value: Any) -> tuple[str, ...]:
    found = [note for note in value if isinstance(note, str)] if isinstance(value, list) else []
    return tuple(sorted(set(found))[:NOTES])
