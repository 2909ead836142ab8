"""Metric series from the Prometheus matrix form, and what a metric's name tells of its unit and direction.

Pure parsing: a decoded ``metrics.json`` in, ``MetricEvidence`` out. Whatever does not have the documented
shape raises ``ValueError`` that names the key path; a side that is absent is an empty one, for the caller to
report as a gap.
"""

# ruff: noqa: TRY004 - a wrong type in foreign JSON is a ValueError to the caller, like any other wrong shape

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from rollout_verdict.core.evidence import Direction, MetricEvidence, MetricMeta, MetricSeries
from rollout_verdict.core.values import Pair, Side, Window

# Labels that hold a pod's name, best first: with `honor_labels: false` Prometheus renames the label of the
# application to exported_*, and the plain one then describes the scraped component (Prometheus,
# scrape_config).
POD_LABELS = ("exported_pod", "pod", "pod_name", "kubernetes_pod_name", "k8s_pod_name", "instance")

# Labels that differ between two pods of one build and so would keep series from being paired.
IDENTITY_LABELS = frozenset(
    {
        *POD_LABELS,
        "exported_instance", "service_instance_id", "pod_ip", "pod_uid", "k8s_pod_uid", "uid", "host_ip",
        "container_id", "id", "image", "image_id", "image_spec",
        "node", "nodename", "kubernetes_node", "k8s_node_name", "hostname",
        "replicaset", "replica_set", "k8s_replicaset_name", "created_by_name",
        "rollouts_pod_template_hash", "label_rollouts_pod_template_hash",
        "k8s_pod_label_rollouts_pod_template_hash", "pod_template_hash", "label_pod_template_hash",
        "prometheus", "prometheus_replica",
    }
)  # fmt: skip

# Labels that often name the side (a canary service, a version). They are left out when each side has one
# value of its own (or none) throughout, and kept otherwise.
SIDE_LABELS = frozenset(
    {
        "service", "exported_service", "destination_service", "destination_service_name", "destination_version",
        "destination_workload", "version", "app_version", "revision", "destination_canonical_revision",
        "canary", "role", "track", "deployment", "workload", "job", "backend", "backend_name",
    }
)  # fmt: skip

LARGEST = 1e100  # no quantity is larger; what is beyond is dropped like infinity, so that squares and sums stay finite
LATEST = 1e12  # unix seconds some 30,000 years from now: a larger time is in another unit

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?Inf|NaN", re.ASCII)

# Words in metric names, by what they say of direction; the first row with a hit wins.
_DIRECTIONS = (
    (
        Direction.HIGHER_IS_WORSE,
        "error errors err failure failures failed fail 5xx 4xx exception exceptions timeout timeouts rejected",
    ),
    (
        Direction.HIGHER_IS_WORSE,
        "dropped restart restarts oom ooms panic panics retry retries throttled throttling lag unavailable",
    ),
    (Direction.HIGHER_IS_WORSE, "evictions misses lost aborted"),
    (
        Direction.LOWER_IS_WORSE,
        "success successes successful availability available hit hits ready up healthy apdex completed",
    ),
    (
        Direction.HIGHER_IS_WORSE,
        "latency duration durations delay wait cpu memory mem heap rss resident goroutines threads fds",
    ),
    (Direction.HIGHER_IS_WORSE, "queue backlog pending saturation pause gc response_time request_time age"),
    (
        Direction.NEUTRAL,
        "requests request rate rps qps throughput bytes network connections sessions total count calls",
    ),
    (Direction.HIGHER_IS_WORSE, "seconds milliseconds ms"),
)

_UNITS = (
    ("bool", "ready up healthy"),
    ("requests_per_second", "per_second rps qps rate"),
    ("percent", "percent percentage pct"),
    ("ratio", "ratio share fraction utilization"),
    ("milliseconds", "milliseconds millis ms"),
    ("seconds", "seconds secs latency duration delay response_time request_time"),
    ("MiB", "mib"),
    ("bytes", "bytes memory heap rss"),
    ("millicores", "millicores"),
    ("cores", "cores cpu"),
    ("count", "total count restarts sum requests errors failures"),
)


