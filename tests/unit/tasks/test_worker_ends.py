"""A worker that ends sends nothing any more: what still waits for room is left to the streamer, unsent."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pms.binance.errors import Throttled
from pms.bus.rights import Right
from pms.flows.place import room
from pms.tasks import runtime
from pms.tasks.runtime import Runtime


class Ending:
    """Runtime's parts, and the one send that waits for room until its session is closed."""

    def __init__(self) -> None:
        self.full, self.closed = True, asyncio.Event()
        self.rights_taken = 0

    async def take_room(self) -> None:
        if self.full:
            raise Throttled("no room", retry_after=0.05)

    async def refused(self, _: list[str]) -> list[Right | None]:
        return [None]

    async def sleep(self, _: float) -> None:
        await self.closed.wait()

    async def send(self) -> None:
        deps = SimpleNamespace(rights=self, sleep=self.sleep)
        if await room(cast(Any, deps), "PMS_alice_M_1", self.take_room) is None:
            self.rights_taken += 1

    async def close(self) -> None:
        """As the session closes room is found."""
        self.full = False
        self.closed.set()
        for _ in range(10):
            await asyncio.sleep(0)

    aclose = close


async def test_what_waits_for_room_takes_no_right_under_a_closed_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime, "SEND_S", 0.01)
    ending = Ending()
    sending = asyncio.create_task(ending.send())
    await asyncio.sleep(0)
    parts: Any = ending
    closing = Runtime(
        settings=parts,
        loop=asyncio.get_running_loop(),
        redis=parts,
        session=parts,
        client=parts,
        budget=parts,
        serving=cast(Any, SimpleNamespace(sending={sending})),
    )
    await closing._close()
    assert ending.rights_taken == 0
    assert sending.cancelled()
