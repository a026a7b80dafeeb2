"""Budgets of several processes on one real Redis, and their shared clock, set as the exchange's would be.

Their own clock stands still, or a busy machine would be in another part of a window than the test says.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from decimal import Decimal

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from pms.binance.limits import RateBudget

USUAL = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
    {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
]
MINUTE = 1_900_000_020_000
"""The start of a minute long after any real one."""


def no_retry(url: str) -> Redis:
    return Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=2)


class Budgets:
    """Makes budgets, each one process's own, that are closed in the end."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Budgets:
        self._clock = self()
        await self._clock.view()
        await self.at(2000)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def __call__(self, monotonic: Callable[[], float] = lambda: 0.0) -> RateBudget:
        budget = RateBudget(self.redis, share=Decimal(1), monotonic=monotonic)
        self._stack.push_async_callback(budget.close)
        return budget

    async def at(self, into_ms: int) -> None:
        """Set the exchange's clock to so long after the start of a minute."""
        self._clock.align(MINUTE + into_ms)
        await self._clock.view()
