"""Cancels on command, from the decision until the journal has it: memory takes them only then.

A decision that comes too late tells its requester that nothing was done, so nobody may act on it before.
Rows of the order that other entries write meanwhile say it all the same: the next life reads the last.
"""

from __future__ import annotations

from collections.abc import Iterable

from pms.contract.journal import Entry
from pms.domain.desk import Desk
from pms.domain.orders import Order
from pms.domain.posting import Draft, Posting
from pms.domain.rows import order_row

KIND = "cancel_wanted"
"""The entries that carry such a decision."""


def ask(draft: Draft, orders: Iterable[Order], *, by: str) -> None:
    """Write the wish of a request into each order's row."""
    for order in orders:
        order.cancel_asked = by
        draft.orders[order.spec.client_order_id] = order_row(order)


def settle(desk: Desk, entry: Entry, *, held: bool) -> Posting | None:
    """The decision stands, and its orders are unwanted; or not, and rows that told of it are written anew.

    Another cancel of the same order may be on its way behind it: it lifts or takes the wish itself.
    """
    if entry.kind != KIND:
        return None
    spared = desk.draft("order", at=entry.at)
    asked_by = {command.request_id for command in entry.rows.commands}
    for row in entry.rows.orders:
        order = desk.orders.get(row.client_order_id)
        if order is None:
            continue
        if held:
            order.want_cancelled(at=entry.at)
        if order.cancel_asked not in asked_by:
            continue
        order.cancel_asked = None
        if not (held or order.cancel_wanted):
            spared.orders[row.client_order_id] = order_row(order)
    return Posting(entry=desk.sealed(spared).entry()) if spared.orders else None
