"""Ask the exchange once to cancel an order; whoever wants it gone keeps asking until it is terminal.

A cancel may be sent any number of times: it is the feed, not the answer, that ends the order.
"""

from __future__ import annotations

import structlog
from redis.exceptions import RedisError

from pms.binance.client import ExchangeClient
from pms.binance.errors import ExchangeError, NotFound
from pms.bus.inbox import Attend, Inbox

log = structlog.get_logger()


async def cancel(client: ExchangeClient, inbox: Inbox, *, symbol: str, client_order_id: str) -> bool:
    """Send one cancel; whatever it proves nothing about is looked at again by the streamer."""
    try:
        await client.cancel(symbol=symbol, client_order_id=client_order_id)
    except NotFound:
        # Filled, cancelled, or never there: only a query knows which.
        await attend(inbox, client_order_id)
        return False
    except ExchangeError as error:
        log.info("cancel_unproven", order=client_order_id, error=str(error))
        return False
    return True


async def attend(inbox: Inbox, client_order_id: str) -> None:
    """Ask the streamer to look at an order; lost, its own agenda finds it."""
    try:
        await inbox.put(Attend(client_order_id))
    except (RedisError, OSError) as error:
        log.warning("attend_not_told", order=client_order_id, error=str(error))
