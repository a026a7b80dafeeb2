"""Carrying commands from one list into records, so that a crash loses none and doubles none.

A gateway `LPUSH`es; the oldest is taken from the right. It lies in `…:taken` until its record exists,
and a record is made once for a requestId, however often it is tried.

Trap: a list item has no date. What waited while nobody served the list is of unknown age, so a place
command among it is refused `STALE`; a cancel is always wanted. What waits behind others, or while we stand
still, is as old as the last look at the list in which it was not there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.bus.inbox import BadCommand, Inbox
from pms.bus.requests import Requests, ttl_ms
from pms.bus.stale import Stale
from pms.contract import names
from pms.contract.codes import Code
from pms.contract.money import BadJson, decode_object, encode_canonical

DOOR = "list"
BLOCK_S = 1.0
LOOK_EVERY_S = 0.5
BLIND_S = 2.0
"""Looks are a question that waits for a second apart: what is not older than this has not waited."""

RECONNECT_S = 0.5
SHOWN_TEXT = 2000

_log = structlog.get_logger("bridge")


class Ferry:
    """Serves one command list until told to stop."""

    def __init__(self, redis: Redis, command_list: str, task: str, *, new_id: Callable[[], str]) -> None:
        self._redis: Any = redis
        self._list = command_list
        self._taken = names.taken_list(command_list)
        self._task = task
        self._requests = Requests(redis, new_id=new_id)
        self._stale = Stale(redis)
        self._inbox = Inbox(redis)
        self._carried = 0
        self._looks: deque[tuple[float, int]] = deque()
        #: when we looked, and how many items had come by then since we began

    async def run(self, stop: asyncio.Event) -> None:
        """Serve the list; a lost Redis is waited for, and whatever lay there meanwhile is of unknown age."""
        while not stop.is_set():
            try:
                await self.begin()
                while not stop.is_set():
                    await self.carry_one()
            except (RedisError, OSError) as error:
                _log.warning("redis lost", list=self._list, error=str(error))
                await _either(stop, RECONNECT_S)
            except Exception:
                _log.exception("ferry_failed", list=self._list)
                await _either(stop, RECONNECT_S)

    async def begin(self) -> None:
        """Deal with what was there before this moment: taken and not recorded, or waiting."""
        self._carried = 0
        self._looks = deque([(_now(), 0)])
        for _ in range(await self._redis.llen(self._list)):
            await self._redis.lmove(self._list, self._taken, "RIGHT", "LEFT")
        while (raw := await self._redis.lindex(self._taken, -1)) is not None:
            await self._take(raw, waited_ms=None)
            await self._redis.lrem(self._taken, -1, raw)

    async def carry_one(self) -> None:
        """Carry the next command as soon as there is one, or return after a second."""
        await self._look()
        raw = await self._redis.blmove(self._list, self._taken, BLOCK_S, "RIGHT", "LEFT")
        if raw is not None:
            self._carried += 1
            await self._take(raw, waited_ms=self._waited_ms())
            await self._redis.lrem(self._taken, 1, raw)

    async def _look(self) -> None:
        now = _now()
        if now - self._looks[-1][0] >= LOOK_EVERY_S:
            self._looks.append((now, self._carried + await self._redis.llen(self._list)))

    def _waited_ms(self) -> int:
        """How long the item that was just taken may have waited."""
        while len(self._looks) > 1 and self._looks[1][1] < self._carried:
            self._looks.popleft()
        waited_s = _now() - self._looks[0][0]
        return 0 if waited_s <= BLIND_S else int(waited_s * 1000)

    async def _take(self, raw: bytes, *, waited_ms: int | None) -> None:
        """Record an item; one that breaks us is told as unusable, or it would stop the list for ever."""
        try:
            await self._record(raw, waited_ms=waited_ms)
        except (RedisError, OSError):
            raise
        except Exception:
            _log.exception("item_failed", list=self._list)
            await self._unanswerable(raw, Code.BAD_JSON)

    async def _record(self, raw: bytes, *, waited_ms: int | None) -> None:
        try:
            fields = decode_object(raw)
        except BadJson:
            await self._unanswerable(raw, Code.BAD_JSON)
            return
        request_id = _request_id(fields.get("requestId"))
        if request_id is None:
            code = Code.BAD_REQUEST_ID if "requestId" in fields else Code.MISSING_REQUEST_ID
            await self._unanswerable(raw, code)
            return
        text = encode_canonical(fields)
        ages = names.COMMAND_QUEUE[self._task] != names.Queue.URGENT
        if ages and (waited_ms is None or waited_ms >= ttl_ms(text)):
            kind = await self._stale.refuse(request_id, self._task, text, door=DOOR)
            if kind == "new":
                _log.warning("refused, too old", list=self._list, request_id=request_id, waited_ms=waited_ms)
        else:
            waited = (waited_ms or 0) if ages else 0
            submitted = await self._requests.submit_text(
                request_id, self._task, text, door=DOOR, waited_ms=waited
            )
            kind = submitted.kind
        if kind == "bad":
            await self._unanswerable(raw, Code.BAD_REQUEST_ID)

    async def _unanswerable(self, raw: bytes, code: Code) -> None:
        """Nobody waits for a result under an id, so the operator is told by an incident."""
        text = raw.decode(errors="replace")[:SHOWN_TEXT]
        _log.warning("no requestId to answer to", list=self._list, code=code.value)
        await self._inbox.put(BadCommand(command=self._task, text=text, code=code.value))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _request_id(value: object) -> str | None:
    """The id under which an answer is awaited, whatever its form; its decider judges that."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value)


async def _either(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
