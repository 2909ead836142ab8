"""The HTTP client beneath the SDK: no redirects, bounded responses, no proxy before loopback.

With a client of our own the SDK stays on httpx2 also where aiohttp is installed, to which it would change over with
other errors and a resend of its own.
"""

import ssl
from collections.abc import AsyncIterator
from functools import cache
from typing import cast

import httpx2

LARGEST_RESPONSE = 4 * 1024 * 1024  # bytes: the longest answer a model can give, some ten times over


def http_client() -> httpx2.AsyncClient:
    """Return a client for one judge; proxies and certificates are those of the environment."""
    return httpx2.AsyncClient(
        follow_redirects=False,  # the key would go along
        verify=trust(),
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20),  # how many calls: said elsewhere
        mounts=dict.fromkeys(("all://localhost", "all://127.0.0.1", "all://[::1]")),  # past any proxy
        headers={"accept-encoding": "identity"},  # nothing to inflate: what is counted is what is kept
        event_hooks={"response": [_bound]},
    )


@cache
def trust() -> ssl.SSLContext:
    """Return the one TLS context: the SDK alone would read the system's certificates three times for each client."""
    return httpx2.create_ssl_context()


async def _bound(response: httpx2.Response) -> None:
    """Make the reading of a response fail beyond ``LARGEST_RESPONSE``. Raises ValueError for a compressed one."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise ValueError("the response is compressed, although that was not accepted")
    response.stream = _BoundedStream(cast("httpx2.AsyncByteStream", response.stream))


class _BoundedStream(httpx2.AsyncByteStream):
    """A response body that ends in ValueError when it gets too long."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > LARGEST_RESPONSE:
                raise ValueError(f"the response is longer than {LARGEST_RESPONSE} bytes")
            yield chunk

    async def aclose(self) -> None:
        """Close the stream beneath."""
        await self._stream.aclose()
