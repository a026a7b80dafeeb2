"""The whole exchange under random traffic: nothing is lost, nothing drifts, and a restart changes nothing."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from decimal import Decimal as D

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pms.venue.account import Account
from pms.venue.acts import Acts, Closing
from pms.venue.checks import NewOrder
from pms.venue.errors import VenueError
from pms.venue.exchange import Exchange
from pms.venue.ledger import unrealized
from pms.venue.leg import Leg
from pms.venue.market import Market
from pms.venue.matching import BUY, SELL, PriceMatch, SelfTrade, TimeInForce
from pms.venue.position_mode import closes
from pms.venue.restore import Remembered, restore
from pms.venue.state import BOTH, LONG, SHORT, Fact, Position, Trade
from pms.venue.symbols import SHIPPED, SymbolTable
from pms.venue.transaction import Transaction

BTC = SymbolTable.load(SHIPPED)["BTCUSDT"]
START = 600_000
NAMES = ("a", "b")
MODES = st.fixed_dictionaries({name: st.booleans() for name in NAMES})
"""Who is in hedge mode."""


class World:
    """An exchange whose journal is a list of encoded transactions, as on disk."""

    def __init__(self, modes: dict[str, bool]) -> None:
        self.lines: list[bytes] = []
        self.events: Counter[str] = Counter()
        self.now = 1_000
        self.exchange = self.made()
        for name, hedge in modes.items():
            account = self.exchange.open_account(name, D(1_000_000))
            if hedge:
                self.exchange.set_position_mode(account, hedge=True)

    def made(self) -> Exchange:
        market = Market(BTC, start_price=START)
        return Exchange({"BTCUSDT": market}, journal=self, publisher=self, clock=self.clock)

    def clock(self) -> int:
        self.now += 1
        return self.now

    def append(self, facts: list[Fact]) -> None:
        self.lines.append(msgspec.json.encode(facts))

    def publish(self, transaction: Transaction) -> None:
        self.events.update(event.account for event in transaction.events)
        for book_side in (self.book.bids, self.book.asks):
            book_side.drain_changes()

    @property
    def book(self):
        return self.exchange.markets["BTCUSDT"].book

    def restarted(self) -> Exchange:
        decoder = msgspec.json.Decoder(list[Fact])
        memory = Remembered.fold(fact for line in self.lines for fact in decoder.decode(line))
        again = Remembered.fold(decoder.decode(msgspec.json.encode(list(memory.facts()))))
        exchange = self.made()
        restore(exchange, again)
        return exchange


SIDES = st.sampled_from((BUY, SELL))
PRICES = st.integers(START - 8, START + 8)
LOTS = st.integers(2, 40)
PLACE = st.tuples(
    st.just("place"),
    st.sampled_from(NAMES),
    SIDES,
    PRICES,
    LOTS,
    st.sampled_from(("MARKET", "GTC", "GTC", "IOC", "FOK", "GTX", "GTD")),
    st.booleans(),
    st.sampled_from(list(SelfTrade)),
    st.sampled_from((PriceMatch.NONE, PriceMatch.NONE, PriceMatch.QUEUE, PriceMatch.OPPONENT_5)),
    st.sampled_from((LONG, SHORT)),
)
CANCEL = st.tuples(st.just("cancel"), st.sampled_from(NAMES), st.integers(0, 5))
AMEND = st.tuples(st.just("amend"), st.sampled_from(NAMES), st.integers(0, 5), PRICES, LOTS)
LEVELS = st.tuples(
    st.just("levels"), st.lists(st.tuples(SIDES, PRICES, st.integers(0, 60)), min_size=1, max_size=4)
)
AGGRESS = st.tuples(st.just("aggress"), SIDES, PRICES, LOTS)
PRINT = st.tuples(st.just("print"), SIDES, PRICES, LOTS)
CLOSE = st.tuples(
    st.just("close"),
    st.sampled_from(NAMES),
    st.sampled_from(("ADL", "SETTLEMENT")),
    LOTS,
    st.sampled_from((LONG, SHORT)),
)
WAIT = st.tuples(st.just("wait"), st.integers(1, 300))
# Of equal alternatives hypothesis takes one: most steps shall place
PLACES = [PLACE.map(tuple) for _ in range(6)]
OF_ACCOUNTS = st.one_of(*PLACES, CANCEL, AMEND, WAIT)
ANY = st.one_of(*PLACES, CANCEL, AMEND, LEVELS, AGGRESS, PRINT, WAIT, CLOSE)

QUOTES = ("levels", [(side, START - side * step, 60) for side in (BUY, SELL) for step in (1, 2, 3)])
"""Somebody to trade with."""


def scripts(steps: st.SearchStrategy[tuple]) -> st.SearchStrategy[list[tuple]]:
    """Half of them long: left alone, most are of a few steps, in which hardly anything is traded."""
    return st.one_of(st.lists(steps, max_size=12), st.lists(steps, min_size=25, max_size=40))


def act(world: World, number: int, step: tuple) -> None:
    exchange = world.exchange
    kind = step[0]
    if kind == "place":
        _, name, side, price, lots, in_force, reduce_only, mode, match, position_side = step
        hedge = exchange.accounts[name].wallet.hedge
        is_market = in_force == "MARKET"
        new = NewOrder(
            symbol="BTCUSDT",
            side=side,
            type="MARKET" if is_market else "LIMIT",
            time_in_force=TimeInForce.GTC if is_market else TimeInForce(in_force),
            lots=lots,
            price=0 if is_market or match is not PriceMatch.NONE else price,
            reduce_only=reduce_only and not hedge,
            position_side=position_side if hedge else BOTH,
            client_order_id=f"o{number}",
            self_trade=mode,
            price_match=PriceMatch.NONE if is_market else match,
            good_till=world.now + 100 if in_force == "GTD" else 0,
        )
        exchange.place(exchange.accounts[name], new)
    elif kind in ("cancel", "amend"):
        account = exchange.accounts[step[1]]
        orders = account.open_orders("BTCUSDT")
        if len(orders) <= step[2]:
            return
        order = orders[step[2]]
        if kind == "cancel":
            exchange.cancel(account, "BTCUSDT", order_id=order.order_id, client_order_id=None)
        else:
            exchange.amend(account, order, price=step[3], lots=step[4])
    elif kind == "levels":
        sides = {BUY: {}, SELL: {}}
        for side, price, lots in step[1]:
            sides[side][price] = lots
        exchange.set_levels("BTCUSDT", bids=sides[BUY].items(), asks=sides[SELL].items())
    elif kind == "aggress":
        exchange.background_order("BTCUSDT", side=step[1], limit=step[2], lots=step[3])
    elif kind == "close":
        account = exchange.accounts[step[1]]
        position_side = step[4] if account.wallet.hedge else BOTH
        Acts(exchange).close(
            account, "BTCUSDT", Closing[step[2]], lots=step[3], price=START, position_side=position_side
        )
    elif kind == "wait":
        world.now += step[1]
        exchange.expire_due()
        opened = [order for account in exchange.accounts.values() for order in account.open_orders(None)]
        assert all(order.good_till == 0 or order.good_till > world.now - 3 for order in opened)
    else:
        exchange.recorded_trade("BTCUSDT", side=step[1], price=step[2], lots=step[3])


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
            assert (len(world.lines), world.events.total()) == (lines, events)
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


def positions(account: Account) -> list[Position]:
    """Of every side, flat ones too: a restart forgets what never was anything."""
    return [account.position("BTCUSDT", side) for side in (BOTH, LONG, SHORT)]


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
