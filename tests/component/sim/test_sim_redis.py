"""The Redis double against a real Redis: the same calls of the very scripts and commands we run, the same
replies, and at the end the same keys."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis.exceptions import ResponseError

from pms.binance import limits
from pms.bus.connection import connect
from pms.bus.scripts import LUA, source
from pms.contract import names
from pms.db import fold
from pms.sim.machines.loop import Loop
from pms.sim.machines.network import Network
from pms.sim.machines.redis.client import Client
from pms.sim.machines.redis.keyspace import SortedSet, Stream
from pms.sim.machines.redis.scripts import Scripts
from pms.sim.machines.redis.server import Server

FAR = 10**13
"""A deadline that is never over, ms; its opposite is 1."""
REQUESTS, ORDERS = ("r1", "r2"), ("o1", "o2")
SECONDS = 100_000
Step = tuple[Any, ...]

deadlines = st.sampled_from((1, FAR))
requests = st.sampled_from(REQUESTS)
orders = st.sampled_from(ORDERS)
nonces = st.sampled_from(("n1", "n2"))
texts = st.sampled_from(('{"a":1}', '{"a":"x/\\"\\u00e9\\n"}'))


def _keys_of(request: str) -> list[str]:
    shared = [names.OPEN_REQUESTS, names.UNFOLDED_REQUESTS]
    return [names.request_key(request), names.result_key(request), *shared]


def script(name: str, keys: list[str], *args: Any) -> Step:
    return ("script", name, keys, list(args))


submits = st.builds(
    lambda r, text, message: script(
        "submit",
        [names.request_key(r), names.OPEN_REQUESTS, names.INBOX, "commands"],
        *(r, "pms.trade", text, 5000, SECONDS, message, "door"),
    ),
    requests,
    texts,
    st.sampled_from(("", "a message")),
)
stales = st.builds(
    lambda r, text, remembered: script(
        "stale",
        [names.request_key(r), names.result_key(r), names.INBOX, names.OPEN_REQUESTS, names.EPOCH],
        *(r, "pms.trade", text, '{"no":1}', SECONDS, SECONDS, "list", remembered),
    ),
    requests,
    texts,
    st.sampled_from((0, 86_400)),
)
answers = st.builds(
    lambda r, text, nonce: script("answer", [*_keys_of(r), names.EPOCH], r, text, SECONDS, SECONDS, nonce),
    requests,
    texts,
    nonces,
)
claims = st.builds(lambda r, n: script("claim", [names.request_key(r), names.EPOCH], n), requests, nonces)
settles = st.builds(
    lambda r, remembered: script(
        "settle",
        [*_keys_of(r), names.EPOCH, names.APPLIED],
        r,
        "expired",
        "placing",
        SECONDS,
        1000,
        remembered,
    ),
    requests,
    remembered=st.sampled_from((0, 86_400)),
)
leads = st.builds(
    lambda n, verb, seq: script("lead", [names.LEASE, names.EPOCH], n, SECONDS, verb, seq),
    nonces,
    st.sampled_from(("take", "open", "base", "known", "renew", "leave")),
    st.integers(0, 5),
)
rights = st.builds(
    lambda o, n, unused: script(
        "take_right",
        [names.EPOCH, names.order_key(o), names.right_key(o), names.HALT],
        *(7, n, SECONDS, unused),
    ),
    orders,
    nonces,
    st.sampled_from(("", "7")),
)
guards = st.one_of(
    st.just(False),
    st.builds(lambda r, at: [names.request_key(r), str(at)], requests, deadlines),
)


def _entry(seq: int, prev: int, guard: Any, *, request: str, order: str, nonce: str) -> list[Any]:
    effects = [
        ["HSET", names.order_key(order), "epoch", nonce, "deadline", str(FAR), "sub", "a", "state", "x"],
        ["HSET", names.request_key(request), "decision", "admitted", "answer", "{}"],
        ["EXPIRE", names.request_key(request), SECONDS],
        *([["ZADD", names.UNFOLDED_REQUESTS, seq, request]] if request == "r2" else []),
        ["XADD", names.EVENTS_STREAM, "MAXLEN", "~", 100, f"{seq}-0", "e", "é"],
        ["SO_FAR", request, '{"so":"far"}'],
        *([["RESULT", request, '{"done":1}', SECONDS]] if request == "r1" else []),
    ]
    return [f"{seq}-0", str(prev), f"entry {seq}", guard, effects, f"else {seq}", [["PUBLISH", "c", "x"]]]


journals = st.builds(
    lambda n, first, many, guard, r, o: script(
        "journal",
        [names.EPOCH, names.JOURNAL],
        n,
        msgspec.msgpack.encode(
            [
                _entry(first + i, first + i - 1, guard if i == 0 else False, request=r, order=o, nonce=n)
                for i in range(many)
            ]
        ),
    ),
    nonces,
    st.integers(1, 4),
    st.integers(1, 2),
    guards,
    requests,
    orders,
)


def show(nonce: str, seq: int, text: str, *, always: tuple[int, int]) -> Step:
    keys = [names.EPOCH, names.JOURNAL, names.risk_key("a"), names.risk_key("b")]
    return script("show", keys, nonce, seq, SECONDS, text, always[0], text, always[1])


shows = st.builds(
    lambda n, seq, text, a, b: show(n, seq, text, always=(a, b)),
    nonces,
    st.integers(0, 4),
    texts,
    st.integers(0, 1),
    st.integers(0, 1),
)
LED = [script("lead", [names.LEASE, names.EPOCH], "n1", SECONDS, verb, 0) for verb in ("take", "open")]
SHOWN = [
    show("n1", 0, "first", always=(1, 0)),
    show("n1", 0, "then", always=(0, 0)),
    show("n2", 0, "x", always=(1, 1)),
]
closings = st.builds(
    lambda n, o, signed: script("close_right", [names.EPOCH, names.right_key(o)], n, signed, SECONDS),
    nonces,
    orders,
    st.sampled_from(("", "7", "8")),
)
budgets = st.builds(
    lambda wanted, orders, account, reduces: (
        "text",
        "limits",
        [names.RATE_BUDGET, *names.RATE_ASKED],
        [
            msgspec.msgpack.encode(
                {
                    "wants": [wanted, orders, orders],
                    "caps": [50, 50, -1],
                    "told": [0, 0, 0],
                    "starts": [0, 0, 0],
                    "counted": [0, 0, 0],
                    "block": [0, 0],
                    "limits": [99, 99, 99],
                    "ahead": None,
                    "account": account,
                    "reduces": reduces,
                    "open": [40, 40, 40],
                    "reduce": [45, 45, 45],
                    "advance": [8, 0],
                    "calm": 25,
                }
            )
        ],
    ),
    st.integers(0, 3),
    st.integers(0, 1),
    st.sampled_from(("", "a")),
    st.booleans(),
)
tells = st.builds(lambda seq: ("text", "tell", [names.APPLIED], [seq]), st.integers(0, 9))
commands = st.sampled_from(
    [
        ("lpush", "l", "a"),
        ("rpush", "l", "b", "c"),
        ("lpop", "l", 2),
        ("lpop", "l", None),
        ("llen", "l"),
        ("lindex", "l", -1),
        ("lindex", "l", 9),
        ("lrange", "l", 0, -1),
        ("lrem", "l", 1, "a"),
        ("lrem", "l", -1, "c"),
        ("lmove", "l", "m", "RIGHT", "LEFT"),
        ("lmove", "l", "l", "LEFT", "RIGHT"),
        ("brpop", ["l", "m"], 0.01),
        ("blpop", ["m"], 0.01),
        ("hget", "h", "a"),
        ("getdel", "string"),
        ("set", "string", "x"),
        ("hmget", "h", "a", "b"),
        ("hgetall", names.request_key("r1")),
        ("mget", [names.right_key("o1"), "none"]),
        ("get", names.APPLIED),
        ("get", names.INBOX),
        ("exists", names.EPOCH, "l", "none"),
        ("delete", "l", "none"),
        ("zrangebyscore_all", names.OPEN_REQUESTS),
        ("xrange", names.JOURNAL, "(1-0", "+", 2),
        ("xrange", names.JOURNAL, "2", "+", None),
        ("xrevrange", names.JOURNAL, "+", "-", 1),
        ("xinfo_last", names.JOURNAL),
    ]
)
steps = st.one_of(
    submits,
    stales,
    answers,
    claims,
    settles,
    leads,
    leads,
    rights,
    closings,
    journals,
    journals,
    shows,
    shows,
    budgets,
    tells,
    commands,
)
SOURCES = {"limits": limits._SCRIPT, "tell": fold._TELL}
_VOLATILE = re.compile(
    rb"(run|run_id|known|forgot|forgot_at|at|deadline|start:\d|late:\d|used:\d|share|blocked\w*)$"
)

_BY_THE_CLOCK = {key.encode() for key in names.RATE_ASKED}
"""Which of the two is written depends on whether the ten seconds are even."""


async def do(client: Any, step: Step) -> Any:
    """Do one step on either Redis; what it replied, or how it was refused."""
    kind, *rest = step
    try:
        if kind in ("script", "text"):
            name, keys, args = rest
            text = source(name) if kind == "script" else SOURCES[name]
            return await client.register_script(text)(keys=keys, args=args)
        if kind == "zrangebyscore_all":
            return len(await client.zrangebyscore(rest[0], "-inf", FAR, start=0, num=9))
        if kind == "xinfo_last":
            return (await client.xinfo_stream(rest[0]))["last-generated-id"]
        return await getattr(client, kind)(*rest)
    except ResponseError as error:
        return type(error).__name__, str(error).split()[0]


def told(step: Step, reply: Any) -> Any:
    """A reply without what depends on the clock or the server's life."""
    if step[0] == "text" and step[1] == "limits":
        # When there may be room, and what is had in advance, depends on where in its windows a clock is.
        return reply[1], reply[14:17], len(reply)
    if step[0] == "script" and step[1] == "lead":
        return reply[0]
    if step[0] == "script" and step[1] == "submit":
        return reply[0]
    if step[0] == "hgetall":
        return {name: value for name, value in reply.items() if not _VOLATILE.match(name)}
    if isinstance(reply, (list, tuple)):
        return [_content(each) for each in reply]
    return _content(reply)


