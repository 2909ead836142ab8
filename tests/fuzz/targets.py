"""What is fuzzed, and what must hold: any input parses or raises the documented error, in any split the same.

Each target takes bytes and returns, or fails an assertion, or lets an undocumented exception through. They need
nothing but the package, so that recorded inputs can be replayed anywhere; ``run.py`` drives them with coverage.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from rollout_verdict.rpc import messages, remote, report
from rollout_verdict.rpc.measurer import Outcome, UnavailableError
from rollout_verdict.rpc.messages import Metric
from rollout_verdict.rpc.session import Call, PluginSession, QuitRequested
from rollout_verdict.rpc.shape import ConfigurationError, read_options
from rollout_verdict.wire.errors import BadValueError, LocalProtocolError, RemoteProtocolError
from rollout_verdict.wire.gob import NEED_DATA, NOTHING, Decoder, Only
from rollout_verdict.wire.gob_encode import TEXT
from rollout_verdict.wire.handshake import handshake_line, read_environment
from rollout_verdict.wire.netrpc import ServerConnection
from rollout_verdict.wire.yamux import DataReceived, Session

METHODS = {"Plugin.Type": None, "Plugin.Run": messages.RUN_ARGS, "Plugin.Resume": messages.RESUME_ARGS}
_WANTED: Sequence[Only | None] = (None, NOTHING, messages.RUN_ARGS, Only(A=None, ObjectMeta=Only(Name=None)))


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)] if size else [data]


def _same(play: Callable[[list[bytes]], Any], data: bytes) -> None:
    """The first byte says whether, and in which pieces, the rest is played a second time: one in four is enough."""
    size, rest = data[0] if data else 0, data[1:]
    whole = play([rest])
    if size % 4 == 3:
        split = play(_cut(rest, size // 8 + 1))
        assert whole == split, (whole, split)


def handshake(data: bytes) -> None:
    """The environment, as NAME=VALUE lines, and a socket path."""
    text = data.decode("utf-8", "surrogateescape")
    environ = dict(line.partition("=")[::2] for line in text.split("\n"))
    try:
        offer = read_environment(environ)
    except RemoteProtocolError:
        return
    try:
        line = handshake_line(offer.socket_dir)
    except LocalProtocolError:
        return
    assert line.count(b"|") == 5
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1


def yamux(data: bytes) -> None:
    """Frames from the host, with an answer to everything that arrives."""

    def play(pieces: list[bytes]) -> Any:
        session = Session()
        found: list[Any] = []
        for piece in pieces:
            session.receive_data(piece)
        try:
            while (event := session.next_event()) is not None:
                last = found[-1] if found else None
                if isinstance(event, DataReceived) and isinstance(last, DataReceived) and last.stream == event.stream:
                    found[-1] = DataReceived(event.stream, last.data + event.data)
                else:
                    found.append(event)
        except RemoteProtocolError as error:
            found.append(str(error))
        for stream in (1, 3):
            if session.is_open(stream):
                session.send(stream, b"answer")
                session.end(stream)
        return found, session.data_to_send()

    _same(play, data)


def gob(data: bytes) -> None:
    """A gob stream, read whole, in part, or passed over."""
    only = _WANTED[data[0] >> 2 & 3] if data else None

    def play(pieces: list[bytes]) -> Any:
        decoder = Decoder()
        for piece in pieces:
            decoder.receive_data(piece)
        found: list[Any] = []
        while True:
            try:
                value = decoder.next_value(only)
            except BadValueError as error:
                found.append(str(error))
                continue
            except RemoteProtocolError as error:
                return [*found, str(error)]
            if value is NEED_DATA:
                return found
            found.append(repr(value))

    _same(play, data)


def netrpc(data: bytes) -> None:
    """A net/rpc stream, every call answered."""

    def play(pieces: list[bytes]) -> Any:
        connection = ServerConnection(METHODS)
        found: list[Any] = []
        for piece in pieces:
            connection.receive_data(piece)
        try:
            while (request := connection.next_request()) is not None:
                answer = connection.reply(request, TEXT, "x") if request.sequence % 2 else None
                found.append((repr(request), answer or connection.reply_error(request, request.problem)))
        except RemoteProtocolError as error:
            found.append(str(error))
        return found

    _same(play, data)


def session(data: bytes) -> None:
    """A whole connection: yamux, broker, net/rpc, gob. Calls to the plugin are answered at once."""
    plugin = PluginSession(METHODS)
    size = data[0] // 4 if data else 0
    try:
        for piece in _cut(data[1:], size):
            plugin.receive_data(piece)
            while (event := plugin.next_event()) is not None:
                if isinstance(event, QuitRequested):
                    return
                assert isinstance(event, Call)
                plugin.reply(event, TEXT, "x")
            plugin.data_to_send()
    except RemoteProtocolError:
        return


def shape(data: bytes) -> None:
    """The plugin's configuration, with a secret that no error may show."""
    secret = "hunter2secret"
    told = ""
    try:
        options = read_options(Metric(name="m", plugins={"acme/verdict": data}), (secret,))
    except ConfigurationError as error:
        told = str(error)
    assert secret not in told
    if told:
        return
    assert options.deadline_s > 0
    assert options.unavailable_grace_s > 0


def answer(data: bytes) -> None:
    """An answer of the service: a state, or not understood; a verdict makes a measurement within bounds."""
    try:
        state = remote.read_state(remote.read_json(data))
    except UnavailableError:
        return
    if not isinstance(state, Outcome):
        return
    phase = report.phase_of(state, inconclusive_is_failure=False)
    assert phase in messages.FINAL_PHASES
    assert (phase == messages.SUCCESSFUL) == (state.verdict == "promote")
    metadata = report.bounded({report.ID_KEY: "0" * 32, **report.metadata_of(state, ("a warning",))})
    assert sum(len(key.encode()) + len(text.encode()) for key, text in metadata.items()) <= report.MAX_METADATA
    assert metadata[report.ID_KEY]
    for key in ("analysisJSON", "modelResults"):
        json.loads(metadata.get(key, "null"))
    line = report.one_line(state.reason)
    assert len(line) <= report.MAX_MESSAGE
    assert "\n" not in line


TARGETS: dict[str, Callable[[bytes], None]] = {
    "handshake": handshake,
    "yamux": yamux,
    "gob": gob,
    "netrpc": netrpc,
    "session": session,
    "shape": shape,
    "answer": answer,
}
