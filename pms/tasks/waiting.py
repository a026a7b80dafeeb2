"""How long a plain message has waited: it carries no date, so it is dated when somebody first sees it.

A command of ours is dated by its record. A plain one is recorded when a thread takes it, and forty market
orders that waited for a thread, or for a worker, must not be sent. It is seen

    in its queue, by a look each second    dated at that look; at the first of all, of unknown age
    as it is taken off unseen              dated then: Celery holds it until a thread is free

Where nobody had looked for a while, it may be as old as the last look, and is dated by that; in another life
of Redis, which may have given it back, what the first look finds is of unknown age.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import structlog
from celery.signals import task_postrun, task_received
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from pms.contract.names import Queue

log = structlog.get_logger()
EVERY_S: Final = 1.0
BLIND_S: Final = 2.0
"""After so long without a look, what is seen may have come just behind it."""

CHUNK: Final = 100
NOBODY_KNOWS: Final = float("-inf")


class Waiting:
    """Dates of the messages that lie in this worker's queues, and of those that it has taken."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._lying: dict[str, float] = {}
        self._taken: dict[str, float] = {}
        self._unclaimed: set[str] = set()
        #: still here at the last look, which found nothing: other workers took them
        self._life: str | None = None
        self._looked_at = NOBODY_KNOWS
        self._blind = (NOBODY_KNOWS, NOBODY_KNOWS)
        #: the last time for which nobody had looked: since when, and when somebody did again

    def watch(self, url: str, queues: list[str]) -> None:
        """Look now and for ever, and at each message that is taken; call before the worker consumes."""
        task_received.connect(self._received, weak=False)
        task_postrun.connect(self._ended, weak=False)
        redis = Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=5, client_name="waiting")
        self.try_to_look(redis, queues)
        threading.Thread(target=self._look_on, args=(redis, queues), name="waiting", daemon=True).start()

    def look(self, redis: Redis, queues: list[str]) -> None:
        """Date what has come into the queues since the last look.

        The newest come first, so that of a long queue only these are read. Trap: who pushes meanwhile lets a
        part be read twice; only messages that an earlier look has dated end this one.
        """
        at, lay, new = self._monotonic(), False, set[str]()
        life = str(redis.info("server")["run_id"])
        if self._life not in {None, life}:
            # What is new there was given back by a Redis that lost its tail, or came since: nobody knows.
            self._looked_at = NOBODY_KNOWS
        self._life = life
        for name in (name for queue in queues for name in Queue.lists(queue)):
            first = 0
            while raws := redis.lrange(name, first, first + CHUNK - 1):
                lay, first = True, first + CHUNK
                task_ids = _task_ids(raws)
                new |= self._dated(task_ids, at=at)
                if new.isdisjoint(task_ids):
                    break
        with self._lock:
            if lay:
                self._unclaimed = set()
            else:
                for task_id in self._unclaimed:
                    self._lying.pop(task_id, None)
                self._unclaimed = set(self._lying)
            if NOBODY_KNOWS < self._looked_at < at - BLIND_S:
                self._blind = (self._looked_at, at)
            self._looked_at = at

    def take(self, task_id: str) -> None:
        """A message is taken off its queue; a thread will come to it.

        Trap: while the process stood still Redis may have answered its BRPOP. Such a message lies in no list
        when somebody looks again, only in our socket, and is taken just behind that look.
        """
        with self._lock:
            now = self._monotonic()
            since, until = self._blind
            unseen = since if now - until <= BLIND_S else self._date(now)
            at = self._lying.pop(task_id, unseen)
            self._taken.setdefault(task_id, at)

    def end(self, task_id: str) -> None:
        """It was served."""
        with self._lock:
            self._taken.pop(task_id, None)

    def waited_ms(self, task_id: str) -> int | None:
        """How long a message that was taken has waited by now; None if nobody knows."""
        with self._lock:
            at = self._taken.get(task_id, NOBODY_KNOWS)
        return None if at == NOBODY_KNOWS else int((self._monotonic() - at) * 1000)

    def _dated(self, task_ids: Iterable[str], *, at: float) -> set[str]:
        """Date what is new among these, and tell which."""
        with self._lock:
            new = {task_id for task_id in task_ids if task_id not in self._lying}
            for task_id in new:
                # One that was taken and put back is as old as it was.
                self._lying[task_id] = self._taken.get(task_id, self._date(at))
        return new

    def _date(self, now: float) -> float:
        """When what is unseen until now may have come."""
        return now if now - self._looked_at <= BLIND_S else self._looked_at

    def _look_on(self, redis: Redis, queues: list[str]) -> None:
        while True:
            time.sleep(EVERY_S)
            self.try_to_look(redis, queues)

    def try_to_look(self, redis: Redis, queues: list[str]) -> None:
        """Look, if Redis answers; the next look knows that nobody did."""
        try:
            self.look(redis, queues)
        except (RedisError, OSError) as error:
            log.warning("queues_not_read", error=str(error))

    def _received(self, request: Any = None, **_: Any) -> None:
        self.take(str(request.id))

    def _ended(self, task_id: str = "", **_: Any) -> None:
        self.end(task_id)


waiting = Waiting(time.monotonic)
"""This process's."""


def _task_ids(raws: list[Any]) -> list[str]:
    return [task_id for raw in raws if (task_id := _task_id(raw)) is not None]


def _task_id(raw: bytes | str) -> str | None:
    """The id of a message's task; protocol 1, which Celery still takes, has it in the body."""
    try:
        message = json.loads(raw)
        if "id" in message["headers"]:
            return str(message["headers"]["id"])
        body = message["body"]
        if message["properties"]["body_encoding"] == "base64":
            body = base64.b64decode(body)
        return str(json.loads(body)["id"])
    except (ValueError, KeyError, TypeError):
        return None
