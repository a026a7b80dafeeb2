"""A batch that gets no room as a whole: each of its orders takes what one order has a right to."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pms.binance.client import PlaceOrder, SignedRequest
from pms.binance.errors import Throttled
from pms.bus.inbox import Outcome
from pms.bus.rights import Right
from pms.contract import names
from pms.flows.batch import place_all
from pms.flows.place import Placing

ORDERS = [f"PMS_alice_B{letter}_1" for letter in "abcde"]
NEVER = Throttled("no room", retry_after=0.2)


class Crowded:
    """A share that has room for so many single orders, and for more once somebody has slept for it."""

    def __init__(self, *, rooms: int, more: int, for_five: bool = False) -> None:
        self.rooms, self.more, self.for_five = rooms, more, for_five
        self.requests: list[list[str]] = []
        self.told: list[tuple[str, str]] = []

    async def place(self) -> list[Right]:
        every = cast(Any, self)
        deps = Placing(
            redis=every,
            client=every,
            rights=every,
            inbox=cast(Any, SimpleNamespace(put=self.put)),
            sender="worker",
            recv_window_ms=2000,
            sleep=self.sleep,
        )
        return await place_all(deps, ORDERS)

    async def sleep(self, _: float) -> None:
        await asyncio.sleep(0)
        if len(self.requests) >= self.more:
            self.rooms += 1

    # --- Redis ---

    async def hget(self, key: str, _: str) -> bytes:
        (coid,) = [each for each in ORDERS if names.order_key(each) == key]
        terms = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1", "price": None}
        more = {"time_in_force": None, "client_order_id": coid, "account": "alice"}
        return json.dumps(terms | more).encode()

    async def refused(self, subjects: list[str]) -> list[None]:
        return [None for _ in subjects]

    async def take(self, *_: object, **__: object) -> Right:
        return Right.WON

    async def put(self, outcome: Outcome) -> None:
        self.told.append((outcome.client_order_id, outcome.word))

    # --- the exchange ---

    def exchange_now_ms(self) -> int:
        return 1_000

    async def room_for_batch(self, _: list[PlaceOrder]) -> None:
        if not self.for_five:
            raise NEVER

    async def room_for_order(self, **_: object) -> None:
        if not self.rooms:
            raise NEVER
        self.rooms -= 1

    def sign_place(self, order: PlaceOrder, **_: object) -> SignedRequest:
        return cast(Any, order)

    def sign_batch(self, orders: list[PlaceOrder], **_: object) -> SignedRequest:
        return cast(Any, orders)

    async def send(self, order: PlaceOrder) -> object:
        self.requests.append([order.client_order_id])
        return SimpleNamespace(order_id=1)

    async def send_batch(self, orders: Any, ids: list[str]) -> list[object]:
        self.requests.append(ids)
        return [SimpleNamespace(order_id=1) for _ in ids]


async def test_with_room_for_all_they_are_one_request() -> None:
    world = Crowded(rooms=0, more=9, for_five=True)
    assert await world.place() == [Right.WON] * 5
    assert world.requests == [ORDERS]


@pytest.mark.parametrize("rooms", [0, 3, 5])
async def test_without_each_is_sent_by_itself_as_soon_as_there_is_room_for_it(rooms: int) -> None:
    world = Crowded(rooms=rooms, more=rooms)
    async with asyncio.timeout(30):
        assert await world.place() == [Right.WON] * 5
    assert sorted(world.requests) == [[coid] for coid in ORDERS]
    assert sorted(world.told) == [(coid, "accepted") for coid in ORDERS]
    assert world.requests[:rooms] == [[coid] for coid in ORDERS[:rooms]]
