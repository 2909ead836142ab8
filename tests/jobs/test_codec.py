"""What is stored reads back as what it was."""

import base64
import math
import pickle

import pytest
from dbos import Serializer
from dbos._serialization import deserialize_value
from pydantic import TypeAdapter

from rollout_verdict.core.policy import Policy
from rollout_verdict.core.redaction.redact import Redactor
from rollout_verdict.engine import judge
from rollout_verdict.jobs import codec
from tests.jobs.conftest import BAD, GOOD, service
from tests.jobs.process import request


@pytest.mark.parametrize("evidence", [GOOD, BAD], ids=["good", "bad"])
def test_a_whole_result(evidence):
    """Every value equal, and the same bytes from the same value."""
    result = judge(evidence, Policy(), None, Redactor())
    packed = codec.packed(result)
    assert codec.unpacked(codec.RESULT, packed) == result
    assert codec.packed(codec.unpacked(codec.RESULT, packed)) == packed


def test_a_request():
    """Its configuration is any JSON."""
    asked = request("one", window="5m", thresholds={"logs": {"x": 1.5}})
    assert codec.value_of(codec.REQUEST, codec.text_of(asked)) == asked


def test_an_interval_without_a_bound():
    """JSON has no infinity, ours has."""
    floats = TypeAdapter(tuple[float, ...])
    assert codec.value_of(floats, codec.text_of((1.5, -math.inf, math.inf))) == (1.5, -math.inf, math.inf)


def test_what_is_none_of_ours_is_refused():
    """Never half a value."""
    for text in ("", "{}", '{"id": 1}', "[]"):
        with pytest.raises(ValueError):
            codec.value_of(codec.REQUEST, text)
    with pytest.raises((ValueError, OSError)):
        codec.unpacked(codec.EVIDENCE, b"no gzip")


def test_dbos_writes_json_and_nothing_that_runs():
    """No pickle: data as JSON, exceptions by the name of their type, anything else refused."""
    serializer = codec.Json()
    assert isinstance(serializer, Serializer)
    assert serializer.serialize({"args": ("one",), "kwargs": {}}) == '{"args":["one"],"kwargs":{}}'
    assert serializer.deserialize(serializer.serialize({"a": [1, None]})) == {"a": [1, None]}
    told = serializer.deserialize(serializer.serialize(ValueError("secret")))
    assert isinstance(told, RuntimeError)
    assert "ValueError" in str(told)
    assert "secret" not in str(told)
    with pytest.raises(TypeError):
        serializer.serialize(object())
    assert serializer.name() == "json"


def test_a_record_that_says_it_is_a_pickle_is_not_run(sqlite):
    """DBOS believes the row, not the setting: whoever can write to the database must not run code here."""
    with service(sqlite):
        pass
    written = base64.b64encode(pickle.dumps(["harmless"])).decode()
    with pytest.raises(ValueError, match="neither writes nor reads"):
        deserialize_value(written, "py_pickle", codec.Json())
