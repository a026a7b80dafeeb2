"""When the ledger is woken: seldom while orders pass, at once while somebody waits. On virtual time."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path
from typing import Any

from pms.archive.reader import Reader
from pms.sim.machines.loop import Loop
from pms.streamer.ledger_wake import LEAST_PAUSE_S, PAUSE_S, LedgerWake


class Queue:
    """A queue whose consumer is quick: it is empty whenever it is looked at."""

    def __init__(self) -> None:
        self.pushed_at: list[float] = []

    async def llen(self, _: str) -> int:
        return 0

    async def lpush(self, _: str, __: bytes) -> None:
        self.pushed_at.append(asyncio.get_running_loop().time())


def woken(*, awaited: bool) -> list[float]:
    """When the ledger is woken in 990 ms with an entry each."""
    queue: Any = Queue()
    numbers = count()

    async def play() -> None:
        wake = LedgerWake(
            queue,
            journal=None,  # type: ignore[arg-type]  # only trimming reads it
            new_id=lambda: str(next(numbers)),
            sleep=asyncio.sleep,
            archive=Reader(Path("nowhere")),
            written=lambda: None,
        )
        running = asyncio.ensure_future(wake.run())
        for _ in range(990):
            wake.journaled()
            if awaited:
                wake.hurry()
            await asyncio.sleep(0.001)
        running.cancel()

    Loop().run(play(), until=10)  # type: ignore[abstract]
    began = queue.pushed_at[0]
    return [at - began for at in queue.pushed_at]


def test_a_fold_for_many_entries_while_nobody_waits() -> None:
    assert len(woken(awaited=False)) == 1 / PAUSE_S


def test_a_fold_at_once_for_whoever_waits_but_not_one_an_entry() -> None:
    assert len(woken(awaited=True)) == 1 / LEAST_PAUSE_S
