"""A client of the simulated Redis with the face of redis-py's asyncio client, as far as we use it.

A command takes its time to the server and its reply takes its time back; in between everybody else
goes on. Trap, as in redis-py: `subscribe` does not wait until the server has subscribed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NoReturn

from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError
from redis.exceptions import TimeoutError as TimedOut

from pms.bus.scripts import LUA
from pms.sim.machines.loop import Loop, Process
from pms.sim.machines.network import Network
from pms.sim.machines.redis.commands import Reply, Status
from pms.sim.machines.redis.keyspace import Refusal
from pms.sim.machines.redis.server import Server

Words = list[bytes]
LEAST_S, MOST_S = 0.0001, 0.0012
Argument = str | bytes | int | float


@cache
def _script_names() -> dict[bytes, str]:
    return {path.read_text().encode(): path.stem for path in sorted(LUA.glob("*.lua"))}


def subject_of(words: Words) -> str:
    """What a command is called in rules and traces: a script by its file's name."""
    if words[0] == b"EVAL":
        key = words[3].decode() if int(words[2]) else ""
        return f"{_script_names().get(words[1], 'script')} {key}"
    return b" ".join(words[:2]).decode(errors="replace")


class Client:
    """One process's connections to the server."""

    def __init__(
        self, server: Server, network: Network, loop: Loop, process: Process, *, timeout_s: float = 2.0
    ) -> None:
        self._server = server
        self._network = network
        self._loop = loop
        self._process = process
        self._timeout_s = timeout_s
        self._line = f"redis:{process.name}"
        self._closed = False
        process.last_wishes.append(self._hang_up)

    def _hang_up(self) -> None:
        self._closed = True
        self._server.forget(self)

    async def aclose(self) -> None:
        """Close all connections."""
        self._hang_up()

    # --- one command ---

    def _ask(self, words: Words, run: Callable[[asyncio.Future[Reply]], None]) -> asyncio.Future[Reply]:
        """Send something to the server; the future has its reply, or why there is none."""
        loop, network = self._loop, self._network
        if loop.over:
            raise asyncio.CancelledError
        future: asyncio.Future[Reply] = loop.create_future()
        if self._closed:
            future.set_exception(Disconnected("the connection is closed"))
            return future
        rule = network.strike(self._line, subject_of(words)) if network.rules else None
        if rule is not None and rule.kind == "redis_lost_before":
            loop.at(loop.now + network.delay(LEAST_S, MOST_S), self._fail, future, Disconnected("lost"))
            return future
        if rule is not None:
            run = _then_lost(run, future, self)
        loop.at(loop.now + network.delay(LEAST_S, MOST_S), self._arrived, future, run, loop.now)
        return future

    def _arrived(
        self, future: asyncio.Future[Reply], run: Callable[[asyncio.Future[Reply]], None], sent: float
    ) -> None:
        server = self._server
        if server.paused:
            self._loop.at(sent + self._timeout_s, self._fail, future, TimedOut("Timeout reading from Redis"))
        server.arrive(lambda: run(future), lambda: self._fail(future, Disconnected("Connection refused")))

    def _execute(self, words: Words, future: asyncio.Future[Reply]) -> None:
        self._answer(future, self._reply(words))

    def _reply(self, words: Words) -> Reply:
        """What the server answers: a reply, or an error as the library would raise it."""
        try:
            return self._server.execute(words)
        except Refusal as error:
            return _as_raised(error)

    def _answer(self, future: asyncio.Future[Reply], reply: Reply) -> None:
        loop = self._loop
        loop.at(loop.now + self._network.delay(LEAST_S, MOST_S), self._deliver, future, reply)

    def _deliver(self, future: asyncio.Future[Reply], reply: Reply) -> None:
        if future.done():
            return
        if isinstance(reply, Exception):
            future.set_exception(reply)
        else:
            future.set_result(reply)

    def _fail(self, future: asyncio.Future[Reply], error: RedisError) -> None:
        self._deliver(future, error)

    async def execute(self, *words: Argument) -> Reply:
        """Run one command and await its reply as the server gave it."""
        encoded = [word if type(word) is bytes else _encoded(word) for word in words]
        sent = self._loop.now
        reply = await self._ask(encoded, lambda future: self._execute(encoded, future))
        return self._in_time(reply, sent)

    def at_once(self, *words: Argument) -> Reply:
        """Run one command as a thread beside this loop does, which waits for it. Raises RedisError."""
        if not self._server.up:
            raise Disconnected("Connection refused")
        if self._server.paused:
            raise TimedOut("Timeout reading from Redis")
        reply = self._reply([word if type(word) is bytes else _encoded(word) for word in words])
        if isinstance(reply, Exception):
            raise reply
        return reply

    def _in_time(self, reply: Reply, sent: float) -> Reply:
        """A reply, unless whoever reads it stood still: then asyncio's timer came first, and it is lost."""
        if self._loop.now - sent > self._timeout_s:
            raise TimedOut("Timeout reading from Redis")
        return reply

    async def _block(self, words: Words, timeout_s: float) -> Reply:
        def run(future: asyncio.Future[Reply]) -> None:
            try:
                self._server.block(
                    words,
                    timeout_s=timeout_s,
                    answer=lambda reply: self._answer(future, reply),
                    lost=lambda: self._fail(future, Disconnected("Connection closed by server.")),
                    owner=self,
                )
            except Refusal as error:
                self._answer(future, _as_raised(error))

        sent = self._loop.now
        return self._in_time(await self._ask(words, run), sent)

    # --- strings and keys ---

    async def set(self, name: str, value: Argument, *, ex: int | None = None) -> bool:
        return await self.execute("SET", name, value, *(("EX", ex) if ex is not None else ())) is not None

    async def get(self, name: str) -> Reply:
        return await self.execute("GET", name)

    async def getdel(self, name: str) -> Reply:
        return await self.execute("GETDEL", name)

    async def info(self, section: str) -> dict[str, int]:
        text = await self.execute("INFO", section)
        pairs = (line.split(b":") for line in text.splitlines() if b":" in line)
        return {name.decode(): int(value) for name, value in pairs}

    async def mget(self, names: str | Sequence[str], *more: str) -> Reply:
        return await self.execute("MGET", *((names,) if isinstance(names, str) else names), *more)

    async def delete(self, *names: str) -> Reply:
        return await self.execute("DEL", *names)

    async def exists(self, *names: str) -> Reply:
        return await self.execute("EXISTS", *names)

    async def time(self) -> tuple[int, int]:
        seconds, micros = await self.execute("TIME")
        return int(seconds), int(micros)

    # --- hashes ---

    async def hget(self, name: str, key: str) -> Reply:
        return await self.execute("HGET", name, key)

    async def hmget(self, name: str, *keys: str) -> Reply:
        return await self.execute("HMGET", name, *keys)

    async def hgetall(self, name: str) -> dict[bytes, bytes]:
        flat = await self.execute("HGETALL", name)
        return dict(zip(flat[::2], flat[1::2], strict=True))

    async def hset(self, name: str, *, mapping: Mapping[str, Argument]) -> Reply:
        return await self.execute("HSET", name, *(part for pair in mapping.items() for part in pair))

    # --- lists ---

    async def lpush(self, name: str, *values: Argument) -> Reply:
        return await self.execute("LPUSH", name, *values)

    async def rpush(self, name: str, *values: Argument) -> Reply:
        return await self.execute("RPUSH", name, *values)

    async def lpop(self, name: str, count: int | None = None) -> Reply:
        return await self.execute("LPOP", name, *(() if count is None else (count,)))

    async def llen(self, name: str) -> Reply:
        return await self.execute("LLEN", name)

    async def lindex(self, name: str, index: int) -> Reply:
        return await self.execute("LINDEX", name, index)

    async def lrange(self, name: str, start: int, end: int) -> Reply:
        return await self.execute("LRANGE", name, start, end)

    async def lrem(self, name: str, count: int, value: Argument) -> Reply:
        return await self.execute("LREM", name, count, value)

    async def lmove(self, first: str, second: str, src: str = "LEFT", dest: str = "RIGHT") -> Reply:
        return await self.execute("LMOVE", first, second, src, dest)

    async def blmove(
        self, first: str, second: str, timeout: float, src: str = "LEFT", dest: str = "RIGHT"
    ) -> Reply:
        words: Words = [b"BLMOVE", *(_encoded(each) for each in (first, second, src, dest))]
        return await self._block(words, timeout)

    async def blpop(self, names: Sequence[str], timeout: float) -> tuple[bytes, bytes] | None:
        found = await self._block([b"BLPOP", *(_encoded(name) for name in names)], timeout)
        return None if found is None else (found[0], found[1])

    async def brpop(self, names: Sequence[str], timeout: float) -> tuple[bytes, bytes] | None:
        found = await self._block([b"BRPOP", *(_encoded(name) for name in names)], timeout)
        return None if found is None else (found[0], found[1])

    # --- sorted sets ---

    async def zrangebyscore(
        self,
        name: str,
        minimum: Argument,
        maximum: Argument,
        *,
        start: int | None = None,
        num: int | None = None,
    ) -> Reply:
        limit: tuple[Argument, ...] = () if start is None or num is None else ("LIMIT", start, num)
        return await self.execute("ZRANGEBYSCORE", name, minimum, maximum, *limit)

    async def zcard(self, name: str) -> Reply:
        return await self.execute("ZCARD", name)

    # --- streams ---

    async def xrange(
        self, name: str, min: str = "-", max: str = "+", count: int | None = None
    ) -> list[tuple[bytes, dict[bytes, bytes]]]:
        found = await self.execute("XRANGE", name, min, max, *(() if count is None else ("COUNT", count)))
        return _entries(found)

    async def xrevrange(
        self, name: str, max: str = "+", min: str = "-", count: int | None = None
    ) -> list[tuple[bytes, dict[bytes, bytes]]]:
        found = await self.execute("XREVRANGE", name, max, min, *(() if count is None else ("COUNT", count)))
        return _entries(found)

    async def xtrim(self, name: str, *, minid: str, approximate: bool = True) -> Reply:
        return await self.execute("XTRIM", name, "MINID", "~" if approximate else "=", minid)

    async def xlen(self, name: str) -> Reply:
        return await self.execute("XLEN", name)

    async def xinfo_stream(self, name: str) -> dict[str, Reply]:
        flat = await self.execute("XINFO", "STREAM", name)
        names = (part.decode() for part in flat[::2])
        return dict(zip(names, flat[1::2], strict=True))

    # --- scripts, pipelines, pub/sub ---

    async def eval(self, script: str, numkeys: int, *keys_and_args: Argument) -> Reply:
        return await self.execute("EVAL", script, numkeys, *keys_and_args)

    def register_script(self, script: str) -> Script:
        return Script(self, script.encode())

    async def publish(self, channel: str, message: Argument) -> Reply:
        return await self.execute("PUBLISH", channel, message)

    def pipeline(self, *, transaction: bool = True) -> Pipeline:
        return Pipeline(self, transaction=transaction)

    def pubsub(self) -> Listener:
        return Listener(self, self._server, self._network, self._loop, self._process)


