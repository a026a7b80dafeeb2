"""Reading the exchange's histories of incomes and fundings, from a venue over its own protocol."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
import pytest_asyncio
from pydantic import SecretStr

from pms.binance.client import ExchangeClient, open_session
from pms.binance.instruments import parse_instruments
from pms.binance.limits import RateBudget
from pms.bus.connection import connect
from pms.bus.journal import Journal
from pms.contract.names import HOUSE
from pms.domain.booking import Trade, book
from pms.domain.custody import open_books
from pms.domain.desk import Desk
from pms.domain.treasury import INCOME, funding_name
from pms.streamer import income as reading
from pms.streamer.engine import Engine, Gate
from pms.streamer.funding import GRACE_MS, MISSING_AFTER_MS, FundingReader
from pms.streamer.income import IncomeReader, recent_incomes
from pms.streamer.outbox import Outbox
from pms.venue.app import AccountSpec, RunningVenue, VenueConfig, serve

D = Decimal


@dataclass
class Both:
    """A venue with one account, and a desk whose books were opened on it."""

    venue: RunningVenue
    client: ExchangeClient
    engine: Engine
    ahead_ms: int = 0

    @property
    def desk(self) -> Desk:
        return self.engine.desk

    def deposit(self, amount: str, asset: str = "USDT") -> None:
        exchange = self.venue.venue
        exchange.acts.transfer(exchange.exchange.accounts["demo"], asset, D(amount))

    def fund(self, rate: str) -> int:
        return self.venue.venue.acts.fund("BTCUSDT", D(rate)).time

    def hold(self, number: int, quantity: str, symbol: str = "BTCUSDT") -> None:
        """Let the house get a position by hand."""
        trade = Trade(
            symbol=symbol,
            exchange_order_id=number,
            trade_id=number,
            client_order_id="web_1",
            side="BUY",
            price=D(60_000),
            quantity=D(quantity),
            commission=D(0),
            commission_asset="USDT",
            realized_pnl=D(0),
            maker=False,
            at=self.client.exchange_now_ms() - 60_000,
        )
        assert book(self.desk, trade)

    def balance(self) -> Decimal:
        return self.desk.accounts[HOUSE].balance


@pytest_asyncio.fixture
async def both(redis_url: str) -> AsyncIterator[Both]:
    account = AccountSpec.parse("demo:KEY:SECRET:1000")
    venue = await serve(VenueConfig(port=0, accounts=(account,), market="none", limits="off"))
    redis = connect(redis_url, name="test")
    async with open_session() as session, redis:
        budget = RateBudget(redis, share=D(1), monotonic=time.monotonic)
        made: list[Both] = []
        client = ExchangeClient(
            base_url=venue.url,
            api_key=SecretStr("KEY"),
            api_secret=SecretStr("SECRET"),
            session=session,
            clock_ms=lambda: time.time_ns() // 1_000_000 + (made[0].ahead_ms if made else 0),
            budget=budget,
        )
        desk = Desk(epoch="test")
        outbox = Outbox(Journal(redis, nonce="test"), withdraw=_nothing, sleep=_never)
        engine = Engine(desk, outbox, gate=Gate(), redis_now_ms=client.exchange_now_ms)
        made.append(Both(venue, client, engine))
        told = await recent_incomes(client)
        at = client.exchange_now_ms()
        open_books(desk, at=at, wallet=D(1000), positions=[], cursors={}, incomes=told)
        yield made[0]
        await budget.close()
    await venue.close()


async def test_an_income_is_read_once_and_what_the_opening_holds_is_not_read_again(both: Both) -> None:
    reader = IncomeReader(both.engine, both.client)
    assert await reader.read() == set()
    assert both.balance() == 1000
    both.deposit("7.5")
    both.deposit("2", "BNB")
    for _ in range(3):
        await reader.read()
        assert both.balance() == D("1007.5")
        assert both.desk.treasury.assets == {"BNB": 2}


async def test_the_cursor_stays_behind_the_clock_so_that_a_late_row_is_still_met(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = IncomeReader(both.engine, both.client)
    opened = both.desk.treasury.progress[INCOME]
    both.deposit("1")
    await reader.read()
    assert both.desk.treasury.progress[INCOME] == opened
    assert len(both.desk.treasury.incomes) == 2, "what the books opened with, and the deposit"
    monkeypatch.setattr(reading, "LAG_MS", -1)
    await reader.read()
    assert both.desk.treasury.incomes == {}, "no reading will meet those again"
    assert both.balance() == 1001


async def test_a_history_full_of_trades_is_read_kind_by_kind(both: Both) -> None:
    account = both.venue.venue.exchange.accounts["demo"]
    settlement, exchange = both.venue.venue.exchange.settlement, both.venue.venue.exchange
    with exchange.transaction() as tx:
        for _ in range(reading.PAGE * reading.MOST_PAGES):
            settlement.credit(tx, account, D("-0.001"), type_="COMMISSION", symbol="ETHUSDT")
    both.deposit("5")
    assert await IncomeReader(both.engine, both.client).read() == {"ETHUSDT"}
    assert both.balance() == 1005


async def test_a_funding_is_allotted_after_its_grace_and_only_once(both: Both) -> None:
    ready = [False]
    reader = FundingReader(both.engine, both.client, lambda: ready[0])
    both.hold(1, "2")
    at = both.fund("0.0001")
    treasury = both.desk.treasury
    await reader.poll()
    ready[0] = True
    await reader.poll()
    assert treasury.funded_until("BTCUSDT") < at, "trades of before it may still be on their way"
    both.ahead_ms = GRACE_MS
    await reader.poll()
    assert treasury.funded_until("BTCUSDT") == at
    seq = both.desk.last_seq
    await reader.poll(everything=True)
    assert both.desk.last_seq == seq


async def test_a_funding_right_behind_the_books_beginning_is_no_later_than_others(both: Both) -> None:
    both.desk.instruments |= parse_instruments(await both.client.exchange_info())
    reader, venue = FundingReader(both.engine, both.client, lambda: True), both.venue.venue
    both.hold(1, "2")
    # Books that never funded the symbol begin at the moment of the first reading.
    del both.desk.treasury.progress[funding_name("BTCUSDT")]
    venue.fundings.set("BTCUSDT", D("0.0001"), in_ms=1000)
    await reader.poll()
    await asyncio.sleep(0.01)  # another moment
    at = both.fund("0.0001")
    venue.fundings.set("BTCUSDT", D("0.0001"), in_ms=3_600_000)
    both.ahead_ms = 2000
    await reader.poll()
    assert both.desk.treasury.funded_until("BTCUSDT") < at
    both.ahead_ms += GRACE_MS
    await reader.poll()
    assert both.desk.treasury.funded_until("BTCUSDT") == at


async def test_fundings_that_were_missed_are_read_in_their_order(both: Both) -> None:
    both.hold(1, "2")
    times = []
    for rate in ("0.0001", "0.0002", "-0.0003"):
        times.append(both.fund(rate))
        both.deposit("1")  # another moment
    both.ahead_ms = GRACE_MS
    reader = FundingReader(both.engine, both.client, lambda: True)
    await reader.poll()
    booked = [rate.at for rate in both.desk.treasury.fundings["BTCUSDT"]]
    assert booked == sorted(set(times))
    assert both.desk.treasury.moves["BTCUSDT"] == []


async def test_a_symbol_that_the_exchange_says_nothing_of_keeps_no_other_waiting_and_is_told(
    both: Both,
) -> None:
    both.hold(1, "2", "AAAUSDT")
    both.hold(2, "2")
    listed = parse_instruments(await both.client.exchange_info())["BTCUSDT"]
    # It was listed when the streamer began, and is no more.
    both.desk.instruments |= {"AAAUSDT": replace(listed, symbol="AAAUSDT"), "BTCUSDT": listed}
    reader = FundingReader(both.engine, both.client, lambda: True)
    for number in range(1, 4):
        at = both.fund("0.0001")
        # Not the real next one: so far ahead, that may be over.
        both.venue.venue.fundings.set("BTCUSDT", D("0.0001"), in_ms=8 * 3_600_000)
        both.ahead_ms = GRACE_MS + number * MISSING_AFTER_MS
        await reader.poll()
        assert both.desk.treasury.funded_until("BTCUSDT") == at, number
    told = [row.detail for row in both.desk.incidents.of_kind("funding")]
    assert len(told) == 1
    assert "AAAUSDT" in told[0]


async def test_nobody_is_asked_about_a_symbol_that_nobody_holds(both: Both) -> None:
    both.fund("0.0001")
    await FundingReader(both.engine, both.client, lambda: True).poll(everything=True)
    counts = both.venue.venue.requests.counts
    assert counts["GET /fapi/v1/fundingRate"] == counts["GET /fapi/v1/premiumIndex"] == 0


def _nothing(_: object) -> None:
    """Nothing is withdrawn here."""


async def _never(_: float) -> None:
    raise AssertionError("nothing is journaled here")
