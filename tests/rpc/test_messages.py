"""What the controller says, as values; Go's times."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_verdict.rpc import messages
from rollout_verdict.rpc.measurer import Owner
from rollout_verdict.rpc.messages import Measurement, Time, parse_time, unmarshal_time
from rollout_verdict.wire.gob_encode import Encoder
from tests.rpc.host import analysis_run
from tests.wire.golden import TIME, golden

LEAP_DAY = Time(1709251199_123456789)


def test_times_as_go_marshals_them():
    assert LEAP_DAY.marshal() == TIME
    assert unmarshal_time(TIME) == LEAP_DAY
    assert LEAP_DAY.text() == "2024-02-29T23:59:59Z"


def test_a_zone_does_not_change_the_instant():
    assert unmarshal_time(TIME[:-2] + golden("003c")) == LEAP_DAY
    assert unmarshal_time(b"\x02" + TIME[1:] + b"\x1e") == LEAP_DAY


@pytest.mark.parametrize("data", [None, "", b"", b"\x01", TIME[:-1], TIME + b"\0", b"\x03" + TIME[1:], 5])
def test_what_is_no_time_is_none(data):
    assert unmarshal_time(data) is None


def test_gos_zero_time_is_none():
    assert unmarshal_time(b"\x01" + b"\0" * 12 + b"\xff\xff") is None


@settings(deadline=None)
@given(st.integers(-(10**18), 10**19))
def test_reading_undoes_marshalling(nanoseconds):
    assert unmarshal_time(Time(nanoseconds).marshal()) == Time(nanoseconds)


@settings(deadline=None)
@given(st.integers(0, 4 * 10**9))
def test_text_can_be_read_back(seconds):
    assert parse_time(Time(seconds * 10**9).text()) == Time(seconds * 10**9)


@pytest.mark.parametrize("text", ["", "now", "2024-02-30T00:00:00Z", "2024-02-29"])
def test_text_that_is_no_time_is_none(text):
    assert parse_time(text) is None


def test_reckoning_with_times():
    assert LEAP_DAY.plus(1.5).since(LEAP_DAY) == 1.5


def test_a_missing_run_is_none_and_an_empty_one_is_empty():
    assert messages.analysis_run({}, "id") is None
    found = messages.analysis_run({"AnalysisRun": {}}, "id")
    assert (found.name, found.uid, found.owner, found.secrets, found.completed) == ("", "", Owner(), (), {})


def test_what_is_read_of_a_run():
    run = analysis_run(
        results=[
            {"Name": "a", "Count": 3, "Error": 2, "DryRun": True, "Measurements": [{"Metadata": {"id": "1"}}, {}]},
            {"Name": "b"},
        ],
        args=[
            {"Name": "plain", "Value": "v"},
            {"Name": "secret", "Value": "hush", "ValueFrom": {"SecretKeyRef": {"Key": "k"}}},
            {"Name": "empty", "ValueFrom": {"SecretKeyRef": {"Key": "k"}}},
            {"Name": "field", "Value": "f", "ValueFrom": {"FieldRef": {"FieldPath": "metadata.name"}}},
        ],
    )
    found = messages.analysis_run({"AnalysisRun": run}, "id")
    assert found.arguments == ("plain", "secret", "empty", "field")
    assert found.secrets == ("hush",)
    assert found.completed == {"a": 5, "b": 0}
    assert found.dry_run == frozenset({"a"})
    assert found.measurement_ids == {"a": ("1", ""), "b": ()}
    assert found.owner == Owner(kind="Rollout", name="shop", uid="r-1")


@pytest.mark.parametrize(
    ("references", "kind"),
    [
        ([{"Kind": "Thing"}, {"Kind": "Experiment", "Name": "e"}], "Experiment"),
        ([{"Kind": "Thing", "Controller": True}, {"Kind": "Rollout"}], "Thing"),
        ([{"Kind": "Thing"}], ""),
    ],
)
def test_the_owner_is_the_controller_or_one_of_argos_kinds(references, kind):
    run = {"ObjectMeta": {"OwnerReferences": references}}
    assert messages.analysis_run({"AnalysisRun": run}, "id").owner.kind == kind


def test_a_missing_metric_is_empty():
    assert messages.metric({}).plugins == {}


def test_a_measurement_there_and_back():
    found = Measurement(
        phase="Running", message="m", value="1", started_at=LEAP_DAY, resume_at=LEAP_DAY.plus(2), metadata={"a": "b"}
    )
    assert messages.measurement({"Measurement": found.fields()}) == found
    assert messages.measurement({}) == Measurement(phase="")


def test_a_measurement_as_go_wants_it():
    found = Measurement(phase="Running", value="1", started_at=LEAP_DAY, metadata={"a": "b"})
    sent = Encoder().encode((messages.MEASUREMENT, found.fields()))
    body = golden('01 07 "Running" 02 0f') + TIME + golden('02 01 "1" 01 01 01 "a" 01 "b" 00')
    assert sent.endswith(body)


def test_the_phases_are_argos():
    assert sorted(messages.FINAL_PHASES) == ["Error", "Failed", "Inconclusive", "Successful"]
