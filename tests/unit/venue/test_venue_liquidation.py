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
from pms.venue.conditional.room import CONTRACT, MARK, Conditionals
from pms.venue.errors import VenueError
from pms.venue.exchange import Exchange
from pms.venue.insurance import FUND
from pms.venue.ledger import unrealized
from pms.venue.lines import Lines
from pms.venue.margin import account_margin
from pms.venue.matching import BUY, SELL, PriceMatch, SelfTrade, TimeInForce
from pms.venue.state import BOTH, LONG, SHORT, AlgoOrder, Order, Trade

CENT = D("0.00000001")
BALANCE = 600
PRICES = {BTC.name: START, ETH.name: START // 2}
"""In ticks; a lot of either is worth sixty and three dollars."""

NAME, SYMBOL = st.sampled_from(NAMES), st.sampled_from(tuple(PRICES))
SIDE, LEG = st.sampled_from((BUY, SELL)), st.sampled_from((LONG, SHORT))
TRADE = st.tuples(st.just("trade"), NAME, SYMBOL, SIDE, LEG, st.integers(20, 180))
REST = st.tuples(
    st.just("rest"), NAME, SYMBOL, SIDE, LEG, st.integers(2, 40), st.integers(1, 400), st.booleans()
)
GUARD = st.tuples(
    st.just("guard"),
    NAME,
    SYMBOL,
    SIDE,
    LEG,
    st.integers(1, 20),
    st.sampled_from((CONTRACT, MARK)),
    st.sampled_from((0, 0, 40)),
)
WAIT = st.tuples(st.just("wait"), st.integers(1, 300))
MOVE = st.tuples(st.just("move"), SYMBOL, st.integers(-90, 90), st.sampled_from((5, 60, 5_000)))
SET = st.tuples(st.just("withdraw"), NAME, st.integers(1, 400))
FUNDING = st.tuples(st.just("fund"), SYMBOL, st.sampled_from((D("0.01"), D("-0.02"))))
STEPS = st.one_of(
    *(TRADE.map(tuple) for _ in range(4)),
    REST,
    *(GUARD.map(tuple) for _ in range(3)),
    *(MOVE.map(tuple) for _ in range(4)),
    SET,
    FUNDING,
    WAIT,
)
SCRIPTS = st.one_of(st.lists(STEPS, max_size=12), st.lists(STEPS, min_size=20, max_size=40))


class Watched(World):
    """Two accounts with little money in two markets, whom the exchange liquidates."""

    def __init__(self, modes: dict[str, bool]) -> None:
        super().__init__(modes, balance=BALANCE)
        self.conditionals = Conditionals(self.exchange, token=lambda length: str(self.now).zfill(length))
        self.watched()
        self.moved_in = BALANCE * len(NAMES)
        self.middles = dict(PRICES)
        for symbol in PRICES:
            self.move(symbol, 0, 5_000)

    def act(self, number: int, kind: str, *step) -> None:
        getattr(self, kind)(*step) if kind not in ("trade", "rest") else self.order(number, *step)

    def order(self, number: int, *step) -> None:
        """A market order, or a limit order so many ticks away, perhaps with a date."""
        name, symbol, side, leg, lots, away, dated = (*step, 0, False)[:7]
        account = self.exchange.accounts[name]
        new = NewOrder(
            symbol=symbol,
            side=side,
            type="LIMIT" if away else "MARKET",
            time_in_force=TimeInForce.GTD if dated else TimeInForce.GTC,
            good_till=self.now + 100 if dated else 0,
            lots=lots * (1 if symbol == BTC.name else 20),
            price=self.middles[symbol] - side * away if away else 0,
            reduce_only=False,
            client_order_id=f"o{number}",
            self_trade=SelfTrade.EXPIRE_MAKER,
            position_side=leg if account.wallet.hedge else BOTH,
        )
        self.exchange.place(account, new)

    def stop(
        self, name: str, symbol: str, side: int, trigger: int, working_type: str = CONTRACT
    ) -> AlgoOrder:
        algo = stop_order(name, symbol, side, trigger, working_type)
        return self.conditionals.place(self.exchange.accounts[name], algo)

    def guard(self, *step) -> None:
        """A stop that trades so many lots, or without any closes what is held."""
        name, symbol, side, leg, per_mille, working_type, lots = step
        account = self.exchange.accounts[name]
        leg = leg if account.wallet.hedge else BOTH
        held = account.position(symbol, leg).lots
        if held and not lots:
            side = SELL if held > 0 else BUY
        trigger = self.middles[symbol] * (1000 + side * per_mille) // 1000
        algo = stop_order(name, symbol, side, trigger, working_type)
        algo.client_algo_id = f"g{self.clock()}"
        algo.position_side = leg
        if lots:
            algo.quantity, algo.close_position = lots * (1 if symbol == BTC.name else 20), False
        self.conditionals.place(account, algo)

    def wait(self, ms: int) -> None:
        self.now += ms

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


def stop_order(name: str, symbol: str, side: int, trigger: int, working_type: str) -> AlgoOrder:
    """What closes an account's whole position once a price is reached."""
    return AlgoOrder(
        account=name,
        symbol=symbol,
        algo_id=0,
        client_algo_id=f"s{name}{symbol}{side}{trigger}",
        side=side,
        type="STOP_MARKET",
        time_in_force="GTC",
        quantity=0,
        price=0,
        trigger=trigger,
        working_type=working_type,
        close_position=True,
        price_protect=False,
        reduce_only=False,
        self_trade="NONE",
    )


def standing(account: Account, exchange: Exchange) -> tuple[D, D]:
    margin = account_margin(account, exchange.markets)
    return margin.wallet + margin.unrealized, margin.maintenance


def forced_orders(account: Account) -> list[Order]:
    return [o for orders in account.orders.values() for o in orders.values() if o.type == "LIQUIDATION"]


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
        assert all(order.status == "FILLED" for order in forced_orders(account))
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
    (order,) = forced_orders(account)
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


def test_what_the_fund_takes_over_makes_no_price(world: Watched) -> None:
    world.order(1, "a", BTC.name, BUY, LONG, 100)
    stop = world.stop("a", BTC.name, SELL, START - 10_000)
    world.order(2, "b", BTC.name, SELL, LONG, 60)
    world.order(3, "b", ETH.name, BUY, LONG, 60)
    # What b loses in the other market takes his short here, too: far below anybody's order.
    world.move(ETH.name, -200, 5_000)
    fund = world.exchange.accounts[FUND]
    (taken,) = fund.trades[BTC.name]
    assert taken.price < START - 10_000
    assert (world.exchange.markets[BTC.name].last_price, stop.status) == (START - 1, "NEW")
    assert world.exchange.accounts["a"].position(BTC.name).lots == 100
    # But who loses his position to it has none to stop any more.
    gone = world.stop("a", BTC.name, SELL, START - 11_000)
    Acts(world.exchange).close(
        world.exchange.accounts["a"], BTC.name, Closing.LIQUIDATION, lots=None, price=START
    )
    assert (stop.status, gone.status) == ("EXPIRED", "EXPIRED")


def test_whose_stop_is_due_closes_by_it_though_another_fires_first(world: Watched) -> None:
    world.order(1, "a", BTC.name, BUY, LONG, 20)
    world.order(2, "b", BTC.name, BUY, LONG, 150)
    stops = [
        world.stop(name, BTC.name, SELL, START - away, MARK) for name, away in (("a", 1_000), ("b", 1_100))
    ]
    # At this price b cannot carry what he holds, and both stops are due: a's lets its order out first.
    world.move(BTC.name, -65, 5_000)
    assert [stop.status for stop in stops] == ["FINISHED", "FINISHED"]
    assert FUND not in world.exchange.accounts
    assert forced_orders(world.exchange.accounts["b"]) == []
    assert world.exchange.accounts["b"].wallet.balance > 0


def test_a_stop_that_one_liquidation_lets_out_comes_before_the_next_one(world: Watched) -> None:
    for number, name in enumerate(NAMES):
        world.order(number, name, BTC.name, BUY, LONG, 150)
    stops = [world.stop(name, BTC.name, SELL, 560_999) for name in NAMES]
    # Both are due. What the first of them sells trades at the price that both stops wait for.
    world.move(BTC.name, -65, 200)
    assert sorted(stop.status for stop in stops) == ["FINISHED", "REJECTED"]
    assert sum(len(forced_orders(account)) for account in world.exchange.accounts.values()) == 1


def test_dates_that_have_come_move_the_mark_before_anybody_is_judged_by_it() -> None:
    """A bid whose date is over hides that a stop is due: it comes first, and nobody is left to judge."""
    world = World(dict.fromkeys(NAMES, False), balance=100_000)
    exchange, account = world.exchange, world.exchange.accounts["b"]
    conditionals = Conditionals(exchange, token=lambda length: "t" * length)
    world.watched()
    for symbol in PRICES:
        exchange.replace_levels(symbol, bids=[(START - 200, 50_000)], asks=[(START + 1, 50_000)])

    def order(name: str, symbol: str, lots: int, price: int = 0, good_till: int = 0) -> Order:
        new = NewOrder(
            symbol=symbol,
            side=BUY,
            type="LIMIT" if price else "MARKET",
            time_in_force=TimeInForce.GTD if good_till else TimeInForce.GTC,
            lots=lots,
            price=price,
            reduce_only=False,
            client_order_id=f"o{name}{symbol}{lots}",
            self_trade=SelfTrade.NONE,
            good_till=good_till,
        )
        return exchange.place(exchange.accounts[name], new)

    order("b", BTC.name, 1_500)
    order("a", BTC.name, 5, START - 1, world.now + 200)
    resting = order("b", ETH.name, 10, START - 300)
    stop = conditionals.place(account, stop_order("b", BTC.name, SELL, START - 50, MARK))
    world.now += 500
    margin = account_margin(account, exchange.markets)
    # Too little by a cent, as long as the best bid is the one whose date is over
    too_much = margin.wallet + margin.unrealized - margin.maintenance + D("0.01")
    Acts(exchange).transfer(account, "USDT", -too_much)
    assert (account.position(BTC.name).lots, stop.status) == (0, "FINISHED")
    assert forced_orders(account) == []
    # Who holds nothing when his turn comes is left alone
    assert resting.open
    after = world.restarted().accounts["b"]
    assert [each.order_id for each in after.open_orders(None)] == [resting.order_id]


def test_both_sides_of_a_hedge_are_closed_by_the_mark_that_the_account_was_judged_by() -> None:
    world = Watched({"a": True, "b": False})
    account = world.exchange.accounts["a"]
    world.order(1, "a", BTC.name, BUY, LONG, 150)
    world.order(2, "a", BTC.name, SELL, SHORT, 20)
    # What sells his long eats into the bids, and so moves the middle by which nobody has judged him.
    bids = [(556_000 - below, lots) for below, lots in ((1, 60), (400, 60), (3_000, 5_000))]
    world.exchange.replace_levels(BTC.name, bids=bids, asks=[(556_001, 5_000)])
    by_leg = {order.position_side: order.price for order in forced_orders(account)}
    assert by_leg.keys() == {LONG, SHORT}
    assert by_leg[LONG] + by_leg[SHORT] == 2 * 556_000
    check(world)


def test_who_a_stop_leaves_below_zero_is_paid_by_the_fund_in_the_same_change(world: Watched) -> None:
    world.order(1, "a", BTC.name, BUY, LONG, 150)
    stop = world.stop("a", BTC.name, SELL, START - 1_000, MARK)
    world.move(BTC.name, -100, 5_000)
    account, fund = world.exchange.accounts["a"], world.exchange.accounts[FUND]
    assert (stop.status, account.position(BTC.name).lots, forced_orders(account)) == ("FINISHED", 0, [])
    assert (account.wallet.balance, account.incomes[-1].type) == (0, "INSURANCE_CLEAR")
    assert fund.wallet.balance == -account.incomes[-1].amount < -300
    assert (account.incomes[-1].symbol, fund.position(BTC.name).lots) == (BTC.name, 0)
    # A process that dies right behind the sale has it paid.
    (sale,) = [line for line in world.lines if b"INSURANCE_CLEAR" in line]
    assert b"REALIZED_PNL" in sale
    check(world)


def test_what_an_operator_takes_out_the_fund_does_not_pay(world: Watched) -> None:
    account = world.exchange.accounts["a"]
    world.order(1, "a", BTC.name, BUY, LONG, 50)
    world.order(2, "a", BTC.name, SELL, LONG, 50)
    Acts(world.exchange).transfer(account, "USDT", D(-2_000))
    world.move(BTC.name, -100, 5_000)
    world.exchange.set_leverage(account, BTC.name, 3)
    assert account.wallet.balance < -1_000
    assert FUND not in world.exchange.accounts


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
