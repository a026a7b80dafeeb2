"""What a send right proves, where it has expired, and where its timestamp lies ahead."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))
sys.path.insert(0, str(Path(__file__).parent))

from desk_maker import D, decide, desk_at, trade
from test_cancels_back_off import AtOnce

from pms.binance.errors import NotFound, Refused
from pms.contract import names
from pms.domain.orders import Accepted, AmendEnd, Order, Seen, State
from pms.streamer.attention import Attention
from pms.streamer.engine import Engine, Gate

ADMITTED_AT = 1_000
FORGOTTEN_MS = names.RIGHT_TTL_S * 1000


class World:
    """An order, or its amendment, of which the exchange tells nothing; Redis forgets a right in time."""

    def __init__(self, *, signed_at: int | None, amending: bool = False) -> None:
        self.now, self.signed_at = ADMITTED_AT, signed_at
        self.queries = 0
        self.answer: Exception = Refused("Invalid symbol.", code=-1121, http=400)
        self.engine = Engine(
            desk_at(), AtOnce(), gate=Gate(closed_because=None), redis_now_ms=lambda: self.now
        )
        self.engine.agenda = cast(Any, SimpleNamespace(put=lambda *_, **__: None))
        desk = self.engine.desk
        self.coid = trade(desk, type="LIMIT", price="59000").entry.rows.orders[0].client_order_id
        self.order: Order = desk.orders[self.coid]
        if amending:
            self.engine.observe(self.order, Seen(1, "NEW", D(0), at=ADMITTED_AT))
            decide(desk, "pms.amend", orderId=self.coid, price="58000")
        self.attention = Attention(
            engine=self.engine,
            client=cast(Any, self),
            rights=cast(Any, self),
            placing=cast(Any, SimpleNamespace(recv_window_ms=2000)),
            same_redis=True,
            redis_now_ms=lambda: self.now,
        )

    async def taken(self, subjects: list[str]) -> list[int | None]:
        forgotten = self.now >= ADMITTED_AT + FORGOTTEN_MS
        return [None if forgotten else self.signed_at for _ in subjects]

    async def close(self, *_: object, **__: object) -> bool:
        return True

    def exchange_now_ms(self) -> int:
        return self.now

    async def query_order(self, **_: object) -> None:
        self.queries += 1
        raise self.answer

    async def query_algo_order(self, **_: object) -> None:
        raise self.answer

    async def user_trades(self, **_: object) -> list[object]:
        return []

    async def looks_at(self, *times: int) -> None:
        for self.now in times:
            await self.attention.attend(self.coid)

    @property
    def incidents(self) -> list[str]:
        return [row.kind for row in self.engine.desk.incidents.rows()]


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize("behind", [-1, 0, 1_000, FORGOTTEN_MS])
async def test_a_right_that_has_expired_does_not_prove_that_none_was_given(
    behind: int, cancelled: bool
) -> None:
    world = World(signed_at=ADMITTED_AT)
    await world.looks_at(3_000, 60_000)
    world.order.cancel_wanted = cancelled
    asked = world.queries
    await world.looks_at(ADMITTED_AT + FORGOTTEN_MS + behind)
    assert world.order.state is State.UNKNOWN
    assert world.queries == asked + 1
    assert world.incidents == ["unknown_order"]


async def test_without_one_an_order_was_never_sent_as_long_as_rights_are_kept() -> None:
    world = World(signed_at=None)
    await world.looks_at(world.order.spec.deadline + 1)
    assert world.order.state is State.VOID
    assert world.queries == 0


@pytest.mark.parametrize("signed_at", [None, 0, ADMITTED_AT])
async def test_what_the_exchange_gave_an_id_is_asked_about_whatever_became_of_its_right(
    signed_at: int | None,
) -> None:
    world = World(signed_at=signed_at)
    world.engine.observe(world.order, Accepted(7))
    await world.looks_at(world.order.spec.deadline + 1, world.order.spec.deadline + 60_000)
    assert (world.order.state, world.order.why) == (State.PLACING, None)
    assert world.queries == 2
    assert world.incidents == ["unknown_order"]


async def test_nor_that_an_amendment_was_never_sent() -> None:
    world = World(signed_at=ADMITTED_AT, amending=True)
    await world.looks_at(3_000, 60_000, ADMITTED_AT + FORGOTTEN_MS, ADMITTED_AT + FORGOTTEN_MS + 2_000)
    assert world.order.amend is not None
    assert world.queries == 4


async def test_without_one_an_amendment_was_never_sent_as_long_as_rights_are_kept() -> None:
    world = World(signed_at=None, amending=True)
    assert world.order.amend is not None
    await world.looks_at(world.order.amend.deadline + 1)
    assert world.order.amend_end is AmendEnd.FAILED
    assert world.queries == 0


@pytest.mark.parametrize("amending", [False, True])
async def test_what_was_signed_by_a_clock_that_was_ahead_is_asked_about_and_told(amending: bool) -> None:
    hour = 3_600_000
    world = World(signed_at=ADMITTED_AT + hour, amending=amending)
    await world.looks_at(ADMITTED_AT + 2_000)
    assert world.queries == 1
    assert world.order.state is (State.ACTIVE if amending else State.UNKNOWN)
    await world.looks_at(ADMITTED_AT + 31_000)
    assert world.incidents == ["unknown_amendment" if amending else "unknown_order"]


@pytest.mark.parametrize("ahead", [-990, 0, 10, 990])
@pytest.mark.parametrize("amending", [False, True])
async def test_what_has_just_been_signed_is_given_a_moment(ahead: int, amending: bool) -> None:
    world = World(signed_at=ADMITTED_AT + 5_000 + ahead, amending=amending)
    await world.looks_at(ADMITTED_AT + 5_000)
    assert world.queries == 0
    assert world.order.state is (State.ACTIVE if amending else State.PLACING)


@pytest.mark.parametrize(("ahead", "most"), [(0, 6), (60_000, 12), (3_600_000, 140)])
async def test_its_absence_is_asked_for_ever_more_seldom_until_it_can_be_proven(
    ahead: int, most: int
) -> None:
    world = World(signed_at=ADMITTED_AT + ahead)
    world.answer = NotFound("Order does not exist.", code=-2013)
    lives_until = ADMITTED_AT + ahead + 5_000
    while world.order.unproven:
        delay = await world.attention.attend(world.coid)
        assert delay is None or delay > 0
        world.now += int((delay or 0) * 1000)
        assert world.now < lives_until + 3_000
    assert world.now > lives_until + 1_000
    assert world.queries <= most
