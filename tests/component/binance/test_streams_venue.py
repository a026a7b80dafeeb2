"""Streams, decoding and books together, against the venue over real connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from decimal import Decimal
from time import monotonic
from typing import Any

import aiohttp
import pytest_asyncio
from pydantic import SecretStr

from pms.binance.book import L1, BookState, LocalBook
from pms.binance.client import ExchangeClient, PlaceOrder
from pms.binance.frames import (
    AccountUpdate,
    DepthUpdate,
    OrderUpdate,
    UserEvent,
    decode_market,
    decode_user,
)
from pms.binance.streams import MarketStream
from pms.binance.user_stream import UserStream
from pms.venue.app import AccountSpec, RunningVenue, VenueConfig, serve

MakeClient = Callable[[str], ExchangeClient]
PATIENCE_S = 10.0


@pytest_asyncio.fixture
async def venue() -> AsyncIterator[RunningVenue]:
    spec = AccountSpec("demo", "key", SecretStr("a-secret-that-must-not-show"), Decimal(100_000))
    running = await serve(VenueConfig(accounts=(spec,), port=0, market="none", limits="off"))
    yield running
    await running.close()


@pytest_asyncio.fixture
async def admin(venue: RunningVenue) -> AsyncIterator[Admin]:
    async with aiohttp.ClientSession() as session:
        yield Admin(session, venue.url)


class Admin:
    """The venue's operator."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def post(self, path: str, **body: object) -> None:
        async with self._session.post(f"{self._url}/venue/admin/{path}", json=body) as answer:
            assert answer.status == 200, await answer.text()

    async def level(self, side: str, price: str, quantity: str) -> None:
        """Set one anonymous level: one diff on the stream."""
        await self.post("levels", symbol="BTCUSDT", **{side: [[price, quantity]]})


@contextmanager
def background(work: Coroutine[Any, Any, None]) -> Iterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()


async def test_a_book_follows_the_venue_and_heals_after_a_lost_diff_and_a_lost_line(
    venue: RunningVenue, admin: Admin, client_of: MakeClient, session: aiohttp.ClientSession
) -> None:
    client, book = client_of(venue.url), LocalBook("BTCUSDT")
    seen: asyncio.Queue[L1 | None] = asyncio.Queue()
    ups: asyncio.Queue[None] = asyncio.Queue()

    def frame(raw: bytes) -> None:
        update = decode_market(raw)
        if isinstance(update, DepthUpdate):
            seen.put_nowait(book.apply(update))
        else:
            ups.put_nowait(None)

    async def synced() -> L1 | None:
        """The venue's snapshot lies inside a later diff, as the exchange's does: make one."""
        snapshot = await client.depth("BTCUSDT")
        assert book.snapshot(snapshot.last_update_id, snapshot.bids, snapshot.asks) is None
        await admin.level("bids", "40000.0", "1")
        return await asyncio.wait_for(seen.get(), PATIENCE_S)

    stream = MarketStream(
        venue.url.replace("http", "ws"),
        session=session,
        on_frame=frame,
        on_connected=lambda: None,
        on_disconnected=book.reset,
        monotonic=monotonic,
        sleep=asyncio.sleep,
        jitter=lambda: 0.0,
    )
    stream.subscribe(["btcusdt@depth@0ms"])
    await admin.level("bids", "50000.0", "1")
    await admin.level("asks", "50001.0", "2")
    with background(stream.run()):
        await asyncio.wait_for(ups.get(), PATIENCE_S)
        await admin.level("bids", "50000.0", "3")
        assert await asyncio.wait_for(seen.get(), PATIENCE_S) is None
        assert await synced() == L1("50000.00", "3.000", "50001.00", "2.000")

        await admin.post("faults", kind="drop_diff", symbol="BTCUSDT", count=1)
        await admin.level("bids", "50000.5", "7")
        await admin.level("asks", "50000.9", "4")
        assert await asyncio.wait_for(seen.get(), PATIENCE_S) is None
        assert book.state is BookState.GAP
        assert await synced() == L1("50000.50", "7.000", "50000.90", "4.000")

        await admin.post("sockets/cut", route="public")
        await asyncio.wait_for(ups.get(), PATIENCE_S)
        assert book.state is BookState.SYNCING
        await admin.level("asks", "50000.9", "0")
        assert await asyncio.wait_for(seen.get(), PATIENCE_S) is None
        assert await synced() == L1("50000.50", "7.000", "50001.00", "2.000")
    assert stream.failed_frames == 0


async def test_the_private_stream_survives_a_cut_line_and_an_expired_key(
    venue: RunningVenue, admin: Admin, client_of: MakeClient, session: aiohttp.ClientSession
) -> None:
    client = client_of(venue.url)
    await client.sync_time()
    events: asyncio.Queue[UserEvent | None] = asyncio.Queue()
    ups: asyncio.Queue[bool] = asyncio.Queue()

    async def up(*, first: bool) -> None:
        ups.put_nowait(first)

    async def next_of(kind: type) -> UserEvent:
        async with asyncio.timeout(PATIENCE_S):
            while not isinstance(event := await events.get(), kind):
                pass
        assert event is not None
        return event

    async def place(client_order_id: str, side: str, type_: str, price: Decimal | None) -> None:
        await client.room_for_order(account="alice", lane="open")
        order = PlaceOrder(
            "BTCUSDT", side, type_, Decimal("0.5"), client_order_id, price, "GTC" if price else None
        )
        at = client.exchange_now_ms()
        await client.send(client.sign_place(order, timestamp_ms=at, recv_window_ms=2000))

    stream = UserStream(
        venue.url.replace("http", "ws"),
        session=session,
        new_listen_key=client.new_listen_key,
        on_frame=lambda raw: events.put_nowait(decode_user(raw)),
        on_up=up,
        on_down=lambda: None,
        monotonic=monotonic,
        sleep=asyncio.sleep,
        jitter=lambda: 0.0,
    )
    await admin.level("asks", "50001.0", "2")
    with background(stream.run()):
        assert await asyncio.wait_for(ups.get(), PATIENCE_S) is True
        await place("PMS_a", "BUY", "MARKET", None)
        accepted, moved, filled = (
            await next_of(OrderUpdate),
            await next_of(AccountUpdate),
            await next_of(OrderUpdate),
        )
        assert isinstance(accepted, OrderUpdate)
        assert isinstance(filled, OrderUpdate)
        assert isinstance(moved, AccountUpdate)
        assert (accepted.execution, accepted.client_order_id, accepted.trade_id) == ("NEW", "PMS_a", 0)
        assert (filled.status, filled.last_price, filled.last_quantity) == (
            "FILLED",
            Decimal(50001),
            Decimal("0.5"),
        )
        assert filled.commission > 0
        assert (moved.reason, moved.positions[0].quantity) == ("ORDER", Decimal("0.5"))

        await admin.post("sockets/cut", route="private")
        assert await asyncio.wait_for(ups.get(), PATIENCE_S) is False
        await place("PMS_b", "BUY", "LIMIT", Decimal("49000"))
        again = await next_of(OrderUpdate)
        assert isinstance(again, OrderUpdate)
        assert (again.client_order_id, again.status) == ("PMS_b", "NEW")

        await admin.post("listenKey/expire", account="demo")
        assert await asyncio.wait_for(ups.get(), PATIENCE_S) is False
        await client.cancel(symbol="BTCUSDT", client_order_id="PMS_b")
        gone = await next_of(OrderUpdate)
        assert isinstance(gone, OrderUpdate)
        assert (gone.client_order_id, gone.status) == ("PMS_b", "CANCELED")
    assert stream.failed_frames == 0
