"""The closer: nothing leaves before its entry; a refusal makes it wait; an operator hears of the third."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from redis.asyncio import Redis

from pms.bus.connection import connect
from pms.bus.journal import Journal
from pms.contract import names
from pms.contract.journal import Entry, LimitRow, OrderRow, PositionRow, Rows, SubAccountRow
from pms.domain.booking import Trade
from pms.domain.close_pace import ALARM_AFTER, DELAYS_MS
from pms.domain.custody import open_books
from pms.domain.desk import Desk, Top
from pms.domain.instrument import Instrument
from pms.domain.orders import Refused, Seen
from pms.domain.tiers import Tier, tiers_of
from pms.streamer.agenda import Agenda
from pms.streamer.closer import LONG_MS, STUCK, Closer
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox

D = Decimal
BTC = Instrument(
    symbol="BTCUSDT",
    base_asset="BTC",
    quote_asset="USDT",
    margin_asset="USDT",
    status="TRADING",
    tick=D("0.1"),
    min_price=D(1),
    max_price=D(1_000_000),
    step=D("0.001"),
    min_quantity=D("0.001"),
    max_quantity=D(1000),
    market_step=D("0.001"),
    market_min_quantity=D("0.001"),
    market_max_quantity=D(100),
    min_notional=D(5),
    multiplier_up=D("1.05"),
    multiplier_down=D("0.95"),
)
MARKED = Rows(
    sub_accounts=(
        SubAccountRow(
            id="alice",
            label="",
            status="ACTIVE",
            balance=D(100),
            created_at=1,
            group="atmarket",
            tier=Tier.TAKEOVER,
            closing=Tier.TAKEOVER,
        ),
    ),
    positions=(
        PositionRow(
            sub_account_id="alice",
            symbol="BTCUSDT",
            id="p",
            quantity=D(2),
            cost=D(120_000),
            leverage=50,
            opened_seq=2,
            realized_pnl=D(0),
            updated_at=1,
        ),
    ),
)


class Closing:
    """A closer over an account that an earlier life has marked; its entries stay in the outbox."""

    def __init__(self, redis: Redis, outbox: Outbox) -> None:
        self.redis, self.outbox, self.now = redis, outbox, 10_000
        desk = Desk(epoch="n")
        desk.instruments["BTCUSDT"] = BTC
        desk.price("BTCUSDT", Top(D(57_000), D(1), D(57_001), D(1), 1))
        open_books(desk, at=1, wallet=D(100_000), positions=[], cursors={})
        desk.load(MARKED)
        desk.limits.take(mode("market"))
        self.engine = Engine(desk, outbox, gate=Gate(), redis_now_ms=lambda: self.now)
        self.engine.agenda = Agenda(nobody, clock=lambda: self.now / 1000)
        self.waking: list[Coroutine[Any, Any, None]] = []
        self.closer = Closer(
            self.engine,
            redis,
            tiers_of=lambda account: tiers_of(desk, account),
            new_id=lambda: f"id-{len(self.waking)}",
            spawn=lambda _, work: self.waking.append(work),
        )

    def look(self) -> list[OrderRow]:
        """Look once; the closing orders that it made, journaled."""
        before = len(self.outbox)
        self.closer.look()
        made = [waiting.posting for waiting in self.outbox._waiting[before:]]
        for posting in made:
            self.closer.journaled(posting)
        return [row for posting in made for row in posting.entry.rows.orders]

    def refuse(self, row: OrderRow) -> None:
        order = self.engine.desk.orders[row.client_order_id]
        self.engine.observe(order, Refused("-2019: Margin is insufficient."))

    def trade(self, row: OrderRow, quantity: str) -> None:
        made = Trade(
            symbol=row.symbol,
            exchange_order_id=7,
            trade_id=8,
            client_order_id=row.client_order_id,
            side=row.side,
            price=D(57_000),
            quantity=D(quantity),
            commission=D(0),
            commission_asset="USDT",
            realized_pnl=D(0),
            maker=False,
            at=self.now,
        )
        self.engine.book(made, seen=Seen(7, "EXPIRED", D(quantity)))

    def incidents(self) -> list[tuple[str, str]]:
        return [(row.kind, row.state) for entry in self.entries() for row in entry.rows.incidents]

    def entries(self) -> list[Entry]:
        return [waiting.posting.entry for waiting in self.outbox._waiting]


def mode(value: str) -> LimitRow:
    return LimitRow(
        scope="group:atmarket",
        name="liquidation.mode",
        symbol="",
        value=value,
        actor="a",
        reason="r",
        at=1,
        request_id="r",
    )


async def nobody(_: str) -> float | None:
    return None


@pytest.fixture
async def closing(redis_url: str) -> AsyncIterator[Closing]:
    async with connect(redis_url, name="test") as redis:

        async def sleep(seconds: float) -> None:
            """Nothing is flushed here."""

        outbox = Outbox(Journal(redis, nonce="n"), withdraw=lambda posting: None, sleep=sleep)
        made = Closing(redis, outbox)
        yield made
        for work in made.waking:
            work.close()


async def test_a_new_life_goes_on_and_nothing_leaves_before_its_entry(closing: Closing) -> None:
    closing.closer.look()
    assert closing.waking == []
    assert len(closing.engine.agenda) == 0
    (posting,) = [waiting.posting for waiting in closing.outbox._waiting]
    (row,) = posting.entry.rows.orders
    assert (row.sub_account_id, row.side, row.quantity, row.reduce_only) == ("alice", "SELL", 2, True)
    closing.closer.journaled(posting)
    (work,) = closing.waking
    await work
    assert await closing.redis.llen(names.Queue.URGENT) == 1  # type: ignore[misc]
    assert len(closing.engine.agenda) == 1
    assert closing.look() == [], "what lives is not ordered twice"


async def test_a_refusal_makes_it_wait_and_the_third_is_told_until_an_order_trades(closing: Closing) -> None:
    (row,) = closing.look()
    for count, delay in enumerate(DELAYS_MS[:ALARM_AFTER], start=1):
        closing.refuse(row)
        assert [each for each in closing.look() if each.state == "placing"] == []
        assert ((STUCK, "open") in closing.incidents()) == (count >= ALARM_AFTER)
        closing.now += delay
        (row,) = closing.look()
    closing.trade(row, "0.5")
    (rest,) = [each for each in closing.look() if each.state == "placing"]
    assert rest.quantity == D("1.5")
    assert closing.incidents()[-1] == (STUCK, "resolved")


async def test_who_is_not_closed_after_a_minute_is_told_of_whatever_the_reason(closing: Closing) -> None:
    closing.engine.desk.instruments["BTCUSDT"] = replace(BTC, status="BREAK")
    assert closing.look() == []
    closing.now += LONG_MS
    closing.look()
    assert closing.incidents() == []
    closing.now += 1
    closing.look()
    assert closing.incidents() == [(STUCK, "open")]


async def test_whoever_is_to_go_to_the_house_after_all_gets_no_further_order(closing: Closing) -> None:
    closing.engine.desk.limits.take(mode("transfer"))
    assert closing.look() == []


async def test_who_was_closed_before_a_new_life_looked_is_not_stuck_any_more(closing: Closing) -> None:
    """The last life told of him, and recovery booked the trade that closed him: his mark is gone."""
    desk = closing.engine.desk
    closing.engine.raise_incident(STUCK, "critical", "not closed after a minute", subject="alice")
    alice = desk.accounts["alice"]
    alice.closing = Tier.NONE
    desk.note_closing(alice)
    running = asyncio.create_task(closing.closer.run())
    await asyncio.sleep(0)  # it looks once, and then waits for a mark
    running.cancel()
    assert closing.incidents() == [(STUCK, "open"), (STUCK, "resolved")]
    alice.closing = Tier.TAKEOVER
    desk.note_closing(alice)
    desk.instruments["BTCUSDT"] = replace(BTC, status="BREAK")
    closing.look()
    closing.now += LONG_MS + 1
    closing.look()
    assert closing.incidents()[-1] == (STUCK, "open"), "the next time is told of again"
