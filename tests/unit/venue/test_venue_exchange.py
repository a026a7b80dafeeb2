"""The whole exchange under random traffic: nothing is lost, nothing drifts, and a restart changes nothing."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from decimal import Decimal as D

import msgspec
from hypothesis import given, settings
from venue_world import (
    ANY,
    BTC,
    MODES,
    NAMES,
    OF_ACCOUNTS,
    QUOTES,
    START,
    World,
    act,
    positions,
    scripts,
)

from pms.venue.account import Account
from pms.venue.errors import VenueError
from pms.venue.exchange import Exchange
from pms.venue.ledger import unrealized
from pms.venue.leg import Leg
from pms.venue.matching import BUY, SELL, PriceMatch, SelfTrade
from pms.venue.position_mode import closes
from pms.venue.state import BOTH, LONG, SHORT, Fact, Order, Trade

FACTS = msgspec.json.Decoder(list[Fact])


def check(exchange: Exchange) -> None:
    market = exchange.markets["BTCUSDT"]
    book = market.book
    bid, ask = book.bids.best, book.asks.best
    assert bid is None or ask is None or bid.price < ask.price
    resting: Counter[tuple[int, int]] = Counter()
    for account in exchange.accounts.values():
        opened = account.open["BTCUSDT"]
        assert sorted(order.client_order_id for order in opened.values()) == sorted(account.names)
        held: Counter[tuple[str, int]] = Counter()
        for order in opened.values():
            assert order.open
            assert order.remaining > 0
            resting[order.side, order.price] += order.remaining
            assert book.orders[order.order_id].left == order.remaining
            if not order.reduce_only:
                held[order.position_side, order.side] += order.assumed * BTC.step * order.remaining
        for side in (BOTH, LONG, SHORT):
            leg = account.leg("BTCUSDT", side)
            check_leg(account, leg)
            assert (leg.exposure.bids, leg.exposure.asks) == (held[side, BUY], held[side, SELL])
        trades = account.trades["BTCUSDT"]
        earned = sum((trade.realized - trade.commission for trade in trades), D(0))
        assert account.wallet.balance == 1_000_000 + earned == sum(each.amount for each in account.incomes)
        for order in account.orders["BTCUSDT"].values():
            mine = [trade for trade in trades if trade.order_id == order.order_id]
            assert order.executed == sum(trade.quantity for trade in mine)
            assert order.quote == sum(trade.quantity * trade.price for trade in mine)
            assert (order.status == "FILLED") == (order.executed == order.quantity)
            assert order.open == (order.order_id in opened)
    owned = {
        (side.sign, level.price): level.owned
        for side in (book.bids, book.asks)
        for level in side
        if level.owned
    }
    assert owned == dict(resting)
    assert len(book.orders) == sum(len(each.open["BTCUSDT"]) for each in exchange.accounts.values())


def check_leg(account: Account, leg: Leg) -> None:
    """One position: its orders, its trades and what the book knows of it agree, and it is on its own side."""
    position = leg.position
    side, lots = position.position_side, position.lots
    assert lots == 0 or side in account.sides
    assert {LONG: lots >= 0, SHORT: lots <= 0, BOTH: True}[side]
    opened = [order for order in account.open["BTCUSDT"].values() if order.position_side == side]
    assert all(order.reduce_only is closes(side, order.side) for order in opened if side != BOTH)
    closing = [order for order in opened if order.reduce_only]
    assert sum(order.remaining for order in closing) <= abs(lots)
    assert all(order.side * lots < 0 for order in closing)
    trades = [trade for trade in account.trades["BTCUSDT"] if trade.position_side == side]
    assert leg.seat.position == lots == sum(trade.side * trade.quantity for trade in trades)
    assert position.accumulated == sum((trade.realized for trade in trades), D(0))


@settings(max_examples=250, deadline=None)
@given(MODES, scripts(ANY))
def test_books_accounts_and_journal_agree_after_every_step(
    modes: dict[str, bool], script: list[tuple]
) -> None:
    world = World(modes)
    for number, step in enumerate([QUOTES, *script]):
        lines, events = len(world.lines), world.events.total()
        try:
            act(world, number, step)
        except VenueError:
            # Refused, and so without a trace: only what came to its date on the way has expired
            late = [fact for line in world.lines[lines:] for fact in FACTS.decode(line)]
            assert all(isinstance(each, Order) and each.good_till and not each.open for each in late)
            assert world.events.total() - events == len(late)
        check(world.exchange)
    again = world.restarted()
    check(again)
    for name in NAMES:
        before, after = world.exchange.accounts[name], again.accounts[name]
        assert (after.wallet, after.incomes) == (before.wallet, before.incomes)
        for part in ("orders", "trades", "order_ids"):
            assert getattr(after, part)["BTCUSDT"] == getattr(before, part)["BTCUSDT"], part
        for side in (BOTH, LONG, SHORT):
            assert after.position("BTCUSDT", side) == before.position("BTCUSDT", side)
    ids = [trade.trade_id for name in NAMES for trade in again.accounts[name].trades["BTCUSDT"]]
    assert again.markets["BTCUSDT"].next_trade_id > max(ids, default=0)
    queues = [
        [order.key.order_id for level in side for order in level]
        for each in (world.exchange, again)
        for side in (each.markets["BTCUSDT"].book.bids, each.markets["BTCUSDT"].book.asks)
    ]
    assert queues[:2] == queues[2:]


def test_two_sides_of_a_self_trade_share_one_id() -> None:
    world = World(dict.fromkeys(NAMES, False))
    account = world.exchange.accounts["a"]
    for number, side in enumerate((BUY, SELL)):
        act(
            world, number, ("place", "a", side, START, 5, "GTC", False, SelfTrade.NONE, PriceMatch.NONE, LONG)
        )
    trades: list[Trade] = account.trades["BTCUSDT"]
    assert len(trades) == 2
    assert len({trade.trade_id for trade in trades}) == 1
    assert {trade.maker for trade in trades} == {True, False}
    assert account.position("BTCUSDT").lots == 0


def facts_of(exchange: Exchange) -> bytes:
    """All that the accounts have and ever had, and the queues, as bytes."""
    parts = [
        [account.wallet, positions(account), account.orders, account.trades, account.incomes]
        for account in exchange.accounts.values()
    ]
    book = exchange.markets["BTCUSDT"].book
    queues = [[order.id for level in side for order in level] for side in (book.bids, book.asks)]
    return msgspec.json.encode([parts, queues])


@settings(max_examples=100, deadline=None)
@given(MODES, scripts(ANY))
def test_the_same_commands_leave_the_same_bytes_and_a_replay_of_them_the_same_exchange(
    modes: dict[str, bool],
    script: list[tuple],
) -> None:
    worlds = [World(modes), World(modes)]
    for world in worlds:
        for number, step in enumerate([QUOTES, *script]):
            with suppress(VenueError):
                act(world, number, step)
    assert worlds[0].lines == worlds[1].lines
    again = worlds[0].restarted()
    assert facts_of(again) == facts_of(worlds[1].exchange)


@settings(max_examples=150, deadline=None)
@given(MODES, scripts(OF_ACCOUNTS))
def test_nothing_is_made_and_nothing_is_lost_between_accounts(
    modes: dict[str, bool], script: list[tuple]
) -> None:
    """Where only accounts trade, what one has another owes, and what all have lost went into fees."""
    world = World(modes)
    exchange = world.exchange
    for number, step in enumerate(script):
        with suppress(VenueError):
            act(world, number, step)
        accounts = exchange.accounts.values()
        held = [position for account in accounts for position in positions(account)]
        assert sum(position.lots for position in held) == 0
        trades = [trade for account in accounts for trade in account.trades["BTCUSDT"]]
        assert sum(trade.side * trade.quantity for trade in trades) == 0
        mark = D(START) * BTC.tick
        worth = sum((account.wallet.balance for account in accounts), D(0))
        worth += sum((unrealized(each, mark=mark, step=BTC.step) for each in held), D(0))
        fees = sum((trade.commission for trade in trades), D(0))
        # Each profit is rounded to eight decimals when it is realized
        assert abs(worth + fees - 1_000_000 * len(NAMES)) <= len(trades) * D("0.00000001")
