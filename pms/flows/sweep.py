"""Sweeps: what a lost message left behind is found here, never repaired here.

A sweep answers commands whose deadline is over, and points the streamer at orders to look at again.
"""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from pms.binance.client import ExchangeClient
from pms.bus.inbox import Attend, Inbox
from pms.bus.requests import Requests
from pms.contract import names
from pms.domain.orders import State

SETTLED_AFTER_MS = 60_000
"""openOrders is stale for up to 30 s; younger differences prove nothing."""

_LIVE = {State.ACTIVE.value.encode(), State.PARTIALLY_FILLED.value.encode()}


async def sweep_requests(redis: Redis, requests: Requests) -> int:
    """Answer the open commands whose deadline is over; returns how many."""
    untyped: Any = redis
    seconds, micros = await untyped.time()
    now = seconds * 1000 + micros // 1000
    answered = 0
    for request_id in await requests.open_since(now):
        answered += await requests.settle(request_id) is not None
    return answered


async def sweep_orphans(redis: Redis, client: ExchangeClient, inbox: Inbox, *, now_ms: int) -> int:
    """Compare openOrders with our projections; returns how many orders the streamer is pointed at.

    Only a hint: absence from openOrders proves nothing, the streamer asks by id.
    """
    untyped: Any = redis
    pointed = 0
    for order in await client.open_orders(lane="background"):
        if not order.client_order_id.startswith("PMS_") or now_ms - order.update_time < SETTLED_AFTER_MS:
            continue
        state = await untyped.hget(names.order_key(order.client_order_id), "state")
        if state not in _LIVE:
            await inbox.put(Attend(order.client_order_id))
            pointed += 1
    return pointed
