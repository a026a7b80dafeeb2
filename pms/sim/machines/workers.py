"""The workers of a simulated world: messages off the queues as Celery takes them, into the real flows.

On the order path a message is taken off its list when it is read, so a worker's death loses it. A task
that raises is logged and forgotten.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

import msgspec
import structlog
from redis.exceptions import RedisError

from pms.binance.errors import ExchangeError
from pms.bridge.ferry import Ferry
from pms.bus.inbox import AskAlgos, Reconcile
from pms.bus.wake import wake_up
from pms.config import Settings
from pms.contract import names
from pms.contract.money import exact
from pms.contract.names import Queue, Task
from pms.flows.amend import amend
from pms.flows.drain import drain
from pms.flows.place import place, synced
from pms.flows.serve import serve_message
from pms.flows.sweep import sweep_requests
from pms.sim.machines.loop import Process
from pms.tasks.waiting import EVERY_S, Waiting
from pms.tasks.wiring import Wired, wire

log = structlog.get_logger()

ROLES: dict[str, tuple[str, ...]] = {
    "orders": (Queue.COMMANDS, Queue.ORDERS),
    "urgent": (Queue.URGENT,),
    "ledger": (Queue.LEDGER,),
    "schedule": (Queue.SCHEDULE, Queue.RECON),
}
AT_ONCE = 16
POP_S = 1.0
FOLD_EVERY_S, SWEEP_EVERY_S, RECONCILE_EVERY_S = 2.0, 1.0, 2.0
_body = msgspec.json.Decoder(float_hook=exact)
_message = msgspec.json.Decoder()


class Surroundings(Protocol):
    """What a world gives to a process that it starts."""

    settings: Settings
    books: Any
    algos: bool
    reconciles: bool

    def redis(self, process: Process, *, timeout_s: float = 2.0) -> Any:
        """A client of the world's Redis."""

    def session(self, process: Process) -> Any:
        """A session with the world's exchange."""

    def now_ms(self, process: Process) -> int:
        """The clock of the process's machine."""

    def monotonic(self) -> float:
        """The clock that never steps."""

    def new_id(self) -> str:
        """A UUID."""


async def work(role: str, world: Surroundings, process: Process) -> None:
    """Be a worker of a role, from its start to its end."""
    redis = world.redis(process)
    wired = wire(
        world.settings,
        redis=redis,
        decisions_redis=world.redis(process),
        session=world.session(process),
        sender=f"worker:{process}",
        monotonic=world.monotonic,
        now_ms=lambda: world.now_ms(process),
        new_id=world.new_id,
    )
    decisions = wired.serving.decisions
    if role in ("orders", "urgent"):
        decisions.task = asyncio.get_running_loop().create_task(decisions.run())
    if role != "ledger":
        await synced(wired.serving.placing)
    waiting, queues = Waiting(world.monotonic), list(ROLES[role])
    worker = Worker(world, wired, world.redis(process, timeout_s=5.0), waiting)
    async with asyncio.TaskGroup() as group:
        if role in ("orders", "urgent"):
            lists = cast(Any, _Lists(redis))
            waiting.try_to_look(lists, queues)
            group.create_task(_look_on(waiting, lists, queues))
        group.create_task(worker.consume(ROLES[role]))


class _Lists:
    """The queues as the thread sees them that dates what lies there."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis

    def lrange(self, name: str, first: int, last: int) -> Any:
        """A list's items, at once."""
        return self._redis.at_once("LRANGE", name, first, last)

    def info(self, section: str) -> dict[str, str]:
        """What the server tells of itself."""
        lines = self._redis.at_once("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)


async def _look_on(waiting: Waiting, lists: Any, queues: list[str]) -> None:
    while True:
        await asyncio.sleep(EVERY_S)
        waiting.try_to_look(lists, queues)


class Worker:
    """One worker process."""

    def __init__(self, world: Surroundings, wired: Wired, queues: Any, waiting: Waiting) -> None:
        self._world = world
        self._wired = wired
        self._queues = queues
        self._waiting = waiting
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._running: set[asyncio.Task[None]] = set()

    async def consume(self, queues: tuple[str, ...]) -> None:
        """Take messages for ever."""
        while True:
            await self._slots.acquire()
            try:
                taken = await self._queues.brpop(queues, timeout=POP_S)
            except (RedisError, OSError):
                taken = None
                await asyncio.sleep(0.2)
            if taken is None:
                self._slots.release()
                continue
            task = asyncio.get_running_loop().create_task(self._do(taken[1]))
            self._running.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._slots.release()

    async def _do(self, raw: bytes) -> None:
        message = _message.decode(raw)
        headers = message["headers"]
        args, fields, _ = _body.decode(base64.b64decode(message["body"]))
        task = headers["task"]
        self._waiting.take(headers["id"])
        try:
            await self._run(task, args, fields, headers)
        except Exception as error:
            log.error("task_failed", task=task, exc_info=error)
        finally:
            self._waiting.end(headers["id"])

    async def _run(self, task: str, args: list[Any], fields: dict[str, Any], headers: dict[str, Any]) -> None:
        serving, redis = self._wired.serving, self._wired.serving.redis
        match task:
            case Task.PLACE:
                await place(serving.placing, args[0])
            case Task.SEND_AMEND:
                await amend(serving.placing, args[0])
            case Task.FOLD:
                await drain(redis, self._world.books)
            case Task.SWEEP_REQUESTS:
                await sweep_requests(redis, serving.requests)
            case Task.SWEEP_ALGOS:
                await serving.placing.inbox.put(AskAlgos())
            case Task.RECONCILE:
                await serving.placing.inbox.put(Reconcile(headers["id"]))
            case Task.KEEP_LISTEN_KEY:
                try:
                    await self._wired.client.keep_listen_key()
                except ExchangeError as error:
                    log.warning("listen_key_not_kept", error=str(error))
            case _:
                await serve_message(
                    serving,
                    task,
                    args,
                    fields,
                    task_id=headers["id"],
                    waited_ms=self._waiting.waited_ms(headers["id"]),
                    want_result=not headers["ignore_result"],
                )


async def beat(world: Surroundings, process: Process) -> None:
    """The clock of periodic tasks."""
    redis = world.redis(process)
    due = {
        (Task.SWEEP_REQUESTS, Queue.SCHEDULE): SWEEP_EVERY_S,
        (Task.FOLD, Queue.LEDGER): FOLD_EVERY_S,
    }
    if world.algos:
        due[Task.SWEEP_ALGOS, Queue.SCHEDULE] = SWEEP_EVERY_S
    if world.reconciles:
        due[Task.RECONCILE, Queue.RECON] = RECONCILE_EVERY_S
    turn = 0
    while True:
        await asyncio.sleep(1.0)
        turn += 1
        for (task, queue), every_s in due.items():
            if turn % int(every_s) == 0:
                message = wake_up(task, queue=queue, task_id=world.new_id(), new_tag=world.new_id)
                try:
                    await redis.lpush(queue, message)
                except (RedisError, OSError) as error:
                    log.warning("beat_missed", task=task, error=str(error))


async def ferry(world: Surroundings, process: Process) -> None:
    """The bridge: one ferry for each list that is used."""
    redis = world.redis(process, timeout_s=5.0)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for command_list in ("pms:cmd:trade", "pms:cmd:cancel"):
            task = names.COMMAND_LISTS[command_list]
            group.create_task(Ferry(redis, command_list, task, new_id=world.new_id).run(stop))


Main = Callable[[Surroundings, Process], Awaitable[None]]
