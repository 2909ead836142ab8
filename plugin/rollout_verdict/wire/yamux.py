"""The server side of yamux: bytes in, events and bytes out.

Feed what the socket gave to :meth:`Session.receive_data`, call :meth:`Session.next_event` until it has no more,
then write what :meth:`Session.data_to_send` returns. ``next_event`` has three outcomes: an event, None (more bytes
are needed), or RemoteProtocolError. After that error the session is over; what is left to send is the go-away frame.

Source: hashicorp/yamux ``spec.md``, ``const.go``, ``session.go``, ``stream.go``. The session never opens streams
and never pings: the host does both.
"""

import struct
from collections import deque
from typing import NamedTuple

from rollout_verdict.wire.errors import LocalProtocolError, RemoteProtocolError

# spec.md, "Framing": version, type, flags, stream id, length; big endian.
_HEADER = struct.Struct(">BBHII")
HEADER_SIZE = _HEADER.size

DATA, WINDOW_UPDATE, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8
NORMAL, PROTOCOL_ERROR, INTERNAL_ERROR = range(3)

# spec.md, "Flow Control": every stream starts with 256 KiB of credit in each direction.
INITIAL_WINDOW = 262144
# stream.go sendWindowUpdate: credit is topped up once half of it is used, so that updates stay rare.
_TOP_UP = INITIAL_WINDOW // 2
# Pings and other streams get their turn between chunks. A choice: 64 KiB passes a unix socket in well under 1 ms.
MAX_CHUNK = 65536
# The host opens three streams and one for each dispensed client. More than this is a leak on its side; the limit
# keeps it from becoming one on ours. As yamux does past its accept backlog, further streams are reset.
MAX_STREAMS = 64
_MAX_CREDIT = 0xFFFFFFFF
# What may wait for the credit of one stream. All answers of the largest controller are a few MiB.
MAX_PENDING = 64 << 20


class StreamOpened(NamedTuple):
    """The host opened a stream. It is already acknowledged."""

    stream: int


class DataReceived(NamedTuple):
    """Bytes of a stream, in order; how they are cut into events depends on how they arrived."""

    stream: int
    data: bytes


class StreamEnded(NamedTuple):
    """The host will send no more on this stream; it still reads."""

    stream: int


class StreamReset(NamedTuple):
    """The stream is gone, both ways."""

    stream: int


class WentAway(NamedTuple):
    """The host opens no more streams; any code but NORMAL means that it gave up on the session."""

    code: int


Event = StreamOpened | DataReceived | StreamEnded | StreamReset | WentAway


class _Stream:
    """Credit and half-close state of one stream. ``pending`` waits for credit, it is never dropped."""

    __slots__ = ("ended_here", "ended_there", "pending", "receive_window", "send_window")

    def __init__(self) -> None:
        self.receive_window = INITIAL_WINDOW
        self.send_window = INITIAL_WINDOW
        self.pending = bytearray()
        self.ended_here = False
        self.ended_there = False


