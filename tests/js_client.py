"""The JS reference client as a child process that obeys lines of JSON."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

GATEWAY = Path(__file__).parents[1] / "gateway"
DRIVER = Path(__file__).with_name("drive_gateway.mjs")


def install() -> str:
    """Install the client's one dependency if need be; gives the path of node, skips without one."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("no node")
    if not (GATEWAY / "node_modules" / ".package-lock.json").exists():
        subprocess.run([npm, "ci"], cwd=GATEWAY, check=True, capture_output=True)
    return node


class JsClient:
    """One running client; what it says unasked is collected in `said`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._ids = itertools.count(1)
        self.said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, redis_url: str) -> JsClient:
        """Start a client; it is connected when this returns."""
        process = await asyncio.create_subprocess_exec(
            install(), str(DRIVER), redis_url, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=2**20
        )
        client = cls(process)
        assert await client.heard() == {"ready": True}
        return client

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for text in self._process.stdout:
            line = json.loads(text)
            if "id" in line:
                self._answers.pop(line["id"]).set_result(line)
            else:
                self.said.put_nowait(line)

    def ask(self, op: str, **parts: Any) -> asyncio.Future[dict[str, Any]]:
        """Send one line; the future is its answer."""
        assert self._process.stdin is not None
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(json.dumps({"op": op, "id": number, **parts}).encode() + b"\n")
        return answer

    async def heard(self) -> dict[str, Any]:
        """The next thing said unasked."""
        return await asyncio.wait_for(self.said.get(), 10)

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._reader
