"""What is to be looked at when: one heap of due times, so that nothing is ever scanned.

A subject is on the agenda once; a newer date replaces the older one.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger()


class Agenda:
    """Calls `attend(subject)` when a subject is due; its answer is the next delay in seconds, or None."""

    def __init__(
        self,
        attend: Callable[[str], Awaitable[float | None]],
        *,
        clock: Callable[[], float],
        at_once: int = 32,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        self._attend = attend
        self._clock = clock
        self._failed = failed
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._changed = asyncio.Event()
        self._slots = asyncio.Semaphore(at_once)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._again: dict[str, float] = {}

    def put(self, subject: str, *, in_s: float) -> None:
        """Look at a subject in so many seconds, or earlier if it is already due earlier."""
        due = self._clock() + in_s
        if subject in self._running:
            self._again[subject] = min(due, self._again.get(subject, due))
            return
        if self._due.get(subject, due + 1) <= due:
            return
        self._due[subject] = due
        heapq.heappush(self._heap, (due, subject))
        self._changed.set()

    def __len__(self) -> int:
        return len(self._due) + len(self._running)

    async def run(self) -> None:
        """Attend for ever; an exception while attending is logged and the subject is tried again."""
        while True:
            wait = self._heap[0][0] - self._clock() if self._heap else 3600.0
            if wait > 0:
                self._changed.clear()
                try:
                    async with asyncio.timeout(wait):
                        await self._changed.wait()
                except TimeoutError:
                    pass
                continue
            # Before it is taken off: put again while all are busy, it would be looked at twice at once.
            await self._slots.acquire()
            due, subject = heapq.heappop(self._heap)
            if self._due.get(subject) != due:
                self._slots.release()
                continue
            del self._due[subject]
            self._running[subject] = asyncio.create_task(self._look(subject))

    def close(self) -> None:
        """Attend to nothing any more: another life does."""
        for task in self._running.values():
            task.cancel()

    async def _look(self, subject: str) -> None:
        delay: float | None = 1.0
        try:
            delay = await self._attend(subject)
        except Exception as error:
            log.exception("attend_failed", subject=subject)
            if self._failed is not None:
                self._failed(error)
        finally:
            self._slots.release()
            del self._running[subject]
            again = self._again.pop(subject, None)
            if again is not None:
                sooner = max(again - self._clock(), 0.0)
                delay = sooner if delay is None else min(delay, sooner)
        if delay is not None:
            self.put(subject, in_s=delay)
