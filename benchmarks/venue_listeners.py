"""Many subscribers of one stream in a process of their own; they count frames and note when each came.

A line on stdin asks: `{"connect": URL, "count"}` opens connections and tells how many; `{"take": N}` waits
until every one has got N more frames, and tells when the last came and, frame by frame, when each subscriber
had it; `{"close": true}` hangs up. Frames are not decoded: a reader that cost as much as the sender would be
what is measured.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import uvloop

MARK = b'"e":"depthUpdate"'
WAIT_S = 20


class Listener(asyncio.Protocol):
    """One WebSocket, opened by hand (RFC 6455 §4.1) and only ever read."""

    def __init__(self, path: str, host: str) -> None:
        self.opened = asyncio.get_running_loop().create_future()
        self.came: list[int] = []
        self.changed = asyncio.Event()
        self.bytes = 0
        self.first = b""
        self._rest = b""
        self._path, self._host = path, host
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        if not self.opened.done():
            head, _, data = data.partition(b"\r\n\r\n")
            self.opened.set_result(head.startswith(b"HTTP/1.1 101"))
        self.bytes += len(data)
        if not self.first and b"{" in data:
            self.first = data[data.index(b"{") :]
        data = self._rest + data
        frames = data.count(MARK)
        if frames:
            self.came.extend([now] * frames)
            self.changed.set()
        self._rest = data[data.rindex(MARK) + len(MARK) :] if frames else data
        self._rest = self._rest[-len(MARK) + 1 :]

    async def has(self, count: int) -> None:
        """Return when so many frames have come."""
        while len(self.came) < count:
            self.changed.clear()
            await self.changed.wait()


async def _connect(url: str, count: int) -> list[Listener]:
    address, loop = urlsplit(url), asyncio.get_running_loop()
    listeners = []
    for _ in range(count):
        _, listener = await loop.create_connection(
            lambda: Listener(address.path, address.netloc), str(address.hostname), address.port or 80
        )
        if not await listener.opened:
            raise RuntimeError("no WebSocket there")
        listeners.append(listener)
    return listeners


async def _take(listeners: list[Listener], count: int) -> dict[str, Any]:
    async with asyncio.timeout(WAIT_S):
        await asyncio.gather(*(each.has(count) for each in listeners))
    answer = {
        "ended": max(each.came[count - 1] for each in listeners),
        "came": [each.came[:count] for each in listeners],
        "bytes": sum(each.bytes for each in listeners),
        "first": listeners[0].first.decode(errors="replace"),
    }
    for each in listeners:
        del each.came[:count]
        each.bytes = 0
    return answer


async def main() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    listeners: list[Listener] = []
    while line := await reader.readline():
        asked = json.loads(line)
        answer: dict[str, Any] = {}
        if "connect" in asked:
            listeners = await _connect(asked["connect"], asked["count"])
            answer = {"connected": len(listeners)}
        elif "take" in asked:
            answer = await _take(listeners, asked["take"])
        else:
            for each in listeners:
                each.transport.close()
            listeners = []
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())