def _content(value: Any) -> Any:
    """JSON of ours by what it says: cjson does not promise an order of names."""
    if isinstance(value, bytes) and value.startswith(b'{"'):
        found = json.loads(value)
        return {name: each for name, each in found.items() if not _VOLATILE.match(name.encode())}
    return value


async def real_keys(redis: Any) -> dict[bytes, Any]:
    """Everything that a real Redis holds."""
    found: dict[bytes, Any] = {}
    for key in await redis.keys("*"):
        if key in _BY_THE_CLOCK:
            continue
        kind = (await redis.type(key)).decode()
        if kind == "string":
            found[key] = await redis.get(key)
        elif kind == "hash":
            found[key] = {n: v for n, v in (await redis.hgetall(key)).items() if not _VOLATILE.match(n)}
        elif kind == "list":
            found[key] = [_content(each) for each in await redis.lrange(key, 0, -1)]
        elif kind == "zset":
            found[key] = {member for member, _ in await redis.zrange(key, 0, -1, withscores=True)}
        else:
            found[key] = [(at, dict(fields)) for at, fields in await redis.xrange(key)]
        found[key] = (found[key], await redis.pttl(key) > 0)
    return found


def double_keys(server: Server) -> dict[bytes, Any]:
    """Everything that the double holds, told the same way."""
    found: dict[bytes, Any] = {}
    for key in server.keys.living():
        if key in _BY_THE_CLOCK:
            continue
        value = server.keys.get(key)
        if isinstance(value, Stream):
            told: Any = [
                (b"%d-%d" % at, dict(zip(fields[::2], fields[1::2], strict=True)))
                for at, fields in zip(value.ids, value.entries, strict=True)
            ]
        elif isinstance(value, SortedSet):
            told = set(value)
        elif isinstance(value, dict):
            told = {name: each for name, each in value.items() if not _VOLATILE.match(name)}
        elif isinstance(value, list):
            told = [_content(each) for each in value]
        else:
            told = value
        found[key] = (told, server.keys.expiry(key) is not None)
    return found


