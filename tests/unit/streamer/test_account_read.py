"""Reading wallets and net positions: the feed may tell something newer, and a dry run books nothing."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from pms.binance.client import UserTrade
from pms.bus.inbox import Reconcile
from pms.domain.custody import open_books
from pms.domain.desk import Desk
from pms.streamer.catch_up import FOUND_WITHIN_MS, CatchUp
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox
from pms.streamer.reconcile import Reconciler

D = Decimal
OPENED, TRADED = 1_000, 2_000


class Account:
    """Somebody bought 5 DOGE, of which nobody here has heard; the feed tells of BTC meanwhile, once."""

    def __init__(self, *, told_behind: str = "") -> None:
        nothing: Any = None
        client: Any = self
        self.told_behind = told_behind
        desk = Desk(epoch="e")
        open_books(
            desk, at=OPENED, wallet=D(100), positions=[("BTCUSDT", D(1), D(1))], cursors={"BTCUSDT": 1}
        )
        self.outbox = Outbox(nothing, withdraw=lambda _: None, sleep=asyncio.sleep)
        self.engine = Engine(desk, self.outbox, gate=Gate(), redis_now_ms=self.exchange_now_ms)
        self.catch_up = CatchUp(self.engine, client)
        self.reconciler = Reconciler(self.engine, client, self.catch_up, nothing, now_ms=self.exchange_now_ms)

    def exchange_now_ms(self) -> int:
        return TRADED + FOUND_WITHIN_MS

    def _answered(self, what: str) -> None:
        if what == self.told_behind:
            self.told_behind = ""
            self.engine.venue.told += 1
            self.engine.venue.positions["BTCUSDT"] = D(2)

    async def open_orders(self, **_: object) -> list[Any]:
        return []

    async def query_order(self, **_: object) -> Any:
        return SimpleNamespace(
            client_order_id="web_1", order_id=7, symbol="DOGEUSDT", status="FILLED", update_time=TRADED
        )

    async def position_risk(self) -> list[Any]:
        held = {"DOGEUSDT": D(5), "BTCUSDT": self.engine.venue.positions.get("BTCUSDT", D(1))}
        return [SimpleNamespace(symbol=symbol, position_amt=quantity) for symbol, quantity in held.items()]

    async def balances(self) -> list[Any]:
        self._answered("balances")
        return [SimpleNamespace(asset="USDT", balance=D(100))]

    async def user_trades(self, *, symbol: str, **_: object) -> list[UserTrade]:
        self._answered("trades")
        row = UserTrade(
            symbol=symbol,
            id=9,
            order_id=7,
            side="BUY",
            price=D(1),
            qty=D(5),
            commission=D(0),
            commission_asset="USDT",
            realized_pnl=D(0),
            maker=False,
            time=TRADED,
        )
        return [row] if symbol == "DOGEUSDT" else []


@pytest.mark.parametrize("told_behind", ["balances", "trades"])
async def test_what_the_feed_tells_meanwhile_stands(told_behind: str) -> None:
    account = Account(told_behind=told_behind)
    await account.catch_up.account()
    assert account.engine.venue.positions == {"DOGEUSDT": D(5), "BTCUSDT": D(2)}
    assert account.engine.desk.treasury.net == {"DOGEUSDT": D(5), "BTCUSDT": D(1)}


async def test_a_dry_run_books_no_trade_of_a_symbol_that_is_new() -> None:
    account = Account()
    report = await account.reconciler.reconcile(Reconcile("dry", dry_run=True))
    assert "DOGEUSDT: 1 trade of the exchange not booked" in str(report.comparisons)
    assert (report.booked, len(account.outbox)) == (0, 0)
    assert account.engine.desk.cursors == {"BTCUSDT": 1}
    report = await account.reconciler.reconcile(Reconcile("wet"))
    assert account.engine.desk.treasury.net == {"DOGEUSDT": D(5), "BTCUSDT": D(1)}
