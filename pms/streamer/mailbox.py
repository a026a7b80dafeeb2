"""A one-slot mailbox: the newest value replaces an unread one, so no consumer ever queues stale ticks."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds at most one value; putting never waits."""

    __slots__ = ("_filled", "_value", "replaced")

    def __init__(self) -> None:
        self._value: T | None = None
        self._filled = asyncio.Event()
        self.replaced = 0

    def put(self, value: T) -> None:
        """Leave a value, over an unread one if there is."""
        if self._value is not None:
            self.replaced += 1
        self._value = value
        self._filled.set()

    async def take(self) -> T:
        """Wait for a value and take it out."""
        while self._value is None:
            self._filled.clear()
            await self._filled.wait()
        value, self._value = self._value, None
        return value
