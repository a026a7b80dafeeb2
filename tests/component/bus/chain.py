"""Postings of one epoch, chained as the streamer chains them, with as little in them as a test needs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from redis.asyncio import Redis

from pms.bus.journal import Journal
from pms.bus.lead import Lead
from pms.contract import names
from pms.contract.account import Account
from pms.contract.events import OrderEvent
from pms.contract.journal import FORMAT, CommandRow, Entry, OrderRow, Rows
from pms.contract.results import Result
from pms.domain.posting import Posting, Undecided

ZERO = Decimal(0)
ACCOUNT = Account(balance=ZERO, equity=ZERO, margin_used=ZERO, available_margin=ZERO, positions=[])


async def epoch_of(redis: Redis, nonce: str) -> Lead:
    """Lead under a nonce, whoever led before."""
    await redis.delete(names.LEASE)
    lead = Lead(redis, nonce=nonce)
    assert await lead.take()
    await lead.open()
    await lead.all_known(forgot=False)
    return lead


async def redis_ms(redis: Redis) -> int:
    """Redis time."""
    seconds, micros = await redis.time()
    return int(seconds) * 1000 + int(micros) // 1000


class Chain:
    """Writes postings one behind the other; `redis` may be any connection to the same server."""

    def __init__(self, redis: Redis, lead: Lead) -> None:
        self.redis: Any = redis
        self.lead = lead
        self.nonce: str = lead._nonce
        self.journal = Journal(redis, nonce=self.nonce)
        self.seq = 0

    def posting(
        self,
        *,
        kind: str = "test",
        rows: Rows = Rows(),  # noqa: B008 - frozen
        guard: Undecided | None = None,
        **more: Any,
    ) -> Posting:
        """The next posting; one with a guard has an alternative of kind `otherwise`."""
        prev, self.seq = self.seq, self.seq + 1
        entry = Entry(v=FORMAT, seq=self.seq, prev=prev, at=1, kind=kind, rows=rows)
        other = Entry(v=FORMAT, seq=self.seq, prev=prev, at=1, kind="otherwise")
        return Posting(entry=entry, guard=guard, otherwise=other if guard else None, **more)

    async def write(self, **what: Any) -> bool:
        """Write one posting; whether its guard held."""
        return (await self.journal.append([self.posting(**what)]))[0]

    async def kinds(self) -> list[str]:
        """The journal as it stands."""
        return [entry.kind for entry in await self.journal.tail(0)]

    async def order(self, order_id: str = "PMS_alice_M_1", **more: Any) -> str:
        """Journal an order that may be sent."""
        fields = {"epoch": self.nonce, "deadline": await redis_ms(self.redis) + 60_000, **more}
        assert await self.write(rows=Rows(orders=(order(order_id, **fields),)))
        return order_id

    async def entries(self) -> int:
        return int(await self.redis.xlen(names.JOURNAL))


def order(order_id: str, **more: Any) -> OrderRow:
    """An order being placed."""
    fields: dict[str, Any] = {
        "client_order_id": order_id,
        "sub_account_id": "alice",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": Decimal("1.5"),
        "price": Decimal("50000.10"),
        "time_in_force": "GTC",
        "reduce_only": False,
        "leverage": 10,
        "origin": "MANUAL",
        "parent_id": None,
        "request_id": None,
        "state": "placing",
        "reason": None,
        "exchange_order_id": None,
        "filled_qty": ZERO,
        "filled_quote": ZERO,
        "cancel_wanted": False,
        "admitted_at": 1,
        "updated_at": 1,
    }
    return OrderRow(**{**fields, **more})


def decision(
    request_id: str, *, word: str = "admitted", answer: str = "{}", command: str = "pms.trade"
) -> CommandRow:
    """A decision of a command."""
    return CommandRow(
        request_id=request_id,
        command=command,
        sub_account_id="alice",
        text="{}",
        decision=word,
        code=None,
        client_order_id=None,
        answer=answer,
        received_at=1,
        decided_at=1,
    )


def result(request_id: str, **more: Any) -> Result:
    """A result; what tells it from others is up to the test."""
    return Result(success=True, request_id=request_id, command="pms.trade", **more)


def event(seq: int, **more: Any) -> OrderEvent:
    """An order became active."""
    fields: dict[str, Any] = {
        "type": "order_active",
        "seq": seq,
        "sub_account_id": "alice",
        "client_order_id": "PMS_alice_M_1",
        "exchange_order_id": "7",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "order_type": "LIMIT",
        "quantity": Decimal("0.1"),
        "price": Decimal(50000),
        "state": "active",
        "filled_qty": ZERO,
        "avg_fill_price": None,
        "timestamp": Decimal(1),
        "account": ACCOUNT,
    }
    return OrderEvent(**{**fields, **more})
