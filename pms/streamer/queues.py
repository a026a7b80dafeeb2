"""Whose workers send an order: where its wake-up waits, and whose silence means that nobody will.

commands    a trader's: the worker that has the command sends its orders and its amendments
orders      an algo's
urgent      what takes risk away: a liquidation's, a stop's, and what guards a position
schedule    what has a moment of its own, which waits behind nobody's commands
"""

from __future__ import annotations

from pms.contract.names import Queue
from pms.domain.algos.ids import slot_of
from pms.domain.algos.machines import timed
from pms.domain.desk import Desk
from pms.domain.orders import Order
from pms.domain.unwinding import ORIGIN


def queue_of(desk: Desk, order: Order) -> str:
    """The queue of what is to be sent for an order now: the order itself, or its amendment in flight."""
    spec, wish = order.spec, order.amend
    if spec.origin == ORIGIN:
        return Queue.URGENT
    algo = desk.algos.every.get(spec.parent_id or "")
    if algo is None or (wish is not None and wish.request_id is not None):
        return Queue.COMMANDS
    if timed(algo, slot_of(spec.client_order_id)):
        return Queue.SCHEDULE
    guards = order.price is None or algo.terms.follows_position
    return Queue.URGENT if spec.reduce_only and guards else Queue.ORDERS
