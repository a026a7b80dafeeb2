"""The commands of a simulated Redis, as the server replies to them: the ones we use, and no others.

Replies are those of RESP: bytes, int, None for nil, a list for an array, `Status` for a status. A
refusal is raised. Each handler takes the keyspace's server and the arguments as bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

from pms.sim.machines.redis.keyspace import Fields, Keyspace, Refusal, SortedSet, Stream, StreamId

Reply = Any
LAST: StreamId = (2**63, 2**63)


class Status(bytes):
    """A status reply: `OK`."""


OK = Status(b"OK")


class Server(Protocol):
    """What a command needs besides the keys."""

    keys: Keyspace
    run_id: str
    full: bool

    def now_us(self) -> int:
        """The server's clock."""

    def publish(self, channel: bytes, message: bytes) -> int:
        """Deliver to all subscribers."""


GROWS = frozenset(
    (b"SET", b"HSET", b"HSETNX", b"HINCRBY", b"LPUSH", b"RPUSH", b"LMOVE", b"BLMOVE", b"ZADD", b"XADD")
)
"""What a server without memory refuses: Redis' flag `denyoom`."""

WRITES = GROWS | frozenset(
    (
        b"DEL",
        b"UNLINK",
        b"EXPIRE",
        b"PEXPIRE",
        b"GETDEL",
        b"HDEL",
        b"LPOP",
        b"RPOP",
        b"LREM",
        b"ZREM",
        b"XTRIM",
    )
)
"""Behind any of these a script goes on, memory or not."""

Handler = Callable[[Server, list[bytes]], Reply]
TABLE: dict[bytes, Handler] = {}


def command(name: str) -> Callable[[Handler], Handler]:
    """Enter a handler under its command's name."""

    def enter(handler: Handler) -> Handler:
        TABLE[name.encode()] = handler
        return handler

    return enter


def execute(server: Server, words: list[bytes]) -> Reply:
    """Run one command. Raises Refusal."""
    handler = TABLE.get(words[0].upper())
    if handler is None:
        raise Refusal(f"ERR unknown command '{words[0].decode()}'")
    return handler(server, words[1:])


def number(text: bytes) -> int:
    """A whole number as commands carry it."""
    try:
        return int(text)
    except ValueError:
        raise Refusal("ERR value is not an integer or out of range") from None


# --- keys ---


@command("DEL")
def _del(server: Server, words: list[bytes]) -> int:
    return sum(server.keys.get(key) is not None and server.keys.delete(key) for key in words)


@command("UNLINK")
def _unlink(server: Server, words: list[bytes]) -> int:
    return sum(server.keys.get(key) is not None and server.keys.delete(key) for key in words)


@command("EXISTS")
def _exists(server: Server, words: list[bytes]) -> int:
    return sum(server.keys.get(key) is not None for key in words)


