"""Connections to Redis, with every automatic retry off.

Trap: redis-py 8 repeats a command up to ten times by default. A repeat whose first reply was lost
is a second order in the queue; so a lost reply surfaces as an error, and whoever asked reads what
became of it.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff


def connect(url: str, *, name: str, timeout_s: float = 2.0, connections: int = 32) -> Redis:
    """Open a lazily connecting pool; a command lasts `timeout_s` at most, then raises."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=timeout_s,
        socket_connect_timeout=1.0,
        client_name=name,
        decode_responses=False,
    )
    return Redis.from_pool(pool)


def celery_url(url: str) -> str:
    """The same address as kombu spells it: `redis+socket://` for a Unix socket."""
    if not url.startswith("unix://"):
        return url
    parts = urlsplit(url)
    db = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.path}?virtual_host={db}"
