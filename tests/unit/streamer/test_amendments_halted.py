"""An amendment that nobody has sent when a halt comes: it fails at once, and takes no room."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))
sys.path.insert(0, str(Path(__file__).parent))

from desk_maker import D, decide, desk_at, trade
from test_cancels_back_off import AtOnce

from pms.bus.rights import Right
from pms.contract.codes import Code
from pms.domain.orders import Order, Seen
from pms.flows.place import Placing
from pms.streamer.attention import Attention
from pms.streamer.engine import Engine, Gate


class Halted:
    """A resting order whose amendment waits for its worker, and a halt; Redis refuses the right."""

    def __init__(self, *, scope: str | None, mode: str = "HALTED", reduce_only: bool = False) -> None:
        self.now, self.rooms, self.closed = 1_000, 0, 0
        self.engine = Engine(
            desk_at(), AtOnce(), gate=Gate(closed_because=None), redis_now_ms=lambda: self.now
        )
        self.engine.agenda = cast(Any, SimpleNamespace(put=lambda *_, **__: None))
        desk = self.engine.desk
        if reduce_only:
            desk.position("alice", "BTCUSDT").quantity = D(-1)
        asked = trade(desk, type="LIMIT", price="59000", reduceOnly=reduce_only)
        self.coid = asked.entry.rows.orders[0].client_order_id
        self.order: Order = desk.orders[self.coid]
        self.engine.observe(self.order, Seen(1, "NEW", D(0), at=1_000))
        decide(desk, "pms.amend", orderId=self.coid, price="58000")
        named = {} if scope is None else {"subAccountId": scope}
        decide(desk, "pms.halt", reason="the feed is wrong", actor="ann", mode=mode, **named)
        placing = Placing(
            redis=cast(Any, self),
            client=cast(Any, self),
            rights=cast(Any, self),
            inbox=cast(Any, None),
            sender="streamer",
            recv_window_ms=2000,
            sleep=cast(Any, None),
        )
        self.attention = Attention(
            engine=self.engine,
            client=cast(Any, self),
            rights=cast(Any, self),
            placing=placing,
            same_redis=True,
            redis_now_ms=lambda: self.now,
        )

    # --- Redis ---

    async def hget(self, _: str, field: str) -> bytes:
        if field == "amend":
            return f"{self.coid}~1".encode()
        terms = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "quantity": "0.01",
            "price": "58000",
            "time_in_force": "GTC",
            "client_order_id": self.coid,
        }
        return json.dumps(terms).encode()

    async def llen(self, _: str) -> int:
        return 0

    async def taken(self, subjects: list[str]) -> list[None]:
        return [None for _ in subjects]

    refused = taken

    async def take(self, *_: object, **__: object) -> Right:
        return Right.HALTED

    async def close(self, *_: object, signed_at: int | None, nonce: str) -> bool:
        assert (signed_at, nonce) == (None, self.engine.desk.epoch)
        self.closed += 1
        return True

    # --- the exchange ---

    def exchange_now_ms(self) -> int:
        return self.now

    async def room_for_order(self, **_: object) -> None:
        self.rooms += 1

    def sign_amend(self, *_: object, **__: object) -> None: ...

    async def looked_after(self, *, until: int) -> None:
        """What is due is done, until then or until the wish is over."""
        while self.order.amend is not None and self.now < until:
            delay = await self.attention.attend(self.coid)
            for flow in list(self.attention.sending.values()):
                await flow
            self.now += int((delay or 0) * 1000)


@pytest.mark.parametrize("scope", [None, "alice"])
async def test_it_fails_at_once_with_the_halt_s_reason(scope: str | None) -> None:
    world = Halted(scope=scope)
    await world.looked_after(until=10_000)
    assert (world.rooms, world.closed) == (0, 1)
    assert world.now < 2_000
    failed = world.order.amend_failed
    assert failed is not None
    assert failed.code == Code.NOT_SENT
    assert failed.reason == "halted by ann before it was sent: the feed is wrong"


async def test_one_that_only_reduces_is_sent_where_that_is_let_out() -> None:
    world = Halted(scope="alice", mode="REDUCE_ONLY", reduce_only=True)
    await world.looked_after(until=2_000)
    assert world.rooms > 0
    assert world.order.amend is not None


async def test_without_a_halt_the_deadline_is_named() -> None:
    world = Halted(scope="bob")
    assert world.order.amend is not None
    world.now = world.order.amend.deadline + 1
    await world.looked_after(until=10_000)
    assert world.order.amend_failed is not None
    assert world.order.amend_failed.reason == "its deadline passed before it was sent"
