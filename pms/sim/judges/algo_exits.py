"""Exits that exclude each other, judged where they are decided: by the journal, in arithmetic of our own.

At the exchange's door two exits meet only if the one's cancel is slower than the other's order, which it
hardly ever is. Whether the one waited for the word of the other's end is told by the journal every time.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pms.contract.journal import Entry, OrderRow
from pms.sim.judges.algo_terms import ENTRY, PROFIT, STOP, ZERO, Asked

CLOSED = frozenset({"filled", "cancelled", "expired", "rejected", "void"})


def beyond(asked: Asked, algo_id: str, names: Mapping[str, int], tables: Any, entry: Entry) -> str | None:
    """Why an exit may not be decided in an entry; `names` are the bracket's orders, each with its slot.

    `tables` are those before the entry: what a Redis that lost its tail took with it counts as nothing.
    """
    orders = {name: tables["orders"].get((name,)) for name in names}
    orders |= {order.client_order_id: order for order in entry.rows.orders if order.client_order_id in names}
    slots = {number: tables["algo_slots"].get((algo_id, number)) for number in (ENTRY, PROFIT, STOP)}
    slots |= {slot.slot: slot for slot in entry.rows.algo_slots if slot.algo_id == algo_id}
    filled = {number: ZERO if slot is None else slot.filled for number, slot in slots.items()}
    protected = asked.most("quantity") if asked.terms.get("positionId") is not None else filled[ENTRY]
    exited = filled[PROFIT] + filled[STOP]
    closing = sum((_leaves(order) for name, order in orders.items() if names[name] != ENTRY), ZERO)
    if protected is None or closing + exited <= protected:
        return None
    return f"by the journal its exits have closed {exited} and may close {closing}, of {protected}"


def _leaves(order: OrderRow | None) -> Decimal:
    """What an order may yet trade, as journaled."""
    if order is None or order.state in CLOSED:
        return ZERO
    return max(order.quantity, order.amend_quantity or ZERO) - order.filled_qty
