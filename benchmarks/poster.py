"""What both floors of the command path do with a message: sign an order and post it, nothing else."""

from __future__ import annotations

import os
import time
from decimal import Decimal

import msgspec
from pydantic import SecretStr

from benchmarks.system import FLOOR
from pms.binance.client import ExchangeClient, PlaceOrder, open_session
from pms.binance.limits import RateBudget
from pms.bus.connection import connect


class Poster:
    """A kept-alive session and a key."""

    def __init__(self) -> None:
        self.redis = connect(os.environ["PMS_REDIS_URL"], name="floor")
        self._client = ExchangeClient(
            base_url=os.environ["PMS_BINANCE_REST_URL"],
            api_key=SecretStr(FLOOR[0]),
            api_secret=SecretStr(FLOOR[1]),
            session=open_session(),
            clock_ms=lambda: time.time_ns() // 1_000_000,
            budget=RateBudget(self.redis, share=Decimal(1), monotonic=time.monotonic),
        )

    async def post(self, message: bytes) -> None:
        """Post the order that a message describes."""
        name, side = msgspec.json.decode(message)
        order = PlaceOrder(
            symbol="BTCUSDT", side=side, type="MARKET", quantity=Decimal("0.002"), client_order_id=name
        )
        now = self._client.exchange_now_ms()
        await self._client.send(self._client.sign_place(order, timestamp_ms=now, recv_window_ms=2000))
