"""What Redis shows of algos that are over, where it lost with its tail that they are."""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from redis.asyncio import Redis

from pms.contract.money import decode_object
from pms.contract.names import algo_key
from pms.db.load import LoadedState

log = structlog.get_logger()


def ended(state: LoadedState) -> list[tuple[str, str]]:
    """The algos, by kind and id, that are over in the books as a life begins with them.

    Trap: what Redis lost is its last second, and that stands in the archive behind the snapshot.
    """
    over = dict.fromkeys(state.ended_algos)
    for row in (row for entry in state.tail for row in entry.rows.algos):
        over.pop((row.kind, row.id), None)
        if row.ended_at is not None:
            over[row.kind, row.id] = None
    return list(over)


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
