"""Send one amendment to the exchange, at most once ever.

An amendment carries the total quantity, so the same one twice would do no harm by itself. But a copy
that lingers could undo a later amendment; so it has a send right of its own, like an order, and is
never sent again. If the process dies:

    before the right is taken          nothing was sent; anyone may try again, until the deadline voids it
    between the right and the bytes    nothing was sent; the streamer's queries show the old terms, and
                                       once the signature is dead that proves it
    after the first byte               perhaps carried out; the feed or a query tells
    before the outcome is reported     the same

The order goes on living on its old terms through all of this; margin is held for the larger ones.
"""

from __future__ import annotations

from typing import Any

from pms.binance.client import AmendOrder
from pms.bus.rights import Right
from pms.contract import names
from pms.flows.place import Placing, read_order, room, send_once


async def amend(deps: Placing, client_order_id: str) -> Right:
    """Carry out the amendment that the order's hash names, if nobody has."""
    untyped: Any = deps.redis
    wish = await untyped.hget(names.order_key(client_order_id), "amend")
    if not wish:
        return Right.UNKNOWN
    subject = wish.decode()
    terms = await read_order(deps.redis, subject)
    if terms is None or terms.price is None:
        return Right.UNKNOWN
    (right,) = await deps.rights.refused([subject])
    if right is not None:
        return right
    order = AmendOrder(terms.symbol, terms.side, terms.quantity, terms.price, client_order_id)
    account, lane = terms.account, terms.lane
    right = await room(deps, subject, lambda: deps.client.room_for_order(account=account, lane=lane))
    if right is not None:
        return right
    return await send_once(
        deps,
        subject,
        lambda at: deps.client.sign_amend(order, timestamp_ms=at, recv_window_ms=deps.recv_window_ms),
    )
