"""A go-plugin host in Python, for tests: starts or reaches a plugin and calls it as the controller would.

It plays yamux's client and net/rpc's client. Replies are read with the package's own gob decoder: the real Go client is
in ``tests/conformance``.
"""

import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from rollout_verdict.wire.gob import NEED_DATA, Decoder
from tests.rpc import gob_client as g

ROOT = Path(__file__).resolve().parents[2]
COOKIE = {"ARGO_ROLLOUTS_RPC_PLUGIN": "metricprovider"}
DEADLINE_S = 20.0
_HEADER = struct.Struct(">BBHII")


class RpcError(Exception):
    """The plugin answered with an error."""


class Mux:
    """yamux's client side over a socket: just enough of it, blocking, single-threaded."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(DEADLINE_S)
        self.buffers: dict[int, bytearray] = {}
        self.credit: dict[int, int] = {}
        self.ended: set[int] = set()
        self.reset: set[int] = set()
        self.pongs: list[int] = []
        self.away: int | None = None
        self.grant = True  # give credit back for what arrives
        self.next_id = 1
        self._raw = bytearray()

    def send_frame(self, kind: int, flags: int, stream: int, length: int, payload: bytes = b"") -> None:
        self.sock.sendall(_HEADER.pack(0, kind, flags, stream, length) + payload)

    def open(self) -> int:
        stream, self.next_id = self.next_id, self.next_id + 2
        self.buffers[stream], self.credit[stream] = bytearray(), 262144
        self.send_frame(1, 1, stream, 0)
        return stream

    def write(self, stream: int, data: bytes) -> None:
        while data:
            while not self.credit[stream]:
                self.pump()
            chunk = data[: min(self.credit[stream], 65536)]
            self.credit[stream] -= len(chunk)
            self.send_frame(0, 0, stream, len(chunk), chunk)
            data = data[len(chunk) :]

    def close(self, stream: int) -> None:
        self.send_frame(1, 4, stream, 0)

    def pump(self) -> None:
        """Read some frames from the socket."""
        data = self.sock.recv(1 << 18)
        if not data:
            raise EOFError("the plugin closed the connection")
        self._raw += data
        while len(self._raw) >= 12:
            _, kind, flags, stream, length = _HEADER.unpack_from(self._raw)
            size = 12 + (length if kind == 0 else 0)
            if len(self._raw) < size:
                return
            payload = bytes(self._raw[12:size])
            del self._raw[:size]
            self._frame(kind, flags, stream, length, payload)

    def _frame(self, kind: int, flags: int, stream: int, length: int, payload: bytes) -> None:
        if kind == 0:
            self.buffers.setdefault(stream, bytearray()).extend(payload)
            if self.grant:
                self.send_frame(1, 0, stream, length)
        elif kind == 1:
            self.credit[stream] = self.credit.get(stream, 0) + length
        elif kind == 2:
            if flags & 1:
                self.send_frame(2, 2, 0, length)
            else:
                self.pongs.append(length)
        elif kind == 3:
            self.away = length
        if kind in (0, 1) and flags & 4:
            self.ended.add(stream)
        if kind in (0, 1) and flags & 8:
            self.reset.add(stream)

    def read(self, stream: int, at_least: int = 1) -> bytes:
        while len(self.buffers[stream]) < at_least:
            if stream in self.ended or stream in self.reset:
                raise EOFError(f"stream {stream} is over")
            self.pump()
        data = bytes(self.buffers[stream])
        self.buffers[stream].clear()
        return data

    def ping(self, value: int) -> None:
        self.send_frame(2, 1, 0, value)
        while value not in self.pongs:
            self.pump()


class Rpc:
    """net/rpc's client side over a stream. Calls may overlap: ``begin`` several, then ``finish`` each."""

    def __init__(self, mux: Mux, stream: int, first_id: int = 64) -> None:
        self.mux, self.stream = mux, stream
        self.gob, self.decoder = g.GobClient(first_id), Decoder()
        self.sequence = 0
        self.replies: dict[int, tuple[str, Any]] = {}
        self._header: dict[str, Any] | None = None

    def begin(self, method: str, kind: g.T, argument: Any) -> int:
        sequence, self.sequence = self.sequence, self.sequence + 1
        header = self.gob.encode(g.REQUEST, {"ServiceMethod": method, "Seq": sequence})
        self.mux.write(self.stream, header + self.gob.encode(kind, argument))
        return sequence

    def finish(self, sequence: int) -> Any:
        while sequence not in self.replies:
            self._take(self.mux.read(self.stream))
        error, value = self.replies.pop(sequence)
        if error:
            raise RpcError(error)
        return value

    def _take(self, data: bytes) -> None:
        self.decoder.receive_data(data)
        while (value := self.decoder.next_value()) is not NEED_DATA:
            if self._header is None:
                self._header = value
            else:
                self.replies[self._header.get("Seq", 0)] = (self._header.get("Error", ""), value)
                self._header = None

    def call(self, method: str, kind: g.T, argument: Any) -> Any:
        return self.finish(self.begin(method, kind, argument))

    def interface(self, method: str, name: str, kind: g.T, argument: Any) -> Any:
        return self.call(method, g.INTERFACE_T, g.Iface(name, kind, argument))


