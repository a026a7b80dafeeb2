"""What becomes of a symbol's price: told, kept, and forgotten when it is true no more."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest
import pytest_asyncio
from pydantic import SecretStr

from pms.binance.client import ExchangeClient, open_session
from pms.binance.limits import RateBudget
from pms.binance.streams import MarketStream
from pms.bus.connection import connect
from pms.domain.desk import Desk, Top
from pms.streamer.engine import Gate
from pms.streamer.market import MarketData

NOBODY = "127.0.0.1:9"


class Feed:
    """Market data that is handed its frames and snapshots; no exchange answers it."""

    def __init__(self, market: MarketData, desk: Desk) -> None:
        self.market, self.desk = market, desk
        self._last: dict[str, int] = {}

    def live(self, symbol: str) -> None:
        """Give a book one level a side: 2 at 100, 3 at 101."""
        self.market.follow(symbol).book.snapshot(10, [("100", "2")], [("101", "3")])
        self._last[symbol] = 9
        self.diff(symbol)

    def diff(
        self,
        symbol: str,
        *,
        bids: list[tuple[str, str]] | None = None,
        asks: list[tuple[str, str]] | None = None,
        at: int = 1,
        skip: int = 0,
    ) -> None:
        previous = self._last[symbol] + skip
        last = self._last[symbol] = previous + 2
        data = {
            "e": "depthUpdate",
            "E": at,
            "T": at,
            "s": symbol,
            "U": previous + 1,
            "u": last,
            "pu": previous,
        }
        data |= {"b": bids or [], "a": asks or []}
        self.market.frame(json.dumps({"stream": "a", "data": data}).encode())

    def top(self, symbol: str) -> Top | None:
        return self.desk.tops.get(symbol)


@pytest_asyncio.fixture
async def feed(redis_url: str) -> AsyncIterator[Feed]:
    redis, desk = connect(redis_url, name="test"), Desk(epoch="test")
    async with open_session() as session, redis:
        budget = RateBudget(redis, share=Decimal(1), monotonic=time.monotonic)
        client = ExchangeClient(
            base_url=f"http://{NOBODY}",
            api_key=SecretStr("key"),
            api_secret=SecretStr("secret"),
            session=session,
            clock_ms=lambda: time.time_ns() // 1_000_000,
            budget=budget,
        )

        async def prepare(symbol: str) -> None:
            """Nothing was traded before."""

        market = MarketData(
            desk,
            client,
            redis,
            now_ms=lambda: 1,
            sleep=asyncio.sleep,
            prepare=prepare,
            spawn=lambda name, work: asyncio.create_task(work, name=name),
        )
        market.stream = MarketStream(
            f"ws://{NOBODY}",
            session=session,
            on_frame=market.frame,
            on_connected=market.connected,
            on_disconnected=market.disconnected,
            monotonic=time.monotonic,
            sleep=asyncio.sleep,
            jitter=random.random,
        )
        yield Feed(market, desk)
        market.close()
        await budget.close()


async def test_a_book_with_an_empty_side_has_no_price_until_it_is_full_again(feed: Feed) -> None:
    feed.live("BTCUSDT")
    assert feed.top("BTCUSDT") == Top(Decimal(100), Decimal(2), Decimal(101), Decimal(3), 1)
    feed.diff("BTCUSDT", asks=[("101", "0")])
    assert feed.top("BTCUSDT") is None
    feed.diff("BTCUSDT", asks=[("102", "1")], at=5)
    assert feed.top("BTCUSDT") == Top(Decimal(100), Decimal(2), Decimal(102), Decimal(1), 5)
    assert feed.market.resyncs == 0


async def test_a_diff_behind_the_best_prices_only_makes_them_younger(feed: Feed) -> None:
    feed.live("BTCUSDT")
    before = feed.top("BTCUSDT")
    feed.diff("BTCUSDT", bids=[("99", "7")], at=8)
    after = feed.top("BTCUSDT")
    assert before is not None
    assert after is not None
    assert (before.at, after.at) == (1, 8)
    assert after.bid is before.bid, "not read from text again"
    assert after.ask_qty is before.ask_qty


async def test_a_gap_takes_the_price_of_that_symbol_alone(feed: Feed) -> None:
    feed.live("BTCUSDT")
    feed.live("ETHUSDT")
    feed.diff("BTCUSDT", skip=3)
    assert feed.top("BTCUSDT") is None
    assert feed.top("ETHUSDT") is not None
    assert feed.market.resyncs == 1


async def test_without_the_stream_no_symbol_has_a_price(feed: Feed) -> None:
    feed.live("BTCUSDT")
    feed.live("ETHUSDT")
    feed.market.disconnected()
    assert feed.desk.tops == {}


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'{"stream":"a","data":{"e":"depthUpdate","s":"BTCUSDT"}}']
)
async def test_a_malformed_frame_is_counted_and_changes_nothing(feed: Feed, raw: bytes) -> None:
    feed.live("BTCUSDT")
    before = feed.top("BTCUSDT")
    feed.market.frame(raw)
    assert feed.market.bad_frames == 1
    assert feed.top("BTCUSDT") is before


async def test_a_mailbox_holds_the_newest_tick_alone(feed: Feed) -> None:
    box = feed.market.mailbox("BTCUSDT")
    feed.live("BTCUSDT")
    feed.diff("BTCUSDT", bids=[("100", "5")], at=7)
    assert (await box.take()).bid_qty == Decimal(5)
    assert box.replaced == 1


async def test_only_a_price_that_moved_or_is_known_again_concerns_who_watches_prices(feed: Feed) -> None:
    told: dict[str, int] = {"ticked": 0, "moved": 0}

    def note(what: str) -> None:
        told[what] += 1

    feed.market.ticked, feed.market.moved = lambda _: note("ticked"), lambda _: note("moved")
    feed.live("BTCUSDT")
    assert told == {"ticked": 1, "moved": 1}
    feed.diff("BTCUSDT", bids=[("99", "1")])
    feed.diff("BTCUSDT", bids=[("100", "5")])
    assert told == {"ticked": 3, "moved": 1}
    feed.diff("BTCUSDT", bids=[("100.5", "1")])
    assert told == {"ticked": 4, "moved": 2}
    feed.diff("BTCUSDT", asks=[("101", "0")])
    feed.diff("BTCUSDT", asks=[("101", "3")])
    # The same price as before, but for a while there was none
    assert told == {"ticked": 5, "moved": 3}


async def test_how_old_a_frame_is_when_it_is_taken_is_known(feed: Feed) -> None:
    """By the exchange's clock against the time at which it was sent."""
    feed.market.lag.exchange_now = lambda: 12_005
    feed.live("BTCUSDT")
    feed.diff("BTCUSDT", at=5)
    feed.market.lag.look(cast(Any, SimpleNamespace(gate=Gate())))
    assert feed.market.lag.ms == 12_000
