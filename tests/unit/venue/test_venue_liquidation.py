"""Liquidation by the exchange: nobody is kept who should not be, and no money comes from nowhere."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from decimal import Decimal as D
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from venue_world import BTC, ETH, MODES, NAMES, START, World, act

from pms.venue.account import Account
from pms.venue.acts import Acts, Closing
from pms.venue.checks import NewOrder
from pms.venue.errors import VenueError
from pms.venue.exchange import Exchange
from pms.venue.insurance import FUND
from pms.venue.ledger import unrealized
from pms.venue.lines import Lines
from pms.venue.margin import account_margin
from pms.venue.matching import BUY, SELL, PriceMatch, SelfTrade, TimeInForce
from pms.venue.state import BOTH, LONG, SHORT, Trade

CENT = D("0.00000001")
BALANCE = 600
PRICES = {BTC.name: START, ETH.name: START // 2}
"""In ticks; a lot of either is worth sixty and three dollars."""

NAME, SYMBOL = st.sampled_from(NAMES), st.sampled_from(tuple(PRICES))
SIDE, LEG = st.sampled_from((BUY, SELL)), st.sampled_from((LONG, SHORT))
TRADE = st.tuples(st.just("trade"), NAME, SYMBOL, SIDE, LEG, st.integers(20, 180))
REST = st.tuples(st.just("rest"), NAME, SYMBOL, SIDE, LEG, st.integers(2, 40), st.integers(1, 400))
MOVE = st.tuples(st.just("move"), SYMBOL, st.integers(-60, 60), st.sampled_from((5, 60, 5_000)))
SET = st.tuples(st.just("withdraw"), NAME, st.integers(1, 400))
FUNDING = st.tuples(st.just("fund"), SYMBOL, st.sampled_from((D("0.01"), D("-0.02"))))
STEPS = st.one_of(
    *(TRADE.map(tuple) for _ in range(4)), REST, *(MOVE.map(tuple) for _ in range(4)), SET, FUNDING
)
SCRIPTS = st.one_of(st.lists(STEPS, max_size=12), st.lists(STEPS, min_size=20, max_size=40))


class Watched(World):
    """Two accounts with little money in two markets, whom the exchange liquidates."""

    def __init__(self, modes: dict[str, bool]) -> None:
        super().__init__(modes, balance=BALANCE)
        self.watched()
        self.moved_in = BALANCE * len(NAMES)
        self.middles = dict(PRICES)
        for symbol in PRICES:
            self.move(symbol, 0, 5_000)

    def act(self, number: int, kind: str, *step) -> None:
        getattr(self, kind)(*step) if kind not in ("trade", "rest") else self.order(number, *step)

    def order(self, number: int, *step) -> None:
        """A market order, or a limit order so many ticks away."""
        name, symbol, side, leg, lots, away = (*step, 0)[:6]
        account = self.exchange.accounts[name]
        new = NewOrder(
            symbol=symbol,
            side=side,
            type="LIMIT" if away else "MARKET",
            time_in_force=TimeInForce.GTC,
            lots=lots * (1 if symbol == BTC.name else 20),
            price=self.middles[symbol] - side * away if away else 0,
            reduce_only=False,
            client_order_id=f"o{number}",
            self_trade=SelfTrade.EXPIRE_MAKER,
            position_side=leg if account.wallet.hedge else BOTH,
        )
        self.exchange.place(account, new)

    def move(self, symbol: str, per_mille: int, lots: int) -> None:
        """Quote so thickly around another middle, which is nowhere near the end of its kind."""
        middle = self.middles[symbol] * (1000 + per_mille) // 1000
        self.middles[symbol] = min(max(middle, PRICES[symbol] // 2), PRICES[symbol] * 2)
        bids, asks = (
            [(self.middles[symbol] - side * step, lots) for step in range(1, 4)] for side in (BUY, SELL)
        )
        self.exchange.replace_levels(symbol, bids=bids, asks=asks)

    def withdraw(self, name: str, amount: int) -> None:
        account = self.exchange.accounts[name]
        amount = min(amount, int(account_margin(account, self.exchange.markets).available))
        if amount > 0:
            self.moved_in -= amount
            Acts(self.exchange).transfer(account, "USDT", D(-amount))

    def fund(self, symbol: str, rate: D) -> None:
        Acts(self.exchange).fund(symbol, rate)

    def worth(self) -> D:
        return sum((account.wallet.balance for account in self.exchange.accounts.values()), D(0))


def standing(account: Account, exchange: Exchange) -> tuple[D, D]:
    margin = account_margin(account, exchange.markets)
    return margin.wallet + margin.unrealized, margin.maintenance


def check(world: Watched) -> None:
    exchange = world.exchange
    rows: defaultdict[tuple[str, int], list[Trade]] = defaultdict(list)
    cleared = funded = realized = open_profit = D(0)
    cash, outside, fees, count = D(0), defaultdict(int), D(0), 0
    for account in exchange.accounts.values():
        equity, needed = standing(account, exchange)
        if account.name != FUND:
            held = [leg.position.symbol for leg in account.every_leg() if leg.position.lots]
            priced = all(exchange.markets[symbol].quoted for symbol in held)
            assert equity > needed or not held or not priced, "kept who cannot carry what he holds"
            assert equity >= 0 or not priced
        assert account.wallet.balance == sum(each.amount for each in account.incomes)
        cleared += sum(each.amount for each in account.incomes if each.type == "INSURANCE_CLEAR")
        # What accounts pay in all goes to the anonymous market, which has no wallet
        funded += sum(each.amount for each in account.incomes if each.type == "FUNDING_FEE")
        for symbol, trades in account.trades.items():
            step, tick = exchange.markets[symbol].symbol.step, exchange.markets[symbol].symbol.tick
            for trade in trades:
                rows[symbol, trade.trade_id].append(trade)
                cash -= step * tick * trade.side * trade.quantity * trade.price
                outside[symbol] -= trade.side * trade.quantity
                fees += trade.commission
                realized += trade.realized
                count += 1
        for leg in account.every_leg():
            held = leg.position
            mine = [t for t in account.trades[held.symbol] if t.position_side == held.position_side]
            assert leg.seat.position == held.lots == sum(t.side * t.quantity for t in mine)
            mark = exchange.markets[held.symbol].symbol.price(PRICES[held.symbol])
            open_profit += unrealized(held, mark=mark, step=exchange.markets[held.symbol].symbol.step)
        forced = [o for orders in account.orders.values() for o in orders.values() if o.type == "LIQUIDATION"]
        assert all(order.status == "FILLED" for order in forced)
    assert cleared == 0, "what one pays for clearance another has"
    for pair in rows.values():
        assert len(pair) <= 2
        assert len(pair) == 1 or sum(trade.side * trade.quantity for trade in pair) == 0
    # All wallets and open profits against the cash that went over the counter, to the last rounding
    worth = world.worth() + open_profit + fees - funded - world.moved_in
    over = sum(
        (-exchange.markets[symbol].symbol.notional(PRICES[symbol], lots) for symbol, lots in outside.items()),
        cash,
    )
    assert abs(worth - over) <= count * CENT
    assert abs(realized + open_profit - over) <= count * CENT


@settings(max_examples=150, deadline=None)
@given(MODES, SCRIPTS)
def test_whoever_cannot_carry_what_he_holds_is_liquidated_and_all_money_is_accounted_for(
    modes: dict[str, bool], script: list[tuple]
) -> None:
    world = Watched(modes)
    for number, step in enumerate(script):
        with suppress(VenueError):
            world.act(number, *step)
        check(world)
    again = world.restarted()
    for name, before in world.exchange.accounts.items():
        after = again.accounts[name]
        assert (after.wallet, after.incomes) == (before.wallet, before.incomes)
        for symbol in PRICES:
            assert after.trades[symbol] == before.trades[symbol]
            for side in (BOTH, LONG, SHORT):
                assert after.position(symbol, side) == before.position(symbol, side)


@pytest.fixture
def world() -> Watched:
    return Watched(dict.fromkeys(NAMES, False))


def test_what_the_book_takes_is_sold_there_and_the_fund_takes_the_rest_at_the_bankruptcy_price(
    world: Watched,
) -> None:
    account = world.exchange.accounts["a"]
    world.order(1, "a", BTC.name, BUY, LONG, 150)
    world.order(2, "a", ETH.name, BUY, LONG, 2, 14_000)
    # Nine thousand dollars' worth falls by 6 percent: of 600 dollars 55 are left, which is more than the
    # 34 that must be held, and after another half percent it is not.
    world.move(BTC.name, -60, 40)
    assert account.position(BTC.name).lots == 150
    lines = len(world.lines)
    world.move(BTC.name, -5, 40)
    assert (account.position(BTC.name).lots, account.open_orders(None)) == (0, [])
    # All that follows from a price is one change: a process that dies has done the whole of it or nothing.
    assert len(world.lines) == lines + 1
    (order,) = [each for each in account.orders[BTC.name].values() if each.type == "LIQUIDATION"]
    assert order.client_order_id.startswith(Closing.LIQUIDATION)
    sold = [trade for trade in account.trades[BTC.name] if trade.order_id == order.order_id]
    fund = world.exchange.accounts[FUND]
    (taken,) = fund.trades[BTC.name]
    assert [trade.price >= order.price for trade in sold] == [True] * len(sold)
    assert (taken.price, taken.commission, fund.position(BTC.name).lots) == (order.price, 0, taken.quantity)
    assert sum(trade.quantity for trade in sold) == 150
    assert account.wallet.balance >= 0
    check(world)


def test_a_jump_beyond_the_bankruptcy_price_is_paid_by_the_fund(world: Watched) -> None:
    world.order(1, "a", BTC.name, BUY, LONG, 180)
    world.move(BTC.name, -200, 5_000)
    account, fund = world.exchange.accounts["a"], world.exchange.accounts[FUND]
    assert account.wallet.balance == 0
    mark = world.exchange.markets[BTC.name].mark
    held = fund.position(BTC.name)
    assert held.lots == 180
    worth = fund.wallet.balance + unrealized(held, mark=mark, step=BTC.step)
    fees = sum(trade.commission for trade in account.trades[BTC.name])
    # What the account lost beyond its money the fund has lost, to the cent: its fees are the exchange's
    assert worth == BALANCE - fees + 180 * BTC.step * (mark - BTC.price(account.trades[BTC.name][0].price))
    check(world)


def test_nobody_is_liquidated_at_a_price_that_nobody_quotes(world: Watched) -> None:
    world.order(1, "a", BTC.name, BUY, LONG, 180)
    world.exchange.replace_levels(BTC.name, bids=[], asks=[(START + 1, 5)])
    # The last price is half of what was paid, but there is no bid.
    world.exchange.replace_levels(BTC.name, bids=[], asks=[(START // 2, 5)])
    world.exchange.background_order(BTC.name, side=BUY, lots=5, limit=None)
    equity, needed = standing(world.exchange.accounts["a"], world.exchange)
    assert equity < needed
    assert world.exchange.accounts["a"].position(BTC.name).lots == 180
    world.middles[BTC.name] = START // 2
    world.move(BTC.name, 0, 5_000)
    assert world.exchange.accounts["a"].position(BTC.name).lots == 0


def test_the_fund_pays_nothing_for_who_still_holds_something() -> None:
    world = World(dict.fromkeys(NAMES, False), balance=BALANCE)
    account = world.exchange.accounts["a"]
    world.exchange.replace_levels(BTC.name, bids=[(START - 1, 500)], asks=[(START + 1, 500)])
    act(world, 1, ("place", "a", BUY, START, 180, "MARKET", False, SelfTrade.NONE, PriceMatch.NONE, LONG))
    close = partial(Acts(world.exchange).close, account, BTC.name, Closing.LIQUIDATION, price=START // 2)
    close(lots=90)
    # Ninety lots lost half of their worth, and the account owes it: the others may yet pay.
    assert account.wallet.balance < -2_000
    close(lots=90)
    assert account.wallet.balance == 0
    assert world.exchange.accounts[FUND].wallet.balance < -4_000


def test_the_fund_itself_is_never_liquidated(world: Watched) -> None:
    world.order(1, "a", BTC.name, BUY, LONG, 180)
    world.move(BTC.name, -200, 5_000)
    world.move(BTC.name, -200, 5_000)
    assert world.exchange.accounts[FUND].position(BTC.name).lots == 180


def test_a_margin_call_comes_once_for_each_time_that_an_account_comes_near(world: Watched) -> None:
    called = []
    world.publish = lambda tx: called.extend(e for e in tx.events if e.type == "MARGIN_CALL")
    world.exchange._publisher = world
    world.order(1, "a", BTC.name, BUY, LONG, 150)
    counts = []
    for middle in (600_000, 564_000, 562_700, 563_000, 562_600, 565_900, 562_700):
        world.move(BTC.name, 0, 5_000)
        world.middles[BTC.name] = middle
        world.move(BTC.name, 0, 5_000)
        equity, needed = standing(world.exchange.accounts["a"], world.exchange)
        counts.append((round(100 * needed / equity), len(called)))
    # Maintenance margin over equity in percent, and the calls so far
    assert counts == [(6, 0), (61, 0), (94, 1), (83, 1), (98, 1), (40, 1), (94, 2)]
    assert called[0].payload == {
        "e": "MARGIN_CALL",
        "E": called[0].payload["E"],
        "cw": "595.4999925",
        "p": [
            {
                "s": "BTCUSDT",
                "ps": "BOTH",
                "pa": "0.15",
                "mt": "CROSSED",
                "iw": "0",
                "mp": "56270",
                "up": "-559.515",
                "mm": "33.762",
            }
        ],
    }


LINES = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(1, 50), st.integers(0, 20), st.integers(0, 20)),
    max_size=12,
)


@given(LINES, st.lists(st.integers(1, 70), max_size=8))
def test_bands_are_left_exactly_when_the_price_is_outside(
    given_bands: list[tuple[str, int, int, int]], prices: list[int]
) -> None:
    lines, naive = Lines(), {}
    for name, middle, below, above in given_bands:
        naive[name] = D(middle - below), D(middle + above)
        lines.set(name, *naive[name])
    for price in prices:
        left = {name for name, (low, high) in naive.items() if not low < price < high}
        assert sorted(lines.at(D(price))) == sorted(left)
        naive = {name: band for name, band in naive.items() if name not in left}
        assert all((name in lines) == (name in naive) for name in "abcd")
