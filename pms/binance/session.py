"""The one HTTP session of a process: kept alive, and writing every request at most once.

Trap: aiohttp repeats GET, PUT and DELETE by itself when a kept-alive connection turns out dead (RFC
9112, 9.3.1). A repeated DELETE or PUT may act twice, and a repeated GET is a request nobody budgeted.
It repeats only on `ClientOSError` and `ServerDisconnectedError`; the middleware here gives both
another name, which is aiohttp's public way in.
"""

from __future__ import annotations

import socket
from typing import Final

import aiohttp

CONNECT_S: Final = 1.0
WHOLE_S: Final = 3.0
QUICK: Final = aiohttp.ClientTimeout(total=WHOLE_S, connect=CONNECT_S, sock_connect=CONNECT_S)
BULK: Final = aiohttp.ClientTimeout(total=15, connect=CONNECT_S, sock_connect=CONNECT_S)
"""exchangeInfo and the brackets are megabytes on the real exchange."""

KEEP_ALIVE_S: Final = 25
"""Less than any server's own idle limit, so that it is us who close first."""


class ConnectionLost(aiohttp.ClientConnectionError):
    """The connection broke once the request had been begun; perhaps it was read."""


async def _write_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionLost(type(error).__name__) from None


def _prompt_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket that sends at once what it is given, and notices a dead peer."""
    family, kind, protocol, _, _ = address
    created = socket.socket(family, kind, protocol)
    created.setblocking(False)
    created.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    created.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return created


def open_session() -> aiohttp.ClientSession:
    """Open the session; needs a running loop. Connecting may last 1 s, a whole request 3 s."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=128,
            keepalive_timeout=KEEP_ALIVE_S,
            ttl_dns_cache=60,
            socket_factory=_prompt_socket,
        ),
        timeout=QUICK,
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=(_write_once,),
    )
