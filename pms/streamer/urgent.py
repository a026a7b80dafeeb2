"""Waking a worker for an order that takes risk away; a lost message only costs a quarter second."""

from __future__ import annotations

from collections.abc import Callable

from redis.asyncio import Redis

from pms.contract import names
from pms.streamer.wake_ups import push


async def wake_urgent(redis: Redis, client_order_id: str, *, new_id: Callable[[], str]) -> None:
    """Push the message that lets an urgent worker place an order."""
    await push(redis, [(names.Task.PLACE, client_order_id, names.Queue.URGENT)], new_id=new_id)
