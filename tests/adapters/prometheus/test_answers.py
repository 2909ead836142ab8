"""The parser of foreign JSON: an answer, a refusal, or ValueError; never anything else."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.adapters.prometheus.answers import NOTES, Answer, Refusal, matrix, names, parse, vector
from rollout_verdict.core.metrics.series import matrix_series

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "status",
                    "data",
                    "resultType",
                    "result",
                    "metric",
                    "value",
                    "values",
                    "histograms",
                    "warnings",
                    "infos",
                    "le",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
SERIES = st.fixed_dictionaries(
    {"metric": st.dictionaries(st.sampled_from(["pod", "le", "__name__"]), st.text(max_size=4)) | JSON},
    optional={
        "value": st.tuples(st.floats(), st.sampled_from(["1", "NaN", "+Inf", "x", "1e999"])).map(list) | JSON,
        "values": st.lists(st.tuples(st.floats(), st.sampled_from(["1", "NaN", "-Inf", "x"])).map(list)) | JSON,
    },
)
DATA = st.fixed_dictionaries(
    {"resultType": st.sampled_from(["vector", "matrix"]), "result": st.lists(SERIES, max_size=4)}
)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_answer_a_refusal_or_an_error(body):
    with contextlib.suppress(ValueError):
        assert isinstance(parse(body), Answer | Refusal)


@given(JSON | DATA)
def test_any_data_is_read_or_refused(data):
    for read in (vector, names, lambda data: matrix_series(matrix(data, "m", pod_label="pod"), path="x")):
        with contextlib.suppress(ValueError):
            read(data)


def test_what_an_answer_says_beside_its_data():
    body = {"status": "success", "data": 1, "warnings": ["b", "a", "b", 3], "infos": "no list", "isPartial": True}
    assert parse(json.dumps(body).encode()) == Answer(data=1, warnings=("a", "b"), partial=True)
    many = {"status": "success", "data": 1, "warnings": [str(n) for n in range(100)]}
    assert len(parse(json.dumps(many).encode()).warnings) == NOTES


def test_a_refusal_keeps_the_servers_words():
    body = {"status": "error", "errorType": "bad_data", "error": "1:2: parse error"}
    assert parse(json.dumps(body).encode()) == Refusal(kind="bad_data", text="1:2: parse error")
    assert parse(b'{"status": "error", "error": {}}') == Refusal(kind="", text="")


def test_values_that_are_no_numbers_are_left_out():
    data = {
        "resultType": "vector",
        "result": [{"metric": {"a": "b"}, "value": [1, "2.5"]}, {"metric": {}, "value": [1, "NaN"]}],
    }
    assert vector(data) == (({"a": "b"}, 2.5),)


def test_a_native_histogram_says_what_to_do():
    data = {"resultType": "matrix", "result": [{"metric": {}, "histograms": []}]}
    with pytest.raises(ValueError, match="histogram_quantile"):
        matrix(data, "m")


def test_the_label_of_the_pod_is_renamed():
    data = {"resultType": "matrix", "result": [{"metric": {"instance": "10.0.0.1:80", "__name__": "x"}, "values": []}]}
    found = matrix(data, "m", pod_label="instance", pod_of=lambda value: value.partition(":")[0])
    assert found["result"][0]["metric"] == {"pod": "10.0.0.1", "__name__": "m"}
