"""Unwinding: the house closes what it took over, its net in each symbol, one order of its own at a time.

What is left stands in `Desk.unwinds`, journaled with each takeover and with each fill of the house's own
orders: so a restart goes on from what is proven, and an order of its own of unknown outcome blocks the next.

    more is noted than the house holds  it is taken off (`unwind_debt`)
    an order of its own lives           nothing; a resting one that is not wanted any more is cancelled
    it ended without a trade            it is counted (`unwind_pace`), and the next waits
    none lives, something is left       the next order, as the symbol's policy wants it (`unwind_plan`)

A resting order is never amended: it is cancelled, and the next one comes when the exchange has said that it
is over and how much of it traded. So what lives and what comes next are never for more than is left.

Orders that came with a position live as long as nobody knows their end. They block their own part and no
more: what they may yet close is for no other order, and what they may yet open is a debt when it has traded.

Trap: only what was taken over is unwound, not what else the house holds: hand-placed orders, foreign ones.
Trap: an order that is proven never sent may live again, as long as its entry is not confirmed. The caller
asks for no symbol's next step before the last one is journaled; what counts an end is such a step.
"""

from __future__ import annotations

import base64
import hashlib
from decimal import Decimal

from msgspec.structs import replace

from pms.contract.journal import UnwindRow
from pms.contract.limits import UNWIND, UNWIND_NOTIONAL
from pms.contract.names import HOUSE
from pms.domain.desk import Desk
from pms.domain.handed_orders import handed
from pms.domain.incidents import note_settled
from pms.domain.instrument import Instrument
from pms.domain.least_order import least_quantity
from pms.domain.orders import Order, OrderSpec
from pms.domain.posting import Posting
from pms.domain.rows import order_row
from pms.domain.unwind_debt import REFUSED, note_gone, reference_price, still_held
from pms.domain.unwind_pace import counted, due_at, ended_in_vain, grown, note_refused
from pms.domain.unwind_plan import Moment, Way, touch, unwanted, way
from pms.domain.weighing import blocked

ORIGIN = "LIQUIDATION"
LIVES_MS = 5_000
"""The deadline of one order: what was not sent by then is void, and the next one takes its place."""


def unwind(desk: Desk, symbol: str, *, now: int) -> Posting | None:
    """What is to be done next in a symbol; None while its order lives, must wait, or only dust is left."""
    row, instrument = desk.unwinds.get(symbol), desk.instruments.get(symbol)
    if row is not None and still_held(desk, row) != row.quantity:
        return _lessen(desk, row, now=now)
    policy, moment = desk.limits.of(HOUSE, UNWIND, symbol), _moment(desk, symbol, now=now)
    live = desk.orders_of(HOUSE, symbol)
    free = None if row is None else _free(row, live)
    if own := [each for each in live if not handed(each)]:
        return _withdraw(
            desk, [each for each in own if rests(each) and unwanted(each, policy, free, moment)], now=now
        )
    if row is None or free is None or instrument is None:
        return None
    last = desk.orders.get(row.last_order or "")
    if last is not None and ended_in_vain(last):
        return _count(desk, row, last, instrument=instrument, moment=moment, now=now)
    if not row.quantity:
        return _forget(desk, row, now=now)
    if moment is None or instrument.status != "TRADING":
        return None
    row = grown(row, now=now)
    if not _quantity(desk, row, instrument, Way(abs(row.quantity)), moment):
        return _dust(desk, row, now=now)
    planned = way(policy, row, moment)
    if planned is not None:
        planned = Way(min(planned.most, abs(free.quantity)), planned.price)
    quantity = _quantity(desk, row, instrument, planned, moment) if planned else None
    if not planned or not quantity or now < due_at(row):
        return None
    return _next(desk, row, quantity, planned.price, now=now)


def _free(row: UnwindRow, live: list[Order]) -> UnwindRow:
    """What is left but for what the orders that came with positions may yet close of it.

    Trap: one order's trade counts whenever it is heard of, so its part is nobody else's until its last word.
    """
    side = "SELL" if row.quantity > 0 else "BUY"
    taken = sum((each.leaves for each in live if handed(each) and each.spec.side == side), Decimal(0))
    return replace(row, quantity=max(abs(row.quantity) - taken, Decimal(0)).copy_sign(row.quantity))


def _lessen(desk: Desk, row: UnwindRow, *, now: int) -> Posting:
    """Note that the house holds less than it was to close."""
    draft = desk.draft("unwind_lessened", at=now)
    note_gone(desk, draft, row)
    return Posting(entry=desk.sealed(draft).entry())


def rests(order: Order) -> bool:
    """Whether it is an order of ours that waits at its price; one that is unproven is nobody's to judge."""
    return (
        order.spec.origin == ORIGIN
        and order.price is not None
        and not order.unproven
        and not order.cancel_wanted
    )


