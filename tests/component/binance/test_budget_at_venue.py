"""Several processes under load at a venue that enforces the exchange's limits: nobody is ever turned away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from decimal import Decimal
from time import monotonic, time_ns

import pytest
from budgets import no_retry
from pydantic import SecretStr

from pms.binance.client import ExchangeClient, PlaceOrder, open_session
from pms.binance.errors import ExchangeError, NotFound, Throttled
from pms.binance.limits import RateBudget
from pms.venue.app import AccountSpec, RunningVenue, VenueConfig, serve

TIME = "/fapi/v1/time"
SECRET = SecretStr("a-secret-that-must-not-show")


@pytest.fixture
async def venue() -> AsyncIterator[RunningVenue]:
    spec = AccountSpec("demo", "key", SECRET, Decimal(10_000_000))
    running = await serve(VenueConfig(accounts=(spec,), port=0, market="none", limits="binance"))
    yield running
    await running.close()


class Processes:
    """Clients with sessions and budgets of their own, and what became of each call."""

    def __init__(self, url: str, redis_url: str) -> None:
        self.url, self.redis_url = url, redis_url
        self.turned_away: list[ExchangeError] = []
        self.stack = AsyncExitStack()

    async def client(self) -> ExchangeClient:
        redis = no_retry(self.redis_url)
        self.stack.push_async_callback(redis.aclose)
        budget = RateBudget(redis, share=Decimal("0.9"), monotonic=monotonic)
        self.stack.push_async_callback(budget.close)
        session = await self.stack.enter_async_context(open_session())
        client = ExchangeClient(
            base_url=self.url,
            api_key=SecretStr("key"),
            api_secret=SECRET,
            session=session,
            clock_ms=lambda: time_ns() // 1_000_000,
            budget=budget,
        )
        await client.exchange_info()
        await client.sync_time()
        return client

    async def place(self, client: ExchangeClient, account: str, name: str) -> bool:
        """Place a resting order if there is room; False where our own budget has none."""
        try:
            await client.room_for_order(account=account, lane="open")
        except Throttled as error:
            return self._ours(error)
        order = PlaceOrder("BTCUSDT", "BUY", "LIMIT", Decimal("0.005"), name, Decimal(40_000), "GTC")
        signed = client.sign_place(order, timestamp_ms=client.exchange_now_ms(), recv_window_ms=5000)
        try:
            await client.send(signed)
        except Throttled as error:
            return self._ours(error)
        return True

    async def cancel(self, client: ExchangeClient, name: str) -> bool:
        """Cancel what may be there; False where our own budget has no room."""
        with suppress(NotFound):
            try:
                await client.cancel(symbol="BTCUSDT", client_order_id=name)
            except Throttled as error:
                return self._ours(error)
        return True

    def _ours(self, error: Throttled) -> bool:
        """Our own budget said no; the exchange must never have to."""
        if error.http is not None:
            self.turned_away.append(error)
        return False


@pytest.fixture
async def processes(venue: RunningVenue, redis_url: str) -> AsyncIterator[Processes]:
    made = Processes(venue.url, redis_url)
    async with made.stack:
        yield made


async def test_f11_floods_of_orders_and_reads_are_never_turned_away_and_cancels_find_room(
    processes: Processes,
) -> None:
    """Three processes flood with one sub-account and with reads; another trades and cancels."""
    clients = [await processes.client() for _ in range(3)]
    placed: dict[str, list[float]] = {"greedy": [], "modest": []}
    begun, over = asyncio.Event(), asyncio.Event()
    cancelled = refused = 0

    async def flood(client: ExchangeClient, number: int) -> None:
        count = 0
        while not over.is_set():
            count += 1
            if await processes.place(client, "greedy", f"g-{number}-{count}"):
                placed["greedy"].append(monotonic())
            else:
                begun.set()
                await asyncio.sleep(0.02)

    async def read(client: ExchangeClient) -> None:
        while not over.is_set():
            try:
                await client.open_orders(lane="background")
            except Throttled as error:
                processes._ours(error)
                await asyncio.sleep(0.02)

    async def be_modest(client: ExchangeClient) -> None:
        nonlocal cancelled, refused
        count = 0
        await begun.wait()
        while len(placed["modest"]) < 20:
            count += 1
            if await processes.place(client, "modest", f"m-{count}"):
                placed["modest"].append(monotonic())
            if await processes.cancel(client, f"m-{count}"):
                cancelled += 1
            else:
                refused += 1
            await asyncio.sleep(0.1)
        over.set()

    async with asyncio.timeout(40):
        await asyncio.gather(
            flood(clients[0], 0),
            flood(clients[1], 1),
            flood(clients[2], 2),
            read(clients[0]),
            be_modest(clients[2]),
        )
    assert processes.turned_away == []
    assert refused == 0, "a cancel always finds room"
    assert cancelled >= 20
    assert len(placed["greedy"]) > 100


async def test_f11_a_429_stops_all_until_its_time_is_over(processes: Processes, venue: RunningVenue) -> None:
    """One request is answered so for two seconds; whoever went on sending would be banned."""
    clients = [await processes.client() for _ in range(3)]
    answered: list[float] = []
    refused: list[tuple[float, Throttled]] = []
    enough, over = asyncio.Event(), asyncio.Event()

    async def keep_asking(client: ExchangeClient) -> None:
        while not over.is_set():
            try:
                await client.server_time()
                answered.append(monotonic())
            except Throttled as error:
                refused.append((monotonic(), error))
            if len(answered) > 30:
                enough.set()
            if refused and answered[-1] > refused[0][0] + 1:
                over.set()
            await asyncio.sleep(0.005)

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(keep_asking(client))
        await enough.wait()
        rule = venue.venue.faults.add(
            {"kind": "status_before", "status": 429, "code": -1003, "retry_after": 2, "path": TIME}
        )
    told = next(at for at, error in refused if error.http == 429)
    assert len(rule.hits) == 1
    assert {error.http for _, error in refused} == {429, None}
    # Within half a second, for what was on its way and for the word to reach the others.
    assert not [at for at in answered if told + 0.5 <= at < told + 1.9]
    assert [at for at in answered if at >= told + 1.9]
