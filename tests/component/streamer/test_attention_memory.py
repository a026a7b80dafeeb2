"""What was tried for an order is forgotten as soon as it needs nothing more."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

from pms.binance.errors import NotFound
from pms.domain.desk import Desk
from pms.domain.order_table import SPEC
from pms.domain.orders import Doubtful, Order, Seen
from pms.streamer.attention import Attention, Care


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
        inbox=nobody,
        placing=nobody,
        same_redis=True,
        redis_now_ms=lambda: 0,
        cares={"resting": Care(queries=3), "over": Care(), "forgotten": Care()},
    )
    for name in ("resting", "over", "forgotten"):
        assert await attention.attend(name) is None
    assert attention.cares == {}


class Forgetful:
    """An exchange that never heard of the order, long after its signature died."""

    def exchange_now_ms(self) -> int:
        return 60_000

    async def query_order(self, **_: object) -> None:
        raise NotFound("Order does not exist.", code=-2013)

    async def query_algo_order(self, **_: object) -> None:
        raise NotFound("Order does not exist.", code=-2013)

    async def user_trades(self, **_: object) -> list[object]:
        return []


class Signed:
    """Its send right was given, a minute ago."""

    async def taken(self, _: object) -> list[int]:
        return [1000]


async def test_an_order_that_is_proven_absent_is_not_due_again() -> None:
    absent = Order(spec=SPEC, quantity=SPEC.quantity, price=SPEC.price)
    absent.receive(Doubtful())
    desk = Desk(epoch="e")
    desk.orders["absent"] = absent
    attention = Attention(
        engine=cast(Any, SimpleNamespace(desk=desk, observe=lambda order, fact, **_: order.receive(fact))),
        client=cast(Any, Forgetful()),
        rights=cast(Any, Signed()),
        inbox=cast(Any, None),
        placing=cast(Any, SimpleNamespace(recv_window_ms=2000)),
        same_redis=True,
        redis_now_ms=lambda: SPEC.admitted_at,
    )
    assert await attention.attend("absent") is not None, "one absence proves nothing"
    attention.cares["absent"].first_absent = 50_000
    assert await attention.attend("absent") is None
    assert absent.state.terminal
    assert attention.cares == {}
