"""Real frames through the venue and the streamer's market data: L1 after each diff, as it was recorded."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from redis import Redis
from system import KEY, SECRET, System, until

sys.path.insert(0, str(Path(__file__).parents[1] / "component" / "venue"))

from pydantic import SecretStr
from venue_client import SHARED, offline_best

from pms.binance.answers import DepthSnapshot
from pms.binance.book import BookState
from pms.binance.client import ExchangeClient, open_session
from pms.binance.limits import RateBudget
from pms.binance.streams import MarketStream
from pms.bus.connection import connect
from pms.domain.desk import Desk, Top
from pms.stack.servers.redis import EmbeddedRedis
from pms.streamer.mailbox import Mailbox
from pms.streamer.market import MarketData

pytestmark = [
    pytest.mark.stack,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared: recorded market data is absent"),
]

BTC = SHARED / "hftbacktest" / "btcusdt_20240808_first60s.ndjson.gz"
FOUR = SHARED / "cryptofeed" / "ws_20210722.ndjson.gz"
FOUR_SYMBOLS = ("SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT")

Best = list[tuple[Decimal, ...]]


class Recorder(Mailbox[Top]):
    """A consumer of ticks that keeps each of them."""

    def __init__(self, ticking: asyncio.Event) -> None:
        super().__init__()
        self.tops: list[Top] = []
        self._ticking = ticking

    def put(self, value: Top) -> None:
        self.tops.append(value)
        self._ticking.set()

    def best(self) -> Best:
        return [(top.bid, top.bid_qty, top.ask, top.ask_qty) for top in self.tops]


class SteadyClient(ExchangeClient):
    """The client, one snapshot a symbol before the first tick: it is asked for once all are subscribed.

    A book that waits for its snapshot tells the diffs of that time as one tick, rightly. Here every diff
    shall be told, so the replay begins when each book has its snapshot: when it is asked for another.
    """

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.subscribed = asyncio.Event()
        self.ticking: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.asked: Counter[str] = Counter()

    async def depth(self, symbol: str, limit: int = 1000) -> DepthSnapshot:
        self.asked[symbol] += 1
        await self.subscribed.wait()
        if self.asked[symbol] > 1:
            await self.ticking[symbol].wait()
        return await super().depth(symbol, limit)


@dataclass
class Streamed:
    """The streamer's market data, joined to one venue."""

    url: str
    market: MarketData
    recorders: dict[str, Recorder]

    async def reached(self, symbol: str, count: int, *, seconds: float = 60) -> Best:
        """The ticks of a symbol, once so many have come."""
        recorder = self.recorders[symbol]

        async def there() -> bool:
            return len(recorder.tops) >= count

        said = f"{count} ticks of {symbol}"
        await until(there, said, seconds=seconds, tell=lambda: f"{len(recorder.tops)} came")
        return recorder.best()


@pytest.fixture(scope="module")
def redis_address(redis_server: EmbeddedRedis) -> str:
    """A Redis that is emptied once: the minute's replay goes on behind the other tests here."""
    with Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@asynccontextmanager
