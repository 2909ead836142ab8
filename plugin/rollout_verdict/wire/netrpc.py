"""The server side of Go's net/rpc over one stream: bytes in, calls out; replies in, bytes out.

Each direction is a gob stream of pairs, header then body (net/rpc ``server.go`` gobServerCodec). Replies may be in
any order, matched by sequence number.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rollout_verdict.wire.errors import BadValueError, RemoteProtocolError
from rollout_verdict.wire.gob import NEED_DATA, NOTHING, Decoder, NeedData, Only
from rollout_verdict.wire.gob_encode import TEXT, UNSIGNED, Encoder, Schema, Struct

# net/rpc server.go Response, with the ids that Go's own encoder would give out first.
_RESPONSE = Struct(type_id=65, name="Response", fields=(("ServiceMethod", TEXT), ("Seq", UNSIGNED), ("Error", TEXT)))
EMPTY = Struct(type_id=66, name="", fields=())
FIRST_FREE_TYPE = 67  # for the schemas of the services
# Method names are ours and short. A longer one is echoed in an error text, so it is cut.
_MAX_METHOD = 128


class Request(NamedTuple):
    """One call. ``problem`` says why the argument could not be read, "" when it could."""

    method: str
    sequence: int
    argument: Any
    problem: str = ""


class ServerConnection:
    """One net/rpc connection as its server.

    ``methods`` maps the methods to what is wanted of their argument (None: all). The argument of any other method is
    passed over; answering it is the caller's business, like every other answer.
    """

    def __init__(self, methods: Mapping[str, Only | None]) -> None:
        self._methods = methods
        self._decoder = Decoder()
        self._encoder = Encoder()
        self._header: tuple[str, int] | None = None

    def receive_data(self, data: bytes) -> None:
        """Take bytes of the stream."""
        self._decoder.receive_data(data)

    def next_request(self) -> Request | None:
        """Return the next call, or None when more bytes are needed.

        Raises RemoteProtocolError when the stream is out of step: no later call could be trusted.
        """
        if self._header is None:
            header = self._decoder.next_value()
            if isinstance(header, NeedData):
                return None
            self._header = _read_header(header)
        method, sequence = self._header
        try:
            argument = self._decoder.next_value(self._methods.get(method, NOTHING))
        except BadValueError as error:
            # server.go readRequest: the header was read, so the call can be answered and the stream goes on.
            self._header = None
            return Request(method, sequence, None, str(error))
        if argument is NEED_DATA:
            return None
        self._header = None
        return Request(method, sequence, argument)

    def reply(self, request: Request, schema: Schema, value: Any) -> bytes:
        """Return the bytes of an answer. Raises LocalProtocolError, and sends nothing, when the value does not fit."""
        header = {"ServiceMethod": request.method[:_MAX_METHOD], "Seq": request.sequence}
        return self._encoder.encode((_RESPONSE, header), (schema, value))

    def reply_error(self, request: Request, text: str) -> bytes:
        """Return the bytes of an error answer. ``text`` must not be empty: the client takes "" for success."""
        header = {
            "ServiceMethod": request.method[:_MAX_METHOD],
            "Seq": request.sequence,
            "Error": text or "error without a text",
        }
        return self._encoder.encode((_RESPONSE, header), (EMPTY, {}))


def _read_header(header: Any) -> tuple[str, int]:
    """Return method and sequence number of a net/rpc Request; zero fields are not on the wire."""
    if not isinstance(header, dict):
        raise RemoteProtocolError("a net/rpc request header must be a struct")
    method, sequence = header.get("ServiceMethod", ""), header.get("Seq", 0)
    if not isinstance(method, str) or type(sequence) is not int or not 0 <= sequence < 1 << 64:  # a bool is no number
        raise RemoteProtocolError("a net/rpc request header must hold a method name and a sequence number")
    return method, sequence
