"""An amendment is proven not executed by queries that show the old terms, and by no others."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import D, decide, desk_at, trade

from pms.binance.errors import NotFound
from pms.contract.codes import Code
from pms.domain.facts import Seen
from pms.domain.orders import Order
from pms.flows.resolve import NOT_FOUND_APART_MS, PROOF_MARGIN_MS
from pms.streamer.attention import Attention
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox

SIGNED_AT, RECV_WINDOW_MS = 100_000, 2000
DEAD_FROM = SIGNED_AT + RECV_WINDOW_MS + PROOF_MARGIN_MS
OLD, NEW = D(59000), D(58000)


class AtOnce(Outbox):
    """A journal that takes everything."""

    def __init__(self) -> None:
        Outbox.__init__(self, cast(Any, None), withdraw=lambda _: None, sleep=asyncio.sleep)

    def add(self, posting: Any, confirmed: Any = None) -> None:
        if posting is not None and confirmed is not None:
            confirmed(True)


class Amending:
    """An order whose amendment was signed, and perhaps sent; what queries say is the test's."""

    def __init__(self) -> None:
        self.now = SIGNED_AT
        self.shows: str | None = None
        self.engine = Engine(
            desk_at(), AtOnce(), gate=Gate(closed_because=None), redis_now_ms=lambda: self.now
        )
        self.engine.agenda = cast(Any, SimpleNamespace(put=lambda *_, **__: None))
        desk = self.engine.desk
        self.coid = trade(desk, type="LIMIT", price="59000").entry.rows.orders[0].client_order_id
        self.order: Order = desk.orders[self.coid]
        self.engine.observe(self.order, Seen(1, "NEW", D(0), at=1_000))
        decide(desk, "pms.amend", orderId=self.coid, price="58000")
        assert self.order.amend is not None
        self.attention = Attention(
            engine=self.engine,
            client=cast(Any, self),
            rights=cast(Any, self),
            placing=cast(Any, SimpleNamespace(recv_window_ms=RECV_WINDOW_MS)),
            same_redis=True,
            redis_now_ms=lambda: self.now,
        )

    # --- what Redis says of the right ---

    async def taken(self, subjects: list[str]) -> list[int]:
        return [SIGNED_AT for _ in subjects]

    async def close(self, *_: object, **__: object) -> bool:
        return True

    # --- what the exchange says of the order ---

    def exchange_now_ms(self) -> int:
        return self.now

    async def query_order(self, **_: object) -> object:
        if self.shows is None:
            raise NotFound("Order does not exist.", code=-2013)
        return SimpleNamespace(
            order_id=1,
            status=self.shows,
            executed_qty=D(0),
            orig_qty=self.order.quantity,
            price=OLD,
            update_time=1_000,
        )

    async def query_algo_order(self, **_: object) -> None:
        raise NotFound("Order does not exist.", code=-2013)

    async def answers(self, *words: str | None) -> None:
        """The streamer looks, a proof's time apart, and gets these answers; None finds no order."""
        for word in words:
            self.shows = word
            assert await self.attention.attend(self.coid) is not None or self.over
            self.now += NOT_FOUND_APART_MS + 100

    @property
    def over(self) -> bool:
        return self.order.amend is None


async def test_the_old_terms_shown_twice_prove_it() -> None:
    world = Amending()
    world.now = DEAD_FROM + 1000
    await world.answers("NEW")
    assert not world.over
    await world.answers("NEW")
    assert world.over
    assert world.order.amend_failed is not None
    assert world.order.amend_failed.code == Code.NOT_EXECUTED


@pytest.mark.parametrize(
    "words",
    [(None, None, None), ("NEW", None), (None, "NEW"), ("NEW", None, "NEW"), (None, None, "NEW", None)],
)
async def test_an_order_that_is_not_found_shows_no_terms(words: tuple[str | None, ...]) -> None:
    world = Amending()
    world.now = DEAD_FROM + 1000
    await world.answers(*words)
    assert not world.over, "it may be amended, and filled"


@pytest.mark.parametrize("last", ["NEW", "CANCELED"])
async def test_such_a_wish_ends_by_whatever_is_shown_in_the_end(last: str) -> None:
    world = Amending()
    world.now = DEAD_FROM + 1000
    await world.answers(None, None, None, last)
    assert world.over is (last != "NEW")
    await world.answers(last)
    assert world.over


async def test_and_by_the_proof_that_the_exchange_has_forgotten_the_order() -> None:
    world = Amending()
    world.now = DEAD_FROM + 1000
    await world.answers(None, None)
    world.engine.observe(world.order, Seen(1, "CANCELED", D(0), "proven: the exchange has forgotten it"))
    assert world.over
    assert world.order.state.terminal
