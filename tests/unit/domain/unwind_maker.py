"""A house with something to close, and an exchange that fills or refuses its orders."""

from __future__ import annotations

from decimal import Decimal

from desk_maker import D

from pms.contract.codes import Code
from pms.contract.names import HOUSE
from pms.domain.booking import Trade, apply_move, book, observe
from pms.domain.desk import Desk
from pms.domain.orders import Fact, Order, Refused, Seen
from pms.domain.posting import Draft, Posting
from pms.domain.unwind_debt import note_taken
from pms.domain.unwinding import unwind

BTCUSDT = "BTCUSDT"
_trade_id = 0


def take(desk: Desk, quantity: str, *, at: int = 1000) -> None:
    """Let the house take something over, as a liquidation would count it."""
    draft = desk.draft("liquidation", at=at)
    take_over(desk, draft, D(quantity))
    desk.sealed(draft)


def take_over(desk: Desk, draft: Draft, quantity: Decimal) -> None:
    """Move a position to the house, and count it."""
    price = desk.last_tops[BTCUSDT].bid if BTCUSDT in desk.last_tops else D(60_000)
    apply_move(desk, draft, desk.position(HOUSE, BTCUSDT), quantity, price, at=draft.at)
    note_taken(desk, draft, BTCUSDT, quantity)


def left(desk: Desk) -> Decimal:
    """What the house has yet to close."""
    row = desk.unwinds.get(BTCUSDT)
    return row.quantity if row else D(0)


def order_at(desk: Desk, now: int) -> Order:
    """The house's next order."""
    posting = unwind(desk, BTCUSDT, now=now)
    assert posting is not None
    assert posting.entry.kind == "unwind"
    return desk.orders[posting.entry.rows.orders[0].client_order_id]


def acknowledge(desk: Desk, order: Order, *, at: int = 2000) -> None:
    """The exchange says that an order rests."""
    observe(desk, order, Seen(desk.last_seq, "NEW", D(0)), at=at)


def refuse(
    desk: Desk, order: Order, reason: str = "-2019: Margin is insufficient.", *, at: int = 2000
) -> Posting:
    """The exchange refuses an order; what the house makes of it."""
    return come_to_nothing(desk, order, Refused(reason), at=at)


def come_to_nothing(desk: Desk, order: Order, fact: Fact, *, at: int = 2000) -> Posting:
    """An order ends without a trade; what the house makes of it."""
    told = observe(desk, order, fact, at=at, code=Code.EXCHANGE_REFUSED)
    assert told is not None
    posting = unwind(desk, BTCUSDT, now=at)
    assert posting is not None
    assert posting.entry.kind == "unwind_refused"
    return posting


def fill(desk: Desk, order: Order, quantity: str | Decimal | None = None, *, at: int = 2000) -> Posting:
    """All of an order, or a part, trades."""
    global _trade_id  # noqa: PLW0603  ids must differ, not be random
    _trade_id += 1
    assert order.spec.sub_account_id == HOUSE
    traded = order.leaves if quantity is None else D(quantity)
    number = order.exchange_order_id or 10_000 + _trade_id
    word = "FILLED" if order.filled_qty + traded >= order.quantity else "PARTIALLY_FILLED"
    posting = book(
        desk,
        Trade(
            symbol=BTCUSDT,
            exchange_order_id=number,
            trade_id=_trade_id,
            client_order_id=order.spec.client_order_id,
            side=order.spec.side,
            price=order.price or desk.tops[BTCUSDT].bid,
            quantity=traded,
            commission=D(0),
            commission_asset="USDT",
            realized_pnl=D(0),
            maker=False,
            at=at,
        ),
        fact=Seen(number, word, order.filled_qty + traded),
    )
    assert posting is not None
    return posting
