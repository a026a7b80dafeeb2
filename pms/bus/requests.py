"""Commands as records: submitting one, reading its decision, awaiting its one result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from redis.asyncio import Redis

from pms.bus.scripts import Scripts
from pms.bus.wake import wake_up
from pms.contract import names
from pms.contract.codes import Code
from pms.contract.commands import TtlMs
from pms.contract.money import BadJson, decode_object, encode, encode_canonical
from pms.contract.results import Result

SETTLE_GRACE_MS = 1000
"""An admitted order that is still unproven this long after its deadline is answered `placing`."""

DEFAULT_TTL_MS = 5000
_ttl_ms: TypeAdapter[int] = TypeAdapter(TtlMs)


Answered = Literal["first", "again", "foreign"]


@dataclass(frozen=True, slots=True)
class Submission:
    """What `submit` did; `conflict` means the requestId belongs to another command.

    `bad` is a requestId that cannot be recorded: nobody will ever answer it.
    """

    kind: Literal["new", "repeat", "conflict", "bad"]
    result: bytes | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A command as recorded; `decision` is admitted, refused, expired or None."""

    command: str
    text: bytes
    at: int
    deadline: int
    decision: str | None
    orders: list[str]
    #: client order ids
    answer: bytes | None
    result: bytes | None
    order: bytes | None
    #: what to send, where the decision admitted a single order
    run_id: str
    #: the life of Redis in which it was recorded


class Requests:
    """The records of all commands, for whoever submits or serves them."""

    def __init__(self, redis: Redis, *, new_id: Callable[[], str]) -> None:
        self._redis: Any = redis  # redis-py's types cannot say that replies are bytes
        self._scripts = Scripts(redis)
        self._new_id = new_id

    async def submit(
        self, command: str, fields: dict[str, Any], *, door: str, wake: bool = True
    ) -> Submission:
        """Record a command and wake its worker; `requestId` must be in the fields.

        With `wake=False` the caller is itself the woken task.
        """
        text = encode_canonical(fields)
        return await self.submit_text(str(fields["requestId"]), command, text, door=door, wake=wake)

    async def submit_text(
        self, request_id: str, command: str, text: bytes, *, door: str, wake: bool = True, waited_ms: int = 0
    ) -> Submission:
        """Record a command's text as it came; whoever decides will say what is wrong with it.

        What it waited before (`waited_ms`) is part of its time to live.
        A command that needs no worker (accounts, transfers) wakes none: the streamer serves it alone.
        """
        queue = names.COMMAND_QUEUE.get(command)
        message = b""
        if wake and queue is not None:
            message = wake_up(
                command, queue=queue, task_id=request_id, args=[request_id], new_tag=self._new_id
            )
        keys = [names.request_key(request_id), names.OPEN_REQUESTS, names.INBOX, queue or names.INBOX]
        left_ms = max(ttl_ms(text) - waited_ms, 1)
        reply = await self._scripts.call(
            "submit", keys, request_id, command, text, left_ms, names.REQUEST_TTL_S, message, door
        )
        kind = reply[0].decode()
        return Submission(kind, (reply[1] or None) if kind == "repeat" else None)

    async def read(self, request_id: str) -> Record | None:
        """Read a record, or None if there is none."""
        fields = await self._redis.hgetall(names.request_key(request_id))
        if b"text" not in fields:
            return None
        decision = fields.get(b"decision")
        return Record(
            command=fields[b"command"].decode(errors="replace"),
            text=fields[b"text"],
            at=int(fields[b"at"]),
            deadline=int(fields[b"deadline"]),
            decision=decision.decode() if decision else None,
            orders=fields.get(b"orders", b"").decode().split(),
            answer=fields.get(b"answer"),
            result=fields.get(b"result"),
            order=fields.get(b"order"),
            run_id=fields.get(b"run", b"").decode(),
        )

    async def settle(self, request_id: str, record: Record | None = None) -> bytes | None:
        """Answer a command whose deadline is over; None while it is too early, only the streamer knows, or
        PostgreSQL has not what it must have before.

        `record` is what was just read of it, if it was; it is only told, the script looks for itself.
        """
        record = record or await self.read(request_id)
        expired = _answer(request_id, record, code=Code.EXPIRED)
        placing = _answer(request_id, record, code=None)
        if record is not None and record.answer is not None and record.command in _TOLD_BY_DECISION:
            placing = record.answer
        keys = [
            names.request_key(request_id),
            names.result_key(request_id),
            names.OPEN_REQUESTS,
            names.UNFOLDED_REQUESTS,
            names.EPOCH,
            names.APPLIED,
        ]
        answer: bytes | None = await self._scripts.call(
            "settle",
            keys,
            request_id,
            expired,
            placing,
            names.RESULT_TTL_S,
            SETTLE_GRACE_MS,
            names.REQUEST_TTL_S,
        )
        return answer

    async def claim(self, request_id: str, *, nonce: str) -> bool:
        """Claim a command, so that nobody expires it; False if it is decided or over, or another leads."""
        keys = [names.request_key(request_id), names.EPOCH]
        return bool(await self._scripts.call("claim", keys, nonce))

    async def answer(self, result: Result, *, nonce: str) -> Answered:
        """Give a command its result, as the streamer that leads; it has one, the first.

        Trap: a streamer that stood still remembers what Redis may have forgotten meanwhile, and sees
        `pms:journal:applied` rise by another's entries. `foreign`: nothing was said.
        """
        request_id = result.request_id
        keys = [
            names.request_key(request_id),
            names.result_key(request_id),
            names.OPEN_REQUESTS,
            names.UNFOLDED_REQUESTS,
            names.EPOCH,
        ]
        said: int = await self._scripts.call(
            "answer", keys, request_id, encode(result), names.RESULT_TTL_S, names.REQUEST_TTL_S, nonce
        )
        return _ANSWERED[said]

    async def open_since(self, before_ms: int, *, limit: int = 500) -> list[str]:
        """The oldest requests without a result that were recorded before a Redis time."""
        found = await self._redis.zrangebyscore(names.OPEN_REQUESTS, "-inf", before_ms, start=0, num=limit)
        return [request_id.decode(errors="replace") for request_id in found]

    async def folded(self, *, limit: int = 500) -> list[str]:
        """Requests without a result that only waited for PostgreSQL, which has them by now."""
        applied = await self._redis.get(names.APPLIED)
        if applied is None:
            return []
        found = await self._redis.zrangebyscore(
            names.UNFOLDED_REQUESTS, "-inf", int(applied), start=0, num=limit
        )
        return [request_id.decode() for request_id in found]

    async def result(self, request_id: str, *, timeout_s: float) -> bytes | None:
        """Await the result of a command; None if the time is over first.

        Trap: redis-py's `subscribe` only writes the request. The record is read once Redis has confirmed
        it, or an answer between the two would be heard by nobody. Trap: whoever waits holds one connection
        and needs a second for a moment; a pool must have more than twice as many as wait at once.
        """
        key = names.result_key(request_id)
        async with self._redis.pubsub() as listener:
            await listener.subscribe(key)
            try:
                async with asyncio.timeout(timeout_s):
                    while True:
                        message = await listener.get_message(timeout=1.0)
                        if message is None:
                            continue
                        if message["type"] == "message":
                            return bytes(message["data"])
                        found = await self._redis.hget(names.request_key(request_id), "result")
                        if found is not None:
                            return bytes(found)
            except TimeoutError:
                return None


