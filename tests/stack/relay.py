"""Relays on loopback between the system's parts, to be cut, silenced and mended by a test."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from pathlib import Path
from urllib.parse import urlsplit


class Relay(ABC):
    """Passes bytes on to one address; cut, it drops what is open and refuses what comes."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._passing = asyncio.Event()
        self._passing.set()

    @abstractmethod
    async def _listen(self) -> asyncio.Server: ...

    @abstractmethod
    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]: ...

    async def mend(self) -> None:
        """Take connections, at the address of the first time, and pass on what was held back."""
        if self._server is None:
            self._server = await self._listen()
        self._passing.set()

    def cut(self) -> None:
        """Drop every connection at once, and refuse new ones until mended."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()

    def silence(self) -> None:
        """Hold back every byte until mended: connections stay open and say nothing."""
        self._passing.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, back}
        with contextlib.suppress(asyncio.CancelledError):  # at the end of the test's loop
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        self._open -= {writer, back}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while data := await reader.read(65536):
                await self._passing.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


class TcpRelay(Relay):
    """On a free port, before an address of HTTP and WebSockets."""

    def __init__(self, url: str) -> None:
        super().__init__()
        parts = urlsplit(url)
        self._target = parts.hostname or "", parts.port or 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self._target)


class SocketRelay(Relay):
    """On a Unix socket of its own, before another: a server's own rules for local clients hold."""

    def __init__(self, target: Path, at: Path) -> None:
        super().__init__()
        self._target, self._at = target, at

    async def _listen(self) -> asyncio.Server:
        self._at.unlink(missing_ok=True)
        return await asyncio.start_unix_server(self._serve, self._at)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self._target)
