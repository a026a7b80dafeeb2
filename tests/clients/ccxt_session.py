"""A session through ccxt's binanceusdm, its WebSocket side too; changed in nothing but its addresses."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from decimal import Decimal
from random import Random
from typing import Any

import ccxt.pro
from session import MIDDLE, SYMBOL, TICK, Operator, Steps, raises, same, until

MARKET = "BTC/USDT:USDT"
PRODUCTION, STREAMS = "https://fapi.binance.com", "wss://fstream.binance.com"


def client(url: str, key: str = "KEY", secret: str = "SECRET") -> Any:
    """The class as its manual makes it; currencies come from an interface that is no part of futures."""
    made = ccxt.pro.binanceusdm(
        {"apiKey": key, "secret": secret, "options": {"fetchCurrencies": False}, "enableRateLimit": False}
    )
    made.urls["api"] = {
        name: each.replace(PRODUCTION, url) if isinstance(each, str) else each
        for name, each in made.urls["api"].items()
    }
    sockets = url.replace("http", "ws", 1)
    ws = made.urls["api"]["ws"]
    trading = {**ws["ws-api"], "linear": f"{sockets}/ws-fapi/v1"}
    made.urls["api"]["ws"] = {**ws, "linear": f"{sockets}/ws", "ws-api": trading}
    return made


class Session:
    """One account trading; watchers run beside it as they do in a program."""

    def __init__(self, url: str, seconds: float) -> None:
        self.url = url
        self.seconds = seconds
        self.steps = Steps()
        self.operator = Operator(url)
        self.made = client(url)
        self.orders: list[Any] = []
        self.fills: list[Any] = []
        self.watchers: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        self.operator.quote(MIDDLE)
        try:
            await self.market_data()
            await self.settings()
            await self.streams()
            await self.trading()
            await self.batches()
            await self.conditional()
            await self.history()
            await self.trading_api()
            await self.book()
            self.steps.over()
        finally:
            for task in self.watchers:
                task.cancel()
            await asyncio.gather(*self.watchers, return_exceptions=True)
            await self.made.close()

    def watch(self, call: Callable[[], Awaitable[Any]], into: list[Any]) -> None:
        """Keep a watcher going; what it sees gathers in a list."""

        async def go_on() -> None:
            while True:
                seen = await call()
                into.extend(seen if isinstance(seen, list) else [seen])

        self.watchers.append(asyncio.create_task(go_on()))

    async def held(self) -> Decimal:
        """The position, signed."""
        rows = await self.made.fetch_positions([MARKET])
        return sum(
            (Decimal(str(row["contracts"])) * (1 if row["side"] == "long" else -1) for row in rows),
            Decimal(0),
        )

    async def told(self, order_id: str, status: str) -> Any:
        """What the user stream said of an order."""

        def found() -> Any:
            return next(
                (each for each in self.orders if each["id"] == order_id and each["status"] == status), None
            )

        return await until(found, f"order {order_id} {status}")

    async def market_data(self) -> None:
        made = self.made
        with self.steps.step("markets"):
            markets = await made.load_markets()
            same(markets[MARKET]["precision"]["price"], 0.1)
            await made.fetch_time()
        with self.steps.step("prices, trades, candles"):
            self.operator.trade("BUY", "0.5")
            same(len((await made.fetch_order_book(MARKET, 5))["bids"]), 5)
            # They are told a tenth of a second late, one by one
            trades: list[Any] = []
            while not trades:
                trades = await made.fetch_trades(MARKET, limit=5)
                await asyncio.sleep(0.2)
            assert await made.fetch_ohlcv(MARKET, "1m", limit=3)
            assert await made.fetch_mark_ohlcv(MARKET, "1m", limit=3)
            assert await made.fetch_index_ohlcv(MARKET, "1m", limit=3)
            assert await made.fetch_premium_index_ohlcv(MARKET, "1m", limit=3)
            assert (await made.fetch_ticker(MARKET))["last"]
            assert await made.fetch_tickers([MARKET])
            assert await made.fetch_bids_asks([MARKET])
            assert await made.fetch_last_prices([MARKET])
            assert (await made.fetch_funding_rate(MARKET))["markPrice"]
            await made.fetch_funding_rates([MARKET])
            await made.fetch_funding_rate_history(MARKET)
            assert await made.fetch_mark_price(MARKET)
            assert await made.fetch_open_interest(MARKET)

    async def settings(self) -> None:
        made = self.made
        with self.steps.step("balances, positions, tiers, fees"):
            same((await made.fetch_balance())["USDT"]["total"], 100000.0)
            await made.fetch_positions()
            await made.fetch_positions_risk([MARKET])
            await made.fetch_account_positions([MARKET])
            assert await made.fetch_leverage_tiers([MARKET])
            same((await made.fetch_trading_fee(MARKET))["maker"], 0.0002)
            await made.fetch_trading_fees()
        with self.steps.step("leverage, margin mode, position mode"):
            same((await made.set_leverage(10, MARKET))["leverage"], 10)
            assert (await made.fetch_leverages([MARKET]))[MARKET]["longLeverage"] == 10
            await raises(ccxt.MarginModeAlreadySet, lambda: made.set_margin_mode("cross", MARKET))
            same((await made.fetch_margin_modes([MARKET]))[MARKET]["marginMode"], "cross")
            same((await made.fetch_position_mode(MARKET))["hedged"], False)
            # Its finer map of errors serves Binance's own host names only
            await raises(ccxt.OperationRejected, lambda: made.set_position_mode(False, MARKET))
        with self.steps.step("typed errors"):
            for wrong, kind in (
                (("NOBODY", "SECRET"), "AuthenticationError"),
                (("KEY", "WRONG"), "AuthenticationError"),
            ):
                other = client(self.url, *wrong)
                try:
                    await raises(getattr(ccxt, kind), other.fetch_balance)
                finally:
                    await other.close()
            await raises(ccxt.BadSymbol, lambda: made.fapiPublicGetDepth({"symbol": "NOPE"}))
            await raises(ccxt.OrderNotFound, lambda: made.cancel_order("1099511627776", MARKET))
            await raises(ccxt.OrderNotFound, lambda: made.fetch_order("1099511627776", MARKET))

    async def streams(self) -> None:
        made = self.made
        with self.steps.step("user stream"):
            self.watch(made.watch_orders, self.orders)
            self.watch(made.watch_my_trades, self.fills)
            balances: list[Any] = []
            positions: list[Any] = []
            self.watch(made.watch_balance, balances)
            self.watch(made.watch_positions, positions)
            self.balances, self.positions = balances, positions
            await asyncio.sleep(1)
        with self.steps.step("market streams"):
            heard: dict[str, list[Any]] = {
                name: [] for name in ("trades", "best", "ticker", "candles", "mark")
            }
            self.watch(lambda: made.watch_trades(MARKET), heard["trades"])
            self.watch(lambda: made.watch_bids_asks([MARKET]), heard["best"])
            self.watch(lambda: made.watch_ticker(MARKET), heard["ticker"])
            self.watch(lambda: made.watch_ohlcv(MARKET, "1m"), heard["candles"])
            self.watch(lambda: made.watch_mark_price(MARKET), heard["mark"])
            await asyncio.sleep(1)
            for side in ("BUY", "SELL"):
                self.operator.trade(side, "5.3")
            self.operator.quote(MIDDLE)
            await until(lambda: all(heard.values()), f"a frame of each stream; {heard}")

    async def trading(self) -> None:
        made = self.made
        low = float(MIDDLE - TICK * 5)
        with self.steps.step("a limit order rests, is amended and cancelled"):
            placed = await made.create_order(MARKET, "limit", "buy", 0.01, low)
            same(placed["status"], "open")
            await self.told(placed["id"], "open")
            moved = await made.edit_order(placed["id"], MARKET, "limit", "buy", 0.02, low - 0.1)
            same((moved["id"], moved["amount"]), (placed["id"], 0.02))
            same([each["id"] for each in await made.fetch_open_orders(MARKET)], [placed["id"]])
            same((await made.cancel_order(placed["id"], MARKET))["status"], "canceled")
            await self.told(placed["id"], "canceled")
        with self.steps.step("a market order is filled and told"):
            filled = await made.create_order(MARKET, "market", "buy", 0.05)
            same(filled["status"], "closed")
            await self.told(filled["id"], "closed")
            await until(lambda: [each for each in self.fills if each["order"] == filled["id"]], "its fill")
            await until(lambda: self.balances and self.positions, "balance and position")
            same(await self.held(), Decimal("0.05"))
            self.first = filled["id"]
        with self.steps.step("a resting order is filled by others"):
            making = await made.create_order(MARKET, "limit", "sell", 0.02, float(MIDDLE + TICK))
            self.operator.trade("BUY", "6")
            await self.told(making["id"], "closed")
            self.operator.quote(MIDDLE)
        with self.steps.step("IOC, FOK, post-only, reduce-only"):
            rest_of = await made.create_order(MARKET, "limit", "buy", 0.01, low, {"timeInForce": "IOC"})
            same(rest_of["status"], "expired")
            await raises(
                ccxt.InvalidOrder,
                lambda: made.create_order(MARKET, "limit", "buy", 0.01, low, {"timeInForce": "FOK"}),
            )
            await raises(
                ccxt.InvalidOrder,
                lambda: made.create_order(
                    MARKET, "limit", "buy", 0.01, float(MIDDLE + 1), {"postOnly": True}
                ),
            )
            await made.create_order(MARKET, "limit", "buy", 0.01, low, {"postOnly": True})
            await raises(
                ccxt.ExchangeError,
                lambda: made.create_order(MARKET, "market", "buy", 0.01, None, {"reduceOnly": True}),
                "-2022",
            )
            closed = await made.create_order(MARKET, "market", "sell", 0.01, None, {"reduceOnly": True})
            same(closed["reduceOnly"], True)
        with self.steps.step("all are cancelled, and a countdown cancels"):
            await made.cancel_all_orders(MARKET)
            same(await made.fetch_open_orders(MARKET), [])
            left = await made.create_order(MARKET, "limit", "buy", 0.01, low)
            await made.fapiPrivatePostCountdownCancelAll({"symbol": SYMBOL, "countdownTime": 100})
            await self.told(left["id"], "canceled")
        with self.steps.step("margin is insufficient"):
            await raises(
                ccxt.ExchangeError, lambda: made.create_order(MARKET, "limit", "buy", 100, low), "-2019"
            )

    async def batches(self) -> None:
        made = self.made
        low = float(MIDDLE - TICK * 8)
        with self.steps.step("a batch is placed, amended, cancelled"):
            wanted = [
                {"symbol": MARKET, "type": "limit", "side": "buy", "amount": 0.01, "price": low - step}
                for step in (0, 1)
            ]
            placed = await made.create_orders(wanted)
            changed = await made.edit_orders(
                [
                    {
                        "id": each["id"],
                        "symbol": MARKET,
                        "type": "limit",
                        "side": "buy",
                        "amount": 0.03,
                        "price": low,
                    }
                    for each in placed
                ]
            )
            same([each["amount"] for each in changed], [0.03, 0.03])
            gone = await made.cancel_orders([each["id"] for each in placed], MARKET)
            same({each["status"] for each in gone}, {"canceled"})

    async def conditional(self) -> None:
        made = self.made
        far = float(MIDDLE - 50)
        with self.steps.step("conditional orders of every type wait, are shown and cancelled"):
            up = float(MIDDLE + 50)
            placed = [
                await made.create_order(MARKET, "limit", "sell", 0.01, far - 1, {"stopLossPrice": far}),
                await made.create_order(MARKET, "market", "sell", 0.01, None, {"stopLossPrice": far}),
                await made.create_order(MARKET, "limit", "sell", 0.01, up, {"takeProfitPrice": up}),
                await made.create_order(MARKET, "market", "sell", 0.01, None, {"takeProfitPrice": up}),
                await made.create_order(MARKET, "market", "sell", 0.01, None, {"trailingPercent": 1}),
                await made.create_order(
                    MARKET, "market", "sell", 0.01, None,
                    {"stopLossPrice": far, "workingType": "MARK_PRICE", "reduceOnly": True},
                ),
            ]  # fmt: skip
            waiting = await made.fetch_open_orders(MARKET, params={"trigger": True})
            same({each["id"] for each in waiting}, {each["id"] for each in placed})
            one = await made.fetch_order(placed[1]["id"], MARKET, {"trigger": True})
            same(float(one["triggerPrice"]), far)
            await made.cancel_order(placed[0]["id"], MARKET, {"trigger": True})
            await made.cancel_all_orders(MARKET, {"trigger": True})
            same(await made.fetch_open_orders(MARKET, params={"trigger": True}), [])
            await made.fetch_orders(MARKET, params={"trigger": True})
        with self.steps.step("what would trigger at once is refused"):
            await raises(
                ccxt.ExchangeError,
                lambda: made.create_order(MARKET, "market", "sell", 0.01, None, {"stopLossPrice": up}),
                "-2021",
            )
        with self.steps.step("a stop triggers and its order is filled"):
            before = await self.held()
            trigger = {"stopLossPrice": float(MIDDLE - 2)}
            stop = await made.create_order(MARKET, "market", "sell", 0.01, None, trigger)
            self.operator.quote(MIDDLE - 4)
            self.operator.trade("SELL", "0.1")
            await until(
                lambda: [each for each in self.orders if each["status"] == "closed" and each["side"] == "sell"
                         and each["type"] == "market" and not each["reduceOnly"]],
                "the stop's order on the user stream",
            )  # fmt: skip
            done = await made.fetch_order(stop["id"], MARKET, {"trigger": True})
            same(done["info"]["algoStatus"], "FINISHED")
            same(await self.held(), before - Decimal("0.01"))
            self.operator.quote(MIDDLE)

    async def history(self) -> None:
        made = self.made
        with self.steps.step("orders, trades and income, as they were"):
            orders = await made.fetch_orders(MARKET)
            assert self.first in {each["id"] for each in orders}
            assert await made.fetch_closed_orders(MARKET)
            same((await made.fetch_order(self.first, MARKET))["filled"], 0.05)
            trades = await made.fetch_my_trades(MARKET)
            moved = sum(
                Decimal(str(each["amount"])) * (1 if each["side"] == "buy" else -1) for each in trades
            )
            same(moved, await self.held())
            assert await made.fetch_ledger("USDT")
            await made.fetch_funding_history(MARKET)
            same({each["id"] for each in self.fills} >= {each["id"] for each in trades}, True)

    async def trading_api(self) -> None:
        made = self.made
        low = float(MIDDLE - TICK * 9)
        with self.steps.step("the trading API over a WebSocket"):
            placed = await made.create_order_ws(MARKET, "limit", "buy", 0.01, low)
            same(placed["status"], "open")
            moved = await made.edit_order_ws(placed["id"], MARKET, "limit", "buy", 0.02, low - 0.1)
            same(moved["amount"], 0.02)
            same((await made.fetch_order_ws(placed["id"], MARKET))["status"], "open")
            same((await made.cancel_order_ws(placed["id"], MARKET))["status"], "canceled")
            assert (await made.fetch_balance_ws())["USDT"]["total"]
            await made.fetch_positions_ws([MARKET])
            await raises(ccxt.OrderNotFound, lambda: made.fetch_order_ws("1099511627776", MARKET))

    async def book(self) -> None:
        made = self.made
        with self.steps.step("a local order book in step with the venue's"):
            seen: list[Any] = []
            self.watch(lambda: made.watch_order_book(MARKET), seen)
            random, loop = Random(2), asyncio.get_running_loop()
            self.operator.wander(random)
            await until(lambda: seen, "a first book")
            ends, changes = loop.time() + self.seconds, 0
            while loop.time() < ends or changes < 30:
                self.operator.wander(random)
                changes += 1
                await asyncio.sleep(0.01)
            final = await made.fetch_order_book(MARKET, 1000)

            def equal() -> bool:
                book = made.orderbooks[MARKET]
                return all(list(map(list, book[side])) == final[side] for side in ("bids", "asks"))

            await until(equal, "the book as the venue has it")
            for task in self.watchers:
                if task.done():
                    task.result()


if __name__ == "__main__":
    asyncio.run(Session(sys.argv[1], float(sys.argv[2])).run())