class Script:
    """A registered script."""

    __slots__ = ("_client", "_text")

    def __init__(self, client: Client, text: bytes) -> None:
        self._client = client
        self._text = text

    async def __call__(self, *, keys: Sequence[str], args: Sequence[Argument]) -> Reply:
        return await self._client.execute("EVAL", self._text, len(keys), *keys, *args)


class Pipeline:
    """Commands that travel together."""

    def __init__(self, client: Client, *, transaction: bool) -> None:
        self._client = client
        self._transaction = transaction
        self._commands: list[Words] = []

    async def __aenter__(self) -> Pipeline:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._commands.clear()

    def set(self, name: str, value: Argument, *, ex: int | None = None) -> Pipeline:
        return self._add("SET", name, value, *(("EX", ex) if ex is not None else ()))

    def get(self, name: str) -> Pipeline:
        return self._add("GET", name)

    def delete(self, *names: str) -> Pipeline:
        return self._add("DEL", *names)

    def hget(self, name: str, key: str) -> Pipeline:
        return self._add("HGET", name, key)

    def hset(self, name: str, *, mapping: Mapping[str, Argument]) -> Pipeline:
        return self._add("HSET", name, *(part for pair in mapping.items() for part in pair))

    def lpush(self, name: str, *values: Argument) -> Pipeline:
        return self._add("LPUSH", name, *values)

    def xadd(self, name: str, fields: Mapping[str, Argument], *, maxlen: int) -> Pipeline:
        told = (part for field in fields.items() for part in field)
        return self._add("XADD", name, "MAXLEN", "~", maxlen, "*", *told)

    def time(self) -> Pipeline:
        return self._add("TIME")

    def _add(self, *words: Argument) -> Pipeline:
        self._commands.append([_encoded(word) for word in words])
        return self

    async def execute(self) -> list[Reply]:
        """Run all, in order; the first refusal is raised. A transaction without room for one runs none."""
        commands, self._commands = self._commands, []
        if not commands:
            return []
        client = self._client

        def run(future: asyncio.Future[Reply]) -> None:
            try:
                if self._transaction:
                    for words in commands:
                        client._server.check_room(words)
            except Refusal as error:
                client._answer(future, _as_raised(error))
            else:
                client._answer(future, [client._reply(words) for words in commands])

        sent = client._loop.now
        replies = client._in_time(await client._ask(commands[0], run), sent)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return [True if isinstance(reply, Status) else reply for reply in replies]


