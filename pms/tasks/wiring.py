"""A worker's parts, wired together.

Connections, clocks and names come in, so that the simulator wires the very same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
from redis.asyncio import Redis

from pms.binance.client import ExchangeClient
from pms.binance.limits import RateBudget
from pms.bus.decisions import Decisions
from pms.bus.inbox import Inbox
from pms.bus.requests import Requests
from pms.bus.rights import Rights
from pms.bus.stale import Stale
from pms.config import ConfigError, Settings
from pms.flows.place import Placing
from pms.flows.serve import Serving


@dataclass(frozen=True, slots=True)
class Wired:
    """What a worker's tasks use."""

    client: ExchangeClient
    budget: RateBudget
    serving: Serving


def wire(
    settings: Settings,
    *,
    redis: Redis,
    decisions_redis: Redis,
    session: aiohttp.ClientSession,
    sender: str,
    monotonic: Callable[[], float],
    now_ms: Callable[[], int],
    new_id: Callable[[], str],
) -> Wired:
    """Wire a worker; nothing runs yet. `decisions_redis` is a connection of its own, for it listens."""
    if settings.binance_rest_url is None:
        raise ConfigError("PMS_BINANCE_REST_URL is not set: is `pms up` running?")
    budget = RateBudget(redis, share=settings.rate_share, monotonic=monotonic)
    client = ExchangeClient(
        base_url=settings.binance_rest_url,
        api_key=settings.binance_api_key,
        api_secret=settings.binance_api_secret,
        session=session,
        clock_ms=now_ms,
        budget=budget,
    )
    placing = Placing(
        redis=redis,
        client=client,
        rights=Rights(redis, sender=sender),
        inbox=Inbox(redis),
        sender=sender,
        recv_window_ms=settings.recv_window_ms,
        sleep=asyncio.sleep,
    )
    serving = Serving(
        redis=redis,
        requests=Requests(redis, new_id=new_id),
        decisions=Decisions(decisions_redis),
        placing=placing,
        stale=Stale(redis),
    )
    return Wired(client, budget, serving)
