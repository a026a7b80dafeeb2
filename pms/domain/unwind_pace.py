"""How often, and how much at a time, the house tries again where the exchange does not take its orders.

Orders that end without a trade are counted in the symbol's journaled row: after each the next waits twice as
long, and a trade begins anew. A refusal that a smaller order would cure (too little margin, too large a
position) halves the next order too; it grows again while orders trade. All of it is in the row, so a restart
neither hammers nor forgets.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from pms.contract.journal import UnwindRow
from pms.contract.money import plain
from pms.domain.incidents import note_incident
from pms.domain.instrument import Instrument
from pms.domain.least_order import least_quantity
from pms.domain.orders import Order
from pms.domain.posting import Draft
from pms.domain.unwind_debt import REFUSED

FIRST_WAIT_MS = 250
MOST_WAIT_MS = 30_000
GROWS_AFTER_MS = 2_000
"""So long after its last refusal an order may be twice as large as the one that was halved."""

TOLD_FROM = 2
"""One refusal is the exchange's way to say `less` or `later`; the next in a row is an operator's matter."""

SMALLER_HELPS = frozenset({-2018, -2019, -2027, -4005})
"""Balance, margin, position limit, largest quantity: PROTOCOL of USDⓈ-M futures, error codes."""

WOULD_TAKE = -5022
"""A post-only order met the book: the price moved, nobody refused the house."""


def exchange_code(order: Order) -> int | None:
    """The exchange's code, where it refused an order; its words are kept behind it."""
    code = (order.why or "").partition(": ")[0]
    return int(code) if code.removeprefix("-").isdecimal() else None


def due_at(row: UnwindRow) -> int:
    """The time before which no next order is sent, ms."""
    if not row.refused:
        return 0
    doubled = FIRST_WAIT_MS << min(row.refused - 1, MOST_WAIT_MS.bit_length())
    return row.refused_at + min(doubled, MOST_WAIT_MS)


def ended_in_vain(order: Order) -> bool:
    """Whether an order's end says that the exchange does not take the house's orders.

    One that was cancelled says nothing, nor one that would have rested and did not.
    Trap: whatever proves that it never was there counts, for `unwinding` waits for the entry of what counts.
    """
    if not order.state.terminal or order.filled_qty:
        return False
    if order.failed:
        return exchange_code(order) != WOULD_TAKE
    return order.price is None and not order.cancel_wanted


def counted(
    row: UnwindRow, order: Order, *, instrument: Instrument, price: Decimal | None, now: int
) -> UnwindRow:
    """The row after an order ended in vain."""
    most = row.order_most
    if exchange_code(order) in SMALLER_HELPS:
        most = _halved(order, instrument, price)
    return replace(
        row, last_order=None, refused=row.refused + 1, refused_at=now, order_most=most, updated_at=now
    )


def grown(row: UnwindRow, *, now: int) -> UnwindRow:
    """The row as the next order goes by it: a bound that has held for a while is doubled."""
    if row.order_most is None or row.refused or now - row.refused_at < GROWS_AFTER_MS:
        return row
    doubled = row.order_most * 2
    return replace(row, order_most=doubled if doubled < abs(row.quantity) else None, refused_at=now)


def note_refused(draft: Draft, row: UnwindRow, order: Order) -> None:
    """Tell an operator, once it is more than one refusal: how much is left, and what the exchange says.

    Trap: what changes with each try must not be told, or each try is an entry more.
    """
    if row.refused < TOLD_FROM:
        return
    symbol, code = row.symbol, exchange_code(order)
    note_incident(
        draft,
        kind=REFUSED,
        severity="critical",
        detail=f"the house cannot close {plain(row.quantity)} {symbol}: {order.why or order.state}",
        subject=symbol,
        evidence={"code": code, "left": plain(row.quantity), "reason": order.why},
    )


def _halved(order: Order, instrument: Instrument, price: Decimal | None) -> Decimal:
    """Half of what an order was for, and never less than the symbol's least."""
    market = order.price is None
    half = instrument.floor_quantity(order.quantity / 2, market=market)
    return max(half, least_quantity(instrument, price, market=market))
