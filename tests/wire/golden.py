"""Bytes recorded from Go's own encoder (encoding/gob of Go 1.27, net/rpc, yamux), in hex with quoted text."""

import re


def golden(text: str) -> bytes:
    """Return the bytes of hex digits and quoted text."""
    parts = re.findall(r'"([^"]*)"|([0-9a-f]+)', text)
    return b"".join(quoted.encode() if quoted or not digits else bytes.fromhex(digits) for quoted, digits in parts)


REQUEST_TYPE = golden(
    '2e 7f 03 01 01 07 "Request" 01 ff80 00 01 02 01 0d "ServiceMethod" 01 0c 00 01 03 "Seq" 01 06 00 00 00'
)
INIT_HEADER = golden('16 ff80 01 11 "Plugin.InitPlugin" 00')
TYPE_HEADER = golden('12 ff80 01 0b "Plugin.Type" 01 01 00')
NIL_INTERFACE = golden("03 10 00 00")
INIT_REQUEST = REQUEST_TYPE + INIT_HEADER + NIL_INTERFACE
TYPE_REQUEST = TYPE_HEADER + NIL_INTERFACE

RESPONSE_TYPE = golden(
    '3a ff81 03 01 01 08 "Response" 01 ff82 00 01 03 01 0d "ServiceMethod" 01 0c 00 01 03 "Seq" 01 06 00'
    ' 01 05 "Error" 01 0c 00 00 00'
)
TYPE_RESPONSE = golden('12 ff82 01 0b "Plugin.Type" 01 01 00')
TYPE_BODY = golden('0c 0c 00 09 "RPCPlugin"')
EMPTY_TYPE = golden("0a ff83 03 01 02 ff84 00 00 00")
EMPTY_BODY = golden("03 ff84 00")
DISPENSE_BODY = golden("03 06 00 01")
PING_BODY = golden("03 02 00 01")
RPC_ERROR_TYPE = golden('26 ff85 03 01 01 08 "RpcError" 01 ff86 00 01 01 01 0b "ErrorString" 01 0c 00 00 00')
MAP_TYPE = golden("0e ff87 04 01 02 ff88 00 01 0c 01 0c 00 00")
MAP_BODY = golden('08 ff88 00 01 01 "a" 01 "b"')
TIME = golden("01 00 00 00 0e dd 73 11 7f 07 5b cd 15 ff ff")  # 2024-02-29T23:59:59.123456789Z

# doc.go, "Encoding Details": type Point struct { X, Y int }, value {22, 33}
POINT = golden('1f ff81 03 01 01 05 "Point" 01 ff82 00 01 02 01 01 "X" 01 04 00 01 01 "Y" 01 04 00 00 00') + golden(
    "07 ff82 01 2c 01 42 00"
)
# The first message of the first GetMetadata call: a name, and the description that it needs.
METADATA_START = golden(
    '3b 10 00 0f "GetMetadataArgs" ff91 03 01 01 0f "GetMetadataArgs" 01 ff92 00 01 01 01 06 "Metric" 01 ff94 00 00 00'
)
