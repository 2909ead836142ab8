"""The connection to the host: one thread for frames, pings and dispatch, others for what waits.

A thread that waits too long for the interpreter costs the connection: the host pings every 30 s and gives up after
10 s without an answer (hashicorp/yamux ``session.go`` keepalive). So nothing that waits runs here.
"""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from rollout_verdict.rpc.log import Log
from rollout_verdict.rpc.pool import BusyError, Pool
from rollout_verdict.rpc.provider import Method, argument_of
from rollout_verdict.rpc.session import Call, PluginSession, QuitRequested
from rollout_verdict.wire.errors import LocalProtocolError, RemoteProtocolError

_READ_SIZE = 65536  # below malloc's mmap threshold, so that a read costs no page faults
# A host that takes no bytes for so long is gone (yamux ConnectionWriteTimeout is the same).
_WRITE_TIMEOUT_S = 10
# rpc_client.go Close: after Quit the host closes its streams and the connection. Wait for that, or it logs an error.
_GOODBYE_S = 0.5


class Connection:
    """One host connection over a socket. ``methods`` are the plugin's; ``heard`` is called once, at the first bytes."""

    def __init__(
        self, sock: socket.socket, methods: Mapping[str, Method], pool: Pool, log: Log, heard: Callable[[], None]
    ) -> None:
        self._socket = sock
        self._methods = methods
        self._pool = pool
        self._log = log
        self._heard = heard
        self._lock = threading.Lock()  # guards the session and the order of bytes on the socket
        self._writing = False  # a thread is about to write more; it takes along what is queued in the meantime
        self._broken = ""  # why something could not be sent
        self._session = PluginSession({name: method.only for name, method in methods.items()})

    def serve(self) -> int | None:
        """Serve until the host quits (0), goes (None: other connections go on) or the conversation breaks (1)."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _WRITE_TIMEOUT_S, 0))
        try:
            return self._serve()
        except RemoteProtocolError as error:
            # What is left to send is a go-away frame. The process ends with it: see PluginSession.receive_data.
            with self._lock:
                self._write_some()
            self._log.error("the host broke the protocol, ending", problem=str(error))
            return 1
        except OSError as error:
            self._log.error("the connection to the host broke, ending", problem=str(error))
            return 1
        except Exception as error:  # noqa: BLE001 -- a bug of ours: the process must not live on without this thread
            self._log.error("serving failed, ending", error=type(error).__name__, at=_where(error))
            return 1

    def _serve(self) -> int | None:
        goodbye = 0.0  # when we leave, since the host has asked us to
        data = self._socket.recv(_READ_SIZE)
        if not data:
            return None
        self._heard()
        while True:
            with self._lock:
                if self._hear(data):
                    goodbye = goodbye or time.monotonic() + _GOODBYE_S
                rest = self._write_some()
            if rest:  # reading must go on, or two sides that write would wait for each other
                threading.Thread(target=self._write_rest, args=(rest,), daemon=True).start()
            if self._broken:
                raise OSError(self._broken)
            if not data:
                self._log.info("the host is gone, ending")
                return 0 if goodbye else None
            if goodbye:
                left = goodbye - time.monotonic()
                if left <= 0:
                    return 0  # said goodbye, and the host talks on
                self._socket.settimeout(left)
            try:
                data = self._socket.recv(_READ_SIZE)
            except TimeoutError:
                return 0  # said goodbye, and the host left the connection open

    def _hear(self, data: bytes) -> bool:
        """Take bytes and dispatch their calls; the lock is held. Return whether the host has asked us to quit."""
        quitting = False
        self._session.receive_data(data)
        while (event := self._session.next_event()) is not None:
            if isinstance(event, QuitRequested):
                quitting = True
            else:
                self._dispatch(event)
        return quitting

    def _dispatch(self, call: Call) -> None:
        """Answer a call now, or have it answered; the lock is held."""
        method = self._methods[call.request.method]
        argument = argument_of(method, call.request.argument)
        if isinstance(argument, str):
            self._session.fail(call, argument)
        elif method.blocks:
            try:
                self._pool.submit(lambda: self._work(call, method, argument))
            except BusyError as error:
                self._session.fail(call, str(error))
        else:
            self._answer(call, method, *self._try(call, method, argument))

    def _work(self, call: Call, method: Method, argument: Mapping[str, Any]) -> None:
        """Answer a call from a thread of the pool."""
        value, failure = self._try(call, method, argument)
        with self._lock:
            self._answer(call, method, value, failure)
            rest = self._write_some()
        if rest:
            self._write_rest(rest)

    def _write_some(self) -> bytes:
        """Write what is queued, as far as that goes at once, and return the rest; the lock is held.

        Whoever gets a rest must hand it to ``_write_rest``, without the lock.
        """
        if self._writing or self._broken:
            return b""
        out = self._session.data_to_send()
        if not out:
            return b""
        try:
            sent = self._socket.send(out, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._give_up(error)
            return b""
        self._writing = sent < len(out)
        return out[sent:]

    def _write_rest(self, out: bytes) -> None:
        """Write until nothing is queued."""
        while True:
            try:
                self._socket.sendall(out)
            except OSError as error:
                self._give_up(error)
                return
            with self._lock:
                out = self._session.data_to_send()
                if not out:
                    self._writing = False
                    return

    def _give_up(self, error: OSError) -> None:
        """Remember that a frame went out in part or not at all, and wake the serving thread to end the process."""
        self._broken = str(error)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _try(self, call: Call, method: Method, argument: Mapping[str, Any]) -> tuple[Any, str]:
        """Return a method's value, or what to say in its place. A call without an answer would block the host."""
        try:
            return method.call(argument), ""
        except BaseException as error:  # noqa: BLE001 -- whatever happens, SystemExit included: the caller must hear of it
            # The error's own text may quote what it choked on, so only its kind leaves the process.
            kind = type(error).__name__
            self._log.error("a method failed", method=call.request.method, error=kind, at=_where(error))
            return None, f"{call.request.method} failed inside the plugin: {kind}; its log says where"

    def _answer(self, call: Call, method: Method, value: Any, failure: str) -> None:
        if failure:
            self._session.fail(call, failure)
            return
        try:
            self._session.reply(call, method.reply, value)
        except LocalProtocolError as error:  # already answered, as an error
            self._log.error("an answer did not fit", method=call.request.method, problem=str(error))


def _where(error: BaseException) -> str:
    """Return the place an error comes from. Its text is not logged: it may quote what it choked on."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return ""
    code = place.tb_frame.f_code
    return f"{code.co_filename.rpartition('/')[2]}:{place.tb_lineno} {code.co_name}"
