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
        self._offset_ms = 0.0

    async def sync(self) -> None:
        """Ask Redis for its time; half the round trip is taken off."""
        before = self._monotonic()
        seconds, micros = await self._redis.time()
        middle = (before + self._monotonic()) / 2
        self._offset_ms = seconds * 1000 + micros / 1000 - middle * 1000

    def now_ms(self) -> int:
        """Now, in ms."""
        return int(self._monotonic() * 1000 + self._offset_ms)
