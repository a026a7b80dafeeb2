"""Redis' time as seen from here: an offset to our monotonic clock, refreshed by whoever asks Redis.

Only timestamps and early checks use it; what decides is always compared inside a script.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis


class RedisClock:
    """Milliseconds since 1970 by the Redis server's clock."""

    def __init__(self, redis: Redis, *, monotonic: Callable[[], float]) -> None:
        self._redis: Any = redis
        self._monotonic = monotonic
        self._offset_ms: float | None = None

    async def sync(self) -> None:
        """Ask Redis for its time, which was some moment of the round trip; nothing tells which.

        So an answer moves us only as far as what it bounds: a slow one, which bounds little, hardly ever.
        """
        before = self._monotonic()
        seconds, micros = await self._redis.time()
        told_ms = seconds * 1000 + micros / 1000
        least, most = told_ms - self._monotonic() * 1000, told_ms - before * 1000
        known = (least + most) / 2 if self._offset_ms is None else self._offset_ms
        self._offset_ms = min(max(known, least), most)

    def now_ms(self) -> int:
        """Now, in ms."""
        return int(self._monotonic() * 1000 + (self._offset_ms or 0.0))
