"""Whatever is asked for, and whatever the exchange does with it, what was admitted exceeds no limit.

The sums are counted anew from the live orders and the positions, never read from those that the checks use.
The price stands still: no limit can promise what a position will be worth.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import product

from desk_maker import BTC, D, decide, desk_at, trade
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pms.contract.codes import Refusal
from pms.domain.booking import Trade, book, observe
from pms.domain.desk import Desk, Top
from pms.domain.orders import Amended, AmendFailed, Order, Seen

ZERO = D(0)
WHO = {"actor": "ann", "reason": "a test"}
ACCOUNTS, SYMBOLS, SIDES = ("alice", "bob"), ("BTCUSDT", "ETHUSDT"), ("BUY", "SELL")
Place = tuple[str, str, str]
PLACES = st.tuples(st.sampled_from(ACCOUNTS), st.sampled_from(SYMBOLS), st.sampled_from(SIDES))
LIMITS = {
    "position.quantity": (D("0.005"), D("0.02"), D("0.1")),
    "position.notional": (D(700), D(1500)),
    "exposure": (D(700), D(2500)),
    "order.quantity": (D("0.004"), D("0.025")),
    "orders.open": (D(1), D(6)),
    "orders.open_symbol": (D(1), D(5)),
    "orders.rate": (D(1), D(4)),
}


class Limited(RuleBasedStateMachine):
    """Two sub-accounts, two symbols, and an exchange that does as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.desk: Desk = desk_at()
        for account in ACCOUNTS:
            decide(self.desk, "pms.transfer", fromAccountId="house", toAccountId=account, amount="30000")
        self.desk.instruments["ETHUSDT"] = replace(BTC, symbol="ETHUSDT", base_asset="ETH")
        self.desk.tops["ETHUSDT"] = Top(D(30000), D(1), D("30000.1"), D(1), 1)
        self.now, self.number = 10_000, 0
        self.limits: dict[tuple[str, str], Decimal] = {}
        self.largest: dict[tuple[str, str], Decimal] = {}
        self.opened: dict[str, list[int]] = {account: [] for account in ACCOUNTS}

    @initialize(data=st.data())
    def set_limits(self, data: st.DataObject) -> None:
        for account in ACCOUNTS:
            for name in data.draw(st.sets(st.sampled_from(sorted(LIMITS)), min_size=1)):
                value = data.draw(st.sampled_from(LIMITS[name]))
                self.limits[account, name] = value
                decide(
                    self.desk, "pms.limits", action="set", scope=account, limit=name, value=str(value), **WHO
                )

    def asks(self, what: object, *args: object, **fields: object) -> list[Order]:
        """Ask for something; the orders that came of it."""
        try:
            posting = what(self.desk, *args, now=self.now, **fields)  # type: ignore[operator]
        except Refusal:
            return []
        return [self.desk.orders[row.client_order_id] for row in posting.entry.rows.orders]

    @rule(place=PLACES, lots=st.integers(1, 30), reduce_only=st.booleans())
    def at_market(self, place: Place, lots: int, *, reduce_only: bool) -> None:
        self.order(place, lots, reduceOnly=reduce_only)

    @rule(place=PLACES, lots=st.integers(1, 30), away=st.sampled_from((0, 1, 20_000)))
    def to_rest(self, place: Place, lots: int, away: int) -> None:
        _, symbol, side = place
        top = self.desk.tops[symbol]
        price = top.bid - away if side == "BUY" else top.ask + away
        self.order(place, lots, type="LIMIT", price=str(price))

    def order(self, place: Place, lots: int, **fields: object) -> None:
        """Ask for an order, and note when one came of it that opens something."""
        account, symbol, side = place
        held = self.desk.position(account, symbol).quantity * (1 if side == "BUY" else -1)
        waiting = sum((each.leaves for each in self.live(account, symbol) if each.spec.side == side), ZERO)
        terms = {"symbol": symbol, "side": side, "quantity": f"0.{lots:03d}"}
        orders = self.asks(trade, account, **terms, **fields)
        if held + waiting + D(lots) / 1000 > 0:
            self.opened[account] += [self.now] * len(orders)

    @precondition(lambda self: self.desk.live)
    @rule(data=st.data(), lots=st.integers(1, 30), away=st.sampled_from((0, 5, 20_000)))
    def amend(self, data: st.DataObject, lots: int, away: int) -> None:
        order = self.any_live(data)
        if order.price is None:
            return
        top = self.desk.tops[order.spec.symbol]
        price = top.bid - away if order.spec.side == "BUY" else top.ask + away
        self.asks(
            decide,
            "pms.amend",
            orderId=order.spec.client_order_id,
            quantity=f"0.{lots:03d}",
            price=str(price),
        )

    @precondition(lambda self: self.desk.live)
    @rule(data=st.data(), part=st.integers(1, 4))
    def fill(self, data: st.DataObject, part: int) -> None:
        """Some of an order, or all of it, at a price no worse than its own."""
        order = self.any_live(data)
        spec, left = order.spec, order.quantity - order.filled_qty
        if left <= 0:
            return
        self.number += 1
        quantity = max(left * part / 4 // D("0.001") * D("0.001"), D("0.001"))
        top = self.desk.tops[spec.symbol]
        done = Trade(
            symbol=spec.symbol,
            exchange_order_id=order.exchange_order_id or 10_000 + self.number,
            trade_id=self.number,
            client_order_id=spec.client_order_id,
            side=spec.side,
            price=order.price or (top.ask if spec.side == "BUY" else top.bid),
            quantity=quantity,
            commission=ZERO,
            commission_asset="USDT",
            realized_pnl=ZERO,
            maker=False,
            at=self.now,
        )
        assert book(self.desk, done) is not None

    @precondition(lambda self: self.desk.live)
    @rule(data=st.data(), word=st.sampled_from(("NEW", "CANCELED", "EXPIRED", "REJECTED")))
    def word(self, data: st.DataObject, word: str) -> None:
        order = self.any_live(data)
        self.number += 1
        number = order.exchange_order_id or 10_000 + self.number
        observe(self.desk, order, Seen(number, word, order.filled_qty), at=self.now)

    @precondition(lambda self: any(order.amend for order in self.desk.live.values()))
    @rule(data=st.data(), carried_out=st.booleans())
    def end_amendment(self, data: st.DataObject, *, carried_out: bool) -> None:
        order = data.draw(st.sampled_from([order for order in self.desk.live.values() if order.amend]))
        wish = order.amend
        assert wish is not None
        number = order.exchange_order_id or 0
        if carried_out:
            observe(self.desk, order, Amended(number, wish.quantity, wish.price, self.now), at=self.now)
        else:
            observe(self.desk, order, AmendFailed(wish.number, "no", None), at=self.now)

    @rule(account=st.sampled_from(ACCOUNTS), symbol=st.sampled_from(SYMBOLS))
    def close(self, account: str, symbol: str) -> None:
        position = self.desk.held.get(account, {}).get(symbol)
        if position is not None:
            self.asks(decide, "pms.close", positionId=position.id)

    @rule(later=st.integers(1, 700))
    def time_passes(self, later: int) -> None:
        self.now += later

    def any_live(self, data: st.DataObject) -> Order:
        return data.draw(st.sampled_from(list(self.desk.live.values())))

    def live(self, account: str, symbol: str) -> list[Order]:
        return [
            order
            for order in self.desk.live.values()
            if (order.spec.sub_account_id, order.spec.symbol) == (account, symbol)
        ]

    def worst(self, account: str, symbol: str) -> tuple[Decimal, Decimal]:
        """Quantity and value of the worse side, from nothing but orders and fills; a closing part is free."""
        held, mid = self.desk.position(account, symbol).quantity, self.desk.tops[symbol].mid
        quantities, values = [abs(held)], [abs(held) * mid]
        for side, sign in (("BUY", 1), ("SELL", -1)):
            orders = [order for order in self.live(account, symbol) if order.spec.side == side]
            worst = sign * held + sum((order.leaves for order in orders), ZERO)
            quantities.append(worst)
            values.append(worst * mid)
        return max(quantities), max(values)

    @invariant()
    def no_limit_is_exceeded(self) -> None:
        for (account, name), most in self.limits.items():
            for symbol in SYMBOLS:
                quantity, value = self.worst(account, symbol)
                orders = self.live(account, symbol)
                match name:
                    case "position.quantity":
                        assert quantity <= most
                    case "position.notional":
                        assert value <= most
                    case "orders.open_symbol":
                        assert sum(not order.momentary for order in orders) <= most
                    case "order.quantity":
                        largest = max(most, self.largest.get((account, symbol), ZERO))
                        assert all(order.total <= largest for order in orders)
            match name:
                case "exposure":
                    assert sum((self.worst(account, symbol)[1] for symbol in SYMBOLS), ZERO) <= most
                case "orders.open":
                    resting = [o for s in SYMBOLS for o in self.live(account, s) if not o.momentary]
                    assert len(resting) <= most
                case "orders.rate":
                    times = self.opened[account]
                    for first, last in zip(times, times[int(most) :], strict=False):
                        assert last - first >= 1000

    @invariant()
    def positions_are_remembered(self) -> None:
        """What only reduced a position may have been as large as that ever was."""
        for place in product(ACCOUNTS, SYMBOLS):
            self.largest[place] = max(self.largest.get(place, ZERO), abs(self.desk.position(*place).quantity))

    @invariant()
    def the_counts_are_those_of_the_live_orders(self) -> None:
        for account in ACCOUNTS:
            counted = {symbol: len(self.live(account, symbol)) for symbol in SYMBOLS}
            kept = self.desk.pending.get(account, {})
            orders = {
                symbol: sum(p.orders for (of, _), p in kept.items() if of == symbol) for symbol in SYMBOLS
            }
            assert orders == counted
            assert self.desk.accounts[account].open_orders == sum(counted.values())


Limited.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestNoLimitIsExceeded = Limited.TestCase
