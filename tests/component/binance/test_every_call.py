"""Every call of the client against the venue: signed, answered and typed over a real connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from decimal import Decimal

import pytest
import pytest_asyncio
from pydantic import SecretStr

from pms.binance.client import AmendOrder, ExchangeClient, OrderAck, PlaceOrder
from pms.binance.errors import DuplicateClientId, NotFound, Refused, TimestampRefused, Unknown
from pms.binance.instruments import parse_instruments
from pms.venue.app import AccountSpec, RunningVenue, VenueConfig, serve

MakeClient = Callable[[str], ExchangeClient]


@pytest_asyncio.fixture
async def venue() -> AsyncIterator[RunningVenue]:
    spec = AccountSpec("demo", "key", SecretStr("a-secret-that-must-not-show"), Decimal(100_000))
    running = await serve(VenueConfig(accounts=(spec,), port=0))
    yield running
    await running.close()


@pytest_asyncio.fixture
async def client(venue: RunningVenue, client_of: MakeClient) -> ExchangeClient:
    made = client_of(venue.url)
    await made.sync_time()
    return made


async def place(client: ExchangeClient, order: PlaceOrder, *, late_ms: int = 0) -> OrderAck:
    """Place as the flow does: room, signature, one write."""
    await client.room_for_order(account="alice", lane=order.lane)
    at = client.exchange_now_ms() - late_ms
    return await client.send(client.sign_place(order, timestamp_ms=at, recv_window_ms=2000))


async def resting(client: ExchangeClient, client_order_id: str) -> PlaceOrder:
    """A bid that rests, a little below the market and on its tick."""
    btc = parse_instruments(await client.exchange_info())["BTCUSDT"]
    book = await client.depth("BTCUSDT", 5)
    price = Decimal(book.bids[0][0]) * Decimal("0.98") // btc.tick * btc.tick
    return PlaceOrder("BTCUSDT", "BUY", "LIMIT", Decimal("0.01"), client_order_id, price, "GTC")


async def test_an_order_from_bid_to_cancel(client: ExchangeClient) -> None:
    order = await resting(client, "PMS_a")
    ack = await place(client, order)
    assert (ack.client_order_id, ack.status, ack.executed_qty) == ("PMS_a", "NEW", 0)
    with pytest.raises(DuplicateClientId):
        await place(client, order)

    assert order.price is not None
    lower = order.price - 10
    terms = AmendOrder("BTCUSDT", "BUY", Decimal("0.02"), lower, "PMS_a")
    now = client.exchange_now_ms()
    amended = await client.send(client.sign_amend(terms, timestamp_ms=now, recv_window_ms=2000))
    assert amended.order_id == ack.order_id

    by_ours = await client.query_order(symbol="BTCUSDT", client_order_id="PMS_a")
    by_theirs = await client.query_order(symbol="BTCUSDT", order_id=ack.order_id)
    assert by_ours == by_theirs
    assert (by_ours.price, by_ours.orig_qty, by_ours.side, by_ours.type) == (
        *(lower, Decimal("0.02"), "BUY", "LIMIT"),
    )
    assert by_ours in await client.open_orders()
    assert by_ours in await client.open_orders("BTCUSDT")
    assert await client.open_orders("ETHUSDT") == []

    gone = await client.cancel(symbol="BTCUSDT", client_order_id="PMS_a")
    assert (gone.order_id, gone.status) == (ack.order_id, "CANCELED")
    with pytest.raises(NotFound):
        await client.cancel(symbol="BTCUSDT", order_id=ack.order_id)
    assert (await client.query_order(symbol="BTCUSDT", client_order_id="PMS_a")).status == "CANCELED"


async def test_a_market_order_and_what_it_leaves(client: ExchangeClient) -> None:
    ack = await place(client, PlaceOrder("BTCUSDT", "BUY", "MARKET", Decimal("0.01"), "PMS_m"))
    order = await client.query_order(symbol="BTCUSDT", order_id=ack.order_id)
    assert (order.status, order.executed_qty) == ("FILLED", Decimal("0.01"))
    trades = await client.user_trades(symbol="BTCUSDT", order_id=ack.order_id)
    assert sum(trade.qty for trade in trades) == Decimal("0.01")
    assert sum(trade.qty * trade.price for trade in trades) == order.cum_quote
    assert all(trade.commission > 0 and not trade.maker for trade in trades)
    assert await client.user_trades(symbol="BTCUSDT", from_id=trades[-1].id + 1) == []
    assert (await client.user_trades(symbol="BTCUSDT", limit=1))[0].id == trades[-1].id

    (held,) = await client.position_risk()
    assert (held.symbol, held.position_side, held.position_amt) == ("BTCUSDT", "BOTH", Decimal("0.01"))
    assert await client.position_risk("ETHUSDT") == []
    fees = sum(trade.commission for trade in trades)
    (usdt,) = [row for row in await client.balances() if row.asset == "USDT"]
    account = await client.account()
    assert usdt.balance == account.total_wallet_balance == 100_000 - fees
    assert [row.position_amt for row in account.positions if row.position_amt] == [Decimal("0.01")]

    close = PlaceOrder("BTCUSDT", "SELL", "MARKET", Decimal("0.01"), "PMS_c", reduce_only=True)
    await place(client, close)
    with pytest.raises(Refused) as raised:
        await place(client, PlaceOrder("BTCUSDT", "SELL", "MARKET", Decimal(1), "PMS_d", reduce_only=True))
    assert raised.value.code == -2022


async def test_what_the_exchange_refuses(client: ExchangeClient) -> None:
    with pytest.raises(Refused) as raised:
        await place(client, PlaceOrder("BTCUSDT", "BUY", "MARKET", Decimal("0.0001"), "PMS_r"))
    assert raised.value.code in {-1111, -4003, -4004}
    with pytest.raises(TimestampRefused):
        await place(client, PlaceOrder("BTCUSDT", "BUY", "MARKET", Decimal(1), "PMS_r"), late_ms=60_000)
    for missing in (
        client.query_order(symbol="BTCUSDT", client_order_id="PMS_nobody"),
        client.query_algo_order(client_algo_id="PMS_nobody"),
    ):
        with pytest.raises(NotFound):
            await missing


async def test_settings_of_the_account(client: ExchangeClient) -> None:
    assert await client.position_mode() is False
    assert await client.multi_assets_mode() is False
    answer = await client.set_leverage("BTCUSDT", 21)
    assert (answer.symbol, answer.leverage) == ("BTCUSDT", 21)
    await client.set_margin_type("BTCUSDT", "CROSSED")
    await client.countdown_cancel_all("BTCUSDT", 60_000)
    await client.countdown_cancel_all("BTCUSDT", 0)
    assert await client.open_algo_orders() == []
    await place(client, await resting(client, "PMS_x"))
    await client.cancel_all("BTCUSDT")
    assert await client.open_orders() == []


async def test_market_data(client: ExchangeClient) -> None:
    instruments = parse_instruments(await client.exchange_info(), await client.leverage_brackets())
    assert instruments["BTCUSDT"].status == "TRADING"
    assert (instruments["BTCUSDT"].max_leverage or 0) >= 100
    book = await client.depth("BTCUSDT")
    assert Decimal(book.bids[0][0]) < Decimal(book.asks[0][0])
    assert book.last_update_id > 0
    index = await client.premium_index("BTCUSDT")
    assert (index.symbol, index.mark_price > 0) == ("BTCUSDT", True)
    bars = await client.klines("BTCUSDT", "1d", limit=3)
    assert [each.close_time + 1 for each in bars[:-1]] == [each.open_time for each in bars[1:]]
    assert bars[-1].low <= bars[-1].close <= bars[-1].high
    (second,) = await client.klines("BTCUSDT", "1d", start=bars[1].open_time, limit=1)
    assert second == bars[1]
    with pytest.raises(Refused):
        await client.klines("BTCUSDT", "1s")
    assert abs(await client.server_time() - client.exchange_now_ms()) < 1000


async def test_the_listen_key(client: ExchangeClient) -> None:
    key = await client.new_listen_key()
    assert await client.new_listen_key() == key
    await client.keep_listen_key()
    await client.close_listen_key()
    with pytest.raises(Refused) as raised:
        await client.keep_listen_key()
    assert raised.value.code == -1125


async def test_executed_though_the_answer_was_lost(client: ExchangeClient, venue: RunningVenue) -> None:
    venue.venue.faults.add({"kind": "cut_after", "subject": "PMS_lost"})
    order = PlaceOrder("BTCUSDT", "BUY", "MARKET", Decimal("0.01"), "PMS_lost")
    with pytest.raises(Unknown):
        await place(client, order)
    found = await client.query_order(symbol="BTCUSDT", client_order_id="PMS_lost")
    assert found.status == "FILLED"


async def test_the_histories_of_money_and_the_settings(client: ExchangeClient, venue: RunningVenue) -> None:
    now = client.exchange_now_ms()
    (opening,) = await client.incomes(start=now - 60_000, end=now + 60_000)
    assert (opening.income_type, opening.income, opening.asset) == ("TRANSFER", 100_000, "USDT")
    assert (opening.symbol, opening.trade_id, opening.tran_id) == ("", "", 1)
    assert await client.incomes(start=now - 60_000, end=now + 60_000, kind="FUNDING_FEE") == []
    assert await client.incomes(start=now - 60_000, end=now + 60_000, page=2) == []
    funding = venue.venue.acts.fund("BTCUSDT", Decimal("0.0003"))
    (rate,) = await client.funding_rates("BTCUSDT", start=funding.time)
    assert (rate.funding_time, rate.funding_rate, Decimal(rate.mark_price)) == (
        funding.time,
        Decimal("0.0003"),
        funding.mark,
    )
    indexes = {row.symbol: row for row in await client.premium_indexes()}
    assert indexes["BTCUSDT"].next_funding_time > now
    await client.set_leverage("BTCUSDT", 7)
    configs = {row.symbol: (row.margin_type, row.leverage) for row in await client.symbol_configs()}
    assert (configs["BTCUSDT"], configs["ETHUSDT"]) == (("CROSSED", 7), ("CROSSED", 20))
