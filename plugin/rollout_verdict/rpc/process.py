"""The life of the plugin process: listen, shake hands, serve, and end when the host says so or is gone."""
# pathlib would be one of the largest imports of the idle process, for one path:
# ruff: noqa: PTH100, PTH101, PTH108, PTH110, PTH118, PTH208

import contextlib
import errno
import os
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType

from rollout_verdict.rpc.log import Log
from rollout_verdict.rpc.measurer import Measurer
from rollout_verdict.rpc.messages import Time
from rollout_verdict.rpc.pool import BusyError, Pool
from rollout_verdict.rpc.provider import Method, Provider
from rollout_verdict.rpc.server import Connection
from rollout_verdict.rpc.settings import Settings, read_settings
from rollout_verdict.wire.errors import WireError
from rollout_verdict.wire.handshake import Offer, handshake_line, read_environment

_PARENT_CHECK_S = (
    2.0  # how often we look whether the host still lives; once it is connected, its end is heard of at once
)
_TURN_S = 0.001  # a fifth of the default: the serving thread waits so long for one that computes
_SOCKET_PREFIX = "plugin-verdict-"
_STACK_SIZE = 1 << 20  # of a thread; address space, not memory


def run(
    make_methods: Callable[[Pool, Log], Mapping[str, Method]], *, environ: Mapping[str, str], handshake_fd: int
) -> int:
    """Serve ``make_methods`` to the go-plugin host that started this process. Return the exit status, or exit."""
    host = os.getppid()  # before it hears of us: from then on it may end at any time
    log = Log(level=environ.get("LOG_LEVEL", "info").lower())
    try:
        offer = read_environment(environ)
        path = _socket_path(offer, environ)
        line = handshake_line(path)
    except WireError as error:
        os.write(2, f"{error}\n".encode())
        return 1
    threading.stack_size(_STACK_SIZE)
    sys.setswitchinterval(_TURN_S)
    pool = Pool(lambda error: log.error("work in the background failed", error=type(error).__name__))
    methods = make_methods(pool, log)
    _on_sigterm(lambda: _end(path, 0))
    listener = _listen(path, offer)
    try:
        os.write(handshake_fd, line)  # one write: the host reads a line
    except BrokenPipeError:
        log.error("the host was gone before the handshake")  # noqa: TRY400 -- not a logging.Logger
        _end(path, 1)

    def serve(sock: socket.socket, heard: Callable[[], None]) -> int | None:
        with sock:
            return Connection(sock, methods, pool, log, heard).serve()

    def heard() -> None:
        # go-plugin dials once for each process: from here on the file is of no use, and a kill would leave it behind.
        with contextlib.suppress(OSError):
            os.unlink(path)

    _accept(listener, host, serve, heard, lambda status: _end(path, status))
    _end(path, 0)
    return 0


def provider_methods(settings: Settings, pool: Pool, log: Log) -> Mapping[str, Method]:
    """Return the methods of the real provider."""

    def submit(function: Callable[[], None]) -> None:
        try:
            pool.submit(function)
        except BusyError as error:  # the provider starts the measurement when it is next asked for it
            log.warning("could not start work in the background", problem=str(error))

    provider = Provider(_measurer(settings, pool), now=lambda: Time(time.time_ns()), submit=submit, log=log)
    return provider.methods()


def main(arguments: Sequence[str], handshake_fd: int) -> int:
    """Run the plugin process. Return the exit status."""
    settings = read_settings(arguments, os.environ)
    return run(lambda pool, log: provider_methods(settings, pool, log), environ=os.environ, handshake_fd=handshake_fd)


def _measurer(settings: Settings, pool: Pool) -> Measurer:
    if settings.local:
        from rollout_verdict.rpc.local import LocalMeasurer

        return LocalMeasurer(settings, pool)
    from rollout_verdict.rpc.remote import RemoteMeasurer

    return RemoteMeasurer(settings, pool)


def _socket_path(offer: Offer, environ: Mapping[str, str]) -> str:
    folder = os.path.abspath(offer.socket_dir or environ.get("TMPDIR") or "/tmp")  # noqa: S108 -- see the name in it
    _sweep(folder)
    return os.path.join(folder, f"{_SOCKET_PREFIX}{os.getpid()}-{os.urandom(6).hex()}")


def _sweep(folder: str) -> None:
    """Remove the sockets of plugins that were killed before their host connected.

    The folder outlives the controller's container, and in the next one we may have the very same process id.
    """
    try:
        names = os.listdir(folder)
    except OSError:
        return  # binding the socket will say what is wrong with the folder
    for name in names:
        pid = name.removeprefix(_SOCKET_PREFIX).partition("-")[0]
        lives = pid != str(os.getpid()) and os.path.exists(f"/proc/{pid}")
        if not name.startswith(_SOCKET_PREFIX) or not pid.isdecimal() or lives:
            continue
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)  # whose queue is full lives, and must not hold us up
            is_socket = stat.S_ISSOCK(os.lstat(path).st_mode)
            if (
                is_socket and probe.connect_ex(path) == errno.ECONNREFUSED
            ):  # nobody listens, in no other container either
                os.unlink(path)


def _listen(path: str, offer: Offer) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    if offer.socket_group:  # server.go serverListener_unix: the group may read and write
        import grp

        group = offer.socket_group
        os.chown(path, -1, int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid)
        os.chmod(path, 0o660)
    listener.listen()
    return listener


def _on_sigterm(end: Callable[[], None]) -> None:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        end()

    signal.signal(signal.SIGTERM, stop)


def _accept(
    listener: socket.socket,
    host: int,
    serve: Callable[[socket.socket, Callable[[], None]], int | None],
    heard: Callable[[], None],
    end: Callable[[int], None],
) -> None:
    """Serve each connection on a thread; end when one quits, breaks or was the last, return when the host died.

    A connection counts once it has said something: the next plugin knocks to find out whether this one lives.
    """
    lock = threading.Lock()
    connected = 0

    def serve_one(sock: socket.socket) -> None:
        nonlocal connected
        counts = False

        def count() -> None:
            nonlocal connected, counts
            counts = True
            with lock:
                connected += 1
            heard()

        status = serve(sock, count)
        with lock:
            connected -= counts
            if counts and (status is not None or not connected):
                end(status or 0)

    listener.settimeout(_PARENT_CHECK_S)
    while True:
        try:
            sock, _ = listener.accept()
        except TimeoutError:
            if os.getppid() != host:
                return
            continue
        sock.setblocking(True)
        threading.Thread(target=serve_one, args=(sock,), daemon=True).start()


def _end(path: str, status: int) -> None:
    """End the process at once: calls that still run must not hold it up, their measurements live elsewhere."""
    with contextlib.suppress(OSError):
        os.unlink(path)
    os._exit(status)
