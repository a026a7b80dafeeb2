"""A bare TCP server that says exactly what it is told to, and remembers every byte it was sent."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


def answer(status: int, body: bytes | str, *, headers: str = "", length: int | None = None) -> bytes:
    """A whole HTTP answer; `length` promises another length than the body has."""
    body = body.encode() if isinstance(body, str) else body
    length = len(body) if length is None else length
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n"
    )
    return head.encode() + body


@dataclass(slots=True)
class Reply:
    """What to do with one request: write this, then keep the connection, cut it or reset it."""

    data: bytes = b""
    cut: bool = False
    hang: bool = False
    reset: bool = False


@dataclass(slots=True)
class RawServer:
    """Serves replies in order, the last one for ever; counts connections and requests."""

    replies: list[Reply]
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._over.set()
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.split(b"\r\n")
                        if line.lower().startswith(b"content-length:")
                    ),
                    0,
                )
                self.requests.append(head + await reader.readexactly(length))
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                writer.write(reply.data)
                await writer.drain()
                if reply.hang:
                    await self._over.wait()
                if reply.reset:
                    # Without lingering the kernel answers with RST instead of FIN.
                    raw = writer.get_extra_info("socket")
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if reply.cut or reply.reset:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.closed.set()


Serve = Callable[..., Awaitable[RawServer]]