def parse_metrics(document: object, *, window: Window | None = None) -> MetricEvidence:
    """Return the evidence in a decoded ``metrics.json``.

    The shape is ``{"stable": matrix, "canary": matrix, "meta": {name: {"unit", "direction", "help"}}}`` with
    matrix as the Prometheus HTTP API has it under ``data`` of ``query_range``. Unit and direction of a metric
    without meta are inferred from its name. Raises ValueError with the key path for any other shape.
    """
    where = "metrics.json"
    body = _mapping(document, where)
    sides = Pair(
        stable=matrix_series(body.get("stable"), path=f"{where}: stable"),
        canary=matrix_series(body.get("canary"), path=f"{where}: canary"),
    )
    return metric_evidence(sides, meta=_meta(body.get("meta"), f"{where}: meta"), window=window)


def metric_evidence(
    series: Pair[tuple[MetricSeries, ...]], *, meta: Iterable[MetricMeta] = (), window: Window | None = None
) -> MetricEvidence:
    """Return evidence from both sides' series: labels that name the side dropped, sorted, meta completed."""
    told = _side_labels(series)
    stripped = series.map(lambda side: _merged(_without(one, told) for one in side))
    known = {one.name: one for one in meta}
    names = sorted({one.name for one in (*stripped.stable, *stripped.canary)})
    return MetricEvidence(
        series=stripped, meta=tuple(known.get(name) or infer_meta(name) for name in names), window=window
    )


def matrix_series(matrix: object, *, path: str) -> tuple[MetricSeries, ...]:
    """Return the series of a Prometheus matrix, pod identity moved from the labels to ``pod``.

    ``path`` begins every error message. None is a side without data. Samples are sorted by time, non-finite
    ones are dropped and counted, and values of one series at one time are averaged.
    """
    if matrix is None:
        return ()
    body = _mapping(matrix, path)
    if body.get("resultType", "matrix") != "matrix":
        raise ValueError(f'{path}.resultType: expected "matrix" (a range query), got {_shown(body["resultType"])}')
    result = body.get("result")
    if not isinstance(result, list):
        raise ValueError(f"{path}.result: expected a list of series, got {_shown(result)}")
    return _merged(_series(one, f"{path}.result[{index}]") for index, one in enumerate(result))


def infer_meta(name: str) -> MetricMeta:
    """Return unit and direction as the words in a metric's name suggest; "" and NEUTRAL when they do not."""
    words = f"_{re.sub(r'[^a-z0-9]+', '_', name.lower())}_"

    def says(vocabulary: str) -> bool:
        return any(f"_{word}_" in words for word in vocabulary.split())

    direction = next((sense for sense, vocabulary in _DIRECTIONS if says(vocabulary)), Direction.NEUTRAL)
    unit = next((unit for unit, vocabulary in _UNITS if says(vocabulary)), "")
    return MetricMeta(name=name, unit=unit, direction=direction)


def _meta(document: object, path: str) -> tuple[MetricMeta, ...]:
    found = []
    for name, told in _mapping({} if document is None else document, path).items():
        entry = _mapping(told, f"{path}.{name}")
        guess = infer_meta(name)
        direction = _text(entry.get("direction", guess.direction.value), f"{path}.{name}.direction")
        if direction not in {sense.value for sense in Direction}:
            choices = ", ".join(sense.value for sense in Direction)
            raise ValueError(f"{path}.{name}.direction: expected one of {choices}, got {_shown(direction)}")
        found.append(
            MetricMeta(
                name=name,
                unit=_text(entry.get("unit", guess.unit), f"{path}.{name}.unit"),
                direction=Direction(direction),
                help=_text(entry.get("help", ""), f"{path}.{name}.help"),
            )
        )
    return tuple(found)