def _moment(desk: Desk, symbol: str, *, now: int) -> Moment | None:
    top = desk.tops.get(symbol)
    if top is None:
        return None
    worth, torn = reference_price(desk, symbol, now=now), blocked(desk, symbol, now=now) is not None
    return Moment(now, top, worth, torn)


def _withdraw(desk: Desk, orders: list[Order], *, now: int) -> Posting | None:
    """Want resting orders cancelled."""
    if not orders:
        return None
    draft = desk.draft("unwind_withdrawn", at=now)
    for order in orders:
        order.want_cancelled(at=now)
        draft.orders[order.spec.client_order_id] = order_row(order)
    return Posting(entry=desk.sealed(draft).entry())


def _count(
    desk: Desk, row: UnwindRow, last: Order, *, instrument: Instrument, moment: Moment | None, now: int
) -> Posting:
    """Note that an order came to nothing, and tell an operator if it was not the first in a row."""
    price = None if moment is None else touch(row, moment.top)
    row = counted(row, last, instrument=instrument, price=price, now=now)
    draft = desk.draft("unwind_refused", at=now)
    draft.unwinds[row.symbol] = row
    desk.note_unwind(row)
    note_refused(draft, row, last)
    return Posting(entry=desk.sealed(draft).entry())


def _forget(desk: Desk, row: UnwindRow, *, now: int) -> Posting:
    """Nothing is left, and the last order that was for it is over."""
    row = replace(row, last_order=None, updated_at=now)
    draft = desk.draft("unwound", at=now)
    draft.unwinds[row.symbol] = row
    desk.note_unwind(row)
    return Posting(entry=desk.sealed(draft).entry())


def _quantity(desk: Desk, row: UnwindRow, instrument: Instrument, planned: Way, moment: Moment) -> Decimal:
    """What one order may be for; zero for dust, which waits until more is taken over.

    No bound goes below the symbol's least: an order that small would never be taken.
    """
    market = planned.price is None
    price = planned.price or (moment.top.bid if row.quantity > 0 else moment.top.ask)
    most_notional = desk.limits.of(HOUSE, UNWIND_NOTIONAL, row.symbol)
    bounds = (row.order_most, None if most_notional is None else most_notional / price)
    least = least_quantity(instrument, price, market=market)
    most = min([planned.most, *(max(bound, least) for bound in bounds if bound is not None)])
    largest = instrument.market_max_quantity if market else instrument.max_quantity
    quantity = instrument.floor_quantity(min(most, largest or most), market=market)
    return quantity if quantity * price >= instrument.min_notional else Decimal(0)


def _dust(desk: Desk, row: UnwindRow, *, now: int) -> Posting | None:
    """Too little is left for an order: there is none that could be refused any more."""
    if desk.incidents.get(REFUSED, row.symbol) is None:
        return None
    draft = desk.draft("incident", at=now)
    note_settled(draft, kind=REFUSED, subject=row.symbol, how="less is left than the symbol's least order")
    return Posting(entry=desk.sealed(draft).entry())


def _next(desk: Desk, row: UnwindRow, quantity: Decimal, price: Decimal | None, *, now: int) -> Posting:
    order = _order(desk, row, quantity, price, now=now)
    desk.add_order(order)
    row = replace(row, last_order=order.spec.client_order_id, updated_at=now)
    desk.note_unwind(row)
    draft = desk.draft("unwind", at=now)
    draft.orders[order.spec.client_order_id] = order_row(order)
    draft.unwinds[row.symbol] = row
    return Posting(entry=desk.sealed(draft).entry())


def _order(desk: Desk, row: UnwindRow, quantity: Decimal, price: Decimal | None, *, now: int) -> Order:
    """To the market, or with a price post-only: it rests there or is refused, it never takes."""
    symbol = row.symbol
    spec = OrderSpec(
        client_order_id=_order_id(symbol, desk.last_seq),
        sub_account_id=HOUSE,
        symbol=symbol,
        side="SELL" if row.quantity > 0 else "BUY",
        type="MARKET" if price is None else "LIMIT",
        quantity=quantity,
        price=price,
        time_in_force=None if price is None else "GTX",
        reduce_only=False,
        leverage=desk.position(HOUSE, symbol).leverage,
        origin=ORIGIN,
        parent_id=None,
        request_id=None,
        epoch=desk.epoch,
        deadline=now + LIVES_MS,
        admitted_at=now,
    )
    return Order(spec=spec, quantity=quantity, price=price, updated_at=now)


def _order_id(symbol: str, seq: int) -> str:
    """`PMS_house_L_{parent}`: the parent names the entry that the order follows, so it never comes twice."""
    digest = hashlib.blake2b(f"unwind:{symbol}:{seq}".encode(), digest_size=15).digest()
    return f"PMS_{HOUSE}_L_{base64.urlsafe_b64encode(digest).decode()}"
