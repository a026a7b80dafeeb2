"""Real frames through the venue and the streamer's market data: L1 after each diff, as it was recorded."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from system import KEY, SECRET, until

sys.path.insert(0, str(Path(__file__).parents[1] / "component" / "venue"))

from pydantic import SecretStr
from venue_client import SHARED, offline_best

from pms.binance.book import BookState
from pms.binance.client import ExchangeClient, open_session
from pms.binance.limits import RateBudget
from pms.binance.streams import MarketStream
from pms.bus.connection import connect
from pms.domain.desk import Desk, Top
from pms.streamer.mailbox import Mailbox
from pms.streamer.market import MarketData

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared: recorded market data is absent"),
]

BTC = SHARED / "hftbacktest" / "btcusdt_20240808_first60s.ndjson.gz"
FOUR = SHARED / "cryptofeed" / "ws_20210722.ndjson.gz"
FOUR_SYMBOLS = ("SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT")


class Recorder(Mailbox[Top]):
    """A consumer of ticks that keeps each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.tops: list[Top] = []

    def put(self, value: Top) -> None:
        self.tops.append(value)

    def best(self) -> list[tuple[Decimal, ...]]:
        return [(top.bid, top.bid_qty, top.ask, top.ask_qty) for top in self.tops]


@dataclass
class Streamed:
    """The streamer's market data on one venue."""

    url: str
    market: MarketData
    recorders: dict[str, Recorder] = field(default_factory=dict)

    def follow(self, symbol: str) -> Recorder:
        recorder = self.recorders[symbol] = Recorder()
        self.market.follow(symbol).consumers.append(recorder)
        return recorder


def started(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=output)


@asynccontextmanager
async def streaming(tmp_path: Path, redis_url: str, *options: str) -> AsyncIterator[Streamed]:
    """A venue process that replays, and the real MarketData service on its real sockets."""
    log = tmp_path / f"venue-{random.randrange(10**9)}.log"
    command = [
        sys.executable,
        "-m",
        "pms.venue",
        "--port",
        "0",
        "--market",
        "none",
        "--limits",
        "off",
        *options,
    ]
    venue = started([*command, "--account", f"a:{KEY}:{SECRET}:1000"], log)
    session, redis = open_session(), connect(redis_url, name="test")
    budget = RateBudget(redis, share=Decimal(1), monotonic=time.monotonic)
    running: asyncio.Task[None] | None = None
    try:

        async def ready() -> bool:
            return "venue ready" in log.read_text()

        await until(ready, "the venue", tell=log.read_text)
        url = log.read_text().split()[-1]
        client = ExchangeClient(
            base_url=url,
            api_key=SecretStr(KEY),
            api_secret=SecretStr(SECRET),
            session=session,
            clock_ms=lambda: time.time_ns() // 1_000_000,
            budget=budget,
        )

        async def prepare(symbol: str) -> None:
            """Nothing was traded here before."""

        market = MarketData(
            Desk(epoch="test"),
            client,
            redis,
            now_ms=lambda: time.time_ns() // 1_000_000,
            sleep=asyncio.sleep,
            prepare=prepare,
            spawn=lambda name, work: asyncio.create_task(work, name=name),
        )
        market.stream = MarketStream(
            url.replace("http", "ws"),
            session=session,
            on_frame=market.frame,
            on_connected=market.connected,
            on_disconnected=market.disconnected,
            monotonic=time.monotonic,
            sleep=asyncio.sleep,
            jitter=random.random,
        )
        running = asyncio.create_task(market.stream.run())
        yield Streamed(url, market)
    finally:
        if running is not None:
            running.cancel()
        market.close()
        venue.kill()
        venue.wait()
        await budget.close()
        await session.close()
        await redis.aclose()


def offline(recording: Path, symbol: str) -> list[tuple[Decimal, ...]]:
    """What an independent book says after each recorded diff."""
    snapshots = list(recording.parent.glob(f"depth1000_{symbol}_*.json.gz"))
    return offline_best(recording, symbol, snapshots[0] if snapshots else None)


LATE_DIFFS = 20
"""A book may be built from a snapshot that already holds the first diffs: it asks until one fits."""


async def reached(recorder: Recorder, count: int, seconds: float) -> None:
    async def there() -> bool:
        return len(recorder.tops) >= count

    await until(there, f"{count} ticks", seconds=seconds, tell=lambda: f"{len(recorder.tops)} came")


async def recorded(recorder: Recorder, expected: list[tuple[Decimal, ...]], seconds: float) -> None:
    """Wait until the recorded sequence was shown to its end, from the diff that the book began with."""

    async def ended() -> bool:
        best = recorder.best()
        missed = len(expected) - len(best)
        return 0 <= missed <= LATE_DIFFS and best == expected[missed:]

    def tell() -> str:
        return f"{len(recorder.tops)} ticks came, the last {recorder.best()[-1:]}, recorded {expected[-1]}"

    await until(ended, f"{len(expected)} ticks as recorded", seconds=seconds, tell=tell)


async def test_l1_is_the_recorded_sequence_at_recorded_speed_and_faster(
    tmp_path: Path, redis_url: str
) -> None:
    await asyncio.gather(bitcoin(tmp_path, redis_url), four(tmp_path, redis_url))


async def bitcoin(tmp_path: Path, redis_url: str) -> None:
    expected = offline(BTC, "BTCUSDT")
    assert len(expected) > 1100
    options = ("--replay", str(BTC), "--replay-wait", "snapshot", "--speed", "1")
    async with streaming(tmp_path, redis_url, *options) as streamed:
        recorder = streamed.follow("BTCUSDT")
        await recorded(recorder, expected, seconds=90)
        assert streamed.market.resyncs == 0


async def four(tmp_path: Path, redis_url: str) -> None:
    expected = {symbol: offline(FOUR, symbol) for symbol in FOUR_SYMBOLS}
    options = ("--replay", str(FOUR), "--replay-wait", "snapshot", "--speed", "5")
    async with streaming(tmp_path, redis_url, *options) as streamed:
        recorders = {symbol: streamed.follow(symbol) for symbol in FOUR_SYMBOLS}
        for symbol, recorder in recorders.items():
            await recorded(recorder, expected[symbol], seconds=60)
        assert streamed.market.resyncs == 0


async def test_a_lost_diff_resyncs_that_symbol_alone(tmp_path: Path, redis_url: str) -> None:
    expected = {symbol: offline(FOUR, symbol) for symbol in FOUR_SYMBOLS}
    options = ("--replay", str(FOUR), "--replay-wait", "snapshot", "--speed", "10")
    async with streaming(tmp_path, redis_url, *options) as streamed, aiohttp.ClientSession() as http:
        recorders = {symbol: streamed.follow(symbol) for symbol in FOUR_SYMBOLS}
        await reached(recorders["SUSHIUSDT"], 20, seconds=30)
        lost = {"kind": "drop_diff", "symbol": "SUSHIUSDT", "count": 1}
        async with http.post(f"{streamed.url}/venue/admin/faults", json=lost) as response:
            assert response.status == 200
        for symbol in FOUR_SYMBOLS[1:]:
            await recorded(recorders[symbol], expected[symbol], seconds=60)

        async def whole_again() -> bool:
            best = recorders["SUSHIUSDT"].best()
            return bool(best) and best[-1] == expected["SUSHIUSDT"][-1]

        await until(whole_again, "the resynced book to end where the recording ends", seconds=60)
        assert streamed.market.resyncs == 1
        assert streamed.market.follow("SUSHIUSDT").book.state is BookState.LIVE
