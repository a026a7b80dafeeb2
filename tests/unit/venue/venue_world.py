"""An exchange without doors, and scripts of what may happen to it."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal as D

import msgspec
from hypothesis import strategies as st

from pms.venue.account import Account
from pms.venue.acts import Acts, Closing
from pms.venue.checks import NewOrder
from pms.venue.exchange import Exchange
from pms.venue.insurance import Insurance
from pms.venue.liquidation import Liquidations
from pms.venue.market import Market
from pms.venue.matching import BUY, SELL, PriceMatch, SelfTrade, TimeInForce
from pms.venue.restore import Remembered, restore
from pms.venue.state import BOTH, LONG, SHORT, Fact, Position
from pms.venue.symbols import SHIPPED, SymbolTable
from pms.venue.transaction import Transaction

SYMBOLS = SymbolTable.load(SHIPPED)
BTC, ETH = SYMBOLS["BTCUSDT"], SYMBOLS["ETHUSDT"]
START = 600_000
NAMES = ("a", "b")
MODES = st.fixed_dictionaries({name: st.booleans() for name in NAMES})
"""Who is in hedge mode."""


class World:
    """An exchange whose journal is a list of encoded transactions, as on disk."""

    def __init__(self, modes: dict[str, bool], *, balance: int = 1_000_000) -> None:
        self.lines: list[bytes] = []
        self.events: Counter[str] = Counter()
        self.now = 1_000
        self.exchange = self.made()
        for name, hedge in modes.items():
            account = self.exchange.open_account(name, D(balance))
            if hedge:
                Acts(self.exchange).set_position_mode(account, hedge=True)

    def made(self) -> Exchange:
        markets = {each.name: Market(each, start_price=START) for each in (BTC, ETH)}
        return Exchange(markets, journal=self, publisher=self, clock=self.clock)

    def watched(self) -> None:
        """Let the exchange liquidate from now on."""
        Liquidations(self.exchange, Insurance(self.exchange))

    def clock(self) -> int:
        self.now += 1
        return self.now

    def append(self, facts: list[Fact]) -> None:
        self.lines.append(msgspec.json.encode(facts))

    def publish(self, transaction: Transaction) -> None:
        self.events.update(event.account for event in transaction.events)
        for market in self.exchange.markets.values():
            market.book.bids.drain_changes()
            market.book.asks.drain_changes()

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


def positions(account: Account) -> list[Position]:
    """Of every side, flat ones too: a restart forgets what never was anything."""
    return [account.position("BTCUSDT", side) for side in (BOTH, LONG, SHORT)]
