"""Strays: orders of algos that were over, are alive after all, and whose slot has gone on without them.

An operator's word, or a proof, ended the order; its slot counted that and placed the rest anew, or the algo
ended. Then the exchange says that the order rests. Whatever it has traded is counted; what is left of it has
nobody to want it, and would trade beside the order in its stead.
"""

from __future__ import annotations

from typing import Final

from pms.domain.algos.ids import names_slot, slot_of
from pms.domain.desk import Desk
from pms.domain.orders import Order

WHY: Final = "it was over, and its algo has gone on without it"


def unwant_stray(desk: Desk, order: Order, *, was_over: bool, at: int) -> None:
    """Want an order cancelled that came alive again beside its algo; its row is the caller's to write."""
    if not was_over or order.state.terminal or order.cancel_wanted:
        return
    coid, parent = order.spec.client_order_id, order.spec.parent_id
    if parent is None or not names_slot(coid):
        return
    # One that is not in memory is over for long: what is loaded behind a restart runs.
    algo = desk.algos.every.get(parent)
    slot = None if algo is None else algo.slots.get(slot_of(coid))
    if slot is None or slot.order_id != coid:
        order.want_cancelled(at=at)
        order.reason = WHY
