"""net/rpc's server side: calls out of bytes, answers into bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_verdict.wire.errors import LocalProtocolError, RemoteProtocolError
from rollout_verdict.wire.gob import NEED_DATA, Decoder, Named, Only
from rollout_verdict.wire.gob_encode import TEXT, UNSIGNED
from rollout_verdict.wire.netrpc import EMPTY, Request, ServerConnection
from tests.rpc import gob_client as c
from tests.wire import golden as gold

METHODS = {"Plugin.Type": None, "Plugin.Run": Only(RunArgs=Only(Metric=None))}


def requests(data, methods=METHODS, size=0):
    connection = ServerConnection(methods)
    found = []
    for start in range(0, len(data), size or len(data) or 1):
        connection.receive_data(data[start : start + (size or len(data))])
        while (request := connection.next_request()) is not None:
            found.append(request)
    return found


def call(client, method, kind, argument, **header):
    return client.encode(c.REQUEST, {"ServiceMethod": method, **header}) + client.encode(kind, argument)


def test_the_first_calls_as_go_sends_them():
    assert requests(gold.INIT_REQUEST + gold.TYPE_REQUEST) == [
        Request("Plugin.InitPlugin", 0, None),
        Request("Plugin.Type", 1, None),
    ]


def test_calls_byte_by_byte():
    assert len(requests(gold.INIT_REQUEST + gold.TYPE_REQUEST, size=1)) == 2


def test_a_header_without_method_and_number():
    client = c.GobClient()
    assert requests(client.encode(c.REQUEST, {}) + gold.NIL_INTERFACE) == [Request("", 0, None)]


def test_only_what_a_method_wants_is_read():
    argument = c.Iface("RunArgs", c.RUN_ARGS, {"AnalysisRun": {"ObjectMeta": {"Name": "n"}}, "Metric": {"Name": "m"}})
    (request,) = requests(call(c.GobClient(), "Plugin.Run", c.INTERFACE_T, argument))
    assert request.argument == Named("RunArgs", {"Metric": {"Name": "m", "Count": {}, "Provider": {}}})


@pytest.mark.parametrize(
    ("kind", "argument"),
    [
        (c.map_of(c.STRING_T, c.FLOAT_T), {"a": 1.5}),
        (c.FLOAT_T, 17.0),
        (c.record("Odd", X=c.slice_of(c.INT_T)), {"X": [1, 2]}),
    ],
)
def test_the_argument_of_an_unknown_method_is_passed_over(kind, argument):
    client = c.GobClient()
    stream = call(client, "Plugin.Nope", kind, argument) + call(client, "Plugin.Type", c.INTERFACE_T, None, Seq=1)
    assert requests(stream) == [Request("Plugin.Nope", 0, None), Request("Plugin.Type", 1, None)]


def test_an_argument_that_cannot_be_read_is_told_and_the_stream_goes_on():
    client = c.GobClient()
    bad = client.encode(c.REQUEST, {"ServiceMethod": "Plugin.Type"}) + gold.golden("03 0c 00 05")
    first, second = requests(bad + call(client, "Plugin.Type", c.INTERFACE_T, None, Seq=1))
    assert "past the end" in first.problem
    assert second == Request("Plugin.Type", 1, None)


@pytest.mark.parametrize(
    "header",
    [
        gold.golden('05 0c 00 02 "hi"'),
        c.GobClient().encode(c.record("Request", ServiceMethod=c.INT_T), {"ServiceMethod": 5}),
        c.GobClient().encode(c.record("Request", Seq=c.INT_T), {"Seq": -1}),
        c.GobClient().encode(c.record("Request", Seq=c.STRING_T), {"Seq": "1"}),
        c.GobClient().encode(c.record("Request", Seq=c.BOOL_T), {"Seq": True}),
        gold.golden("03 0c 00 05"),
    ],
)
def test_a_header_that_is_none_breaks_the_stream(header):
    with pytest.raises(RemoteProtocolError):
        requests(header)


def test_an_answer_as_go_writes_it():
    connection = ServerConnection(METHODS)
    request = Request("Plugin.Type", 1, None)
    assert connection.reply(request, TEXT, "RPCPlugin") == gold.RESPONSE_TYPE + gold.TYPE_RESPONSE + gold.TYPE_BODY
    assert connection.reply(request, TEXT, "RPCPlugin") == gold.TYPE_RESPONSE + gold.TYPE_BODY


def test_an_error_answer_carries_an_empty_struct():
    connection = ServerConnection(METHODS)
    sent = connection.reply_error(Request("Plugin.Type", 1, None), "no")
    assert sent.endswith(gold.EMPTY_TYPE + gold.EMPTY_BODY)
    decoder = Decoder()
    decoder.receive_data(sent)
    assert decoder.next_value() == {"ServiceMethod": "Plugin.Type", "Seq": 1, "Error": "no"}


def test_an_error_without_a_text_gets_one():
    decoder = Decoder()
    decoder.receive_data(ServerConnection(METHODS).reply_error(Request("A.B", 0, None), ""))
    assert decoder.next_value()["Error"]


def test_an_answer_that_does_not_fit_sends_nothing():
    connection = ServerConnection(METHODS)
    with pytest.raises(LocalProtocolError):
        connection.reply(Request("Plugin.Type", 1, None), TEXT, 5)
    assert connection.reply(Request("Dispenser.Dispense", 1, None), UNSIGNED, 1).startswith(gold.RESPONSE_TYPE)


def test_a_method_name_without_end_is_cut_in_the_answer():
    sent = ServerConnection(METHODS).reply(Request("x" * 10_000, 0, None), EMPTY, {})
    assert len(sent) < 500


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["Plugin.Type", "A.B", ""]), st.integers(0, 300)), max_size=5),
    st.integers(1, 30),
)
def test_calls_in_any_split(calls, size):
    client = c.GobClient()
    stream = b"".join(call(client, method, c.INTERFACE_T, None, Seq=number) for method, number in calls)
    wanted = [Request(method, number, None) for method, number in calls]
    assert requests(stream) == requests(stream, size=size) == wanted


@settings(deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([gold.INIT_REQUEST, gold.TYPE_REQUEST])), max_size=6))
def test_any_bytes_give_calls_or_the_documented_error(parts):
    connection = ServerConnection(METHODS)
    decoder = Decoder()
    connection.receive_data(b"".join(parts))
    try:
        while (request := connection.next_request()) is not None:
            decoder.receive_data(connection.reply_error(request, "no"))
            assert decoder.next_value()["Error"] == "no"
            assert decoder.next_value() == {}
    except RemoteProtocolError:
        return
    assert decoder.next_value() is NEED_DATA
