"""The independent reader's own REST client against a real HTTP server."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from pms.cli import audit_read, exchange
from pms.cli.audit_checks import Ledger, Trade
from pms.cli.audit_read import KINDS, Incomes, read_exchange
from pms.cli.exchange import ExchangeReader
from pms.cli.session import Failed
from pms.config import Settings

KEY, SECRET = "the-key", "the-secret"
Answer = Callable[[web.Request], Any]


@pytest.fixture
async def served(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[Answer], Any]]:
    """Start a server with one answer for every path; gives a reader of it."""
    servers: list[TestServer] = []
    readers: list[ExchangeReader] = []

    async def start(answer: Answer) -> ExchangeReader:
        async def handle(request: web.Request) -> web.Response:
            found = answer(request)
            return found if isinstance(found, web.Response) else web.json_response(found)

        app = web.Application()
        app.router.add_get("/{path:.*}", handle)
        servers.append(TestServer(app))
        await servers[-1].start_server()
        monkeypatch.setenv("PMS_BINANCE_REST_URL", str(servers[-1].make_url("/")))
        monkeypatch.setenv("PMS_BINANCE_API_KEY", KEY)
        monkeypatch.setenv("PMS_BINANCE_API_SECRET", SECRET)
        readers.append(await ExchangeReader(Settings()).__aenter__())
        return readers[-1]

    yield start
    for reader in readers:
        await reader.__aexit__(None, None, None)
    for server in servers:
        await server.close()


async def test_a_signed_read_is_signed_over_its_own_query(served: Callable[[Answer], Any]) -> None:
    asked: list[web.Request] = []
    reader = await served(lambda request: asked.append(request) or {"price": "1.10"})
    assert await reader.signed("/fapi/v1/x", symbol="BTCUSDT") == {"price": "1.10"}
    query, _, signature = asked[0].query_string.rpartition("&signature=")
    assert query.startswith("symbol=BTCUSDT&recvWindow=")
    assert signature == hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
    assert asked[0].headers["X-MBX-APIKEY"] == KEY


async def test_pages_are_read_to_the_end_and_no_side_of_a_self_trade_is_lost(
    served: Callable[[Answer], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "PAGE", 3)
    rows = [
        {"id": n, "orderId": order} for n, order in ((1, 1), (2, 1), (3, 1), (3, 2), (4, 1), (5, 1), (5, 2))
    ]

    def page(request: web.Request) -> Any:
        first, limit = int(request.query["fromId"]), int(request.query["limit"])
        return [row for row in rows if row["id"] >= first][:limit]

    reader = await served(page)
    assert await reader.pages("/fapi/v1/userTrades", cursor="fromId", key="id", symbol="BTCUSDT") == rows


async def test_numbers_are_exact(served: Callable[[Answer], Any]) -> None:
    reader = await served(lambda _: web.Response(text="[0.1234567890123456789]"))
    assert await reader.public("/fapi/v1/x") == [Decimal("0.1234567890123456789")]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (web.json_response({"code": -2015, "msg": "Invalid API-key."}, status=401), "Invalid API-key"),
        (web.Response(text="<html>", status=502), "HTTP 502"),
        (web.Response(text="<html>"), "HTTP 200"),
    ],
)
async def test_a_refusal_is_one_line_without_a_secret(
    served: Callable[[Answer], Any], answer: web.Response, told: str
) -> None:
    reader = await served(lambda _: answer)
    with pytest.raises(Failed, match=told) as failed:
        await reader.signed("/fapi/v1/x")
    assert SECRET not in failed.value.message


async def test_above_half_of_the_minutes_weight_the_rest_is_left_to_the_engine(
    served: Callable[[Answer], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    used = iter((1200, 1201, 5, 6))
    reader = await served(lambda _: web.json_response([], headers={"X-MBX-USED-WEIGHT-1M": str(next(used))}))
    monkeypatch.setattr(exchange.asyncio, "sleep", sleep)
    await reader.public("/fapi/v1/x")
    await reader.public("/fapi/v1/x")
    assert not slept, "nothing is waited for behind the last request"
    await reader.signed("/fapi/v1/x")
    await reader.signed("/fapi/v1/x")
    (seconds,) = slept
    assert 0 < seconds <= 60
    assert reader.waited_s == seconds


@pytest.mark.parametrize("status", [429, 418])
async def test_who_is_turned_away_is_told_when_to_try_again(
    served: Callable[[Answer], Any], status: int
) -> None:
    body = {"code": -1003, "msg": "Too many requests"}
    reader = await served(lambda _: web.json_response(body, status=status, headers={"Retry-After": "37"}))
    with pytest.raises(Failed, match=r"Too many requests; .* try again in 37 s"):
        await reader.signed("/fapi/v1/x")
    reader = await served(lambda _: web.json_response(body, status=status))
    with pytest.raises(Failed, match=r"try again in \d+ s"):
        await reader.signed("/fapi/v1/x")


def history(rows: list[dict[str, Any]], asked: list[web.Request]) -> Answer:
    def page(request: web.Request) -> Any:
        asked.append(request)
        query = request.query
        kind, start = query.get("incomeType"), int(query["startTime"])
        found = [row for row in rows if row["time"] >= start and kind in (None, row["incomeType"])]
        limit, number = int(query["limit"]), int(query["page"])
        return found[(number - 1) * limit : number * limit]

    return page


def income(number: int, kind: str) -> dict[str, Any]:
    return {"tranId": number, "incomeType": kind, "time": number, "symbol": "BTCUSDT"}


async def test_a_short_income_history_takes_one_request_and_is_not_read_twice(
    served: Callable[[Answer], Any],
) -> None:
    asked: list[web.Request] = []
    rows = [income(1, "TRANSFER"), income(2, "COMMISSION"), income(3, "FUNDING_FEE")]
    incomes = Incomes(await served(history(rows, asked)))
    assert await incomes.read(since=1) == rows
    assert len(asked) == 1
    assert await incomes.read(since=1) == rows, "what is old is kept"
    assert int(asked[1].query["startTime"]) > 3


async def test_of_a_long_income_history_the_rows_of_trades_are_not_read(
    served: Callable[[Answer], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_read, "PAGE", 10)
    asked: list[web.Request] = []
    told = [income(5, "NEWER_THAN_WE_KNOW"), income(7, "TRANSFER"), income(900, "FUNDING_FEE")]
    trades = [income(n, ("COMMISSION", "REALIZED_PNL")[n % 2]) for n in range(1000) if n not in (5, 7, 900)]
    rows = sorted(told + trades, key=lambda row: row["time"])
    incomes = Incomes(await served(history(rows, asked)))
    found = await incomes.read(since=0)
    apart = [row for row in found if row["incomeType"] not in audit_read.TRADED]
    assert sorted(apart, key=lambda row: row["time"]) == told
    assert len(asked) == audit_read.MOST_PAGES + len(KINDS), "100 pages hold it all"
    assert not {request.query.get("incomeType") for request in asked} & audit_read.TRADED


def booked(trade_id: int, order_id: int, at: int) -> Trade:
    one = Decimal(1)
    return Trade("BTCUSDT", order_id, trade_id, "BUY", one, one, one, "USDT", one, maker=False, at=at)


async def test_only_what_is_not_forgotten_is_asked_for(served: Callable[[Answer], Any]) -> None:
    asked: list[web.Request] = []
    reader = await served(lambda request: asked.append(request) or [])
    fills = (booked(7, 70, 1000), booked(8, 60, 1001), booked(9, 65, 1002))
    empty: dict[Any, Any] = {}
    ledger = Ledger(0, Decimal(0), empty, (), fills, empty, (), ())
    for since, first_trade, first_order in ((0, "0", "0"), (1000, "7", "60"), (1002, "9", "0")):
        asked.clear()
        told = await read_exchange(reader, {"BTCUSDT"}, [], ledger, since=since)
        assert told.since == since
        by_path = {request.path: request.query for request in asked}
        assert by_path["/fapi/v1/userTrades"]["fromId"] == first_trade
        assert by_path["/fapi/v1/allOrders"]["orderId"] == first_order


async def test_a_dead_exchange_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMS_BINANCE_REST_URL", "http://127.0.0.1:1")
    async with ExchangeReader(Settings()) as reader:
        with pytest.raises(Failed, match="does not answer"):
            await reader.public("/fapi/v1/time")
