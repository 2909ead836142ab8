"""The first bytes of a plugin: what the host puts into the environment, and the line that answers it.

Source: hashicorp/go-plugin ``server.go`` (Serve) and ``client.go`` (Start); the cookie and the protocol version
are Argo Rollouts' ``metricproviders/plugin/client/client.go``.
"""

from collections.abc import Mapping
from typing import NamedTuple

from rollout_verdict.wire.errors import LocalProtocolError, NotAPluginHostError, RemoteProtocolError

COOKIE = ("ARGO_ROLLOUTS_RPC_PLUGIN", "metricprovider")
CORE_PROTOCOL = 1  # go-plugin's own protocol, client.go CoreProtocolVersion
APP_PROTOCOL = 1  # Argo's metric provider protocol
# sockaddr_un.sun_path holds 108 bytes on Linux, the last one a zero.
MAX_ADDRESS = 107

NOT_A_HOST = """\
This program is an Argo Rollouts metric provider plugin. It is started by the Argo Rollouts controller,
not by hand: name it in the ConfigMap argo-rollouts-config under metricProviderPlugins.
To judge a recorded bundle on the command line, use: rollout-verdict judge
"""


class Offer(NamedTuple):
    """What the host asks for. Both are "" when it leaves the choice to us.

    ``socket_dir`` is the folder for the socket, ``socket_group`` the group name or id that must reach it.
    """

    socket_dir: str
    socket_group: str


def read_environment(environ: Mapping[str, str]) -> Offer:
    """Return what the host asks for.

    Raises NotAPluginHostError without the right cookie, RemoteProtocolError when the host wants mutual TLS.
    PLUGIN_PROTOCOL_VERSIONS is not looked at: we speak one version, and a host that does not speak it says
    so itself, better than we could.
    """
    name, value = COOKIE
    if environ.get(name) != value:
        raise NotAPluginHostError(NOT_A_HOST)
    if environ.get("PLUGIN_CLIENT_CERT"):
        raise RemoteProtocolError(
            "the host set PLUGIN_CLIENT_CERT, that is: it wants mutual TLS (AutoMTLS), which this plugin does not"
            " speak; Argo Rollouts does not ask for it"
        )
    return Offer(
        socket_dir=environ.get("PLUGIN_UNIX_SOCKET_DIR", ""),
        socket_group=environ.get("PLUGIN_UNIX_SOCKET_GROUP", ""),
    )


def handshake_line(address: str) -> bytes:
    """Return the one line for standard output; ``address`` is the absolute path of a listening unix socket.

    Raises LocalProtocolError for a path that would garble the line or that the host could not connect to.
    """
    encoded = address.encode("utf-8", "surrogateescape")
    if not address.startswith("/") or len(encoded) > MAX_ADDRESS:
        raise LocalProtocolError(
            f"socket path must be absolute and at most {MAX_ADDRESS} bytes: {address!r}; set TMPDIR to a shorter one"
        )
    if any(byte in encoded for byte in b"|\n\r\0"):
        raise LocalProtocolError(f"socket path must not hold '|', line ends or zero bytes: {address!r}")
    # The last field, the server's certificate, stays empty: no TLS (client.go Start).
    return b"%d|%d|unix|%s|netrpc|\n" % (CORE_PROTOCOL, APP_PROTOCOL, encoded)
