"""Connections to Redis, with every automatic retry off, and whose commands can be cancelled.

Trap: redis-py 8 repeats a command up to ten times by default. A repeat whose first reply was lost
is a second order in the queue; so a lost reply surfaces as an error, and whoever asked reads what
became of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisGone
from redis.exceptions import TimeoutError as RedisTimeout


class _Cancellable(AbstractConnection):
    """Writes within its time-out, and ends when it is cancelled while it does.

    Trap: redis-py writes under `asyncio.wait_for`, which up to Python 3.11 swallows a cancel that comes
    as the write is done: the command is then awaited and its task goes on, for ever if it is a loop.
    """

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        if check_health:
            untyped: Any = self
            await untyped.check_health()
        packed = command.encode() if isinstance(command, str) else command
        try:
            async with asyncio.timeout(self.socket_timeout):
                await self._send_packed_command([packed] if isinstance(packed, bytes) else packed)
        except TimeoutError:
            await self.disconnect(nowait=True)
            raise RedisTimeout("not written in time") from None
        except OSError as error:
            await self.disconnect(nowait=True)
            raise RedisGone(f"not written: {error}") from error
        except BaseException:
            # Half a command may be on the wire: nothing may follow it.
            await self.disconnect(nowait=True)
            raise


class _Tcp(_Cancellable, Connection): ...


class _Tls(_Cancellable, SSLConnection): ...


class _Unix(_Cancellable, UnixDomainSocketConnection): ...


_CANCELLABLE = {Connection: _Tcp, SSLConnection: _Tls, UnixDomainSocketConnection: _Unix}


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
    pool.connection_class = _CANCELLABLE[pool.connection_class]
    return Redis.from_pool(pool)


def celery_url(url: str) -> str:
    """The same address as Celery spells it: `redis+socket://` for a Unix socket.

    Trap: of an encrypted address redis-py verifies the certificate unless told otherwise; kombu does not,
    and Celery's result backend refuses to guess.
    """
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    if parts.scheme == "rediss" and "ssl_cert_reqs" not in query:
        return urlunsplit(
            parts._replace(query="&".join(filter(None, (parts.query, "ssl_cert_reqs=required"))))
        )
    if parts.scheme == "unix":
        return f"redis+socket://{parts.netloc}{parts.path}?virtual_host={query.get('db', ['0'])[0]}"
    return url
