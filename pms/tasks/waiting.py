"""Messages that were waiting when this worker started: nobody knows for how long.

A command of ours is dated by its record. A plain message is not, so one that was found waiting is
refused `STALE` if it would place an order: forty market orders that waited an hour must not be sent.
"""

from __future__ import annotations

import json

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

_found: set[str] = set()


def note_waiting(url: str, queues: list[str]) -> int:
    """Note the ids of all messages that wait now; call before the worker consumes."""
    redis = Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=5, client_name="waiting")
    with redis:
        for queue in queues:
            for raw in redis.lrange(queue, 0, -1):
                task_id = _task_id(raw)
                if task_id is not None:
                    _found.add(task_id)
    return len(_found)


def found_waiting(task_id: str) -> bool:
    """Whether a message lay in its queue before this worker started."""
    return task_id in _found


def _task_id(raw: bytes | str) -> str | None:
    try:
        return str(json.loads(raw)["headers"]["id"])
    except (ValueError, KeyError, TypeError):
        return None
