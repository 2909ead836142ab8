"""Write the starting corpus: ``python -m tests.fuzz.seeds FOLDER``. Small, and one file for each thing there is to meet."""

import json
import struct
import sys
from pathlib import Path

from tests.rpc import gob_client as c
from tests.wire import golden as gold
from tests.wire.test_gob import EVERY, EVERY_VALUE, NODE, OUTER, TREE, chain, message

PLAIN, SPLIT = b"\x00", b"\x03"


def frame(kind: int, flags: int, stream: int, length: int, payload: bytes = b"") -> bytes:
    return struct.pack(">BBHII", 0, kind, flags, stream, length) + payload


def data(stream: int, payload: bytes) -> bytes:
    return frame(0, 0, stream, len(payload), payload)


def call(client: c.GobClient, method: str, kind: c.T, argument: object, sequence: int = 0) -> bytes:
    return client.encode(c.REQUEST, {"ServiceMethod": method, "Seq": sequence}) + client.encode(kind, argument)


def seeds() -> dict[str, list[bytes]]:
    every = c.GobClient().encode(EVERY, EVERY_VALUE)
    tree = c.GobClient().encode(OUTER, TREE)
    run = {"AnalysisRun": {"ObjectMeta": {"Name": "n", "UID": "u"}}, "Metric": {"Name": "m"}}
    run_call = call(c.GobClient(), "Plugin.Run", c.INTERFACE_T, c.Iface("RunArgs", c.RUN_ARGS, run))
    opening = b"".join(frame(1, 1, stream, 0) for stream in (1, 3, 5))
    control = c.GobClient()
    dispense = data(1, call(control, "Dispenser.Dispense", c.STRING_T, "RpcMetricProviderPlugin"))
    ping = data(1, call(control, "Control.Ping", c.BOOL_T, True, 1))
    quit_ = data(1, call(control, "Control.Quit", c.BOOL_T, True, 2))
    plugin = frame(1, 1, 7, 0) + data(7, struct.pack("<I", 1) + gold.INIT_REQUEST + gold.TYPE_REQUEST)
    config = {"mode": "rules", "deadline": "1h30m", "minConfidence": 70, "prometheus": {"queries": []}, "strict": True}
    outcome = {"verdict": "promote", "score": 90, "confidence": 80, "reason": "r", "models": [{"modelName": "m"}]}
    return {
        "handshake": [
            b"ARGO_ROLLOUTS_RPC_PLUGIN=metricprovider",
            b"ARGO_ROLLOUTS_RPC_PLUGIN=metricprovider\nPLUGIN_UNIX_SOCKET_DIR=/tmp/x\nPLUGIN_CLIENT_CERT=",
        ],
        "yamux": [
            SPLIT + opening + data(1, b"abc") + frame(2, 1, 0, 7) + frame(1, 4, 1, 0) + frame(3, 0, 0, 0),
            SPLIT + frame(0, 3, 1, 5, b"hello") + frame(1, 0, 1, 70000) + frame(1, 8, 1, 0),
        ],
        "gob": [
            PLAIN + gold.POINT,
            SPLIT + tree,
            SPLIT + b"".join((NODE, message(65, chain(3)))),
            b"\x08" + every,
            b"\x04" + every,
            SPLIT + gold.METADATA_START,
            PLAIN + gold.MAP_TYPE + gold.MAP_BODY,
        ],
        "netrpc": [SPLIT + gold.INIT_REQUEST + gold.TYPE_REQUEST, PLAIN + run_call],
        "session": [
            PLAIN + opening + dispense + ping + plugin + quit_,
            b"\x40" + opening + dispense + plugin + frame(1, 4, 7, 0) + frame(1, 8, 1, 0),
        ],
        "shape": [json.dumps(config).encode(), b'{"window":"5m","notify":["a"],"x":1}', b'{"model":"hunter2secret"}'],
        "answer": [
            b'{"state":"running"}',
            b'{"state":"error","message":"m"}',
            json.dumps({"state": "done", "measurement": outcome}).encode(),
        ],
    }


def main() -> None:
    for target, inputs in seeds().items():
        folder = Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(inputs):
            (folder / f"seed-{number}").write_bytes(content)


if __name__ == "__main__":
    main()
