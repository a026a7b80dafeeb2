"""Long tasks: what fails in one is seen, costs the others nothing, and is run again.

Two must not be kept so: the lease and the outbox. Without them memory and journal drift apart, so their
failure ends this life of the streamer, and the next one recovers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from pms.bus.lead import NotLeading

log = structlog.get_logger()
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
CALM_S = 10.0
TOLD_EVERY_S = 60.0
LOOK_EVERY_S = 1.0
END_AGAIN_S = 0.1


class Supervision:
    """Runs services for ever and background work once; tells of each failure, at most once a minute."""

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        alarm: Callable[[str], None],
    ) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._alarm = alarm
        self._told: dict[str, float] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._counts: dict[str, Callable[[], int]] = {}
        self._fault: asyncio.Future[None]
        self._ending = False
        self.failures: dict[str, int] = {}

    async def live(self, begin: Coroutine[Any, Any, None]) -> None:
        """Run until one of the tasks that must not fail does, and raise its fault; all have ended then."""
        self._fault = asyncio.get_running_loop().create_future()
        self.start("begin", begin)
        try:
            await self._fault
        finally:
            await self._end()

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Start a task whose failure ends this life; its end does not."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._vital_ended)

    def end(self, error: Exception) -> None:
        """End this life: memory and journal no longer say the same."""
        if not self._fault.done():
            self._fault.set_exception(error)

    def keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Start a service that is run for ever."""
        self.start(name, self.kept(name, work))

    async def kept(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a service for ever; a failure, or an end that nobody asked for, starts it again."""
        pause = FIRST_PAUSE_S
        while not self._ending:
            started = self._monotonic()
            try:
                await work()
            except NotLeading:
                raise
            except Exception as error:
                log.exception("service_failed", service=name)
                self.tell(name, error)
            else:
                self.tell(name, "it ended by itself")
            if self._monotonic() - started > CALM_S:
                pause = FIRST_PAUSE_S
            await self._sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    def spawn(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something once in the background; its failure is seen."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def count(self, name: str, failed: Callable[[], int]) -> None:
        """Watch a counter of failures that somebody else keeps."""
        self._counts[name] = failed

    async def run(self) -> None:
        """Look at the counters for ever."""
        seen = dict.fromkeys(self._counts, 0)
        while True:
            await self._sleep(LOOK_EVERY_S)
            for name, failed in self._counts.items():
                now, before = failed(), seen.get(name, 0)
                seen[name] = now
                if now > before:
                    self.tell(name, f"{now - before} in the last second, {now} in all")

    def tell(self, name: str, why: object) -> None:
        """Count a failure and alarm, unless that was done for this name within a minute."""
        self.failures[name] = self.failures.get(name, 0) + 1
        now = self._monotonic()
        if now - self._told.get(name, now - TOLD_EVERY_S) >= TOLD_EVERY_S:
            self._told[name] = now
            self._alarm(f"{name}: {why!r}" if isinstance(why, BaseException) else f"{name}: {why}")

    async def _end(self) -> None:
        """End every task, asking again and again.

        Trap: a single cancel can be lost. Up to Python 3.11 `asyncio.wait_for`, with which redis-py sends,
        swallows one that comes in the moment the work is done; a life that waits for such a task neither
        leads nor ends, and beats on.
        """
        self._ending = True
        while running := {task for task in self._tasks if not task.done()}:
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=END_AGAIN_S)

    def _vital_ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self._fault.done():
            self._fault.set_exception(error)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background_task_failed", task=task.get_name(), exc_info=error)
            self.tell(task.get_name(), error)
