"""What commands are told whose order goes to the house: the account that asked hears it, never the house.

To the account its order is gone, whatever becomes of it: what it trades from here on is the house's. So each
command that still waits is answered in the entry that hands the order over, and nothing of it goes along:

    placing, not proven        it failed, cancelled, with what it had traded
    one of several orders      its part of their one result; the last part gives the result
    an amendment in flight     it failed; the terms stay with the order until it is over, for nobody
    a cancel in flight         is answered at its decision; the order is unwanted anyway

What nobody has sent by then nobody sends any more (`withhold`). What was sent is the house's to wait for.
"""

from __future__ import annotations

from pms.contract.money import plain
from pms.contract.names import Task
from pms.contract.results import Result
from pms.domain.batching import tell_leg
from pms.domain.decisions import kind_of
from pms.domain.desk import Desk
from pms.domain.handed_orders import GONE
from pms.domain.orders import Order
from pms.domain.posting import Draft


def answer_handed(desk: Desk, draft: Draft, order: Order) -> None:
    """Answer whatever waits for an order that leaves its account; the order still names the account."""
    spec, wish = order.spec, order.amend
    if spec.request_id is not None and not order.answerable:
        closes = kind_of(spec.client_order_id) == "C"
        draft.results.append(_result(order, spec.request_id, Task.CLOSE if closes else Task.TRADE))
    if spec.parent_id in desk.legs:
        tell_leg(desk, draft, order, parent=spec.parent_id, said=GONE)
    if wish is not None and wish.request_id is not None:
        draft.results.append(_result(order, wish.request_id, Task.AMEND))


def _result(order: Order, request_id: str, command: str) -> Result:
    spec = order.spec
    return Result(
        request_id=request_id,
        command=command,
        sub_account_id=spec.sub_account_id,
        symbol=spec.symbol,
        side=spec.side,
        quantity=order.quantity,
        order_id=spec.client_order_id,
        exchange_order_id=order.exchange_text,
        details={"filledQty": plain(order.filled_qty)},
        **GONE,
    )
