"""The send right: who may write an order's signed bytes to the exchange, once."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from redis.asyncio import Redis

from pms.bus.scripts import Scripts
from pms.contract import names


class Right(StrEnum):
    """What asking for the right gave; only WON permits a single write."""

    WON = "won"
    TAKEN = "taken"
    VOID = "void"
    LATE = "late"
    HALTED = "halted"
    EPOCH = "epoch"
    UNKNOWN = "unknown"


class Rights:
    """The send rights of all orders."""

    def __init__(self, redis: Redis, *, sender: str) -> None:
        self._redis: Any = redis  # redis-py's types cannot say that replies are bytes
        self._scripts = Scripts(redis)
        self._sender = sender

    async def take(self, client_order_id: str, *, signed_at: int, unused: int | None = None) -> Right:
        """Ask for the right to send what was signed with timestamp `signed_at` (exchange ms).

        `unused` is the timestamp of our own earlier right that the exchange proved unused (-1021).
        Trap: an exception means *not won*: the right may be taken, and then nobody sends.
        """
        keys = [names.EPOCH, names.order_key(client_order_id), names.right_key(client_order_id), names.HALT]
        reply = await self._scripts.call(
            "take_right", keys, signed_at, self._sender, names.RIGHT_TTL_S, "" if unused is None else unused
        )
        return Right(reply.decode())

    async def close(self, client_order_id: str, *, signed_at: int | None, nonce: str) -> bool:
        """Close a right for ever: one that was never given, or that of `signed_at`; False if it is another.

        Only for whoever leads in this life of Redis: another one may have forgotten what was given. A lost
        reply raises; asked again it tells the same.
        """
        closed = await self._scripts.call(
            "close_right",
            [names.EPOCH, names.right_key(client_order_id)],
            nonce,
            "" if signed_at is None else signed_at,
            names.RIGHT_TTL_S,
        )
        return bool(closed)

    async def refused(self, client_order_ids: list[str]) -> list[Right | None]:
        """Why `take` would be in vain now: TAKEN, VOID or LATE; None where it may be won.

        It takes nothing, so that nothing follows from None.
        """
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            for one in client_order_ids:
                pipe.get(names.right_key(one))
                pipe.hget(names.order_key(one), "deadline")
            (seconds, micros), *found = await pipe.execute()
        now = int(seconds) * 1000 + int(micros) // 1000
        return [
            _refused(right, deadline, now) for right, deadline in zip(found[::2], found[1::2], strict=True)
        ]

    async def taken(self, client_order_ids: list[str]) -> list[int | None]:
        """The signed timestamps of the rights given; 0 for a closed right, None where none was given."""
        if not client_order_ids:
            return []
        values = await self._redis.mget([names.right_key(one) for one in client_order_ids])
        return [None if value is None else _signed_at(value) for value in values]


def _signed_at(value: bytes) -> int:
    return 0 if value == b"void" else int(value.split()[0])


def _refused(right: bytes | None, deadline: bytes | None, now: int) -> Right | None:
    if right is not None:
        return Right.VOID if right == b"void" else Right.TAKEN
    return Right.LATE if deadline is not None and now > int(deadline) else None