@command("EXPIRE")
def _expire(server: Server, words: list[bytes]) -> int:
    return int(server.keys.expire_at(words[0], server.now_us() // 1000 + number(words[1]) * 1000))


@command("PEXPIRE")
def _pexpire(server: Server, words: list[bytes]) -> int:
    return int(server.keys.expire_at(words[0], server.now_us() // 1000 + number(words[1])))


@command("PTTL")
def _pttl(server: Server, words: list[bytes]) -> int:
    if server.keys.get(words[0]) is None:
        return -2
    expiry = server.keys.expiry(words[0])
    return -1 if expiry is None else expiry - server.now_us() // 1000


# --- strings ---


@command("SET")
def _set(server: Server, words: list[bytes]) -> Reply:
    key, value, *options = words
    expiry: int | None = None
    while options:
        option = options.pop(0).upper()
        if option == b"NX":
            if server.keys.get(key) is not None:
                return None
        elif option == b"XX":
            if server.keys.get(key) is None:
                return None
        elif option in (b"EX", b"PX") and options:
            span = number(options.pop(0)) * (1000 if option == b"EX" else 1)
            if span <= 0:
                raise Refusal("ERR invalid expire time in 'set' command")
            expiry = server.now_us() // 1000 + span
        else:
            raise Refusal("ERR syntax error")
    server.keys.put(key, value)
    if expiry is not None:
        server.keys.expire_at(key, expiry)
    return OK


@command("GET")
def _get(server: Server, words: list[bytes]) -> Reply:
    return server.keys.of_kind(words[0], bytes)


@command("GETDEL")
def _getdel(server: Server, words: list[bytes]) -> Reply:
    value = server.keys.of_kind(words[0], bytes)
    server.keys.delete(words[0])
    return value


@command("MGET")
def _mget(server: Server, words: list[bytes]) -> Reply:
    found = [server.keys.get(key) for key in words]
    return [value if isinstance(value, bytes) else None for value in found]


# --- hashes ---


@command("HSET")
def _hset(server: Server, words: list[bytes]) -> int:
    key, *pairs = words
    if not pairs or len(pairs) % 2:
        raise Refusal("ERR wrong number of arguments for 'hset' command")
    fields: dict[bytes, bytes] = server.keys.made(key, dict)
    before = len(fields)
    fields.update(zip(pairs[::2], pairs[1::2], strict=True))
    return len(fields) - before


@command("HSETNX")
def _hsetnx(server: Server, words: list[bytes]) -> int:
    fields = server.keys.made(words[0], dict)
    if words[1] in fields:
        return 0
    fields[words[1]] = words[2]
    return 1


@command("HGET")
def _hget(server: Server, words: list[bytes]) -> Reply:
    return (server.keys.of_kind(words[0], dict) or {}).get(words[1])


@command("HEXISTS")
def _hexists(server: Server, words: list[bytes]) -> int:
    return int(words[1] in (server.keys.of_kind(words[0], dict) or {}))


@command("HLEN")
def _hlen(server: Server, words: list[bytes]) -> int:
    return len(server.keys.of_kind(words[0], dict) or {})


@command("HVALS")
def _hvals(server: Server, words: list[bytes]) -> Reply:
    return list((server.keys.of_kind(words[0], dict) or {}).values())


@command("HMGET")
def _hmget(server: Server, words: list[bytes]) -> Reply:
    fields = server.keys.of_kind(words[0], dict) or {}
    return [fields.get(name) for name in words[1:]]


@command("HGETALL")
def _hgetall(server: Server, words: list[bytes]) -> Reply:
    fields = server.keys.of_kind(words[0], dict) or {}
    return [part for pair in fields.items() for part in pair]


@command("HDEL")
def _hdel(server: Server, words: list[bytes]) -> int:
    fields = server.keys.of_kind(words[0], dict) or {}
    gone = sum(fields.pop(name, None) is not None for name in words[1:])
    server.keys.drop_empty(words[0])
    return gone


@command("HINCRBY")
def _hincrby(server: Server, words: list[bytes]) -> int:
    fields: dict[bytes, bytes] = server.keys.made(words[0], dict)
    total = number(fields.get(words[1], b"0")) + number(words[2])
    fields[words[1]] = b"%d" % total
    return total


# --- lists ---


def _items(server: Server, key: bytes) -> list[bytes]:
    return server.keys.of_kind(key, list) or []


@command("LPUSH")
def _lpush(server: Server, words: list[bytes]) -> int:
    items: list[bytes] = server.keys.made(words[0], list)
    for item in words[1:]:
        items.insert(0, item)
    return len(items)


@command("RPUSH")
def _rpush(server: Server, words: list[bytes]) -> int:
    items = server.keys.made(words[0], list)
    items.extend(words[1:])
    return len(items)


@command("LPOP")
def _lpop(server: Server, words: list[bytes]) -> Reply:
    items = _items(server, words[0])
    if len(words) == 1:
        taken: Reply = items.pop(0) if items else None
    elif not items:
        return None
    else:
        count = number(words[1])
        taken = items[:count]
        del items[:count]
    server.keys.drop_empty(words[0])
    return taken


@command("RPOP")
def _rpop(server: Server, words: list[bytes]) -> Reply:
    items = _items(server, words[0])
    taken = items.pop() if items else None
    server.keys.drop_empty(words[0])
    return taken


@command("LLEN")
def _llen(server: Server, words: list[bytes]) -> int:
    return len(_items(server, words[0]))


@command("LINDEX")
def _lindex(server: Server, words: list[bytes]) -> Reply:
    items, place = _items(server, words[0]), number(words[1])
    return items[place] if -len(items) <= place < len(items) else None


@command("LRANGE")
def _lrange(server: Server, words: list[bytes]) -> Reply:
    items = _items(server, words[0])
    first, last = (each + len(items) if each < 0 else each for each in map(number, words[1:3]))
    return items[max(first, 0) : last + 1]


@command("LREM")
def _lrem(server: Server, words: list[bytes]) -> int:
    items, count = _items(server, words[0]), number(words[1])
    places = [place for place, item in enumerate(items) if item == words[2]]
    if count < 0:
        places.reverse()
    chosen = places[: abs(count)] if count else places
    for place in sorted(chosen, reverse=True):
        del items[place]
    server.keys.drop_empty(words[0])
    return len(chosen)


@command("LMOVE")
def _lmove(server: Server, words: list[bytes]) -> Reply:
    source, target, taken_from, put_at = words
    items = _items(server, source)
    if not items:
        return None
    item = items.pop(0 if taken_from.upper() == b"LEFT" else -1)
    goal: list[bytes] = server.keys.made(target, list)
    goal.insert(0 if put_at.upper() == b"LEFT" else len(goal), item)
    server.keys.drop_empty(source)
    return item


# --- sorted sets ---


@command("ZADD")
def _zadd(server: Server, words: list[bytes]) -> int:
    members = server.keys.made(words[0], SortedSet)
    before = len(members)
    for score, member in zip(words[1::2], words[2::2], strict=True):
        members[member] = _score(score)
    return len(members) - before


@command("ZREM")
def _zrem(server: Server, words: list[bytes]) -> int:
    members = server.keys.of_kind(words[0], SortedSet)
    if members is None:
        return 0
    gone = sum(members.pop(member, None) is not None for member in words[1:])
    server.keys.drop_empty(words[0])
    return gone


@command("ZSCORE")
def _zscore(server: Server, words: list[bytes]) -> bytes | None:
    score = (server.keys.of_kind(words[0], SortedSet) or SortedSet()).get(words[1])
    return None if score is None else b"%.17g" % score


@command("ZCARD")
def _zcard(server: Server, words: list[bytes]) -> int:
    return len(server.keys.of_kind(words[0], SortedSet) or ())


@command("ZRANGEBYSCORE")
def _zrangebyscore(server: Server, words: list[bytes]) -> Reply:
    key, low, high, *options = words
    members = server.keys.of_kind(key, SortedSet) or SortedSet()
    least, most = _score(low), _score(high)
    found = sorted((score, member) for member, score in members.items() if least <= score <= most)
    skip, count = 0, len(found)
    if options:
        if options[0].upper() != b"LIMIT" or len(options) != 3:
            raise Refusal("ERR syntax error")
        skip, count = number(options[1]), number(options[2])
    return [member for _, member in found[skip : skip + count]]


def _score(text: bytes) -> float:
    infinite = {b"-inf": -math.inf, b"+inf": math.inf, b"inf": math.inf}
    if text in infinite:
        return infinite[text]
    try:
        return float(text)
    except ValueError:
        raise Refusal("ERR min or max is not a float") from None


# --- streams ---


@command("XADD")
def _xadd(server: Server, words: list[bytes]) -> bytes:
    key, *rest = words
    most: int | None = None
    approximate = False
    if rest[0].upper() == b"MAXLEN":
        rest.pop(0)
        if rest[0] == b"~":
            rest.pop(0)
            approximate = True
        most = number(rest.pop(0))
    told = rest.pop(0)
    at = _next_id(server, key) if told == b"*" else _stream_id(told, 0)
    if not rest or len(rest) % 2:
        raise Refusal("ERR wrong number of arguments for 'xadd' command")
    if server.keys.get(key) is None and at == (0, 0):
        raise Refusal("ERR The ID specified in XADD must be greater than 0-0")
    stream = server.keys.made(key, Stream)
    stream.add(at, rest)
    if most is not None and not approximate and len(stream.ids) > most:
        stream.drop(len(stream.ids) - most)
    return _id_text(at)


def _next_id(server: Server, key: bytes) -> StreamId:
    """The id that Redis gives: its clock, or the successor of the newest."""
    stream = server.keys.of_kind(key, Stream)
    last = stream.last if stream else (0, 0)
    return max((server.now_us() // 1000, 0), (last[0], last[1] + 1))


@command("XLEN")
def _xlen(server: Server, words: list[bytes]) -> int:
    stream = server.keys.of_kind(words[0], Stream)
    return len(stream.ids) if stream else 0


@command("XRANGE")
def _xrange(server: Server, words: list[bytes]) -> Reply:
    stream = server.keys.of_kind(words[0], Stream)
    if stream is None:
        return []
    found: list[Reply] = []
    most = _count(words[3:])
    for at, fields in stream.between(_start(words[1]), _end(words[2])):
        if most is not None and len(found) >= most:
            break
        found.append([_id_text(at), list(fields)])
    return found


@command("XREVRANGE")
def _xrevrange(server: Server, words: list[bytes]) -> Reply:
    stream = server.keys.of_kind(words[0], Stream)
    if stream is None:
        return []
    most = _count(words[3:])
    if words[1] == b"+" and words[2] == b"-" and most is not None:
        newest = range(len(stream.ids) - 1, max(len(stream.ids) - most, 0) - 1, -1)
        return [[_id_text(stream.ids[place]), list(stream.entries[place])] for place in newest]
    found: list[tuple[StreamId, Fields]] = list(stream.between(_start(words[2]), _end(words[1])))
    found.reverse()
    return [[_id_text(at), list(fields)] for at, fields in found[:most]]


@command("XTRIM")
def _xtrim(server: Server, words: list[bytes]) -> int:
    stream = server.keys.of_kind(words[0], Stream)
    if words[1].upper() != b"MINID":
        raise Refusal("ERR syntax error")
    approximate = words[2] == b"~"
    least = _stream_id(words[3] if words[2] in (b"~", b"=") else words[2], 0)
    if stream is None or approximate:
        # An approximate trim drops whole nodes of a hundred entries; here there are never so many.
        return 0
    return stream.drop(sum(at < least for at in stream.ids))


@command("XINFO")
def _xinfo(server: Server, words: list[bytes]) -> Reply:
    stream = server.keys.of_kind(words[1], Stream)
    if stream is None:
        raise Refusal("ERR no such key")
    return [b"length", len(stream.ids), b"last-generated-id", _id_text(stream.last)]


def _count(options: list[bytes]) -> int | None:
    if not options:
        return None
    if options[0].upper() != b"COUNT" or len(options) != 2:
        raise Refusal("ERR syntax error")
    return number(options[1])


def _stream_id(text: bytes, sequence: int) -> StreamId:
    first, dash, second = text.partition(b"-")
    try:
        return int(first), int(second) if dash else sequence
    except ValueError:
        raise Refusal("ERR Invalid stream ID specified as stream command argument") from None


def _start(text: bytes) -> StreamId:
    if text == b"-":
        return (0, 0)
    if text.startswith(b"("):
        first, second = _stream_id(text[1:], 0)
        return first, second + 1
    return _stream_id(text, 0)


def _end(text: bytes) -> StreamId:
    return LAST if text == b"+" else _stream_id(text, LAST[1])


def _id_text(at: StreamId) -> bytes:
    return b"%d-%d" % at


# --- the server ---


@command("TIME")
def _time(server: Server, words: list[bytes]) -> Reply:
    seconds, micros = divmod(server.now_us(), 1_000_000)
    return [b"%d" % seconds, b"%d" % micros]


@command("INFO")
def _info(server: Server, words: list[bytes]) -> bytes:
    if words and words[0].lower() == b"memory":
        return b"# Memory\r\nused_memory:%d\r\nmaxmemory:1000000\r\n" % (
            1_000_000 if server.full else 100_000
        )
    return b"# Server\r\nrun_id:%b\r\n" % server.run_id.encode()


@command("PUBLISH")
def _publish(server: Server, words: list[bytes]) -> int:
    return server.publish(words[0], words[1])


@command("PING")
def _ping(server: Server, words: list[bytes]) -> Status:
    return Status(b"PONG")
