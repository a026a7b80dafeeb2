"""The streamer's inbox: what others tell it. Each message can be lost; none is the only record.

A lost `command` is found in `pms:requests:open`; a lost `outcome` is found by asking the exchange.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec
from redis.asyncio import Redis

from pms.contract import names

Table = Literal["orders", "positions", "accounts"]
OutcomeWord = Literal["accepted", "refused", "duplicate", "throttled", "unsent", "unknown"]


class Arrived(msgspec.Struct, frozen=True, tag_field="kind", tag="command"):
    """A command was recorded."""

    request_id: str
    command: str
    text: str
    at: int
    deadline: int
    run_id: str = ""
    #: the life of Redis in which it was recorded


class Conflict(msgspec.Struct, frozen=True, tag_field="kind", tag="conflict"):
    """A requestId came again with other content."""

    request_id: str
    command: str
    text: str
    at: int


class BadCommand(msgspec.Struct, frozen=True, tag_field="kind", tag="bad_command"):
    """A command that cannot be answered, for it has no requestId."""

    command: str
    text: str
    code: str


class Outcome(msgspec.Struct, frozen=True, tag_field="kind", tag="outcome"):
    """How a REST call ended."""

    client_order_id: str
    sender: str
    word: OutcomeWord
    exchange_order_id: int | None = None
    code: int | None = None
    text: str | None = None


class Attend(msgspec.Struct, frozen=True, tag_field="kind", tag="attend"):
    """Look at an order again: something about it does not fit."""

    client_order_id: str


class AskAlgos(msgspec.Struct, frozen=True, tag_field="kind", tag="ask_algos"):
    """Look at the algos whose time has come: a timer may have been lost."""


class Reconcile(msgspec.Struct, frozen=True, tag_field="kind", tag="reconcile"):
    """Compare memory with the exchange; the report is awaited under this id."""

    id: str
    dry_run: bool = False
    books_only: bool = False
    #: no pass: tell only what memory holds


class Difference(msgspec.Struct, frozen=True):
    """A row that is not elsewhere what it is in memory."""

    table: Table
    key: tuple[str, ...]
    theirs: str
    ours: str


class Compared(msgspec.Struct, frozen=True, tag_field="kind", tag="compared"):
    """Our books were compared with what Redis shows or PostgreSQL holds."""

    where: Literal["redis", "postgres"]
    differences: tuple[Difference, ...]


class Noticed(msgspec.Struct, frozen=True, tag_field="kind", tag="noticed"):
    """Somebody else found what an operator should see; with `over` set it is no longer so."""

    incident: str
    severity: str
    subject: str
    detail: str
    over: bool = False


class LimitTold(msgspec.Struct, frozen=True, tag_field="kind", tag="limit"):
    """Portfolio risk found a limit crossed, or (`over`) no more."""

    scope: Literal["account", "group", "desk"]
    name: str
    measure: Literal["var", "es", "stress", "margin"]
    limit: Decimal
    actual: Decimal
    over: bool = False


Message = (
    Arrived | Conflict | BadCommand | Outcome | Attend | AskAlgos | Reconcile | Compared | Noticed | LimitTold
)
_decoder = msgspec.json.Decoder(Message)
_encoder = msgspec.json.Encoder()


class Inbox:
    """The list `pms:inbox`; written by many, read by one."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis

    async def put(self, message: Message) -> None:
        """Tell the streamer something."""
        await self._redis.rpush(names.INBOX, _encoder.encode(message))

    async def wait(self, *, timeout_s: float) -> Message | None:
        """Wait for one message; what cannot be read is skipped, for none is the only record."""
        found = await self._redis.blpop([names.INBOX], timeout=timeout_s)
        return None if found is None else _read(found[1])

    async def rest(self, *, most: int = 100) -> list[Message]:
        """Take what else lies there, without waiting."""
        found = await self._redis.lpop(names.INBOX, most) or []
        return [message for raw in found if (message := _read(raw)) is not None]


def text_of(message: Message) -> bytes:
    """A message as it is pushed by a process that has no event loop."""
    return _encoder.encode(message)


def _read(raw: bytes) -> Message | None:
    try:
        message: Message = _decoder.decode(raw)
        return message
    except ValueError:  # bytes within a string that are no UTF-8 are no msgspec.DecodeError
        return None
