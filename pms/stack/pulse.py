"""What the running system's Redis tells about it: queues, commands under way, heartbeats, health."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import msgspec
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from pms.contract import names
from pms.stack.errors import StackError
from pms.stack.external import redis_shown
from pms.stack.processes import ROLES

SHOWN = 10


class OpenCommand(msgspec.Struct, rename="camel"):
    """A command without a result yet; `age_ms` by Redis time."""

    request_id: str
    command: str
    decision: str
    age_ms: int


class Pulse(msgspec.Struct, rename="camel"):
    """One look at Redis."""

    queues: dict[str, int]
    unacked: dict[str, int]
    open_commands: int
    oldest: list[OpenCommand]
    heartbeats: dict[str, int | None]
    health: dict[str, Any] | None
    budget: dict[str, Any] | None
    halt: str | None
    """What stands at `pms:halt`, whether or not a streamer lives to tell of it."""
    open_incidents: int = 0
    #: that nobody has acknowledged
    acknowledged_incidents: int = 0
    #: that are not resolved either


def take(url: str, heartbeats_of: list[str]) -> Pulse:
    """Look once. Raises StackError if Redis does not answer."""
    with _asked(url, decode_responses=True) as client:
        return _take(client, heartbeats_of)


def keep_orders(url: str, *, seconds: int) -> None:
    """Ask a streamer that is about to end to stop its countdowns. Raises StackError."""
    with _asked(url) as client:
        client.set(names.KEEP_ORDERS, "1", ex=seconds)


@contextmanager
def _asked(url: str, **options: Any) -> Iterator[Any]:
    """A client for one question; what goes wrong with it is a StackError.

    Trap: while the system starts, its Redis has no address yet.
    """
    if not url:
        raise StackError("Redis has no address: the system is starting, or PMS_REDIS_URL is to be set")
    try:
        with Redis.from_url(
            url, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0), **options
        ) as client:
            yield client
    except (RedisError, OSError, ValueError) as error:
        raise StackError(f"Redis {redis_shown(url)} does not answer: {error}") from None


def _take(client: Any, heartbeats_of: list[str]) -> Pulse:
    seconds, micros = client.time()
    now_ms = seconds * 1000 + micros // 1000
    roles = list(ROLES)
    lists = {name: queue for queue in names.Queue.ALL for name in names.Queue.lists(queue)}
    with client.pipeline(transaction=False) as pipe:
        for name in lists:
            pipe.llen(name)
        for role in roles:
            pipe.hlen(f"unacked:{role}")
        pipe.zcard(names.OPEN_REQUESTS)
        pipe.zrange(names.OPEN_REQUESTS, 0, SHOWN - 1, withscores=True)
        pipe.mget([names.ready_key(name) for name in heartbeats_of] or [names.ready_key("-")])
        pipe.get(names.HEALTH)
        pipe.get(names.BUDGET)
        pipe.hvals(names.INCIDENTS)
        pipe.get(names.HALT)
        *sizes, open_count, oldest, beats, health, budget, incidents, halt = pipe.execute()
    states = Counter[str](json.loads(row)["state"] for row in incidents)
    waiting = Counter[str]()
    for queue, size in zip(lists.values(), sizes, strict=False):
        waiting[queue] += size
    return Pulse(
        queues=dict(waiting),
        unacked=dict(zip(roles, sizes[len(lists) :], strict=True)),
        open_commands=open_count,
        oldest=[_open_command(client, request, now_ms - int(at)) for request, at in oldest],
        heartbeats={
            name: json.loads(beat)["pid"] if beat else None
            for name, beat in zip(heartbeats_of, beats, strict=False)
        },
        health=json.loads(health, parse_float=Decimal) if health else None,
        budget=json.loads(budget) if budget else None,
        open_incidents=states["open"],
        acknowledged_incidents=states["acknowledged"],
        halt=halt,
    )


def _open_command(client: Any, request_id: str, age_ms: int) -> OpenCommand:
    command, decision = client.hmget(names.request_key(request_id), "command", "decision")
    return OpenCommand(request_id, command or "?", decision or "undecided", age_ms)
