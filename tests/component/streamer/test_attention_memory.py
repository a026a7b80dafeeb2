"""What was tried for an order is forgotten as soon as it needs nothing more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

from pms.binance.errors import NotFound
from pms.domain.desk import Desk
from pms.domain.order_table import SPEC
from pms.domain.orders import Doubtful, Order, Seen
from pms.flows.resolve import NOT_FOUND_APART_MS, PROOF_MARGIN_MS
from pms.streamer.attention import Attention, Care

RECV_WINDOW_MS = 2000


def order(word: str) -> Order:
    made = Order(spec=SPEC, quantity=SPEC.quantity, price=SPEC.price)
    made.receive(Seen(1, word, Decimal(0)))
    return made


async def test_an_order_at_rest_leaves_no_care_behind() -> None:
    desk = Desk(epoch="e")
    desk.orders |= {"resting": order("NEW"), "over": order("CANCELED")}
    nobody = cast(Any, None)
    attention = Attention(
        engine=cast(Any, SimpleNamespace(desk=desk)),
        client=nobody,
        rights=nobody,
        placing=nobody,
        same_redis=True,
        redis_now_ms=lambda: 0,
        cares={"resting": Care(queries=3), "over": Care(), "forgotten": Care()},
    )
    for name in ("resting", "over", "forgotten"):
        assert await attention.attend(name) is None
    assert attention.cares == {}


@dataclass
class Forgetful:
    """An exchange that never heard of the order, long after its signature died."""

    now: int = 60_000

    def exchange_now_ms(self) -> int:
        return self.now

    async def query_order(self, **_: object) -> None:
        raise NotFound("Order does not exist.", code=-2013)

    async def query_algo_order(self, **_: object) -> None:
        raise NotFound("Order does not exist.", code=-2013)

    async def user_trades(self, **_: object) -> list[object]:
        return []


@dataclass
class Rights:
    """What Redis says of the order's send right."""

    signed_at: int | None

    async def taken(self, _: object) -> list[int | None]:
        return [self.signed_at]

    async def close(self, *_: object, **__: object) -> bool:
        return True


def attending(absent: Order, exchange: Forgetful, *, signed_at: int | None) -> Attention:
    """Attention for an order that may have been sent, and that the exchange does not find."""
    absent.receive(Doubtful())
    desk = Desk(epoch="e")
    desk.orders["absent"] = absent
    engine = SimpleNamespace(
        desk=desk,
        observe=lambda order, fact, **_: order.receive(fact),
        raise_incident=lambda *_, **__: None,
    )
    return Attention(
        engine=cast(Any, engine),
        client=cast(Any, exchange),
        rights=cast(Any, Rights(signed_at)),
        placing=cast(Any, SimpleNamespace(recv_window_ms=RECV_WINDOW_MS)),
        same_redis=signed_at is not None,
        redis_now_ms=exchange.exchange_now_ms,
    )


async def test_an_order_that_is_proven_absent_is_not_due_again() -> None:
    absent = Order(spec=SPEC, quantity=SPEC.quantity, price=SPEC.price)
    attention = attending(absent, Forgetful(), signed_at=1000)
    assert await attention.attend("absent") is not None, "one absence proves nothing"
    attention.cares["absent"].first_absent = 50_000
    assert await attention.attend("absent") is None
    assert absent.state.terminal
    assert attention.cares == {}


async def test_where_redis_lost_the_right_it_may_have_been_given_until_the_deadline() -> None:
    spec = replace(SPEC, deadline=SPEC.admitted_at + 50_000)
    absent = Order(spec=spec, quantity=spec.quantity, price=spec.price)
    lives_until = spec.deadline + RECV_WINDOW_MS + PROOF_MARGIN_MS
    exchange = Forgetful(now=spec.deadline)
    attention = attending(absent, exchange, signed_at=None)
    for _ in range(3):
        assert await attention.attend("absent") is not None
        assert not absent.state.terminal, "what was signed at the deadline may still arrive"
        exchange.now += NOT_FOUND_APART_MS
    for now in (lives_until + 1, lives_until + 1 + NOT_FOUND_APART_MS):
        assert not absent.state.terminal
        exchange.now = now
        await attention.attend("absent")
    assert absent.state.terminal


async def test_absences_before_it_was_signed_anew_prove_nothing_and_the_count_begins_again() -> None:
    absent, exchange = Order(spec=SPEC, quantity=SPEC.quantity, price=SPEC.price), Forgetful()
    attention = attending(absent, exchange, signed_at=1000)
    await attention.attend("absent")
    assert attention.cares["absent"].first_absent == 60_000
    attention.rights = cast(Any, Rights(70_000))
    for exchange.now in range(70_500, 100_000, 1_500):
        if await attention.attend("absent") is None:
            break
    assert absent.state.terminal
    assert exchange.now > 70_000 + RECV_WINDOW_MS + PROOF_MARGIN_MS
