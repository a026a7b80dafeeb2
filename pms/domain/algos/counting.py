"""Counting what algos' orders trade, in the trade's own entry: no restart sees one without the other."""

from __future__ import annotations

from decimal import Decimal

from pms.domain.algos.algo import Algo
from pms.domain.algos.ids import slot_of
from pms.domain.desk import Desk
from pms.domain.orders import Order
from pms.domain.posting import Draft
from pms.domain.treasury import WALLET


def count(
    desk: Desk,
    draft: Draft,
    order: Order,
    *,
    quantity: Decimal,
    price: Decimal,
    commission: Decimal,
    commission_asset: str,
    maker: bool,
) -> Algo | None:
    """Add a trade to the algo whose order it was; None if it was nobody's, or that algo is forgotten.

    Trap: an order that went to the house with its position trades for the house.
    """
    algo = desk.algos.every.get(order.spec.parent_id or "")
    if algo is None or order.spec.sub_account_id != algo.account:
        return None
    slot = algo.slots.get(slot_of(order.spec.client_order_id))
    if slot is None:
        return None
    slot.filled += quantity
    slot.quote += quantity * price
    if commission_asset == WALLET:
        algo.fees += commission
        slot.fees += commission
    if maker:
        slot.maker_qty += quantity
    if maker and algo.counts(slot):
        algo.maker_qty += quantity
    algo.untold = True
    draft.algo_slots[algo.id, slot.number] = algo.slot_row(slot, at=draft.at)
    draft.algos[algo.id] = algo.row(at=draft.at)
    return algo
