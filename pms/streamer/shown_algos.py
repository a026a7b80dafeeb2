"""What Redis shows of algos that are over, where it lost with its tail that they are."""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from redis.asyncio import Redis

from pms.contract.money import decode_object
from pms.contract.names import algo_key

log = structlog.get_logger()


async def forget_ended(redis: Redis, ended: Iterable[tuple[str, str]]) -> None:
    """Forget what is shown of algos, by kind and id, that have ended and are still shown as they ran.

    The books have their end, so nobody would ever tell it again. What was shown of it is kept.
    """
    keys = [algo_key(kind, algo_id) for kind, algo_id in ended]
    async with redis.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.get(key)
        shown = await pipe.execute()
    stale = [
        key
        for key, text in zip(keys, shown, strict=True)
        if text is not None and decode_object(text).get("endedAt") is None
    ]
    if stale:
        log.info("ends_of_algos_were_lost", algos=stale)
        await redis.delete(*stale)
