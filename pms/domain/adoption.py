"""Adoption: an order at the exchange that carries our prefix and that nobody remembers.

Redis or PostgreSQL forgot it; the exchange did not. It belongs to the sub-account whose tag it
carries, it is booked there, and it is not wanted any more.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.names import HOUSE
from pms.domain.algos.machines import LETTERS, MACHINES
from pms.domain.algos.sides import position_side_of
from pms.domain.desk import Desk
from pms.domain.incidents import note_incident
from pms.domain.orders import Order, OrderSpec, Seen
from pms.domain.position_sides import side_held
from pms.domain.posting import Posting
from pms.domain.rows import order_row
from pms.domain.treasury import signed

PREFIX = "PMS_"
ADOPTION = "*adoption"
"""Who wants it cancelled, in the place of a request, which has no such name."""


def ours(client_order_id: str) -> bool:
    """Whether an order's id is one that we gave."""
    return client_order_id.startswith(PREFIX)


def adopt(
    desk: Desk,
    *,
    client_order_id: str,
    exchange_order_id: int,
    symbol: str,
    side: str,
    order_type: str,
    quantity: Decimal,
    price: Decimal | None,
    time_in_force: str | None,
    word: str,
    filled: Decimal,
    at: int,
) -> tuple[Order, Posting]:
    """Take in an order of ours that we do not know, to be cancelled if it lives, once that is journaled.

    Trap: its row tells the wish at once, memory takes it with `adopted`: who cannot journal may lead no more,
    and the order be that of who does. `filled` is what the exchange counts: an order that traded is over only
    once its trades are booked.
    """
    account = desk.tags.get(client_order_id[len(PREFIX) :].split("_", 1)[0], HOUSE)
    lost = desk.algos.expecting(client_order_id, LETTERS)
    position_side = position_side_of(lost[0], lost[1].number, side=side) if lost else None
    if position_side not in desk.accounts[account].sides:
        position_side = side_held(desk, account, symbol, signed(side, quantity))
    assert position_side is not None
    spec = OrderSpec(
        client_order_id=client_order_id,
        sub_account_id=account,
        symbol=symbol,
        side=side,
        type=order_type,
        quantity=quantity,
        price=price,
        time_in_force=time_in_force,
        reduce_only=False,
        leverage=desk.standing_leverage(account, symbol) or 1,
        origin=MACHINES[lost[0].kind].origin if lost else "MANUAL",
        parent_id=lost[0].id if lost else None,
        request_id=None,
        epoch=desk.epoch,
        deadline=0,
        admitted_at=at,
        position_side=position_side,
    )
    order = Order(spec=spec, quantity=quantity, price=price, cancel_asked=ADOPTION, updated_at=at)
    order.receive(Seen(exchange_order_id, word, filled))
    desk.add_order(order)
    draft = desk.draft("adopted", at=at)
    if lost is not None:
        # It trades for that algo until it is gone: what it fills leaves less to be placed.
        algo, slot, step = lost
        algo.slots.setdefault(slot.number, slot)
        slot.steps = step
        slot.order_id, slot.price, slot.sent_price, slot.cancelling = client_order_id, None, price, True
        desk.algos.put(algo)
        draft.algo_slots[algo.id, slot.number] = algo.slot_row(slot, at=at)
    draft.orders[client_order_id] = order_row(order)
    note_incident(
        draft, kind="orphan_order", severity="warning", detail=f"{client_order_id} was adopted by {account}"
    )
    return order, Posting(entry=desk.sealed(draft).entry())


def adopted(order: Order, *, at: int) -> None:
    """Its adoption is journaled: it is unwanted from now on."""
    if order.cancel_asked == ADOPTION:
        order.cancel_asked = None
    order.want_cancelled(at=at)
