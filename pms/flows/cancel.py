"""Ask the exchange once to cancel an order; whoever wants it gone keeps asking until it is terminal.

A cancel may be sent any number of times: it is the feed, not the answer, that ends the order.
"""

from __future__ import annotations

from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.binance.client import ExchangeClient
from pms.binance.errors import ExchangeError, NotFound
from pms.bus.inbox import Attend, Inbox
from pms.contract import names

log = structlog.get_logger()


async def cancel(client: ExchangeClient, inbox: Inbox, *, symbol: str, client_order_id: str) -> bool:
    """Send one cancel; whatever it proves nothing about is looked at again by the streamer."""
    try:
        await client.cancel(symbol=symbol, client_order_id=client_order_id)
    except NotFound:
        # Filled, cancelled, or never there: only a query knows which.
        await _attend(inbox, client_order_id)
        return False
    except ExchangeError as error:
        log.info("cancel_unproven", order=client_order_id, error=str(error))
        return False
    return True


async def cancel_known(redis: Redis, client: ExchangeClient, inbox: Inbox, client_order_id: str) -> bool:
    """Send one cancel for an order of ours, if it was sent at all."""
    untyped: Any = redis
    symbol, right = (
        await untyped.hget(names.order_key(client_order_id), "symbol"),
        await untyped.get(names.right_key(client_order_id)),
    )
    if symbol is None or right is None or right == b"void":
        await _attend(inbox, client_order_id)
        return False
    return await cancel(client, inbox, symbol=symbol.decode(), client_order_id=client_order_id)


async def _attend(inbox: Inbox, client_order_id: str) -> None:
    try:
        await inbox.put(Attend(client_order_id))
    except (RedisError, OSError) as error:
        log.warning("attend_not_told", order=client_order_id, error=str(error))
