"""An account with a long whose group is closed at market, and what may happen to it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial

from desk_maker import D, decide, desk_at, move_price, trade
from filling import trade_of

from pms.contract.journal import OrderRow
from pms.domain.booking import book, observe
from pms.domain.close_pace import ClosePace
from pms.domain.closing import close_on
from pms.domain.desk import Desk
from pms.domain.orders import Order, Seen
from pms.domain.posting import Posting
from pms.domain.risk_watch import RiskWatch
from pms.domain.tiers import tiers_of
from pms.domain.weighing import weigh_account

_number = 0


def limit(desk: Desk, name: str, value: str, scope: str = "*") -> None:
    decide(desk, "pms.limits", action="set", scope=scope, limit=name, value=value, reason="r", actor="a")


def tell(
    desk: Desk,
    row: OrderRow,
    price: str,
    quantity: str | None = None,
    *,
    paid: str = "0",
    asset: str = "USDT",
) -> Posting:
    """The exchange trades an order, all of what is left of it unless told otherwise."""
    global _number  # noqa: PLW0603  ids must differ, not be random
    _number += 1
    order = desk.orders[row.client_order_id]
    traded = order.leaves if quantity is None else D(quantity)
    word = "FILLED" if order.filled_qty + traded == order.quantity else "PARTIALLY_FILLED"
    number = order.exchange_order_id or 9_000 + _number
    made = trade_of(row, number, trade_id=_number, quantity=traded, price=D(price), paid=D(paid))
    made = replace(made, commission_asset=asset)
    posting = book(desk, made, fact=Seen(number, word, order.filled_qty + traded))
    assert posting is not None
    return posting


def hold(desk: Desk, account: str, quantity: str, **fields: object) -> None:
    side = "BUY" if D(quantity) > 0 else "SELL"
    posting = trade(desk, account, side=side, quantity=str(abs(D(quantity))), leverage=50, **fields)
    tell(desk, posting.entry.rows.orders[0], "60000")


def rest(desk: Desk, side: str, price: str, quantity: str, **fields: object) -> Order:
    posting = trade(desk, side=side, type="LIMIT", price=price, quantity=quantity, leverage=50, **fields)
    row = posting.entry.rows.orders[0]
    order = desk.orders[row.client_order_id]
    observe(desk, order, Seen(desk.last_seq, "NEW", D(0)), at=1500)
    return order


def watching(desk: Desk) -> RiskWatch:
    watch = RiskWatch(desk, partial(tiers_of, desk))
    watch.begin()
    return watch


def tick(desk: Desk, watch: RiskWatch, price: str) -> Posting | None:
    """The price moves; alice is judged if she is due, on the book as it is then."""
    move_price(desk, price)
    desk.last_tops["BTCUSDT"] = desk.tops["BTCUSDT"]
    done = None
    for account in watch.due("BTCUSDT", desk.tops["BTCUSDT"].mid):
        judged = watch.judge(account, now=3000)
        assert not isinstance(judged, str)
        done = judged if account == "alice" else done
    return done


def go_on(desk: Desk, *, pace: ClosePace | None = None, now: int = 4000) -> Posting | None:
    pace = pace or ClosePace()
    return close_on(desk, "alice", tiers_of(desk, "alice"), now=now, may=lambda p: pace.may(p, now=now))


def ordered(posting: Posting | None) -> list[OrderRow]:
    """The closing orders that an entry made."""
    rows = posting.entry.rows.orders if posting else ()
    return [row for row in rows if row.origin == "LIQUIDATION" and row.state == "placing"]


def actions(posting: Posting | None) -> list[str]:
    return [row.action for row in posting.entry.rows.liquidations] if posting else []


def total(desk: Desk) -> Decimal:
    return sum((account.balance for account in desk.accounts.values()), D(0))


def at_ratio(desk: Desk, watch: RiskWatch, ratio: str) -> Posting | None:
    """The first tick at which alice's long has this maintenance over equity."""
    low, high = D(1), desk.tops["BTCUSDT"].mid
    for _ in range(60):
        middle = (low + high) / 2
        move_price(desk, str(middle.quantize(D("0.1"))))
        weight = weigh_account(desk, "alice").weight
        low, high = (middle, high) if weight.crossed(D(ratio)) else (low, middle)
    return tick(desk, watch, str(low.quantize(D("0.1"))))


def desk_at_market() -> Desk:
    desk = desk_at()
    limit(desk, "liquidation.mode", "market", "group:default")
    hold(desk, "alice", "3")
    return desk
