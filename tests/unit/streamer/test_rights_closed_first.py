"""An order ends by a proof only behind its closed send right: until then it lives like any other."""

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

from pms.contract.codes import Code
from pms.domain import cancelling
from pms.domain.orders import Order, Seen, State
from pms.domain.posting import Posting
from pms.streamer.attention import Attention
from pms.streamer.engine import Engine, Gate

LATE = 60_000


class Kept(AtOnce):
    """A journal that takes everything, and shows it."""

    def __init__(self) -> None:
        super().__init__()
        self.postings: list[Posting] = []

    def add(self, posting: Any, confirmed: Any = None) -> None:
        super().add(posting, confirmed)
        self.postings += [posting] if posting is not None else []


class Life:
    """An order that nobody has sent and whose deadline is over; `right` is what Redis has of it."""

    def __init__(self) -> None:
        self.right: int | None = None
        self.refuses = False
        self.meanwhile = lambda: None
        #: happens while the right is being closed
        self.engine = Engine(desk_at(), Kept(), gate=Gate(closed_because=None), redis_now_ms=lambda: LATE)
        self.engine.agenda = cast("Any", SimpleNamespace(put=lambda *_, **__: None))
        self.engine.time_passed = lambda _: None
        asked = trade(self.engine.desk, type="LIMIT", price="59000", quantity="0.1")
        self.order: Order = self.engine.desk.orders[asked.entry.rows.orders[0].client_order_id]
        self.attention = Attention(
            engine=self.engine,
            client=cast("Any", self),
            rights=cast("Any", self),
            placing=cast("Any", None),
            same_redis=True,
            redis_now_ms=lambda: LATE,
        )

    async def taken(self, _: list[str]) -> list[int | None]:
        return [self.right]

    async def close(self, coid: str, *, signed_at: int | None, nonce: str) -> bool:
        assert (coid, nonce) == (self.order.spec.client_order_id, self.engine.desk.epoch)
        self.meanwhile()
        if self.refuses or self.right not in {None, 0, signed_at}:
            return False
        self.right = 0
        return True

    def exchange_now_ms(self) -> int:
        return LATE

    async def attend(self) -> None:
        await self.attention.attend(self.order.spec.client_order_id)


async def test_it_is_void_behind_its_closed_right() -> None:
    life = Life()
    life.meanwhile = lambda: None if life.order.state is State.PLACING else pytest.fail("told before")
    await life.attend()
    assert (life.right, life.order.state) == (0, State.VOID)
    assert not life.engine.desk.live


async def test_where_the_right_is_given_in_that_moment_it_lives() -> None:
    life = Life()
    life.meanwhile = lambda: setattr(life, "right", LATE)
    await life.attend()
    assert (life.right, life.order.state) == (LATE, State.PLACING)


async def test_where_we_lead_no_more_it_lives() -> None:
    life = Life()
    life.refuses = True
    await life.attend()
    assert life.order.state is State.PLACING


@pytest.mark.parametrize("given", [True, False])
async def test_who_cancels_in_that_moment_cancels_it_whatever_it_comes_to(given: bool) -> None:
    life = Life()
    desk = life.engine.desk

    def cancelled() -> None:
        posting = decide(desk, "pms.cancel_all", subAccountId="alice")
        assert [row.state for row in posting.entry.rows.orders] == ["placing"]
        cancelling.settle(desk, posting.entry, held=True)
        life.right = LATE if given else None

    life.meanwhile = cancelled
    await life.attend()
    assert (life.order.state, life.order.cancel_wanted) == (State.PLACING if given else State.VOID, True)


async def test_a_life_that_finds_it_closed_says_what_that_proves() -> None:
    life = Life()
    life.right = 0
    await life.attend()
    assert life.order.state is State.REJECTED
    (posting,) = cast("Any", life.engine.outbox).postings[-1:]
    assert [result.code for result in posting.results] == [Code.NOT_EXECUTED]


async def test_what_the_exchange_has_told_of_is_not_voided_by_a_closed_right() -> None:
    life = Life()
    life.meanwhile = lambda: life.engine.observe(life.order, Seen(7, "NEW", D(0), at=LATE))
    await life.attend()
    assert life.order.state is State.ACTIVE


async def test_a_reply_that_was_lost_is_made_good_with_what_it_was_asked_for() -> None:
    life = Life()

    def lose() -> None:
        life.right = 0
        raise ConnectionError

    life.meanwhile = lose
    await life.attend()
    assert life.order.state is State.PLACING
    await life.attend()
    assert (life.order.state, life.order.why) == (State.VOID, "its deadline passed before it was sent")
