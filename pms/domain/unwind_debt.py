"""What the house has yet to close of what it took over, by symbol: the journaled row, moved by two things.

    taken over       there is more to close, or less where it is of the other side
    traded           the house's own orders closed some of it; those that came with a position may add to it

It is never more than the house itself holds to that side. What else it holds (a panic's trades, a liquidation
by the exchange, what was imported) may be the other half of what it takes over: the two are nothing then, and
an order for them would open a position at the exchange that nobody has.

    held against it  what is taken over meets that first, and only the rest is to be closed
    gone since       what was closed or handed on without the house's orders is taken off the debt

A debt begins when there is something to close to one side, and ends when that is nothing, or of the other
side; what joins too little for any order begins another. Then what was noted of it (since when, how its
orders fared) is forgotten in the same entry.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from pms.contract.journal import UnwindRow
from pms.contract.names import BOTH, HOUSE
from pms.domain.desk import Desk
from pms.domain.incidents import note_settled
from pms.domain.least_order import least_quantity
from pms.domain.posting import Draft
from pms.domain.weighing import mark_of

ZERO = Decimal(0)
REFUSED = "unwinding_refused"
"""The incident that tells of orders which the exchange does not take."""


def note_taken(desk: Desk, draft: Draft, symbol: str, quantity: Decimal) -> None:
    """Count what the house took over, signed, but for what it held against that.

    Trap: its position has moved already.
    """
    met = _part_against(held_otherwise(desk, symbol) - quantity, quantity)
    if met != quantity:
        _move(desk, draft, symbol, quantity - met, traded=False)


def note_gone(desk: Desk, draft: Draft, row: UnwindRow) -> None:
    """Take off a debt what the house holds no more."""
    _move(desk, draft, row.symbol, still_held(desk, row) - row.quantity, traded=False)


def note_traded(desk: Desk, draft: Draft, symbol: str, quantity: Decimal) -> None:
    """Count a trade of one of the house's orders, signed."""
    _move(desk, draft, symbol, quantity, traded=True)


def held_otherwise(desk: Desk, symbol: str) -> Decimal:
    """What the house holds, signed, beside what it is to close."""
    row = desk.unwinds.get(symbol)
    return desk.quantity((HOUSE, symbol, BOTH)) - (row.quantity if row else ZERO)


def held_against(desk: Desk, symbol: str, quantity: Decimal) -> Decimal:
    """The part of a signed quantity that, taken over, would meet what the house holds otherwise."""
    return _part_against(held_otherwise(desk, symbol), quantity)


def still_held(desk: Desk, row: UnwindRow) -> Decimal:
    """What of a debt the house holds, signed."""
    return _part_against(-desk.quantity((HOUSE, row.symbol, BOTH)), row.quantity)


def _part_against(other: Decimal, quantity: Decimal) -> Decimal:
    if other * quantity >= 0:
        return ZERO
    return min(abs(other), abs(quantity)).copy_sign(quantity)


def reference_price(desk: Desk, symbol: str, *, now: int) -> Decimal | None:
    """What a symbol is worth for judging how far prices ran: its mark; mid where none was heard of late."""
    mark, top = mark_of(desk, symbol, now=now), desk.tops.get(symbol)
    return mark or (top.mid if top else None)


def _move(desk: Desk, draft: Draft, symbol: str, quantity: Decimal, *, traded: bool) -> None:
    before = desk.unwinds.get(symbol)
    left = quantity if before is None else before.quantity + quantity
    if before is None or before.quantity * left <= 0 or _joins_dust(desk, before, left, at=draft.at):
        row = _begun(desk, draft, symbol, left, last_order=_uncounted(desk, before))
    else:
        less = abs(before.quantity) - abs(left)
        row = replace(before, quantity=left, updated_at=draft.at)
        if traded and less > 0:
            row = replace(row, closed=before.closed + less, refused=0)
    if not row.refused:
        note_settled(draft, kind=REFUSED, subject=symbol, how=_over(left, traded=traded))
    desk.note_unwind(row)
    draft.unwinds[symbol] = row


def _joins_dust(desk: Desk, before: UnwindRow, left: Decimal, *, at: int) -> bool:
    """Whether there is more to close now, and no order could be sent for what stood before."""
    instrument = desk.instruments.get(before.symbol)
    if instrument is None or abs(left) <= abs(before.quantity):
        return False
    price = reference_price(desk, before.symbol, now=at)
    return abs(before.quantity) < least_quantity(instrument, price, market=True)


def _uncounted(desk: Desk, before: UnwindRow | None) -> str | None:
    """The order for the debt before, if its end is still to be counted: nothing goes out beside it."""
    order = desk.orders.get(before.last_order or "") if before else None
    return None if order is None or order.filled_qty else order.spec.client_order_id


def _over(left: Decimal, *, traded: bool) -> str:
    if not left:
        return "nothing is left to close"
    return "the exchange takes its orders again" if traded else "what is left came after it"


def _begun(desk: Desk, draft: Draft, symbol: str, left: Decimal, *, last_order: str | None) -> UnwindRow:
    if not left:
        return UnwindRow(symbol=symbol, quantity=ZERO, updated_at=draft.at, last_order=last_order)
    return UnwindRow(
        symbol=symbol,
        quantity=left,
        updated_at=draft.at,
        began_at=draft.at,
        began_price=reference_price(desk, symbol, now=draft.at),
        last_order=last_order,
    )
