"""A trade that is heard of behind an algo's end is told once more; what is told stays told."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import D, decide, desk_at

from pms.domain.algos.algo import Status
from pms.domain.booking import Trade
from pms.domain.posting import Posting
from pms.streamer.algos import Algos
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox


class Kept(Outbox):
    """An outbox that takes everything, and shows it."""

    def __init__(self) -> None:
        super().__init__(cast("Any", None), withdraw=lambda _: None, sleep=asyncio.sleep)
        self.postings: list[Posting] = []

    def add(self, posting: Posting | None, confirmed: Any = None) -> None:
        if posting is not None:
            self.postings.append(posting)


def test_a_late_trade_of_an_algo_that_is_over_is_told_once() -> None:
    desk, outbox = desk_at(), Kept()
    engine = Engine(desk, outbox, gate=Gate(closed_because=None), redis_now_ms=lambda: 50_000)
    algos = Algos(engine, cast("Any", None), lambda: 0.0)
    algos._on = True
    terms = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.05"}
    (row,) = decide(desk, "pms.chase", subAccountId="alice", **terms).entry.rows.algos
    algos._conduct(row.id)
    order = next(order for order in desk.live.values() if order.spec.parent_id == row.id)
    algo = desk.algos.every[row.id]
    algo.status, algo.ended_at, algo.untold = Status.CANCELLED, 50_000, False
    desk.algos.put(algo)
    engine.book(
        Trade(
            symbol="BTCUSDT",
            exchange_order_id=7,
            trade_id=1,
            client_order_id=order.spec.client_order_id,
            side="BUY",
            price=order.price or D(0),
            quantity=D("0.02"),
            commission=D(0),
            commission_asset="USDT",
            realized_pnl=D(0),
            maker=True,
            at=50_001,
        )
    )
    outbox.postings.clear()
    for _ in range(2):
        algos._conduct(row.id)
    [posting] = outbox.postings
    [event] = posting.events
    assert (event.type, event.status, event.filled) == ("chase_progress", "cancelled", D("0.02"))