_ANSWERED: dict[int, Answered] = {1: "first", 0: "again", -1: "foreign"}
_TOLD_BY_DECISION = {names.Task.BATCH, names.Task.AMEND, names.Task.CLOSE_ALL}
"""Commands whose decision says more of what is not yet proven than could be told without it."""


def echo(text: bytes) -> dict[str, Any]:
    """The fields that a result repeats from its command, as far as they can be read."""
    try:
        fields = decode_object(text)
    except BadJson:
        return {}
    return {
        name: fields.get(name)
        for name in ("subAccountId", "symbol", "side", "quantity")
        if isinstance(fields.get(name), str | int) or name == "quantity"
    }


def _answer(request_id: str, record: Record | None, *, code: Code | None) -> bytes:
    echoed = echo(record.text) if record else {}
    orders = record.orders if record else []
    result = Result.model_construct(
        success=code is None,
        request_id=request_id,
        command=record.command if record else "",
        sub_account_id=echoed.get("subAccountId"),
        symbol=echoed.get("symbol"),
        side=echoed.get("side"),
        quantity=None,
        order_id=orders[0] if orders else None,
        state=_unproven(record) if code is None else None,
        code=code,
        error="nobody decided the command before its deadline; nothing was sent" if code else None,
    )
    return encode(result)


def _unproven(record: Record | None) -> str:
    words = {names.Task.AMEND: "amending", names.Task.HALT: "halting"}
    return words.get(record.command, "placing") if record is not None else "placing"


def ttl_ms(text: bytes) -> int:
    """The command's own time to live; a wrong one is refused later, by whoever decides.

    Trap: read otherwise than the command is, a number as text would be accepted, and ignored.
    """
    try:
        return _ttl_ms.validate_python(decode_object(text).get("ttlMs"))
    except (BadJson, ValidationError):
        return DEFAULT_TTL_MS
