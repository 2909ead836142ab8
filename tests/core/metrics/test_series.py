"""Parsing of the Prometheus matrix form, and what metric names tell."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.core.evidence import Direction, MetricSeries
from rollout_verdict.core.metrics.series import (
    IDENTITY_LABELS,
    infer_meta,
    matrix_series,
    metric_evidence,
    parse_metrics,
)
from rollout_verdict.core.values import Pair, Window


def matrix(*series):
    return {"resultType": "matrix", "result": [{"metric": labels, "values": values} for labels, values in series]}


def one(labels=None, values=(), name="m"):
    return matrix_series(matrix(({"__name__": name, **(labels or {})}, list(values))), path="x")[0]


def test_a_document_becomes_evidence():
    document = {
        "stable": matrix(({"__name__": "lat", "pod": "a-1", "route": "/"}, [[20, "2"], [10, "1.5"]])),
        "canary": matrix(({"__name__": "lat", "pod": "b-1", "route": "/"}, [[10, "NaN"], [20, "+Inf"], [30, 4]])),
        "meta": {"lat": {"unit": "seconds", "direction": "higher_is_worse", "help": "h"}},
    }
    found = parse_metrics(document)
    stable, canary = found.series.stable[0], found.series.canary[0]
    assert (stable.pod, stable.labels, stable.samples) == ("a-1", (("route", "/"),), ((10.0, 1.5), (20.0, 2.0)))
    assert (canary.samples, canary.dropped) == (((30.0, 4.0),), 2)
    assert (found.meta[0].unit, found.meta[0].direction, found.meta[0].help) == (
        "seconds",
        Direction.HIGHER_IS_WORSE,
        "h",
    )
    assert found.window is None


def test_absurd_values_are_dropped_like_infinity():
    found = one(values=[[1, "1e101"], [2, "-1e300"], [3, "1e100"]])
    assert (found.samples, found.dropped) == (((3.0, 1e100),), 2)


def test_times_are_kept_to_the_millisecond():
    assert one(values=[[1.23456, "1"]]).samples == ((1.235, 1.0),)


def test_an_absent_side_is_an_empty_one():
    assert parse_metrics({}).series == Pair(stable=(), canary=())
    assert parse_metrics({"stable": None, "canary": {"result": []}}).series == Pair(stable=(), canary=())


def test_the_window_is_handed_through(utc_window):
    assert parse_metrics({}, window=utc_window).window is utc_window


@pytest.fixture
def utc_window():
    from datetime import UTC, datetime

    return Window(start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize("label", sorted(IDENTITY_LABELS))
def test_labels_that_identify_a_pod_do_not_keep_series_apart(label):
    assert one({label: "x", "route": "/"}).labels == (("route", "/"),)


@pytest.mark.parametrize(
    ("labels", "pod"),
    [
        ({"pod": "prometheus-0", "exported_pod": "shop-1"}, "shop-1"),
        ({"pod": "shop-1", "instance": "10.0.0.1:80"}, "shop-1"),
        ({"instance": "10.0.0.1:80"}, "10.0.0.1:80"),
        ({"pod": "", "instance": "i"}, "i"),
        ({"route": "/"}, ""),
    ],
)
def test_the_pod_is_taken_from_the_most_telling_label(labels, pod):
    assert one(labels).pod == pod


def test_series_that_become_one_are_joined():
    """A container before and after a restart is one pod; two values at one time are averaged."""
    joined = matrix_series(
        matrix(
            ({"__name__": "m", "pod": "p", "container_id": "2"}, [[20, "5"], [30, "6"]]),
            ({"__name__": "m", "pod": "p", "container_id": "1"}, [[10, "1"], [20, "3"], [20, "NaN"]]),
        ),
        path="x",
    )
    assert [(s.samples, s.dropped) for s in joined] == [(((10.0, 1.0), (20.0, 4.0), (30.0, 6.0)), 1)]


def series(side, **labels):
    return MetricSeries(name="m", labels=tuple(sorted(labels.items())), pod=side, samples=())


@pytest.mark.parametrize(
    ("stable", "canary", "kept"),
    [
        ([{"service": "shop"}], [{"service": "shop-canary"}], False),
        ([{}], [{"canary": "shop-8080"}], False),
        ([{"service": "shop"}, {}], [{"service": "shop-canary"}], False),
        ([{"service": "shop"}], [{"service": "shop"}], True),
        ([{"service": "a"}, {"service": "b"}], [{"service": "a"}], True),
        ([{"route": "/a"}], [{"route": "/b"}], True),
    ],
)
def test_a_label_that_only_names_the_side_is_dropped(stable, canary, kept):
    found = metric_evidence(
        Pair(
            stable=tuple(series(f"s{n}", **labels) for n, labels in enumerate(stable)),
            canary=tuple(series(f"c{n}", **labels) for n, labels in enumerate(canary)),
        )
    ).series
    assert any(s.labels for s in (*found.stable, *found.canary)) is kept


WRONG = [
    (7, "metrics.json: expected an object, got 7"),
    ([], "metrics.json: expected an object, got a list"),
    ({"stable": "x"}, "metrics.json: stable: expected an object, got 'x'"),
    ({"stable": {"resultType": "vector"}}, 'stable.resultType: expected "matrix" .*vector'),
    ({"stable": {}}, "stable.result: expected a list of series, got nothing"),
    ({"stable": {"result": {}}}, "stable.result: expected a list of series, got an object"),
    ({"stable": {"result": [3.5]}}, r"stable.result\[0\]: expected an object, got 3.5"),
    ({"stable": {"result": [{}]}}, r"result\[0\].metric: expected an object, got nothing"),
    ({"stable": {"result": [{"metric": {}}]}}, r"metric.__name__: expected the metric's name"),
    ({"stable": {"result": [{"metric": {"__name__": 1}}]}}, r"metric.__name__: expected text, got 1"),
    ({"stable": {"result": [{"metric": {"__name__": "m"}}]}}, r"values: expected a list"),
    ({"meta": {"m": []}}, "meta.m: expected an object, got a list"),
    ({"meta": {"m": {"direction": "sideways"}}}, "meta.m.direction: expected one of higher_is_worse"),
    ({"meta": {"m": {"unit": None}}}, "meta.m.unit: expected text, got nothing"),
    ({"meta": {"m": {"help": b"x"}}}, "meta.m.help: expected text, got bytes"),
    ({"meta": {"m": "y" * 99}}, r"meta.m: expected an object, got 'y+\.\.\."),
    ({1: 2}, "metrics.json: expected an object"),
]


@pytest.mark.parametrize(("document", "message"), WRONG)
def test_a_wrong_shape_names_its_key_path(document, message):
    with pytest.raises(ValueError, match=message):
        parse_metrics(document)


@pytest.mark.parametrize(
    "sample",
    [7, None, [], [1], [1, 2, 3], ["1", "2"], [1, "x"], [1, "1_0"], [1, "0x1"], [1, None], [True, "1"], [1, False],
     [math.nan, "1"], [1e13, "1"], [math.inf, "1"], [10**400, "1"], [1, 10**400], [1, " 1"], [1, "१"]],
)  # fmt: skip
def test_a_wrong_sample_names_its_place(sample):
    with pytest.raises(ValueError, match=r'canary.result\[0\].values\[1\]: expected \[unix seconds, "number"\], got'):
        parse_metrics({"canary": matrix(({"__name__": "m"}, [[1, "1"], sample]))})


def test_huge_numbers_are_not_spelled_out():
    with pytest.raises(ValueError, match="got a huge integer"):
        parse_metrics(10**400)


@pytest.mark.parametrize(
    ("name", "unit", "direction"),
    [
        ("http_request_duration_seconds", "seconds", Direction.HIGHER_IS_WORSE),
        ("request_latency_ms", "milliseconds", Direction.HIGHER_IS_WORSE),
        ("http_errors_total", "count", Direction.HIGHER_IS_WORSE),
        ("nginx_5xx_ratio", "ratio", Direction.HIGHER_IS_WORSE),
        ("request_success_ratio", "ratio", Direction.LOWER_IS_WORSE),
        ("availability_percent", "percent", Direction.LOWER_IS_WORSE),
        ("container_cpu_usage_cores", "cores", Direction.HIGHER_IS_WORSE),
        ("process_resident_memory_bytes", "bytes", Direction.HIGHER_IS_WORSE),
        ("http_requests_per_second", "requests_per_second", Direction.NEUTRAL),
        ("network_receive_bytes", "bytes", Direction.NEUTRAL),
        ("kube_pod_container_status_restarts_total", "count", Direction.HIGHER_IS_WORSE),
        ("kube_pod_status_ready", "bool", Direction.LOWER_IS_WORSE),
        ("uptime_seconds", "seconds", Direction.HIGHER_IS_WORSE),
        ("frobnication", "", Direction.NEUTRAL),
    ],
)
def test_names_tell_unit_and_direction(name, unit, direction):
    meta = infer_meta(name)
    assert (meta.unit, meta.direction) == (unit, direction)


def test_meta_that_is_told_wins_over_the_name():
    document = {
        "stable": matrix(({"__name__": "errors"}, [])),
        "meta": {"errors": {"direction": "neutral"}, "unused": {}},
    }
    assert [(m.name, m.unit, m.direction) for m in parse_metrics(document).meta] == [
        ("errors", "count", Direction.NEUTRAL)
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
NUMBER = st.floats().map(lambda value: {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}.get(repr(value), repr(value)))
SAMPLE = st.tuples(st.integers(0, 50), NUMBER | st.integers().map(str)).map(list)
SERIES = st.fixed_dictionaries(
    {
        "metric": st.fixed_dictionaries(
            {"__name__": st.sampled_from(["a", "b"]), "pod": st.sampled_from(["p", "q"])},
            optional={"route": st.sampled_from(["/", "/x"]), "node": st.text(max_size=3)},
        ),
        "values": st.lists(SAMPLE | JSON, max_size=6) | st.lists(SAMPLE, max_size=6),
    }
)


@given(
    st.fixed_dictionaries(
        {}, optional={"stable": JSON | st.fixed_dictionaries({"result": st.lists(SERIES | JSON)}), "meta": JSON}
    )
    | JSON
)
def test_anything_parses_or_raises_the_documented_error(document):
    try:
        found, problem = parse_metrics(document), ""
    except ValueError as error:
        found, problem = None, str(error)
    if found is None:
        assert problem.startswith("metrics.json")
        return
    for side in (found.series.stable, found.series.canary):
        assert list(side) == sorted(side, key=lambda s: (s.name, s.labels, s.pod))
        assert all(math.isfinite(value) for s in side for _, value in s.samples)


VALID = st.fixed_dictionaries(
    {
        "metric": st.fixed_dictionaries(
            {"__name__": st.sampled_from(["a", "b"]), "pod": st.sampled_from(["p", "q"])},
            optional={"route": st.sampled_from(["/", "/x"]), "node": st.text(max_size=3)},
        ),
        "values": st.lists(SAMPLE, max_size=6),
    }
)


@given(st.lists(VALID, max_size=5), st.randoms())
def test_order_of_series_and_samples_does_not_matter(items, random):
    plain = matrix_series({"result": items}, path="x")
    shuffled = json.loads(json.dumps(items))
    random.shuffle(shuffled)
    for item in shuffled:
        random.shuffle(item["values"])
    assert matrix_series({"result": shuffled}, path="x") == plain
