"""A real worker that dies, or stops, at a named place when the test asks for it: `killing_worker.py ROLE`.

The test pushes tokens to `test:kill:{place}` or `test:stop:{place}`; the next order that passes the
place takes one. What happened is written to `test:kills` first. The product knows nothing of it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from killing_worker_places import BEFORE_BYTES, BEFORE_RIGHT
from redis import Redis

from pms.binance.client import ExchangeClient
from pms.bus.rights import Rights
from pms.tasks import worker

_redis = Redis.from_url(os.environ["PMS_REDIS_URL"])


def fall(place: str, order: str) -> None:
    """Die or stop here, if a token says so."""
    for verb, number in (("kill", signal.SIGKILL), ("stop", signal.SIGSTOP)):
        if _redis.lpop(f"test:{verb}:{place}") is not None:
            _redis.rpush("test:kills", f"{place}|{order}")
            os.kill(os.getpid(), number)
            # A signal to the whole process stops this thread only a moment later.
            threading.Event().wait(0.2)


_take, _send = Rights.take, ExchangeClient.send


async def take(self: Rights, client_order_id: str, **options: Any) -> Any:
    fall(BEFORE_RIGHT, client_order_id)
    return await _take(self, client_order_id, **options)


async def send(self: ExchangeClient, request: Any) -> Any:
    fall(BEFORE_BYTES, "")
    return await _send(self, request)


Rights.take = take  # type: ignore[method-assign]
ExchangeClient.send = send  # type: ignore[method-assign]

if __name__ == "__main__":
    worker.main(sys.argv[1])
