"""A plugin for the conformance suite: our wire and rpc packages around a provider that tells what it decoded.

What a call does is chosen by the metric's configuration, ``{"op": ...}``; goplugin/main.go follows the same table, but
for the operations that test what only we promise (raise, exit, unencodable, surrogate, spin, log).
"""

import base64
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rollout_verdict.rpc.__main__ import reserve_stdout
from rollout_verdict.rpc.log import Log
from rollout_verdict.rpc.messages import MEASUREMENT, METADATA, RPC_ERROR
from rollout_verdict.rpc.provider import Method
from rollout_verdict.wire.gob_encode import TEXT


def tree(value: Any) -> Any:
    """Return what gob transmitted as JSON, as tree.go does: numbers as text, times as RFC 3339, bytes as base64."""
    if isinstance(value, Mapping):
        return {key: tree(part) for key, part in value.items()}
    if isinstance(value, list):
        return [tree(part) for part in value]
    if isinstance(value, bytes):
        return _instant(value) or base64.b64encode(value).decode()
    if isinstance(value, bool | str) or value is None:
        return value
    return str(value)


def _instant(data: bytes) -> str | None:
    """Return a marshalled time.Time as RFC 3339 in UTC with nanoseconds, None for other bytes."""
    if len(data) != {1: 15, 2: 16}.get(data[:1] and data[0]):
        return None
    seconds = int.from_bytes(data[1:9], "big", signed=True)
    nanoseconds = int.from_bytes(data[9:13], "big")
    at = datetime(1, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    fraction = f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    return at.strftime(f"{at.year:04d}-%m-%dT%H:%M:%S{fraction}Z")


def _configured(arguments: Mapping[str, Any]) -> dict[str, Any]:
    for text in arguments.get("Metric", {}).get("Provider", {}).get("Plugin", {}).values():
        return dict(json.loads(text))
    return {}


def _dump(arguments: Mapping[str, Any]) -> str:
    return json.dumps(tree(arguments), ensure_ascii=False)


def _measure(arguments: Mapping[str, Any]) -> Any:
    chosen = _configured(arguments)
    done: dict[str, Any] = {"Phase": "Successful"}
    match chosen.get("op"):
        case "echo":
            done["Value"] = _dump(arguments)
        case "return":
            return arguments.get("Measurement", {})
        case "running":
            return {"Phase": "Running", "Message": "measuring", "Metadata": {"verdict.id": "0123456789abcdef" * 2}}
        case "sleep":
            time.sleep(chosen["seconds"])
        case "big":
            done["Value"] = "0123456789abcdef" * (chosen["bytes"] // 16)
        case "error":
            return {"Phase": "Error", "Message": chosen["text"]}
        case "print":
            print(chosen["text"], flush=True)
            os.write(1, chosen["text"].encode())
        case "pid":
            done["Value"] = str(os.getpid())
        case "raise":
            raise RuntimeError("the provider failed")
        case "exit":
            sys.exit("the provider gave up")
        case "unencodable":
            done["Value"] = 17
        case "surrogate":
            done["Message"] = "\ud800"
        case "spin":
            end = time.monotonic() + chosen["seconds"]
            while time.monotonic() < end:
                sum(range(1_000))
        case "log":
            Log().warning("from the provider", text=chosen["text"])
        case other:
            return {"Phase": "Error", "Message": f"unknown op {other}"}
    return done


def _garbage_collect(arguments: Mapping[str, Any]) -> dict[str, str]:
    chosen = _configured(arguments)
    if chosen.get("op") == "raise":
        raise RuntimeError("the provider failed")
    return {"ErrorString": _dump(arguments) if chosen.get("op") == "echo" else ""}


def _metadata(arguments: Mapping[str, Any]) -> dict[str, str]:
    chosen = _configured(arguments)
    match chosen.get("op"):
        case "echo":
            return {"echo": _dump({"Metric": arguments["Metric"]}), "empty": ""}
        case "error":
            return {"error": chosen["text"]}
        case "raise":
            raise RuntimeError("the provider failed")
    return {}


def _method(argument: str, reply: Any, call: Any) -> Method:
    return Method(argument=argument, only=None, reply=reply, call=call, blocks=bool(argument))


_METHODS = {
    "Plugin.InitPlugin": _method("", RPC_ERROR, lambda _: {"ErrorString": ""}),
    "Plugin.Type": _method("", TEXT, lambda _: "Echo"),
    "Plugin.GetMetadata": _method("GetMetadataArgs", METADATA, _metadata),
    "Plugin.Run": _method("RunArgs", MEASUREMENT, _measure),
    "Plugin.Resume": _method("TerminateAndResumeArgs", MEASUREMENT, _measure),
    "Plugin.Terminate": _method("TerminateAndResumeArgs", MEASUREMENT, _measure),
    "Plugin.GarbageCollect": _method("GarbageCollectArgs", RPC_ERROR, _garbage_collect),
}


def main() -> int:
    """Serve the provider to the go-plugin host that started this process."""
    noise = os.environ.get("ECHO_NOISE")
    if noise == "stdout":
        os.write(1, b"noise before the handshake\n")
    handshake_fd = reserve_stdout()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if noise == "stderr":
        os.write(2, b"noise before the handshake\n")
    if noise == "import":
        print("noise before the handshake", flush=True)
    from rollout_verdict.rpc import process

    return process.run(lambda _pool, _log: _METHODS, environ=os.environ, handshake_fd=handshake_fd)
