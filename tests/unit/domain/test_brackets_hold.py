"""Whatever is asked for, whatever trades first and whenever it restarts: no leverage is above its bracket's.

What is held and what may still trade is counted anew from orders and positions. The price stands still: the
market may carry a position into the next bracket, and nobody can be refused for that.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

from desk_maker import BTC, D, decide, desk_at
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pms.contract.codes import Refusal
from pms.contract.journal import Rows
from pms.contract.names import LONG, SHORT
from pms.domain.booking import Trade, book, observe
from pms.domain.brackets import ladder, most_notional
from pms.domain.desk import Desk, Top
from pms.domain.orders import Amended, AmendFailed, Order, Seen
from pms.domain.rows import order_row, position_row

ZERO, MID = D(0), D(60_000)
SYMBOL = "BTCUSDT"
STEPS = ladder(
    [
        (125, D(0), D(600), D("0.004")),
        (50, D(600), D(1_200), D("0.01")),
        (20, D(1_200), D(3_000), D("0.025")),
        (5, D(3_000), D(9_000), D("0.1")),
    ]
)
accounts = st.sampled_from(("alice", "carol"))
leverages = st.sampled_from((None, 5, 20, 21, 50, 125))
lots = st.integers(1, 40)
wishes = st.tuples(
    accounts,
    st.sampled_from(("BUY", "SELL")),
    st.sampled_from((LONG, SHORT)),
    lots,
    leverages,
    st.sampled_from((None, 1, 500)),
)


class Bracketed(RuleBasedStateMachine):
    """Alice in one-way mode, Carol in hedge mode, and an exchange that trades what it likes first."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = desk_at()
        decide(self.desk, "pms.create_account", subAccountId="carol")
        decide(self.desk, "pms.transfer", fromAccountId="house", toAccountId="carol", amount="10000")
        decide(self.desk, "pms.position_mode", subAccountId="carol", hedge=True)
        self.see(self.desk)
        self.now, self.number = 1_000, 0

    def see(self, desk: Desk) -> None:
        desk.instruments[SYMBOL] = replace(BTC, brackets=STEPS)
        desk.tops[SYMBOL] = Top(MID - BTC.tick, D(1), MID + BTC.tick, D(1), 1)

    def asks(self, name: str, account: str | None, **fields: object) -> None:
        about = {"subAccountId": account, "symbol": SYMBOL} if account else {}
        with suppress(Refusal):
            decide(self.desk, name, now=self.now, **about, **fields)

    @rule(wish=wishes, later=st.integers(0, 1))
    def order(self, wish: tuple[str, str, str, int, int | None, int | None], later: int) -> None:
        account, side, position_side, lots, leverage, away = wish
        self.now += later
        terms: dict[str, object] = {"side": side, "quantity": f"0.{lots:03d}", "leverage": leverage}
        if away is not None:
            terms |= {"type": "LIMIT", "price": str(MID - away if side == "BUY" else MID + away)}
        if account == "carol":
            terms["positionSide"] = position_side
        self.asks("pms.trade", account, **terms)

    @rule(account=accounts, leverage=st.integers(1, 125))
    def leverage(self, account: str, leverage: int) -> None:
        self.asks("pms.leverage", account, leverage=leverage)

    @rule(account=accounts, lots=st.integers(-40, 40), leverage=leverages)
    def import_position(self, account: str, lots: int, leverage: int | None) -> None:
        quantity = str(D(lots) / 1000)
        self.asks("pms.import_position", account, quantity=quantity, entryPrice="59000", leverage=leverage)

    @rule(account=accounts)
    def close(self, account: str) -> None:
        self.asks("pms.close_all", None, subAccountId=account)

    @precondition(lambda self: self.desk.live)
    @rule(data=st.data(), lots=lots, away=st.sampled_from((1, 500)))
    def amend(self, data: st.DataObject, lots: int, away: int) -> None:
        order = self.any_live(data)
        if order.exchange_order_id is None:
            self.word(order, "NEW")
        price = MID - away if order.spec.side == "BUY" else MID + away
        coid = order.spec.client_order_id
        self.asks("pms.amend", None, orderId=coid, quantity=f"0.{lots:03d}", price=str(price))

    @precondition(lambda self: any(order.amend for order in self.desk.live.values()))
    @rule(data=st.data(), carried_out=st.booleans())
    def end_amendment(self, data: st.DataObject, *, carried_out: bool) -> None:
        order = data.draw(st.sampled_from([order for order in self.desk.live.values() if order.amend]))
        wish, number = order.amend, order.exchange_order_id or 0
        assert wish is not None
        self.now += 1
        fact = (
            Amended(number, wish.quantity, wish.price, self.now)
            if carried_out
            else AmendFailed(wish.number, "no", None)
        )
        observe(self.desk, order, fact, at=self.now)

    @precondition(lambda self: self.desk.live)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.word(self.any_live(data), "CANCELED")

    @precondition(lambda self: self.desk.live)
    @rule(data=st.data(), part=st.integers(1, 3))
    def fill(self, data: st.DataObject, part: int) -> None:
        order = self.any_live(data)
        spec, left = order.spec, order.quantity - order.filled_qty
        if left <= 0:
            return
        self.number += 1
        done = Trade(
            symbol=SYMBOL,
            exchange_order_id=order.exchange_order_id or 10_000 + self.number,
            trade_id=self.number,
            client_order_id=spec.client_order_id,
            side=spec.side,
            price=order.price or MID,
            quantity=max(left * part / 3 // BTC.step * BTC.step, BTC.step),
            commission=ZERO,
            commission_asset="USDT",
            realized_pnl=ZERO,
            maker=False,
            at=self.now,
        )
        assert book(self.desk, done) is not None

    @rule(data=st.data())
    def restart(self, data: st.DataObject) -> None:
        """Memory anew from the rows that PostgreSQL gives, whose orders come in no order."""
        was = self.desk
        again = Desk(epoch="e2", last_seq=was.last_seq)
        self.see(again)
        orders = data.draw(st.permutations([order_row(order) for order in was.live.values()]))
        again.load(
            Rows(
                sub_accounts=tuple(account.row() for account in was.accounts.values()),
                positions=tuple(position_row(p) for p in was.positions.values() if p.keeps_leverage),
                orders=tuple(orders),
            )
        )
        for place, position in was.positions.items():
            if was.held.get(place[0]) or was.pending.get(place[0]):
                assert again.position(*place).leverage == position.leverage
        self.desk = again

    def any_live(self, data: st.DataObject) -> Order:
        return data.draw(st.sampled_from(list(self.desk.live.values())))

    def word(self, order: Order, word: str) -> None:
        self.number += 1
        number = order.exchange_order_id or 10_000 + self.number
        observe(self.desk, order, Seen(number, word, order.filled_qty), at=self.now)

    def worst(self, place: tuple[str, str, str]) -> Decimal:
        """The largest position that can come of it, either way, at the one price there is."""
        held = self.desk.position(*place).quantity
        found = [abs(held)]
        for side, sign in (("BUY", 1), ("SELL", -1)):
            orders = (o for o in self.desk.live.values() if o.spec.place == place and o.spec.side == side)
            found.append(sign * held + sum((order.leaves for order in orders), ZERO))
        return max(found) * MID

    @invariant()
    def no_leverage_is_above_its_bracket(self) -> None:
        for account in ("alice", "carol"):
            positions = self.desk.positions_in(account, SYMBOL)
            assert len({position.leverage for position in positions}) == 1
            for position in positions:
                assert self.worst(position.place) <= most_notional(STEPS, position.leverage)


Bracketed.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestNoLeverageIsAboveItsBracket = Bracketed.TestCase
