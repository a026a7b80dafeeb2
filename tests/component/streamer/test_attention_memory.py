"""What was tried for an order is forgotten as soon as it needs nothing more."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

from pms.domain.desk import Desk
from pms.domain.order_table import SPEC
from pms.domain.orders import Order, Seen
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
