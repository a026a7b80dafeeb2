"""The floor of the fill path: a WebSocket client that publishes each user frame as it came."""

from __future__ import annotations

import os
import time
from decimal import Decimal
from typing import Any

import aiohttp
import uvloop
from pydantic import SecretStr

from benchmarks.system import FLOOR
from pms.binance.client import ExchangeClient, open_session
from pms.binance.limits import RateBudget
from pms.bus.connection import connect

CHANNEL = "bench:relay"


async def main() -> None:
    redis: Any = connect(os.environ["PMS_REDIS_URL"], name="relay")
    session = open_session()
    client = ExchangeClient(
        base_url=os.environ["PMS_BINANCE_REST_URL"],
        api_key=SecretStr(FLOOR[0]),
        api_secret=SecretStr(FLOOR[1]),
        session=session,
        clock_ms=lambda: time.time_ns() // 1_000_000,
        budget=RateBudget(redis, share=Decimal(1), monotonic=time.monotonic),
    )
    key = await client.new_listen_key()
    async with session.ws_connect(f"{os.environ['PMS_BINANCE_WS_URL']}/private/ws?listenKey={key}") as socket:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await redis.publish(CHANNEL, message.data)


if __name__ == "__main__":
    uvloop.run(main())
