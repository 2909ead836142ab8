"""The encoder of replies: Go's own bytes, types checked, all or nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_verdict.wire.errors import LocalProtocolError
from rollout_verdict.wire.gob import NEED_DATA, Decoder
from rollout_verdict.wire.gob_encode import (
    BOOLEAN,
    BYTE_STRING,
    INTEGER,
    TEXT,
    UNSIGNED,
    Encoder,
    Opaque,
    StringMap,
    Struct,
)
from tests.wire import golden as gold
from tests.wire.golden import golden

RPC_ERROR = Struct(type_id=67, name="RpcError", fields=(("ErrorString", TEXT),))
STRINGS = StringMap(type_id=68)
TIME = Opaque(type_id=69, name="Time")
INNER = Struct(type_id=70, name="Inner", fields=(("A", INTEGER), ("B", UNSIGNED)))
ALL = Struct(
    type_id=71,
    name="All",
    fields=(
        ("Yes", BOOLEAN),
        ("Int", INTEGER),
        ("Uint", UNSIGNED),
        ("Bytes", BYTE_STRING),
        ("Text", TEXT),
        ("Strings", STRINGS),
        ("Time", TIME),
        ("Inner", INNER),
    ),
)


def decoded(data):
    decoder = Decoder()
    decoder.receive_data(data)
    found = []
    while (value := decoder.next_value()) is not NEED_DATA:
        found.append(value)
    return found


def test_an_error_value_as_go_writes_it():
    encoder = Encoder()
    assert encoder.encode((RPC_ERROR, {"ErrorString": ""})) == gold.RPC_ERROR_TYPE + golden("03 ff86 00")
    assert encoder.encode((RPC_ERROR, {"ErrorString": "bad"})) == golden('08 ff86 01 03 "bad" 00')


def test_a_map_as_go_writes_it():
    encoder = Encoder()
    assert encoder.encode((STRINGS, {"a": "b"})) == gold.MAP_TYPE + gold.MAP_BODY
    assert encoder.encode((STRINGS, {})) == golden("04 ff88 00 00")
    assert encoder.encode((STRINGS, None)) == golden("04 ff88 00 00")


def test_scalars_as_go_writes_them():
    assert Encoder().encode((TEXT, "RPCPlugin")) == gold.TYPE_BODY
    assert Encoder().encode((UNSIGNED, 1)) == gold.DISPENSE_BODY
    assert Encoder().encode((BOOLEAN, True)) == gold.PING_BODY
    assert Encoder().encode((BOOLEAN, False)) == golden("03 02 00 00")


def test_an_opaque_type_at_the_top():
    assert Encoder().encode((TIME, gold.TIME)).endswith(golden("13 ff8a 00 0f") + gold.TIME)


def test_zero_fields_are_left_out_but_structs_are_always_sent():
    assert decoded(Encoder().encode((ALL, {"Int": 0, "Text": "", "Time": None, "Bytes": b"", "Yes": False}))) == [
        {"Inner": {}}
    ]


def test_an_empty_map_is_sent():
    assert decoded(Encoder().encode((ALL, {"Strings": {}}))) == [{"Strings": {}, "Inner": {}}]


def test_every_type_is_described_once_and_before_its_use():
    encoder = Encoder()
    first = encoder.encode((ALL, {"Time": gold.TIME}))
    second = encoder.encode((ALL, {"Time": gold.TIME}), (INNER, {"A": 1}), (TIME, gold.TIME))
    assert decoded(first + second) == [
        {"Time": gold.TIME, "Inner": {}},
        {"Time": gold.TIME, "Inner": {}},
        {"A": 1},
        gold.TIME,
    ]


@pytest.mark.parametrize(
    ("schema", "value", "told"),
    [
        (BOOLEAN, 1, "bool"),
        (INTEGER, "1", "int"),
        (INTEGER, True, "int"),
        (INTEGER, 1 << 63, "int64"),
        (UNSIGNED, -1, "uint64"),
        (UNSIGNED, False, "int"),
        (BYTE_STRING, "x", "bytes"),
        (TEXT, b"x", "str"),
        (TEXT, None, "str"),
        (TEXT, "\ud800", "surrogates not allowed"),
        (STRINGS, [], "mapping"),
        (STRINGS, {"a": 1}, "str"),
        (STRINGS, {1: "a"}, "str"),
        (TIME, "now", "bytes"),
        (RPC_ERROR, "bad", "RpcError: expected a mapping"),
        (RPC_ERROR, {"Error": "x"}, "RpcError has no field 'Error'"),
        (RPC_ERROR, {"ErrorString": 5}, "RpcError.ErrorString: expected a str"),
        (ALL, {"Inner": {"A": "x"}}, "All.Inner: Inner.A: expected an int"),
    ],
)
def test_a_value_that_does_not_fit_is_our_error_and_leaves_the_stream_as_it_was(schema, value, told):
    encoder = Encoder()
    with pytest.raises(LocalProtocolError, match=told):
        encoder.encode((RPC_ERROR, {"ErrorString": "first"}), (schema, value))
    assert encoder.encode((RPC_ERROR, {})).startswith(gold.RPC_ERROR_TYPE), "nothing counts as described"


def test_odd_bytes_go_out_as_they_came():
    assert Encoder().encode((TEXT, "a\udcff")) == golden("05 0c 00 02 61 ff")


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {"Inner": st.fixed_dictionaries({"A": st.integers(1, 1 << 62), "B": st.integers(1, (1 << 64) - 1)})},
        optional={
            "Yes": st.just(True),
            "Int": st.integers(-(1 << 63), -1),
            "Uint": st.integers(1, (1 << 64) - 1),
            "Bytes": st.binary(min_size=1),
            "Text": st.text(min_size=1),
            "Strings": st.dictionaries(st.text(), st.text()),
            "Time": st.binary(min_size=1),
        },
    )
)
def test_decoding_undoes_encoding(value):
    encoder = Encoder()
    assert decoded(encoder.encode((ALL, value)) + encoder.encode((ALL, value))) == [value, value]
