"""What the exchange refused for its timestamp is told, where our second signature gets no right any more."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest
from redis.exceptions import TimeoutError as ReplyLost

from pms.binance.client import PlaceOrder
from pms.binance.errors import TimestampRefused
from pms.bus.inbox import Outcome
from pms.bus.rights import Right
from pms.flows.batch import _send
from pms.flows.place import Placing, send_once

AHEAD_MS = 3_600_000
ORDERS = [PlaceOrder("BTCUSDT", "BUY", "MARKET", Decimal(1), f"PMS_alice_M_{number}") for number in range(2)]


class World:
    """An exchange whose clock is an hour behind ours, and rights that are won once."""

    def __init__(self, second: Right | Exception) -> None:
        self.second = second
        self.now = AHEAD_MS
        self.told: list[tuple[str, str, int | None]] = []

    async def take(self, _: str, *, signed_at: int, unused: int | None = None) -> Right:
        if unused is None:
            return Right.WON
        if isinstance(self.second, Exception):
            raise self.second
        return self.second

    async def send(self, *_: Any) -> None:
        raise TimestampRefused("ahead of the exchange's clock", code=-1021)

    send_batch = send

    async def sync_time(self) -> None:
        self.now = 0

    async def put(self, outcome: Outcome) -> None:
        self.told.append((outcome.client_order_id, outcome.word, outcome.code))

    def sign_batch(self, *_: Any, **__: Any) -> None: ...

    def exchange_now_ms(self) -> int:
        return self.now

    async def places(self, count: int) -> list[str]:
        """Place orders, one by itself or several in one request; of which was told that they are refused."""

        async def sleep(_: float) -> None: ...

        deps = Placing(
            redis=cast(Any, None),
            client=cast(Any, self),
            rights=cast(Any, self),
            inbox=cast(Any, SimpleNamespace(put=self.put)),
            sender="worker",
            recv_window_ms=2000,
            sleep=sleep,
        )
        if count == 1:
            await send_once(deps, ORDERS[0].client_order_id, lambda _: cast(Any, None))
        else:
            await _send(deps, ORDERS[:count], unused=None)
        assert all((word, code) == ("refused", -1021) for _, word, code in self.told)
        return sorted(coid for coid, _, _ in self.told)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("second", [Right.LATE, Right.HALTED, ReplyLost("no reply")], ids=str)
async def test_it_is_told_where_nobody_sends_behind_our_right(second: Right | Exception, count: int) -> None:
    assert await World(second).places(count) == [order.client_order_id for order in ORDERS[:count]]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("second", [Right.TAKEN, Right.VOID, Right.EPOCH, Right.UNKNOWN], ids=str)
async def test_it_is_not_where_others_know_more(second: Right, count: int) -> None:
    assert await World(second).places(count) == []


@pytest.mark.parametrize("count", [1, 2])
async def test_it_is_told_once_where_the_second_is_refused_too(count: int) -> None:
    assert await World(Right.WON).places(count) == [order.client_order_id for order in ORDERS[:count]]
