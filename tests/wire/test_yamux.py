"""yamux as its server, frame by frame."""

import itertools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_verdict.wire import yamux
from rollout_verdict.wire.errors import LocalProtocolError, RemoteProtocolError
from rollout_verdict.wire.yamux import (
    INITIAL_WINDOW,
    MAX_CHUNK,
    MAX_STREAMS,
    DataReceived,
    Session,
    StreamEnded,
    StreamOpened,
    StreamReset,
    WentAway,
)
from tests.wire.golden import golden

DATA, UPDATE, PING, AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8


def frame(kind, flags, stream, length, payload=b"", version=0):
    return struct.pack(">BBHII", version, kind, flags, stream, length) + payload


def data(stream, payload, flags=0):
    return frame(DATA, flags, stream, len(payload), payload)


def opened(*streams):
    session = Session()
    for stream in streams:
        session.receive_data(frame(UPDATE, SYN, stream, 0))
    events(session)
    session.data_to_send()
    return session


class Events(list):
    """Named tuples of two kinds may be equal; lists of events must not."""

    __hash__ = None

    def __eq__(self, other):
        return [(type(event), event) for event in self] == [(type(event), event) for event in other]


def events(session):
    found = Events()
    while (event := session.next_event()) is not None:
        found.append(event)
    return found


def frames(sent):
    """Split what was sent into (kind, flags, stream, length, payload)."""
    found = []
    while sent:
        _, kind, flags, stream, length = struct.unpack_from(">BBHII", sent)
        size = 12 + (length if kind == DATA else 0)
        assert len(sent) >= size, "only whole frames are sent"
        found.append((kind, flags, stream, length, sent[12:size]))
        sent = sent[size:]
    return found


def merged(found):
    """Join neighbouring pieces of a stream: how data is cut depends on how it arrived."""
    result = Events()
    for event in found:
        last = result[-1] if result else None
        both = isinstance(event, DataReceived) and isinstance(last, DataReceived)
        if both and event.stream == last.stream:
            result[-1] = DataReceived(event.stream, last.data + event.data)
        else:
            result.append(event)
    return result


def play(session, pieces):
    """Return all events and the error that ended them, "" when none did."""
    found = []
    for piece in pieces:
        session.receive_data(piece)
    try:
        while (event := session.next_event()) is not None:
            found.append(event)
    except RemoteProtocolError as error:
        return merged(found), str(error)
    return merged(found), ""


# Opening


def test_a_new_stream_is_acknowledged_with_an_empty_window_update():
    session = Session()
    session.receive_data(frame(UPDATE, SYN, 7, 0))
    assert events(session) == [StreamOpened(7)]
    assert session.data_to_send() == golden("00 01 00 02 00000007 00000000")


def test_the_opening_frame_may_bring_data_and_the_end():
    session = Session()
    session.receive_data(data(1, b"abc", SYN | FIN))
    assert events(session) == [StreamOpened(1), DataReceived(1, b"abc"), StreamEnded(1)]


def test_the_opening_update_may_bring_credit():
    session = Session()
    session.receive_data(frame(UPDATE, SYN, 1, 5))
    events(session)
    session.data_to_send()
    session.send(1, b"x" * (INITIAL_WINDOW + 9))
    assert sum(f[3] for f in frames(session.data_to_send())) == INITIAL_WINDOW + 5


def test_a_stream_opened_twice_is_a_protocol_error():
    session = opened(1)
    session.receive_data(frame(UPDATE, SYN, 1, 0))
    with pytest.raises(RemoteProtocolError, match="opened stream 1 twice"):
        events(session)
    assert session.data_to_send() == golden("00 03 00 00 00000000 00000001")


@pytest.mark.parametrize("stream", [0, 2])
def test_the_host_must_use_odd_ids(stream):
    session = Session()
    session.receive_data(frame(UPDATE, SYN, stream, 0))
    with pytest.raises(RemoteProtocolError, match="odd"):
        events(session)


def test_streams_past_the_bound_are_reset_and_their_data_dropped():
    session = opened(*range(1, 2 * MAX_STREAMS, 2))
    extra = 2 * MAX_STREAMS + 1
    session.receive_data(data(extra, b"abc", SYN) + data(1, b"d"))
    assert events(session) == [DataReceived(1, b"d")]
    assert frames(session.data_to_send()) == [(UPDATE, RST, extra, 0, b"")]