class Session:
    """One yamux session as its server.

    Memory: 11 bytes of an unfinished header, events not yet asked for, frames not yet fetched by ``data_to_send``,
    and MAX_PENDING for each stream without credit.
    """

    def __init__(self) -> None:
        self._streams: dict[int, _Stream] = {}
        self._rest = b""  # less than one header
        self._payload_left = 0
        self._payload_stream = 0
        self._payload_flags = 0
        self._out: list[bytes] = []
        self._events: deque[Event] = deque()
        self._broken = ""

    def receive_data(self, data: bytes) -> None:
        """Take what the socket gave. Empty ``data`` stands for the end of the connection."""
        if self._broken:
            return
        if not data:
            if self._rest or self._payload_left:
                self._broken = "the connection ended inside a yamux frame"
            return
        try:
            self._read(self._rest + data if self._rest else data)
        except RemoteProtocolError as error:
            self._broken = str(error)
            self._out.append(_HEADER.pack(0, GO_AWAY, 0, 0, PROTOCOL_ERROR))

    def next_event(self) -> Event | None:
        """Return the next event, or None when more bytes are needed.

        Raises RemoteProtocolError, after the events that came before it, when the host broke the protocol or the
        connection ended inside a frame.
        """
        if self._events:
            return self._events.popleft()
        if self._broken:
            raise RemoteProtocolError(self._broken)
        return None

    def data_to_send(self) -> bytes:
        """Return, and forget, the bytes that must now go to the socket, whole and in order."""
        if len(self._out) == 1:  # the usual case, without a copy
            return self._out.pop()
        data = b"".join(self._out)
        self._out.clear()
        return data

    def is_open(self, stream: int) -> bool:
        """Tell whether ``send`` may be used on this stream."""
        state = self._streams.get(stream)
        return state is not None and not state.ended_here

    def send(self, stream: int, data: bytes) -> None:
        """Queue ``data`` on a stream; what exceeds the host's credit waits inside the session.

        Past MAX_PENDING the session is over: ``next_event`` says so. Raises LocalProtocolError when the stream is not
        open.
        """
        state = self._open_state(stream)
        if not data:
            return
        if not state.pending and len(data) <= state.send_window and len(data) <= MAX_CHUNK:
            state.send_window -= len(data)
            self._out.append(_HEADER.pack(0, DATA, 0, stream, len(data)) + data)
            return
        state.pending += data
        self._flush(stream, state)
        if len(state.pending) > MAX_PENDING and not self._broken:
            self._broken = f"the host asks on stream {stream} and does not take the answers"

    def end(self, stream: int) -> None:
        """Close our half of a stream once everything queued on it is sent.

        At most once: yamux tears a session down on a second FIN (stream.go processFlags). Raises
        LocalProtocolError when the stream is not open.
        """
        state = self._open_state(stream)
        state.ended_here = True
        self._flush(stream, state)

    def reset(self, stream: int) -> None:
        """Drop a stream, both ways. Raises LocalProtocolError when the stream is not open."""
        self._open_state(stream)
        del self._streams[stream]
        self._out.append(_HEADER.pack(0, WINDOW_UPDATE, RST, stream, 0))

    def _open_state(self, stream: int) -> _Stream:
        state = self._streams.get(stream)
        if state is None or state.ended_here:
            raise LocalProtocolError(f"yamux stream {stream} is not open for sending")
        return state

    def _flush(self, stream: int, state: _Stream) -> None:
        while state.pending and state.send_window:
            chunk = bytes(state.pending[: min(state.send_window, MAX_CHUNK)])
            del state.pending[: len(chunk)]
            state.send_window -= len(chunk)
            self._out.append(_HEADER.pack(0, DATA, 0, stream, len(chunk)) + chunk)
        if state.ended_here and not state.pending:
            self._out.append(_HEADER.pack(0, WINDOW_UPDATE, FIN, stream, 0))
            if state.ended_there:
                del self._streams[stream]

    def _read(self, data: bytes) -> None:
        position, size = 0, len(data)
        while True:
            if self._payload_left:
                position = self._payload(data, position)
                if self._payload_left:
                    break
            if size - position < HEADER_SIZE:
                break
            self._frame(*_HEADER.unpack_from(data, position))
            position += HEADER_SIZE
        self._rest = data[position:]

    def _payload(self, data: bytes, position: int) -> int:
        end = min(position + self._payload_left, len(data))
        if end > position:
            self._payload_left -= end - position
            if self._payload_stream in self._streams:  # else: drained and dropped, session.go
                self._events.append(DataReceived(self._payload_stream, data[position:end]))
            if not self._payload_left:
                self._end_of_payload()
        return end

    def _frame(self, version: int, kind: int, flags: int, stream: int, length: int) -> None:
        if version != 0:
            raise RemoteProtocolError(f"yamux version {version}, only 0 is known")
        if kind == DATA:
            self._data(stream, flags, length)
        elif kind == WINDOW_UPDATE:
            self._window_update(stream, flags, length)
        elif kind == PING:
            if flags & SYN:
                self._out.append(_HEADER.pack(0, PING, ACK, 0, length))
        elif kind == GO_AWAY:
            self._events.append(WentAway(length))
        else:
            raise RemoteProtocolError(f"unknown yamux frame type {kind}")

    def _syn(self, stream: int) -> None:
        if stream % 2 == 0:  # spec.md, "StreamID Field": the client side uses odd ids
            raise RemoteProtocolError(f"the host opened stream {stream}; its ids must be odd")
        if stream in self._streams:
            raise RemoteProtocolError(f"the host opened stream {stream} twice")
        if len(self._streams) >= MAX_STREAMS:
            self._out.append(_HEADER.pack(0, WINDOW_UPDATE, RST, stream, 0))
            return
        self._streams[stream] = _Stream()
        self._out.append(_HEADER.pack(0, WINDOW_UPDATE, ACK, stream, 0))
        self._events.append(StreamOpened(stream))

    def _data(self, stream: int, flags: int, length: int) -> None:
        if flags & SYN:
            self._syn(stream)
        state = self._streams.get(stream)
        if state is not None:
            if length > state.receive_window:
                raise RemoteProtocolError(
                    f"{length} bytes on stream {stream} exceed the window of {state.receive_window}"
                )
            if state.ended_there and length:
                raise RemoteProtocolError(f"data on stream {stream} after its end")
            state.receive_window -= length
        self._payload_left, self._payload_stream, self._payload_flags = length, stream, flags
        if not length:
            self._end_of_payload()

    def _end_of_payload(self) -> None:
        stream = self._payload_stream
        state = self._streams.get(stream)
        if state is None:
            return
        credit = INITIAL_WINDOW - state.receive_window
        if credit >= _TOP_UP:
            state.receive_window = INITIAL_WINDOW
            self._out.append(_HEADER.pack(0, WINDOW_UPDATE, 0, stream, credit))
        self._close_flags(stream, state, self._payload_flags)

    def _window_update(self, stream: int, flags: int, delta: int) -> None:
        if flags & SYN:
            self._syn(stream)
        state = self._streams.get(stream)
        if state is None:
            return
        state.send_window += delta
        if state.send_window > _MAX_CREDIT:
            raise RemoteProtocolError(f"credit of stream {stream} exceeds 32 bits")
        if state.pending:
            self._flush(stream, state)
        self._close_flags(stream, state, flags)

    def _close_flags(self, stream: int, state: _Stream, flags: int) -> None:
        if flags & RST:
            self._streams.pop(stream, None)  # it may have been closed by the credit in the same frame
            self._events.append(StreamReset(stream))
        elif flags & FIN:
            if state.ended_there:
                raise RemoteProtocolError(f"stream {stream} ended twice")
            state.ended_there = True
            if state.ended_here and not state.pending:
                del self._streams[stream]
            self._events.append(StreamEnded(stream))
