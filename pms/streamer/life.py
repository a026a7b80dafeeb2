"""The tasks of one life: when one fails all end, even those that lose the word.

A cancellation is delivered once. A library that answers it with an error of its own swallows it: a
connection to Redis that breaks while it is being closed does. A service that catches such errors and
goes on would then outlive its life, and the life would wait for it for ever. So the word is said again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import Context
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")
AGAIN_S = 0.5


class Life(asyncio.TaskGroup):
    """A task group that cancels again whoever has not ended after half a second."""

    async def __aenter__(self) -> Life:
        await super().__aenter__()
        self._mine: set[asyncio.Task[Any]] = set()
        self._over = asyncio.Event()
        self._insisting = asyncio.get_running_loop().create_task(self._insist())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._over.set()
        try:
            await super().__aexit__(kind, error, trace)
        finally:
            self._insisting.cancel()

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """Start a task that ends with the group."""
        task = super().create_task(coro, name=name, context=context)
        self._mine.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._mine.discard(task)
        if task.cancelled() or task.exception() is not None:
            self._over.set()

    async def _insist(self) -> None:
        await self._over.wait()
        while True:
            await asyncio.sleep(AGAIN_S)
            for task in list(self._mine):
                task.cancel()