class Listener:
    """One connection that hears channels."""

    def __init__(
        self, client: Client, server: Server, network: Network, loop: Loop, process: Process
    ) -> None:
        self._client = client
        self._server = server
        self._network = network
        self._loop = loop
        self._line = f"redis:{process.name}"
        self._messages: deque[dict[str, Any]] = deque()
        self._something = asyncio.Event()
        self._broken = False
        self._last_s = 0.0
        process.last_wishes.append(lambda: server.unsubscribe(self))

    async def __aenter__(self) -> Listener:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.unsubscribe(self)

    async def subscribe(self, *channels: str) -> None:
        """Ask for channels; a confirmation comes as a message."""
        if not self._server.up:
            await self._client.execute("PING")
        for channel in channels:
            words = [b"SUBSCRIBE", channel.encode()]
            self._client._ask(words, partial(self._subscribed, words[1]))

    def _subscribed(self, channel: bytes, _: object) -> None:
        self._server.subscribe(channel, self)
        self._carry({"type": "subscribe", "channel": channel, "data": 1})

    async def get_message(
        self, *, ignore_subscribe_messages: bool = False, timeout: float | None = 0.0
    ) -> dict[str, Any] | None:
        """The next message; None when there is none in time, or for a confirmation not asked for."""
        if not self._messages and not self._broken:
            self._something.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._something.wait()
            except TimeoutError:
                return None
        if not self._messages:
            self._raise_lost()
        message = self._messages.popleft()
        return None if ignore_subscribe_messages and message["type"] == "subscribe" else message

    def hear(self, channel: bytes, message: bytes) -> None:
        """The server publishes."""
        if self._network.rules and self._network.strike(self._line, f"message {channel.decode()}"):
            return
        self._carry({"type": "message", "channel": channel, "data": message})

    def lost(self) -> None:
        """The connection broke."""
        self._broken = True
        self._something.set()

    def _carry(self, message: dict[str, Any]) -> None:
        """In order, as on one connection."""
        self._last_s = max(self._last_s, self._loop.now + self._network.delay(LEAST_S, MOST_S))
        self._loop.at(self._last_s, self._take, message)

    def _take(self, message: dict[str, Any]) -> None:
        self._messages.append(message)
        self._something.set()

    def _raise_lost(self) -> NoReturn:
        raise Disconnected("Connection closed by server.")


def _then_lost(
    run: Callable[[asyncio.Future[Reply]], None], future: asyncio.Future[Reply], client: Client
) -> Callable[[asyncio.Future[Reply]], None]:
    """Run the command, and lose its reply."""

    def lossy(_: asyncio.Future[Reply]) -> None:
        run(client._loop.create_future())
        client._answer(future, Disconnected("lost"))

    return lossy


def _encoded(word: Argument) -> bytes:
    if isinstance(word, bytes):
        return word
    return word.encode() if isinstance(word, str) else str(word).encode()


def _entries(found: list[Any]) -> list[tuple[bytes, dict[bytes, bytes]]]:
    return [(at, dict(zip(fields[::2], fields[1::2], strict=True))) for at, fields in found]


def _as_raised(error: Refusal) -> ResponseError:
    kind = OutOfMemoryError if str(error).startswith("OOM") else ResponseError
    return kind(str(error).removeprefix("ERR "))
