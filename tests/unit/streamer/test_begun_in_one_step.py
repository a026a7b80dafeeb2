"""What a start was judged by is reserved before anyone else is heard: its orders follow in the same step."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import desk_at

from pms.contract.codes import Code, Refusal
from pms.contract.reading import command_from
from pms.domain.algos.machines import timed
from pms.domain.decisions import Asked
from pms.domain.placing import admit_trade
from pms.domain.posting import Posting
from pms.streamer.algos import Algos
from pms.streamer.engine import Engine, Gate
from pms.streamer.local import LocalCommands
from pms.streamer.outbox import Outbox

BASKET = {
    "subAccountId": "alice",
    "legs": [{"algo": "limit", "symbol": "BTCUSDT", "side": "BUY", "quantity": "1", "price": "59000"}],
}
TRADE = {"subAccountId": "alice", "symbol": "BTCUSDT", "side": "BUY", "quantity": "1", "leverage": 10}


def asked_for(name: str, **fields: Any) -> tuple[Asked, Any]:
    command = command_from(name, {"requestId": str(uuid4()), **fields})
    asked = Asked(
        request_id=str(command.request_id), command=name, text="{}", at=1_000, deadline=6_000, now=1_000
    )
    return asked, command


class Recorded(Outbox):
    """Keeps what is to be journaled."""

    def __init__(self) -> None:
        Outbox.__init__(self, cast("Any", None), withdraw=lambda _: None, sleep=asyncio.sleep)
        self.told, self.something = list[Posting](), asyncio.Event()

    def add(self, posting: Posting, confirmed: Any = None) -> None:
        self.told.append(posting)
        self.something.set()


async def test_nobody_takes_the_margin_between_the_start_and_its_orders() -> None:
    desk = desk_at()
    outbox = Recorded()
    engine = Engine(desk, outbox, gate=Gate(closed_because=None), redis_now_ms=lambda: 1_000)
    algos = Algos(engine, cast("Any", None), lambda: 0.0)
    engine.algo_begun = algos.begun
    algos.begin()

    async def claim(request_id: str, *, nonce: str) -> bool:
        return True

    async def prepare(command: object) -> None:
        return None

    local = LocalCommands(
        engine=engine,
        requests=cast("Any", SimpleNamespace(claim=claim)),
        redis=cast("Any", None),
        nonce="n",
        sleep=asyncio.sleep,
        monotonic=lambda: 0.0,
        spawn=lambda name, coroutine: None,
        hurry=lambda: None,
        prepare=prepare,
    )
    serving = asyncio.create_task(local._serve(*asked_for("pms.basket", **BASKET)))
    await outbox.something.wait()
    start, first = outbox.told
    assert (len(start.entry.rows.algos), len(first.entry.rows.orders)) == (1, 1)
    assert first.entry.prev == start.entry.seq
    with pytest.raises(Refusal) as refused:
        admit_trade(desk, *asked_for("pms.trade", **TRADE))
    assert refused.value.code is Code.MARGIN
    serving.cancel()


def test_only_slices_go_by_the_schedule() -> None:
    desk = desk_at()
    slices = {
        "algo": "twap",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "totalSize": "0.01",
        "lots": 2,
        "duration": 9,
    }
    engine = Engine(desk, Recorded(), gate=Gate(closed_because=None), redis_now_ms=lambda: 1_000)
    asked, command = asked_for("pms.basket", **{**BASKET, "legs": [*BASKET["legs"], slices]})
    engine.decide_local(asked, command)
    (algo,) = desk.algos.running()
    # One limit order, what would unwind it, two slices and four more for what they miss, and theirs
    assert [timed(algo, number) for number in range(9)] == [False, False, *[True] * 6, False]
