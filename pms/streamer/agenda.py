"""What is to be looked at when: heaps of due times, so that nothing is ever scanned.

A subject is on the agenda once; a newer date replaces the older one. What is urgent has slots of its own: all
others may be waiting for an exchange that does not answer.
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
        urgent: Callable[[str], bool] = lambda _: False,
        urgent_at_once: int = 32,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        self._attend = attend
        self._clock = clock
        self._urgent = urgent
        self._failed = failed
        self._due: dict[str, tuple[float, Lane]] = {}
        self._lane, self._urgent_lane = Lane(at_once), Lane(urgent_at_once)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._again: dict[str, float] = {}

    def put(self, subject: str, *, in_s: float) -> None:
        """Look at a subject in so many seconds, or earlier if it is already due earlier.

        Trap: whether it is urgent is asked here; what becomes so is to be put again.
        """
        due = self._clock() + in_s
        if subject in self._running:
            self._again[subject] = min(due, self._again.get(subject, due))
            return
        lane = self._urgent_lane if self._urgent(subject) else self._lane
        known = self._due.get(subject)
        if known is not None:
            if known[0] <= due and known[1] is lane:
                return
            due = min(due, known[0])
        self._due[subject] = due, lane
        heapq.heappush(lane.heap, (due, subject))
        lane.changed.set()

    def __len__(self) -> int:
        return len(self._due) + len(self._running)

    async def run(self) -> None:
        """Attend for ever; an exception while attending is logged and the subject is tried again."""
        async with asyncio.TaskGroup() as group:
            for lane in (self._lane, self._urgent_lane):
                group.create_task(self._serve(lane))

    async def _serve(self, lane: Lane) -> None:
        while True:
            wait = lane.heap[0][0] - self._clock() if lane.heap else 3600.0
            if wait > 0:
                lane.changed.clear()
                try:
                    async with asyncio.timeout(wait):
                        await lane.changed.wait()
                except TimeoutError:
                    pass
                continue
            # Before it is taken off: put again while all are busy, it would be looked at twice at once.
            await lane.slots.acquire()
            due, subject = heapq.heappop(lane.heap)
            if self._due.get(subject) != (due, lane):
                lane.slots.release()
                continue
            del self._due[subject]
            self._running[subject] = asyncio.create_task(self._look(subject, lane))

    def close(self) -> None:
        """Attend to nothing any more: another life does."""
        for task in self._running.values():
            task.cancel()

    async def _look(self, subject: str, lane: Lane) -> None:
        delay: float | None = 1.0
        try:
            delay = await self._attend(subject)
        except Exception as error:
            log.exception("attend_failed", subject=subject)
            if self._failed is not None:
                self._failed(error)
        finally:
            lane.slots.release()
            del self._running[subject]
            again = self._again.pop(subject, None)
            if again is not None:
                sooner = max(again - self._clock(), 0.0)
                delay = sooner if delay is None else min(delay, sooner)
        if delay is not None:
            self.put(subject, in_s=delay)


class Lane:
    """Dates that share slots."""

    def __init__(self, at_once: int) -> None:
        self.heap: list[tuple[float, str]] = []
        self.changed = asyncio.Event()
        self.slots = asyncio.Semaphore(at_once)