def dial(address: str) -> socket.socket:
    """Return a connection to a plugin, before a word is said."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(DEADLINE_S)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


class Host:
    """A connected host: control stream, standard streams, one dispensed plugin."""

    def __init__(self, address: str | socket.socket) -> None:
        self.mux = Mux(dial(address) if isinstance(address, str) else address)
        self.control = Rpc(self.mux, self.mux.open())
        self.stdout, self.stderr = self.mux.open(), self.mux.open()
        self.plugin = self.dispense()

    def dispense(self) -> Rpc:
        number = self.control.call("Dispenser.Dispense", g.STRING_T, "RpcMetricProviderPlugin")
        stream = self.mux.open()
        prefix = struct.pack("<I", number)
        self.mux.write(stream, prefix)
        got = self.mux.read(stream, 4)
        assert got == prefix, got
        return Rpc(self.mux, stream, first_id=200)

    def ping(self) -> None:
        assert self.control.call("Control.Ping", g.BOOL_T, True) == {}

    def quit(self) -> None:
        self.control.call("Control.Quit", g.BOOL_T, True)
        self.mux.sock.close()

    def init(self) -> str:
        return self.plugin.call("Plugin.InitPlugin", g.INTERFACE_T, None).get("ErrorString", "")

    def type(self) -> str:
        return self.plugin.call("Plugin.Type", g.INTERFACE_T, None)

    def get_metadata(self, metric: dict) -> dict:
        return self.plugin.interface("Plugin.GetMetadata", "GetMetadataArgs", g.METADATA_ARGS, {"Metric": metric})

    def run(self, run: dict, metric: dict) -> dict:
        return self.plugin.interface("Plugin.Run", "RunArgs", g.RUN_ARGS, {"AnalysisRun": run, "Metric": metric})

    def resume(self, run: dict, metric: dict, measurement: dict, method: str = "Resume") -> dict:
        arguments = {"AnalysisRun": run, "Metric": metric, "Measurement": measurement}
        return self.plugin.interface(f"Plugin.{method}", "TerminateAndResumeArgs", g.RESUME_ARGS, arguments)

    def terminate(self, run: dict, metric: dict, measurement: dict) -> dict:
        return self.resume(run, metric, measurement, "Terminate")

    def garbage_collect(self, run: dict, metric: dict, limit: int) -> str:
        arguments = {"AnalysisRun": run, "Metric": metric, "Limit": limit}
        answer = self.plugin.interface("Plugin.GarbageCollect", "GarbageCollectArgs", g.GARBAGE_ARGS, arguments)
        return answer.get("ErrorString", "")


def metric(config: dict | None = None, name: str = "verdict", plugin: str = "acme/verdict") -> dict:
    return {"Name": name, "Provider": {"Plugin": {plugin: json.dumps(config or {}).encode()}}}


def analysis_run(uid: str = "0001", results: list | None = None, args: list | None = None) -> dict:
    return {
        "ObjectMeta": {
            "Name": "shop-canary-2",
            "Namespace": "shop",
            "UID": uid,
            "Annotations": {"rollout.argoproj.io/revision": "2"},
            "Labels": {"rollouts-pod-template-hash": "5d8f"},
            "OwnerReferences": [{"Kind": "Rollout", "Name": "shop", "UID": "r-1", "Controller": True}],
        },
        "Spec": {"Metrics": [metric()], "Args": args or []},
        "Status": {"MetricResults": results or []},
    }


class PluginProcess:
    """A plugin process, started as the controller starts it."""

    def __init__(
        self, *arguments: str, folder: Path, module: str = "rollout_verdict.rpc", environ: dict[str, str] | None = None
    ) -> None:
        self.folder = folder
        environment = {"PATH": os.environ["PATH"], "TMPDIR": str(folder), "PYTHONPATH": f"{ROOT / 'plugin'}:{ROOT}"}
        environment |= COOKIE if environ is None else environ
        self.hosts: list[Host] = []
        with (folder / "stderr").open("ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )

    def handshake(self) -> str:
        """Return the address in the handshake line."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], DEADLINE_S)
        line = self.process.stdout.readline() if ready else b""
        if not line:
            raise EOFError(f"no handshake: {self.log()}")
        assert line.startswith(b"1|1|unix|/"), line
        assert line.endswith(b"|netrpc|\n"), line
        return line.split(b"|")[3].decode()

    def connect(self, address: str | socket.socket = "") -> Host:
        self.hosts.append(Host(address or self.handshake()))
        return self.hosts[-1]

    def log(self) -> str:
        return (self.folder / "stderr").read_text()

    def wait(self) -> int:
        return self.process.wait(DEADLINE_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()
        for host in self.hosts:
            host.mux.sock.close()
        if self.process.stdout is not None:
            self.process.stdout.close()


def until(condition: Any, what: str) -> None:
    """Wait for a condition that another process brings about."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"never: {what}")
        time.sleep(0.01)
