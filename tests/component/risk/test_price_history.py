"""The past: read once, kept, completed by what is missing; and what an exchange that is away leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis
from shifted_clock import Clock

from pms.binance.client import ExchangeClient
from pms.contract import names
from pms.flows.price_history import Kept, PriceHistory, price_history
from pms.venue.app import RunningVenue

DAY = 86_400_000
SYMBOLS = ["BTCUSDT", "ETHUSDT"]


class Site:
    """Asks for the past as a report does."""

    def __init__(self, redis: Any, client: ExchangeClient, asked: Callable[[], int]) -> None:
        self.redis, self.client, self._asked = redis, client, asked
        self.told: list[str] = []

    async def read(self, *, bars: int = 100, symbols: list[str] | None = None) -> PriceHistory:
        async def progress(words: str) -> None:
            self.told.append(words)

        return await price_history(
            self.redis, self.client, symbols or SYMBOLS, interval="1d", bars=bars, progress=progress
        )

    async def calls_of(self, **more: Any) -> tuple[PriceHistory, int]:
        before = self._asked()
        return await self.read(**more), self._asked() - before

    async def keep(self, symbol: str, kept: Kept) -> None:
        await self.redis.set(names.klines_key("1d", symbol), msgspec.json.encode(kept))

    async def kept(self, symbol: str) -> Kept:
        return msgspec.json.decode(await self.redis.get(names.klines_key("1d", symbol)), type=Kept)


@pytest.fixture
def site(redis: Redis, client: ExchangeClient, asked: Callable[[], int]) -> Site:
    return Site(redis, client, asked)


async def test_finished_bars_only_and_each_asked_for_once(site: Site, clock: Clock) -> None:
    found, calls = await site.calls_of()
    assert (calls, found.faults) == (2, {})
    assert site.told == ["history of BTCUSDT, 1 of 2", "history of ETHUSDT, 2 of 2"]
    bars = found.closes["BTCUSDT"]
    assert len(bars.times) == 100
    assert bars.times[-1] == clock() // DAY * DAY - DAY
    assert (await site.calls_of()) == (found, 0)
    assert 0 < await site.redis.ttl(names.klines_key("1d", "BTCUSDT")) <= names.KLINES_TTL_S


async def test_what_is_missing_is_added_to_what_is_kept(site: Site) -> None:
    found = await site.read()
    whole = await site.kept("BTCUSDT")
    marked = [*whole.closes[:-3]]
    marked[0] += 1
    await site.keep("BTCUSDT", Kept(whole.times[:-3], marked, True))
    again, calls = await site.calls_of()
    assert calls == 1
    assert again.closes["BTCUSDT"].times == found.closes["BTCUSDT"].times
    # What was kept was not read again, and what was not kept is the exchange's.
    assert again.closes["BTCUSDT"].prices[0] == marked[0]
    assert again.closes["BTCUSDT"].prices[-3:] == found.closes["BTCUSDT"].prices[-3:]


async def test_a_longer_past_and_an_old_one_are_read_anew(site: Site) -> None:
    await site.read(bars=50)
    found, calls = await site.calls_of(bars=80)
    assert (calls, len(found.closes["BTCUSDT"].times)) == (2, 80)
    kept = await site.kept("BTCUSDT")
    await site.keep("BTCUSDT", Kept([time - 1000 * DAY for time in kept.times], kept.closes, False))
    again, calls = await site.calls_of(bars=80)
    assert (calls, again) == (1, found)


async def test_a_young_symbol_is_not_asked_again_for_what_is_not_there(site: Site) -> None:
    found, calls = await site.calls_of(bars=1000)
    assert (calls, len(found.closes["BTCUSDT"].times)) == (2, 750)
    assert (await site.kept("BTCUSDT")).whole
    assert (await site.calls_of(bars=1000))[1] == 0


async def test_a_bar_that_is_late_is_asked_for_until_it_is_there(site: Site, clock: Clock) -> None:
    """By our clock two days are over, and the exchange has a bar of only one of them."""
    await site.read()
    clock.ahead_ms = 2 * DAY
    for _ in range(2):
        again, calls = await site.calls_of()
        assert calls == 2
        assert again.closes["BTCUSDT"].times[-1] == clock() // DAY * DAY - 2 * DAY


async def test_an_unknown_symbol_has_no_past_and_others_have_theirs(site: Site) -> None:
    found = await site.read(symbols=["BTCUSDT", "GONEUSDT"])
    assert found.closes["GONEUSDT"].times == ()
    assert "-1121" in found.faults["GONEUSDT"]
    assert len(found.closes["BTCUSDT"].times) == 100


async def test_while_the_exchange_is_away_what_is_kept_is_used_and_it_is_asked_once(
    site: Site, venue: RunningVenue, clock: Clock
) -> None:
    found = await site.read()
    clock.ahead_ms = 2 * DAY
    await venue.close()
    again = await site.read()
    assert again.closes == found.closes
    assert set(again.faults) == set(SYMBOLS)
    assert again.faults["BTCUSDT"] == again.faults["ETHUSDT"]
    assert site.told[-1] == "history of BTCUSDT, 1 of 2"


async def test_what_cannot_be_read_in_redis_is_read_from_the_exchange(site: Site) -> None:
    found = await site.read()
    await site.redis.set(names.klines_key("1d", "BTCUSDT"), b"not ours")
    assert await site.calls_of() == (found, 1)


async def test_background_work_waits_for_nobody(site: Site, client: ExchangeClient) -> None:
    """Without room in its lane nothing is asked, and the report is made of what is there."""
    client._budget.block(60.0, orders_only=False)
    found, calls = await site.calls_of()
    assert calls == 0
    assert "turned us away" in found.faults["BTCUSDT"]
    assert found.closes["BTCUSDT"].times == ()
