"""A start that has much to take in shows that it goes on, so that nobody takes it for one that hangs."""

from __future__ import annotations

import asyncio
from typing import Any

from test_fill_keys_loaded import LISTS, EmptyJournal

from pms.contract.journal import FORMAT, Entry
from pms.db.load import LoadedState
from pms.domain.desk import Desk
from pms.streamer.start import AT_ONCE, load_desk


async def test_a_desk_tells_how_far_it_has_come() -> None:
    tail = [Entry(v=FORMAT, seq=seq, prev=seq - 1, at=1, kind="x") for seq in range(1, 3 * AT_ONCE)]
    empty: dict[str, Any] = {name: [] for name in LISTS}
    given = {**empty, "applied": 0, "entry_at": 1, "fill_keys": set(), "moves": {}, "tail": tail}
    journal: Any = EmptyJournal()
    desk = Desk(epoch="e")
    loading = asyncio.create_task(load_desk(desk, state=LoadedState(**given), journal=journal, now_us=1))
    seen = set()
    while not loading.done():
        await asyncio.sleep(0)
        seen.add(desk.last_seq)
    assert len(seen) > 3
    assert await loading == desk.last_seq == 3 * AT_ONCE - 1
