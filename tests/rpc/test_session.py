"""go-plugin's conversation without sockets: streams by order, broker, control calls, Go's texts."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_verdict.rpc.session import Call, PluginSession, QuitRequested
from rollout_verdict.wire.errors import LocalProtocolError, RemoteProtocolError
from rollout_verdict.wire.gob import NEED_DATA, Decoder
from rollout_verdict.wire.gob_encode import TEXT
from rollout_verdict.wire.yamux import MAX_STREAMS
from tests.rpc import gob_client as c
from tests.wire.golden import INIT_REQUEST, TYPE_REQUEST

METHODS = {"Plugin.Type": None, "Plugin.InitPlugin": None}
DATA, UPDATE, PING, AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8


def frame(kind, flags, stream, length, payload=b""):
    return struct.pack(">BBHII", 0, kind, flags, stream, length) + payload


def data(stream, payload):
    return frame(DATA, 0, stream, len(payload), payload)


class Peer:
    """A session with the bytes of its other side."""

    def __init__(self, methods=METHODS):
        self.session = PluginSession(methods)
        self.gob = {}
        self.answers = {}
        self.frames = []
        self.sequence = 0
        self.feed(b"".join(frame(UPDATE, SYN, stream, 0) for stream in (1, 3, 5)))

    def feed(self, raw):
        self.session.receive_data(raw)
        return self.drain()

    def drain(self):
        sent = self.session.data_to_send()
        found = []
        while sent:
            _, kind, flags, stream, length = struct.unpack_from(">BBHII", sent)
            size = 12 + (length if kind == DATA else 0)
            found.append((kind, flags, stream, sent[12:size]))
            sent = sent[size:]
        self.frames += found
        return found

    def events(self):
        found = []
        while (event := self.session.next_event()) is not None:
            found.append(event)
        return found

    def request(self, stream, method, kind, argument):
        gob = self.gob.setdefault(stream, c.GobClient())
        header = gob.encode(c.REQUEST, {"ServiceMethod": method, "Seq": self.sequence})
        self.sequence += 1
        return data(stream, header + gob.encode(kind, argument))

    def call(self, stream, method, kind, argument):
        """Return (error, body) of a call that is answered at once."""
        return self.answer(self.feed(self.request(stream, method, kind, argument)), stream)

    def answer(self, frames, stream):
        decoder = self.answers.setdefault(stream, Decoder())
        for kind, _, number, payload in frames:
            if kind == DATA and number == stream:
                decoder.receive_data(payload)
        header = decoder.next_value()
        return None if header is NEED_DATA else (header.get("Error", ""), decoder.next_value())

    def plugin(self, stream=7, number=1):
        """Open a brokered stream."""
        return self.feed(frame(UPDATE, SYN, stream, 0) + data(stream, struct.pack("<I", number)))

    def dispensed(self):
        self.call(1, "Dispenser.Dispense", c.STRING_T, "RpcMetricProviderPlugin")
        self.plugin()
        return self


def test_ping_is_answered_with_an_empty_struct():
    assert Peer().call(1, "Control.Ping", c.BOOL_T, True) == ("", {})


def test_quit_is_answered_and_told():
    peer = Peer()
    assert peer.call(1, "Control.Quit", c.BOOL_T, True) == ("", {})
    assert peer.events() == [QuitRequested()]


def test_dispensing_gives_ids_that_streams_may_name():
    peer = Peer()
    for number in (1, 2):
        assert peer.call(1, "Dispenser.Dispense", c.STRING_T, "RpcMetricProviderPlugin") == ("", number)
    assert (DATA, 0, 9, b"\2\0\0\0") in peer.plugin(stream=9, number=2)
    assert (DATA, 0, 7, b"\1\0\0\0") in peer.plugin(stream=7, number=1)


@pytest.mark.parametrize("number", [0, 2, 0xFFFFFFFF])
def test_a_stream_that_names_no_dispensed_id_is_closed(number):
    peer = Peer()
    peer.call(1, "Dispenser.Dispense", c.STRING_T, "RpcMetricProviderPlugin")
    assert peer.plugin(number=number)[-1] == (UPDATE, FIN, 7, b"")
    assert peer.feed(data(7, INIT_REQUEST)) == []


def test_the_broker_id_may_come_byte_by_byte_with_the_first_call_behind_it():
    peer = Peer()
    peer.call(1, "Dispenser.Dispense", c.STRING_T, "RpcMetricProviderPlugin")
    peer.feed(frame(UPDATE, SYN, 7, 0) + data(7, b"\1") + data(7, b"\0\0"))
    assert peer.events() == []
    peer.feed(data(7, b"\0" + INIT_REQUEST))
    assert [event.request.method for event in peer.events()] == ["Plugin.InitPlugin"]


@pytest.mark.parametrize(
    ("method", "text"),
    [
        ("Control.Nope", "rpc: can't find method Control.Nope"),
        ("Dispenser.Nope", "rpc: can't find method Dispenser.Nope"),
        ("Plugin.Type", "rpc: can't find service Plugin.Type"),
        ("Nope", "rpc: service/method request ill-formed: Nope"),
        ("", "rpc: service/method request ill-formed: "),
    ],
)
def test_unknown_methods_of_the_control_stream_get_gos_texts(method, text):
    assert Peer().call(1, method, c.map_of(c.STRING_T, c.FLOAT_T), {"a": 1.5}) == (text, {})


@pytest.mark.parametrize(
    ("method", "text"),
    [
        ("Plugin.Nope", "rpc: can't find method Plugin.Nope"),
        ("Control.Ping", "rpc: can't find service Control.Ping"),
        ("x" * 5000, "rpc: service/method request ill-formed: " + "x" * 160),
    ],
)
def test_unknown_methods_of_the_plugin_get_gos_texts_and_the_stream_goes_on(method, text):
    peer = Peer().dispensed()
    assert peer.call(7, method, c.record("Odd", X=c.INT_T), {"X": 1}) == (text, {})
    assert peer.events() == []
    peer.feed(peer.request(7, "Plugin.Type", c.INTERFACE_T, None))
    assert len(peer.events()) == 1


def test_an_unknown_plugin_type_is_an_error():
    assert Peer().call(1, "Dispenser.Dispense", c.STRING_T, "Router") == ("unknown plugin type: Router", {})


def test_arguments_that_cannot_be_read_are_answered():
    peer = Peer().dispensed()
    for stream, method in ((1, "Control.Ping"), (7, "Plugin.Type")):
        gob = peer.gob.setdefault(stream, c.GobClient())
        header = gob.encode(c.REQUEST, {"ServiceMethod": method})
        error, _ = peer.answer(peer.feed(data(stream, header + bytes.fromhex("030c0005"))), stream)
        assert "past the end" in error
    assert peer.events() == []


def test_calls_are_answered_in_any_order_and_errors_are_errors():
    peer = Peer().dispensed()
    peer.feed(data(7, INIT_REQUEST + TYPE_REQUEST))
    first, second = peer.events()
    peer.session.reply(second, TEXT, "RolloutVerdict")
    peer.session.fail(first, "no")
    frames = peer.drain()
    assert peer.answer(frames, 7) == ("", "RolloutVerdict")
    assert peer.answer([], 7) == ("no", {})


def test_an_answer_that_does_not_fit_becomes_an_error_answer():
    peer = Peer().dispensed()
    peer.feed(data(7, INIT_REQUEST))
    (call,) = peer.events()
    with pytest.raises(LocalProtocolError):
        peer.session.reply(call, TEXT, 5)
    error, body = peer.answer(peer.drain(), 7)
    assert "cannot be sent" in error
    assert body == {}


def test_the_standard_streams_take_anything_and_say_nothing():
    peer = Peer()
    assert peer.feed(data(3, b"\xff" * 50) + data(5, b"\0")) == []
    assert peer.feed(frame(UPDATE, FIN, 3, 0)) == [(UPDATE, FIN, 3, b"")]


def test_a_stream_that_ended_still_gets_its_answers_then_our_end():
    peer = Peer().dispensed()
    peer.feed(data(7, INIT_REQUEST + TYPE_REQUEST) + frame(UPDATE, FIN, 7, 0))
    first, second = peer.events()
    peer.session.reply(first, TEXT, "a")
    assert [f[0] for f in peer.drain()] == [DATA]
    peer.session.reply(second, TEXT, "b")
    assert [(f[0], f[1]) for f in peer.drain()] == [(DATA, 0), (UPDATE, FIN)]


def test_a_stream_that_ends_with_nothing_running_is_ended():
    peer = Peer().dispensed()
    assert peer.feed(frame(UPDATE, FIN, 7, 0)) == [(UPDATE, FIN, 7, b"")]


def test_a_stream_that_was_reset_gets_no_answer():
    peer = Peer().dispensed()
    peer.feed(data(7, INIT_REQUEST))
    (call,) = peer.events()
    peer.feed(frame(UPDATE, RST, 7, 0))
    peer.session.reply(call, TEXT, "a")
    peer.session.fail(call, "b")
    assert peer.drain() == []


@pytest.mark.parametrize("ending", [frame(UPDATE, RST, 7, 0), frame(UPDATE, FIN, 7, 0) + frame(UPDATE, RST, 7, 0)])
def test_what_a_stream_still_said_before_its_reset_in_one_read(ending):
    peer = Peer()
    peer.call(1, "Dispenser.Dispense", c.STRING_T, "RpcMetricProviderPlugin")
    call = peer.request(7, "Plugin.Nope", c.INTERFACE_T, None)
    peer.feed(frame(UPDATE, SYN, 7, 0) + data(7, b"\1\0\0\0") + call + ending)
    assert peer.call(1, "Control.Ping", c.BOOL_T, True) == ("", {})


def test_a_refused_stream_that_ends_in_the_same_read():
    peer = Peer()
    peer.feed(frame(UPDATE, SYN, 7, 0) + data(7, b"\1\0\0\0") + frame(UPDATE, FIN, 7, 0))
    assert peer.call(1, "Control.Ping", c.BOOL_T, True) == ("", {})


def test_streams_without_end_are_refused_one_by_one():
    peer = Peer()
    sent = peer.feed(b"".join(frame(UPDATE, SYN, stream, 0) for stream in range(7, 7 + 4 * MAX_STREAMS, 2)))
    assert any(flags == RST for _, flags, _, _ in sent)
    assert peer.call(1, "Control.Ping", c.BOOL_T, True) == ("", {})


def test_a_plugin_stream_out_of_step_ends_everything():
    peer = Peer().dispensed()
    with pytest.raises(RemoteProtocolError):
        peer.feed(data(7, b"\x05\x0c\x00\x02hi"))


def test_a_host_that_gives_up_on_the_session_ends_everything():
    with pytest.raises(RemoteProtocolError, match="code 2"):
        Peer().feed(frame(AWAY, 0, 0, 2))


def test_a_host_that_opens_no_more_streams_is_still_served():
    peer = Peer()
    peer.feed(frame(AWAY, 0, 0, 0))
    assert peer.call(1, "Control.Ping", c.BOOL_T, True) == ("", {})


@settings(deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_a_conversation_in_any_split(sizes):
    def play(cuts):
        peer = Peer()
        whole = peer.request(1, "Dispenser.Dispense", c.STRING_T, "RpcMetricProviderPlugin")
        whole += frame(UPDATE, SYN, 7, 0) + data(7, b"\1\0\0\0" + INIT_REQUEST + TYPE_REQUEST)
        whole += frame(PING, SYN, 0, 9) + frame(UPDATE, FIN, 7, 0)
        sent = {}  # by stream: how streams take turns depends on how bytes arrived
        found = []
        start = 0
        for size in [*cuts, len(whole)]:
            peer.session.receive_data(whole[start : start + size] or b"")
            start += size
            while (event := peer.session.next_event()) is not None:
                assert isinstance(event, Call)
                found.append(event)
            for kind, flags, stream, payload in peer.drain():
                sent.setdefault(stream, []).append((kind, flags, payload))
            if start >= len(whole):
                break
        return found, sent

    assert play(sizes) == play([])
