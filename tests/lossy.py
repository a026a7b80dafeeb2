"""A socket before Redis that carries every request and can lose the replies."""

from __future__ import annotations

import asyncio
from pathlib import Path


class LossySocket:
    """Redis behind a Unix socket of its own.

    While `losing`, a reply is read and the connection cut; while `silent` none comes, and nothing is cut.
    """

    def __init__(self, path: Path, behind: Path) -> None:
        self.path, self._behind = path, behind
        self.losing = self.silent = False
        self.lost = 0

    @property
    def url(self) -> str:
        return f"unix://{self.path}?db=0"

    async def __aenter__(self) -> LossySocket:
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_redis, to_redis = await asyncio.open_unix_connection(str(self._behind))
        ends = [
            asyncio.create_task(_carry(reader, to_redis)),
            asyncio.create_task(self._reply(from_redis, writer)),
        ]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        await asyncio.gather(*ends, return_exceptions=True)
        for each in (writer, to_redis):
            each.close()

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if self.losing:
                self.lost += 1
                return
            if self.silent:
                continue
            writer.write(data)
            await writer.drain()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