def on_double(plan: list[Step]) -> tuple[list[Any], dict[bytes, Any]]:
    loop = Loop()  # type: ignore[abstract]
    server = Server(loop, Scripts(), began_ms=1_700_000_000_000, rng=Random(1))

    async def work() -> list[Any]:
        client = Client(server, Network(Random(2), lambda kind, text: None), loop, loop.world)
        return [told(step, await do(client, step)) for step in plan]

    replies = loop.run(work(), until=3600)
    return replies, double_keys(server)


async def on_real(url: str, plan: list[Step]) -> tuple[list[Any], dict[bytes, Any]]:
    redis = connect(url, name="property", connections=2)
    try:
        await redis.flushall()
        replies = [told(step, await do(redis, step)) for step in plan]
        return replies, await real_keys(redis)
    finally:
        await redis.aclose()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=st.lists(steps, min_size=3, max_size=25))
@example(plan=[*LED, *SHOWN])
def test_the_double_does_what_redis_does(redis_url: str, plan: list[Step]) -> None:
    real = asyncio.run(on_real(redis_url, plan))
    double = on_double(plan)
    assert double[0] == real[0]
    assert double[1] == real[1]


def test_every_script_of_ours_is_compared() -> None:
    compared = {
        "submit",
        "stale",
        "answer",
        "claim",
        "settle",
        "lead",
        "take_right",
        "close_right",
        "journal",
        "show",
    }
    assert {path.stem for path in Path(LUA).glob("*.lua")} == compared
