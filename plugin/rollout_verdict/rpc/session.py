"""go-plugin's conversation over one connection: bytes in, calls to the plugin out; answers in, bytes out.

It knows what every go-plugin server does whatever the plugin is for: which stream is which, the services Control and
Dispenser, the broker's ids, the texts Go has for unknown methods. No I/O and no threads.

Source: hashicorp/go-plugin ``rpc_server.go``, ``rpc_client.go``, ``mux_broker.go``; net/rpc ``server.go``.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from rollout_verdict.wire.errors import LocalProtocolError, RemoteProtocolError
from rollout_verdict.wire.gob import Only
from rollout_verdict.wire.gob_encode import UNSIGNED, Schema
from rollout_verdict.wire.netrpc import EMPTY, Request, ServerConnection
from rollout_verdict.wire.yamux import NORMAL, DataReceived, Session, StreamEnded, StreamOpened, StreamReset, WentAway

PLUGIN_NAME = "RpcMetricProviderPlugin"  # argo-rollouts metricproviders/plugin/client/client.go pluginMap
_CONTROL_METHODS: Mapping[str, Only | None] = {"Control.Ping": None, "Control.Quit": None, "Dispenser.Dispense": None}
# rpc_server.go ServeConn: the first three streams, by order, are control, standard output and standard error.
_STANDARD_STREAMS = 3
_BROKER_ID_SIZE = 4


class Call(NamedTuple):
    """A call to the plugin, to be answered by ``PluginSession.reply`` or ``fail``, from any thread, in any order."""

    stream: int
    request: Request


class QuitRequested(NamedTuple):
    """The host is done with the process. The answer is queued: send it, then exit."""


class _Conversation:
    """One net/rpc stream. ``running`` counts calls that wait for their answer."""

    __slots__ = ("control", "ended", "rpc", "running")

    def __init__(self, methods: Mapping[str, Only | None], *, control: bool) -> None:
        self.rpc = ServerConnection(methods)
        self.control = control
        self.running = 0
        self.ended = False


class _Brokered:
    """A stream that has not told its broker id yet."""

    __slots__ = ("prefix",)

    def __init__(self) -> None:
        self.prefix = bytearray()


class PluginSession:
    """One host connection. ``methods`` are the plugin's ("Plugin.Run"), with what is wanted of their arguments."""

    def __init__(self, methods: Mapping[str, Only | None]) -> None:
        self._methods = methods
        self._mux = Session()
        self._streams: dict[int, _Conversation | _Brokered | None] = {}  # None: not for reading
        self._opened = 0
        self._dispensed = 0
        self._events: deque[Call | QuitRequested] = deque()

    def receive_data(self, data: bytes) -> None:
        """Take what the socket gave; empty ``data`` is the end of the connection.

        Raises RemoteProtocolError when the connection, or any stream of it, is out of step. The process must then
        end: the controller only starts a new plugin when the old process is gone, and a half-dead one would fail
        every measurement from then on.
        """
        self._mux.receive_data(data)
        while (event := self._mux.next_event()) is not None:
            match event:
                case DataReceived(stream=stream, data=received):
                    self._data(stream, received)
                case StreamOpened(stream=stream):
                    self._open(stream)
                case StreamEnded(stream=stream):
                    self._ended(stream)
                case StreamReset(stream=stream):
                    self._streams.pop(stream, None)
                case WentAway(code=code):
                    if code != NORMAL:
                        raise RemoteProtocolError(f"the host gave the yamux session up with code {code}")

    def next_event(self) -> Call | QuitRequested | None:
        """Return the next call to the plugin."""
        return self._events.popleft() if self._events else None

    def data_to_send(self) -> bytes:
        """Return, and forget, the bytes for the socket."""
        return self._mux.data_to_send()

    def reply(self, call: Call, schema: Schema, value: Any) -> None:
        """Answer a call. A value that does not fit its schema is answered as an error, and raises LocalProtocolError.

        Nothing happens when the stream has gone in the meantime.
        """
        conversation = self._conversation(call)
        if conversation is None:
            return
        try:
            answer = conversation.rpc.reply(call.request, schema, value)
        except LocalProtocolError as error:
            self.fail(call, f"the plugin made an answer that cannot be sent: {error}")
            raise
        self._answer(call.stream, conversation, answer)

    def fail(self, call: Call, text: str) -> None:
        """Answer a call with an error. Nothing happens when the stream has gone in the meantime."""
        conversation = self._conversation(call)
        if conversation is not None:
            self._answer(call.stream, conversation, conversation.rpc.reply_error(call.request, text))

    def _conversation(self, call: Call) -> _Conversation | None:
        conversation = self._streams.get(call.stream)
        return conversation if isinstance(conversation, _Conversation) else None

    def _answer(self, stream: int, conversation: _Conversation, answer: bytes) -> None:
        if self._mux.is_open(stream):  # else: the host reset it, and the event about it is still in the queue
            self._mux.send(stream, answer)
        conversation.running -= 1
        self._end_if_done(stream, conversation)

    def _end_if_done(self, stream: int, conversation: _Conversation) -> None:
        if conversation.ended and conversation.running == 0:
            self._drop(stream)

    def _drop(self, stream: int) -> None:
        del self._streams[stream]
        if self._mux.is_open(stream):
            self._mux.end(stream)

    def _open(self, stream: int) -> None:
        self._opened += 1
        if self._opened == 1:
            self._streams[stream] = _Conversation(_CONTROL_METHODS, control=True)
        elif self._opened <= _STANDARD_STREAMS:
            self._streams[stream] = None  # bytes for the host only, and Argo drops those: ours go to fd 2
        else:
            self._streams[stream] = _Brokered()

    def _ended(self, stream: int) -> None:
        conversation = self._streams.get(stream)
        if isinstance(conversation, _Conversation):
            conversation.ended = True
            self._end_if_done(stream, conversation)
        elif stream in self._streams:
            self._drop(stream)

    def _data(self, stream: int, data: bytes) -> None:
        conversation = self._streams.get(stream)
        if isinstance(conversation, _Brokered):
            data = self._broker(stream, conversation, data)
            conversation = self._streams.get(stream)
        if not isinstance(conversation, _Conversation) or not data:
            return
        conversation.rpc.receive_data(data)
        while (request := conversation.rpc.next_request()) is not None:
            conversation.running += 1
            call = Call(stream, request)
            if not conversation.control:
                self._plugin_call(call)
            elif request.problem:
                self.fail(call, request.problem)
            else:
                self._control_call(call)

    def _broker(self, stream: int, brokered: _Brokered, data: bytes) -> bytes:
        """Read the broker id and acknowledge it (mux_broker.go: 4 bytes, little endian, echoed)."""
        brokered.prefix += data
        if len(brokered.prefix) < _BROKER_ID_SIZE:
            return b""
        prefix = bytes(brokered.prefix)
        number = int.from_bytes(prefix[:_BROKER_ID_SIZE], "little")
        if not 1 <= number <= self._dispensed:
            self._drop(stream)
            return b""
        self._streams[stream] = _Conversation(self._methods, control=False)
        if self._mux.is_open(stream):
            self._mux.send(stream, prefix[:_BROKER_ID_SIZE])
        return prefix[_BROKER_ID_SIZE:]

    def _plugin_call(self, call: Call) -> None:
        method = call.request.method
        if method not in self._methods:
            self.fail(call, _unknown(method, "Plugin"))
        elif call.request.problem:
            self.fail(call, f"invalid args: {call.request.problem}")
        else:
            self._events.append(call)

    def _control_call(self, call: Call) -> None:
        method, argument = call.request.method, call.request.argument
        if method == "Control.Ping":
            self.reply(call, EMPTY, {})
        elif method == "Control.Quit":
            self.reply(call, EMPTY, {})
            self._events.append(QuitRequested())
        elif method != "Dispenser.Dispense":
            self.fail(call, _unknown(method, "Control", "Dispenser"))
        elif argument != PLUGIN_NAME:
            self.fail(call, f"unknown plugin type: {argument}"[:200])
        else:
            self._dispensed += 1
            self.reply(call, UNSIGNED, self._dispensed)


def _unknown(method: str, *services: str) -> str:
    """Return net/rpc's text for a method it does not have (server.go readRequestHeader)."""
    service, dot, _ = method.rpartition(".")
    if not dot:
        return f"rpc: service/method request ill-formed: {method}"[:200]
    if service not in services:
        return f"rpc: can't find service {method}"[:200]
    return f"rpc: can't find method {method}"[:200]
