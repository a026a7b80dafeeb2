"""An event loop on virtual time: its clock jumps to the next timer, and never waits.

Every handle belongs to a simulated process. A killed process's handles are never run again, so none
of its code runs any more, not even a `finally`; a paused one's wait until it is resumed.

Trap: a coroutine that is garbage-collected is closed, which would run its `finally`. So a dead
process's tasks are kept until the world is over, and then closed while nothing can be observed.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
KEPT_TASKS = 256
MOST_STEPS = 150_000
"""Twenty times what a seed takes: something runs in circles without any time passing."""
UNWINDINGS = 20
"""How often a coroutine may suspend once more while it is closed."""


@dataclass(slots=True, eq=False)
class Process:
    """One life of one simulated process."""

    name: str
    life: int = 1
    alive: bool = True
    paused: bool = False
    doom: int = -1
    """Steps until it dies; -1: it lives."""
    skew_ms: int = 0
    """By how much its machine's clock is wrong."""
    stalled: deque[Handle] = field(default_factory=deque)
    tasks: list[Task] = field(default_factory=list)
    last_wishes: list[Callable[[], None]] = field(default_factory=list)
    """What its kernel does when it dies: closing connections."""

    def __str__(self) -> str:
        return f"{self.name}#{self.life}"


PROCESS: ContextVar[Process] = ContextVar("process")


class Handle:
    """A callback that will run, unless it is cancelled or its process dies."""

    __slots__ = ("_when", "args", "callback", "context", "process")

    def __init__(
        self, callback: Callable[..., object] | None, args: tuple[Any, ...], context: Context, when: float
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.process = context[PROCESS]
        self._when = when

    def cancel(self) -> None:
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        return self.callback is None

    def when(self) -> float:
        return self._when


class Task(asyncio.Task[Any]):
    """A task whose hash is its number: asyncio keeps tasks in sets, whose order is then repeatable."""

    number: int

    def __new__(cls, coro: Any, *, loop: Loop, **_: Any) -> Task:
        made: Task = super().__new__(cls)
        loop.tasks_made += 1
        made.number = loop.tasks_made
        return made

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other


class Stuck(Exception):
    """Nothing is left to run and nothing is due: the simulated world stands still."""


class Loop(asyncio.AbstractEventLoop):  # the part of one that is ever asked for
    """The loop of one world."""

    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0
        self.over = False
        self.tasks_made = 0
        self.faults: list[BaseException] = []
        self.killed: Callable[[Process], None] = _nobody
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._count = 0
        self.world = Process("world")
        self._contexts: dict[Process, Context] = {}
        self.processes: list[Process] = []
        self.admit(self.world)

    # --- processes ---

    def admit(self, process: Process) -> None:
        """Make a process known; `run_in` starts its work."""
        context = copy_context()
        context.run(PROCESS.set, process)
        self._contexts[process] = context
        self.processes.append(process)

    def run_in(self, process: Process, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a coroutine inside a process."""
        started: asyncio.Task[T] = self.create_task(work, context=self._contexts[process].copy())
        return started

    def kill(self, process: Process) -> None:
        """End a process at once: nothing of it is ever run again."""
        if not process.alive:
            return
        process.alive = False
        process.stalled.clear()
        for wish in process.last_wishes:
            wish()
        self.killed(process)

    def pause(self, process: Process) -> None:
        """Stop a process as SIGSTOP does: its sockets stay open, its timers come due unheard."""
        process.paused = True

    def resume(self, process: Process) -> None:
        """Let a paused process go on with all that has gathered."""
        process.paused = False
        self._ready.extend(process.stalled)
        process.stalled.clear()

    def in_process(self) -> Process:
        """Whose code is running."""
        return PROCESS.get()

    # --- what asyncio asks of a loop ---

    def time(self) -> float:
        return self.now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: object = None, context: Context | None = None) -> Any:
        task = Task(coro, loop=self, name="", context=context)
        process = context[PROCESS] if context is not None else PROCESS.get()
        process.tasks.append(task)
        if len(process.tasks) > KEPT_TASKS:
            process.tasks = [each for each in process.tasks if not each.done()]
        return task

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, context or copy_context(), self.now)
        if not self.over:
            self._ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, context or copy_context(), when)
        if not self.over:
            self._count += 1
            heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """A task nobody asked about ended badly; when that is noticed depends on the garbage collector."""

    # --- for the world itself ---

    def at(self, when: float, callback: Callable[..., object], *args: Any) -> Handle:
        """Have the world do something at a time, whoever asks for it and whatever becomes of him."""
        handle = Handle(callback, args, self._contexts[self.world], when)
        if not self.over:
            self._count += 1
            heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def run(self, work: Coroutine[Any, Any, T], *, until: float) -> T:
        """Run the world until its own work is done. Raises Stuck; TimeoutError at a virtual time."""
        asyncio._set_running_loop(self)
        try:
            task = self.run_in(self.world, work)
            done, step = task.done, self._step
            while not done():
                step()
                if self.now > until:
                    raise TimeoutError(f"the world was not done at {until:g} s")
                if self.steps > MOST_STEPS:
                    raise TimeoutError(f"the world took {MOST_STEPS} steps and is at {self.now:g} s")
            return task.result()
        finally:
            self._dispose()
            asyncio._set_running_loop(None)

    def _step(self) -> None:
        """Run what is ready, up to as much as is; nothing of it is due before the next timer."""
        ready = self._ready
        if ready:
            for _ in range(len(ready)):
                self._run(ready.popleft())
        elif self._timers:
            when, _, handle = heapq.heappop(self._timers)
            self.now = max(self.now, when)
            self._run(handle)
        else:
            raise Stuck("nothing is left to run and nothing is due")

    def _run(self, handle: Handle) -> None:
        callback, process = handle.callback, handle.process
        if callback is None or not process.alive:
            return
        if process.paused:
            process.stalled.append(handle)
            return
        if process.doom >= 0:
            process.doom -= 1
            if process.doom < 0:
                self.kill(process)
                return
        self.steps += 1
        try:
            handle.context.run(callback, *handle.args)
        except Exception as error:
            self.faults.append(error)

    def _dispose(self) -> None:
        """Close what is suspended, for good: from here on nothing is scheduled and nothing observed."""
        self.over = True
        self._ready.clear()
        self._timers.clear()
        for process in self.processes:
            for task in process.tasks:
                if not task.done():
                    task._log_destroy_pending = False  # type: ignore[attr-defined]
                    _close(task.get_coro())
            process.tasks.clear()
            process.last_wishes.clear()


def _close(coroutine: Any) -> None:
    for _ in range(UNWINDINGS):
        try:
            coroutine.close()
        except RuntimeError:
            continue  # it awaits once more on its way out
        except BaseException:
            return
        return


def _nobody(_: Process) -> None:
    """Nobody wants to know of a death."""