async def replaying(recording: Path, speed: int) -> AsyncIterator[str]:
    """The address of a venue process that replays once it is told to."""
    command = ["-m", "pms.venue", "--port", "0", "--market", "none", "--limits", "off"]
    command += ["--replay", str(recording), "--replay-wait", "operator", "--speed", str(speed)]
    venue = await asyncio.create_subprocess_exec(
        sys.executable, *command, "--account", f"a:{KEY}:{SECRET}:1000", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert venue.stdout is not None
        async with asyncio.timeout(30):
            ready = (await venue.stdout.readline()).decode().split()
        assert ready[:2] == ["venue", "ready"]
        yield ready[2]
    finally:
        with suppress(ProcessLookupError):
            venue.kill()
        await venue.wait()


@asynccontextmanager
async def streaming(
    recording: Path, speed: int, redis_address: str, symbols: tuple[str, ...]
) -> AsyncIterator[Streamed]:
    """The streamer's service on its real sockets, before a venue that has just begun to replay."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(replaying(recording, speed))
        session = await stack.enter_async_context(open_session())
        redis = await stack.enter_async_context(connect(redis_address, name="test"))
        budget = RateBudget(redis, share=Decimal(1), monotonic=time.monotonic)
        stack.push_async_callback(budget.close)
        client = SteadyClient(
            base_url=url,
            api_key=SecretStr(KEY),
            api_secret=SecretStr(SECRET),
            session=session,
            clock_ms=now_ms,
            budget=budget,
        )
        market = MarketData(
            Desk(epoch="test"),
            client,
            redis,
            now_ms=now_ms,
            sleep=asyncio.sleep,
            prepare=nothing_to_prepare,
        )
        stack.callback(market.close)

        def take(raw: bytes) -> None:
            if b'"result":null' in raw:
                client.subscribed.set()
            market.frame(raw)

        market.stream = MarketStream(
            url.replace("http", "ws"),
            session=session,
            on_frame=take,
            on_connected=market.connected,
            on_disconnected=market.disconnected,
            monotonic=time.monotonic,
            sleep=asyncio.sleep,
            jitter=random.random,
        )
        recorders = {symbol: Recorder(client.ticking[symbol]) for symbol in symbols}
        for symbol, recorder in recorders.items():
            market.follow(symbol).consumers.append(recorder)
        running = asyncio.create_task(market.stream.run())
        stack.push_async_callback(ended, running)

        async def all_held() -> bool:
            return all(client.asked[symbol] > 1 for symbol in symbols)

        await until(all_held, "the first snapshots", seconds=30)
        async with session.post(f"{url}/venue/admin/replay/start") as response:
            assert response.status == 200
        yield Streamed(url, market, recorders)


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def nothing_to_prepare(symbol: str) -> None:
    """Nothing was traded on this venue before."""


def offline(recording: Path, symbol: str) -> Best:
    """What an independent book says after each recorded diff."""
    snapshots = list(recording.parent.glob(f"depth1000_{symbol}_*.json.gz"))
    return offline_best(recording, symbol, snapshots[0] if snapshots else None)


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def minute(redis_address: str) -> AsyncIterator[Streamed]:
    """BTCUSDT's minute at recorded speed, running behind all tests of this file."""
    async with streaming(BTC, 1, redis_address, ("BTCUSDT",)) as streamed:
        yield streamed


async def test_l1_of_four_symbols_is_the_recorded_sequence(redis_address: str) -> None:
    async with streaming(FOUR, 20, redis_address, FOUR_SYMBOLS) as streamed:
        for symbol in FOUR_SYMBOLS:
            expected = offline(FOUR, symbol)
            assert len(expected) > 100
            assert await streamed.reached(symbol, len(expected)) == expected, symbol
        assert (streamed.market.resyncs, streamed.market.bad_frames) == (0, 0)


async def test_a_lost_diff_resyncs_that_symbol_alone(redis_address: str) -> None:
    expected = {symbol: offline(FOUR, symbol) for symbol in FOUR_SYMBOLS}
    sushi = expected.pop("SUSHIUSDT")
    async with (
        streaming(FOUR, 5, redis_address, FOUR_SYMBOLS) as streamed,
        aiohttp.ClientSession() as http,
    ):
        await streamed.reached("SUSHIUSDT", 10)
        lost = {"kind": "drop_diff", "symbol": "SUSHIUSDT", "count": 1}
        async with http.post(f"{streamed.url}/venue/admin/faults", json=lost) as response:
            assert response.status == 200
        for symbol, sequence in expected.items():
            assert await streamed.reached(symbol, len(sequence)) == sequence, symbol

        recorder = streamed.recorders["SUSHIUSDT"]

        async def whole_again() -> bool:
            return recorder.best()[-1] == sushi[-1] and streamed.market.resyncs > 0

        await until(whole_again, "the resynced book to end where the recording ends", seconds=60)
        assert streamed.market.resyncs == 1
        assert streamed.market.follow("SUSHIUSDT").book.state is BookState.LIVE
        told = recorder.best()
        before = next(n for n, best in enumerate([*told, None]) if n == len(told) or best != sushi[n])
        after = told[before:]
        assert before >= 10
        assert len(told) < len(sushi)
        assert after == sushi[len(sushi) - len(after) :], "after the gap the book is the recorded one again"


async def test_the_streamer_process_tells_the_last_recorded_prices(short_dirs: tuple[Path, Path]) -> None:
    options = ("--replay", str(FOUR), "--replay-wait", "snapshot", "--speed", "20")
    whole = System(*short_dirs, venue_options=options)
    last = {symbol: offline(FOUR, symbol)[-1] for symbol in FOUR_SYMBOLS}

    async def told() -> dict[str, tuple[Decimal, Decimal]]:
        values = {symbol: await whole.redis.get(f"pms:price:{symbol}") for symbol in FOUR_SYMBOLS}
        prices = {s: json.loads(value, parse_float=Decimal) for s, value in values.items() if value}
        return {s: (Decimal(price["bid"]), Decimal(price["ask"])) for s, price in prices.items()}

    async def all_told() -> bool:
        return await told() == {symbol: (best[0], best[2]) for symbol, best in last.items()}

    try:
        await whole.begin()
        whole.environment["PMS_SYMBOLS"] = ",".join(FOUR_SYMBOLS)
        whole.start("streamer")
        await until(all_told, f"the prices {last}", seconds=60, tell=lambda: whole.log("streamer")[-3000:])
        replays = (await whole.admin("GET", "replay"))["replays"]
        assert {replay["symbol"] for replay in replays if replay["finished"]} == set(FOUR_SYMBOLS)
    finally:
        await whole.end()


async def test_l1_at_recorded_speed_is_the_recorded_sequence(minute: Streamed) -> None:
    expected = offline(BTC, "BTCUSDT")
    assert len(expected) > 1100
    assert await minute.reached("BTCUSDT", len(expected), seconds=90) == expected
    assert (minute.market.resyncs, minute.market.bad_frames) == (0, 0)