def _series(document: object, path: str) -> MetricSeries:
    body = _mapping(document, path)
    labels = {
        key: _text(value, f"{path}.metric.{key}")
        for key, value in _mapping(body.get("metric"), f"{path}.metric").items()
    }
    name = labels.pop("__name__", "")
    if not name:
        raise ValueError(f"{path}.metric.__name__: expected the metric's name, got nothing")
    values = body.get("values")
    if not isinstance(values, list):
        raise ValueError(f'{path}.values: expected a list of [unix seconds, "number"], got {_shown(values)}')
    samples = [_sample(value, f"{path}.values[{index}]") for index, value in enumerate(values)]
    finite = tuple(sorted(sample for sample in samples if abs(sample[1]) <= LARGEST))
    return MetricSeries(
        name=name,
        labels=tuple(sorted((key, value) for key, value in labels.items() if key not in IDENTITY_LABELS)),
        pod=next((labels[key] for key in POD_LABELS if labels.get(key)), ""),
        samples=finite,
        dropped=len(samples) - len(finite),
    )


def _sample(document: object, path: str) -> tuple[float, float]:
    problem = f'{path}: expected [unix seconds, "number"], got {_shown(document)}'
    if not isinstance(document, list) or len(document) != 2:
        raise ValueError(problem)
    time, value = document
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    try:
        numbers = tuple(float(number) for number in (time, value) if type(number) in (int, float))
    except OverflowError:
        raise ValueError(problem) from None
    if len(numbers) != 2 or not abs(numbers[0]) <= LATEST:
        raise ValueError(problem)
    return round(numbers[0], 3), numbers[1]  # Prometheus keeps milliseconds


def _merged(series: Iterable[MetricSeries]) -> tuple[MetricSeries, ...]:
    """Join series that became one when labels were dropped, as a container's before and after a restart."""
    groups: dict[tuple[str, tuple[tuple[str, str], ...], str], list[MetricSeries]] = {}
    for one in series:
        groups.setdefault((one.name, one.labels, one.pod), []).append(one)
    joined = []
    for (name, labels, pod), members in sorted(groups.items()):
        at: dict[float, list[float]] = {}
        for time, value in sorted(sample for member in members for sample in member.samples):
            at.setdefault(time, []).append(value)
        samples = tuple((time, math.fsum(value / len(values) for value in values)) for time, values in at.items())
        dropped = sum(member.dropped for member in members)
        joined.append(MetricSeries(name=name, labels=labels, pod=pod, samples=samples, dropped=dropped))
    return tuple(joined)


def _side_labels(series: Pair[tuple[MetricSeries, ...]]) -> frozenset[str]:
    """Return the labels of SIDE_LABELS that tell the sides apart and nothing else."""

    def values(side: Side, key: str) -> set[str]:
        return {value for one in series.of(side) for label, value in one.labels if label == key}

    return frozenset(
        key
        for key in SIDE_LABELS
        if len(stable := values(Side.STABLE, key)) < 2
        and len(canary := values(Side.CANARY, key)) < 2
        and stable != canary
    )


def _without(series: MetricSeries, keys: frozenset[str]) -> MetricSeries:
    labels = tuple(pair for pair in series.labels if pair[0] not in keys)
    return MetricSeries(name=series.name, labels=labels, pod=series.pod, samples=series.samples, dropped=series.dropped)


def _mapping(document: object, path: str) -> Mapping[str, Any]:
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise ValueError(f"{path}: expected an object, got {_shown(document)}")
    return document


def _text(document: object, path: str) -> str:
    if not isinstance(document, str):
        raise ValueError(f"{path}: expected text, got {_shown(document)}")
    return document


def _shown(document: object) -> str:
    """Name a foreign value in an error message: its kind, and short numbers or text as they are."""
    if document is None:
        return "nothing"
    if isinstance(document, dict):
        return "an object"
    if isinstance(document, str | int | float):
        text = repr(document) if not isinstance(document, int) or abs(document) < 10**20 else "a huge integer"
        return text if len(text) <= 40 else text[:37] + "..."
    return "a list" if isinstance(document, list) else type(document).__name__