def test_closed_streams_do_not_count():
    session = opened(*range(1, 2 * MAX_STREAMS, 2))
    session.receive_data(frame(UPDATE, RST, 1, 0) + frame(UPDATE, SYN, 301, 0))
    assert events(session) == [StreamReset(1), StreamOpened(301)]


# Receiving


def test_data_arrives_in_pieces_as_it_comes():
    session = opened(1)
    whole = data(1, b"abcdef")
    session.receive_data(whole[:14])
    assert events(session) == [DataReceived(1, b"ab")]
    session.receive_data(whole[14:])
    assert events(session) == [DataReceived(1, b"cdef")]


def test_data_for_an_unknown_stream_is_dropped():
    session = opened(1)
    session.receive_data(data(9, b"abc") + frame(UPDATE, 0, 9, 5) + data(1, b"d"))
    assert events(session) == [DataReceived(1, b"d")]


def test_credit_is_given_back_once_half_of_it_is_used():
    session = opened(1)
    session.receive_data(data(1, b"x" * (INITIAL_WINDOW // 2 - 1)))
    assert session.data_to_send() == b""
    session.receive_data(data(1, b"x"))
    assert frames(session.data_to_send()) == [(UPDATE, 0, 1, INITIAL_WINDOW // 2, b"")]


def test_a_frame_may_be_as_large_as_the_window():
    session = opened(1)
    session.receive_data(data(1, b"x" * INITIAL_WINDOW))
    assert events(session) == [DataReceived(1, b"x" * INITIAL_WINDOW)]
    assert frames(session.data_to_send()) == [(UPDATE, 0, 1, INITIAL_WINDOW, b"")]


def test_a_frame_larger_than_the_window_is_a_protocol_error():
    session = opened(1)
    session.receive_data(data(1, b"x") + frame(DATA, 0, 1, INITIAL_WINDOW))
    assert session.next_event() == DataReceived(1, b"x")
    with pytest.raises(RemoteProtocolError, match="exceed the window"):
        session.next_event()


def test_data_after_the_end_is_a_protocol_error():
    session = opened(1)
    session.receive_data(frame(UPDATE, FIN, 1, 0) + data(1, b"x"))
    assert session.next_event() == StreamEnded(1)
    with pytest.raises(RemoteProtocolError, match="after its end"):
        session.next_event()


def test_a_second_end_is_a_protocol_error():
    session = opened(1)
    session.receive_data(frame(UPDATE, FIN, 1, 0) + data(1, b"", FIN))
    assert session.next_event() == StreamEnded(1)
    with pytest.raises(RemoteProtocolError, match="ended twice"):
        session.next_event()


def test_events_before_an_error_are_delivered_first():
    session = opened(1)
    session.receive_data(data(1, b"a") + frame(9, 0, 0, 0))
    assert session.next_event() == DataReceived(1, b"a")
    with pytest.raises(RemoteProtocolError, match="unknown yamux frame type 9"):
        session.next_event()


def test_after_an_error_nothing_more_is_read():
    session = opened(1)
    session.receive_data(frame(9, 0, 0, 0))
    session.receive_data(data(1, b"a"))
    for _ in range(2):
        with pytest.raises(RemoteProtocolError):
            session.next_event()


def test_another_version_is_a_protocol_error():
    session = Session()
    session.receive_data(frame(DATA, 0, 1, 0, version=1))
    with pytest.raises(RemoteProtocolError, match="version 1"):
        session.next_event()


def test_the_end_of_the_connection_between_frames_is_no_error():
    session = opened(1)
    session.receive_data(b"")
    assert events(session) == []


@pytest.mark.parametrize("size", [1, 11, 12, 14])
def test_the_end_of_the_connection_inside_a_frame_is_an_error(size):
    session = opened(1)
    session.receive_data(data(1, b"abc")[:size])
    session.receive_data(b"")
    with pytest.raises(RemoteProtocolError, match="ended inside"):
        events(session)


# Pings and going away


def test_a_ping_is_answered_with_its_value():
    session = Session()
    session.receive_data(frame(PING, SYN, 0, 77))
    assert session.data_to_send() == golden("00 02 00 02 00000000 0000004d")


def test_an_answer_to_a_ping_we_never_sent_is_ignored():
    session = Session()
    session.receive_data(frame(PING, ACK, 0, 77))
    assert session.data_to_send() == b""


@pytest.mark.parametrize("code", [0, 1, 2])
def test_going_away_is_told_with_its_code(code):
    session = Session()
    session.receive_data(frame(AWAY, 0, 0, code))
    assert events(session) == [WentAway(code)]


# Sending


def test_small_data_goes_out_in_one_frame():
    session = opened(1)
    session.send(1, b"abc")
    assert session.data_to_send() == data(1, b"abc")
    assert session.data_to_send() == b""


def test_nothing_to_send_sends_nothing():
    session = opened(1)
    session.send(1, b"")
    assert session.data_to_send() == b""


def test_several_frames_go_out_together_in_order():
    session = opened(1, 3)
    session.send(3, b"abc")
    session.send(1, b"d")
    assert session.data_to_send() == data(3, b"abc") + data(1, b"d")


def test_large_data_goes_out_in_chunks():
    session = opened(1)
    session.send(1, b"x" * (MAX_CHUNK + 1))
    assert [f[3] for f in frames(session.data_to_send())] == [MAX_CHUNK, 1]


def test_credit_is_never_exceeded_and_the_rest_waits():
    session = opened(1, 3)
    session.send(1, b"x" * (INITIAL_WINDOW + 10))
    assert sum(f[3] for f in frames(session.data_to_send())) == INITIAL_WINDOW
    session.send(1, b"y")
    session.send(3, b"z")
    assert frames(session.data_to_send()) == [(DATA, 0, 3, 1, b"z")], "another stream has credit of its own"
    session.receive_data(frame(UPDATE, 0, 1, 10))
    assert frames(session.data_to_send()) == [(DATA, 0, 1, 10, b"x" * 10)]
    session.receive_data(frame(UPDATE, 0, 1, 10))
    assert frames(session.data_to_send()) == [(DATA, 0, 1, 1, b"y")]


def test_a_host_that_asks_and_takes_no_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(yamux, "MAX_PENDING", 100)
    session = opened(1)
    session.send(1, b"x" * (INITIAL_WINDOW + 100))
    assert session.next_event() is None
    session.send(1, b"x")
    with pytest.raises(RemoteProtocolError, match="does not take the answers"):
        session.next_event()


def test_credit_beyond_32_bits_is_a_protocol_error():
    session = opened(1)
    session.receive_data(frame(UPDATE, 0, 1, 0xFFFFFFFF))
    with pytest.raises(RemoteProtocolError, match="32 bits"):
        events(session)


def test_pings_are_answered_while_data_waits_for_credit():
    session = opened(1)
    session.send(1, b"x" * (2 * INITIAL_WINDOW))
    session.data_to_send()
    session.receive_data(frame(PING, SYN, 0, 1))
    assert frames(session.data_to_send()) == [(PING, ACK, 0, 1, b"")]


def test_the_end_follows_what_waits():
    session = opened(1)
    session.send(1, b"x" * (INITIAL_WINDOW + 1))
    session.end(1)
    assert all(not f[1] for f in frames(session.data_to_send()))
    assert not session.is_open(1)
    session.receive_data(frame(UPDATE, 0, 1, 100))
    assert frames(session.data_to_send()) == [(DATA, 0, 1, 1, b"x"), (UPDATE, FIN, 1, 0, b"")]


def test_a_stream_ended_by_both_sides_is_gone_and_its_id_may_come_again():
    session = opened(1)
    session.end(1)
    session.receive_data(frame(UPDATE, FIN, 1, 0) + frame(UPDATE, SYN, 1, 0))
    assert events(session) == [StreamEnded(1), StreamOpened(1)]


def test_a_stream_the_host_ended_first_is_gone_with_our_end():
    session = opened(1)
    session.receive_data(frame(UPDATE, FIN, 1, 0))
    session.send(1, b"late answer")
    session.end(1)
    assert frames(session.data_to_send()) == [(DATA, 0, 1, 11, b"late answer"), (UPDATE, FIN, 1, 0, b"")]
    session.receive_data(frame(UPDATE, SYN, 1, 0))
    assert events(session) == [StreamEnded(1), StreamOpened(1)]


def test_an_end_that_meets_ours_while_data_waits_keeps_the_data():
    session = opened(1)
    session.send(1, b"x" * (INITIAL_WINDOW + 1))
    session.end(1)
    session.data_to_send()
    session.receive_data(frame(UPDATE, FIN, 1, 0))
    assert events(session) == [StreamEnded(1)]
    session.receive_data(frame(UPDATE, 0, 1, 1))
    assert frames(session.data_to_send()) == [(DATA, 0, 1, 1, b"x"), (UPDATE, FIN, 1, 0, b"")]


def test_credit_and_reset_in_one_frame():
    session = opened(1)
    session.receive_data(frame(UPDATE, FIN, 1, 0))
    session.send(1, b"x" * (INITIAL_WINDOW + 1))
    session.end(1)
    session.receive_data(frame(UPDATE, RST, 1, 9))
    assert events(session) == [StreamEnded(1), StreamReset(1)]


def test_a_reset_drops_the_stream_and_what_waits():
    session = opened(1)
    session.send(1, b"x" * (2 * INITIAL_WINDOW))
    session.data_to_send()
    session.receive_data(frame(DATA, RST, 1, 0) + frame(UPDATE, 0, 1, 100))
    assert events(session) == [StreamReset(1)]
    assert session.data_to_send() == b""
    with pytest.raises(LocalProtocolError):
        session.send(1, b"x")


def test_our_reset_drops_what_still_arrives():
    session = opened(1)
    session.receive_data(data(1, b"abc")[:13])
    session.reset(1)
    session.receive_data(data(1, b"abc")[13:] + data(1, b"d"))
    assert events(session) == [DataReceived(1, b"a")]
    assert frames(session.data_to_send()) == [(UPDATE, RST, 1, 0, b"")]


@pytest.mark.parametrize("act", [lambda s: s.send(1, b"x"), lambda s: s.end(1), lambda s: s.reset(1)])
def test_using_a_stream_that_is_not_open_is_our_error(act):
    with pytest.raises(LocalProtocolError, match="not open"):
        act(Session())
    session = opened(1)
    session.end(1)
    with pytest.raises(LocalProtocolError, match="not open"):
        act(session)


# Properties


frame_bytes = st.one_of(
    st.builds(
        data,
        st.sampled_from([1, 3, 5]),
        st.binary(max_size=40),
        st.sampled_from([0, 0, 0, SYN, FIN, RST, SYN | FIN]),
    ),
    st.builds(
        frame,
        st.sampled_from([UPDATE, UPDATE, PING, AWAY, 4]),
        st.sampled_from([0, SYN, ACK, FIN, RST]),
        st.sampled_from([0, 1, 2, 3, 5]),
        st.sampled_from([0, 1, 70000, 0xFFFFFFFF]),
    ),
    st.binary(max_size=16),
)


def cut(whole, places):
    edges = [0, *sorted(place % (len(whole) + 1) for place in places), len(whole)]
    return [whole[a:b] for a, b in itertools.pairwise(edges) if b > a]


@settings(deadline=None)
@given(st.lists(frame_bytes, max_size=12), st.lists(st.integers(min_value=0), max_size=8))
def test_any_bytes_in_any_split_give_the_same_events_and_answers(parts, places):
    whole = frame(UPDATE, SYN, 1, 0) + b"".join(parts)
    one, split = Session(), Session()
    assert play(one, [whole]) == play(split, cut(whole, places))
    assert one.data_to_send() == split.data_to_send()


def test_byte_by_byte_gives_the_same_events():
    whole = b"".join(
        [
            data(1, b"hello", SYN),
            frame(PING, SYN, 0, 5),
            data(3, b"x" * 300, SYN),
            data(1, b"", FIN),
            frame(AWAY, 0, 0, 0),
        ]
    )
    one, split = Session(), Session()
    assert play(one, [whole]) == play(split, [whole[i : i + 1] for i in range(len(whole))])


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, 3]), st.integers(0, 400_000), st.integers(0, 300_000)), max_size=12))
def test_sent_data_arrives_whole_and_in_order_whatever_the_credit(steps):
    session = opened(1, 3)
    credit, wanted, got = {1: INITIAL_WINDOW, 3: INITIAL_WINDOW}, {1: b"", 3: b""}, {1: b"", 3: b""}

    def drain():
        for kind, _, stream, length, payload in frames(session.data_to_send()):
            assert kind == DATA
            assert 0 < length <= MAX_CHUNK
            credit[stream] -= length
            assert credit[stream] >= 0
            got[stream] += payload

    for number, (stream, size, more) in enumerate(steps):
        payload = bytes([number]) * size
        session.send(stream, payload)
        wanted[stream] += payload
        drain()
        credit[stream] += more
        session.receive_data(frame(UPDATE, 0, stream, more))
        drain()
    for stream in (1, 3):
        assert got[stream] == wanted[stream][: len(got[stream])]
        assert len(got[stream]) == len(wanted[stream]) or credit[stream] == 0
