"""A trading session through Binance's own client, changed in nothing but its three addresses."""

from __future__ import annotations

import asyncio
import re
import sys
from decimal import Decimal
from random import Random
from typing import Any

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_common.errors import BadRequestError, UnauthorizedError
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (
    DerivativesTradingUsdsFutures,
)
from session import MIDDLE, SYMBOL, TICK, Operator, Steps, raises, same, soon, until

LOWER = SYMBOL.lower()


def client(url: str, key: str = "KEY", secret: str = "SECRET") -> DerivativesTradingUsdsFutures:
    """The client as its README makes it."""
    sockets = url.replace("http", "ws", 1)
    return DerivativesTradingUsdsFutures(
        config_rest_api=ConfigurationRestAPI(api_key=key, api_secret=secret, base_path=url),
        config_ws_api=ConfigurationWebSocketAPI(
            api_key=key, api_secret=secret, stream_url=f"{sockets}/ws-fapi/v1"
        ),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=f"{sockets}/stream"),
    )


class Session:
    """One account trading; every answer has passed the client's own strict models."""

    def __init__(self, url: str, seconds: float) -> None:
        self.url = url
        self.seconds = seconds
        self.steps = Steps()
        self.operator = Operator(url)
        self.made = client(url)
        self.rest = self.made.rest_api
        self.events: list[Any] = []
        self.faults: list[Any] = []

    def order(self, side: str, type_: str, quantity: str, **more: Any) -> Any:
        """Place an order and take its answer."""
        return self.rest.new_order(SYMBOL, side, type_, quantity=quantity, **more).data()

    def limit(self, side: str, quantity: str, price: Decimal, **more: Any) -> Any:
        """A limit order, good till cancelled unless told."""
        more = {"time_in_force": "GTC"} | more
        return self.order(side, "LIMIT", quantity, price=str(price), **more)

    def held(self) -> Decimal:
        """The position as positionRisk tells it."""
        rows = self.rest.position_information_v3(symbol=SYMBOL).data()
        return sum((Decimal(row.position_amt) for row in rows), Decimal(0))

    async def event(self, what: str, **wanted: Any) -> Any:
        """The user event that holds these values, waited for."""

        def found() -> Any:
            for event in self.events:
                inner = event.get("o", event) if isinstance(event.get("o"), dict) else event
                if event["e"] == what and all(inner.get(name) == value for name, value in wanted.items()):
                    return event
            return None

        return await until(found, f"{what} {wanted}; so far {self.events[-6:]}")

    def hear(self, parsed: Any) -> None:
        """A user event, as its model writes it again: what the model does not know is not there."""
        model = parsed.actual_instance
        event = model.to_dict()
        # The model has eaten `e`: its class is the event's type
        event.setdefault("e", re.sub(r"(?<!^)(?=[A-Z])", "_", type(model).__name__).upper())
        self.events.append(event)

    # The session, in the order of a trading day

    async def run(self) -> None:
        self.operator.quote(MIDDLE)
        self.market_data()
        await self.settings()
        await self.streams()
        await self.orders()
        await self.batches()
        await self.conditional()
        await self.history()
        await self.trading_api()
        await self.book()
        await self.listen_key()
        self.steps.over()

    def market_data(self) -> None:
        rest = self.rest
        with self.steps.step("ping and time"):
            rest.test_connectivity()
            assert rest.check_server_time().data().server_time > 0
        with self.steps.step("exchange info"):
            info = rest.exchange_information()
            listed = {each.symbol: each for each in info.data().symbols}
            same(listed[SYMBOL].status, "TRADING")
            assert {"LIMIT", "MARKET", "STOP_MARKET", "TRAILING_STOP_MARKET"} <= set(
                listed[SYMBOL].order_types
            )
            assert info.rate_limits, "used weight not read from the headers"
        with self.steps.step("prices, trades, candles"):
            self.operator.trade("BUY", "0.5")
            depth = rest.order_book(SYMBOL, limit=5).data()
            same(len(depth.bids), 5)
            assert rest.recent_trades_list(SYMBOL, limit=5).data()[0].price
            assert rest.old_trades_lookup(SYMBOL, limit=5).data()[0].price
            aggregates = soon(
                lambda: rest.compressed_aggregate_trades_list(SYMBOL, limit=5).data(), "an aggregate trade"
            )
            assert aggregates[0].p
            assert rest.kline_candlestick_data(SYMBOL, "1m", limit=3).data()
            assert rest.continuous_contract_kline_candlestick_data(SYMBOL, "PERPETUAL", "1m", limit=3).data()
            assert rest.mark_price_kline_candlestick_data(SYMBOL, "1m", limit=3).data()
            assert rest.index_price_kline_candlestick_data(SYMBOL, "1m", limit=3).data()
            assert rest.premium_index_kline_data(SYMBOL, "1m", limit=3).data()
            rest.mark_price(symbol=SYMBOL).data()
            rest.mark_price().data()
            rest.get_funding_rate_history(symbol=SYMBOL).data()
            rest.get_funding_rate_info().data()
            day = rest.ticker24hr_price_change_statistics(symbol=SYMBOL).data()
            same(day.actual_instance.symbol, SYMBOL)
            rest.ticker24hr_price_change_statistics().data()
            rest.symbol_price_ticker(symbol=SYMBOL).data()
            rest.symbol_price_ticker_v2().data()
            rest.symbol_order_book_ticker(symbol=SYMBOL).data()
            assert Decimal(rest.open_interest(SYMBOL).data().open_interest) >= 0

    async def settings(self) -> None:
        rest = self.rest
        with self.steps.step("balances and account"):
            for rows in (rest.futures_account_balance_v2().data(), rest.futures_account_balance_v3().data()):
                same({row.asset for row in rows}, {"USDT"})
            rest.account_information_v2().data()
            rest.account_information_v3().data()
            rest.position_information_v2().data()
            rest.position_information_v3().data()
            same(rest.user_commission_rate(SYMBOL).data().maker_commission_rate, "0.0002")
            assert rest.notional_and_leverage_brackets(symbol=SYMBOL).data()
            assert rest.query_user_rate_limit().data()
            rest.position_adl_quantile_estimation(symbol=SYMBOL).data()
        with self.steps.step("leverage, margin type, modes"):
            same(rest.change_initial_leverage(SYMBOL, 10).data().leverage, 10)
            await raises(BadRequestError, lambda: rest.change_margin_type(SYMBOL, "CROSSED"), "margin type")
            await raises(BadRequestError, lambda: rest.change_position_mode("false"), "position side")
            same(rest.get_current_position_mode().data().dual_side_position, False)
            same(rest.get_current_multi_assets_mode().data().multi_assets_margin, False)
            await raises(BadRequestError, lambda: rest.change_multi_assets_mode("false"), "asset mode")
            same(rest.get_bnb_burn_status().data().fee_burn, False)
            rest.toggle_bnb_burn_on_futures_trade("true").data()
            same(rest.get_bnb_burn_status().data().fee_burn, True)
            rest.toggle_bnb_burn_on_futures_trade("false").data()
        with self.steps.step("typed errors"):
            await raises(UnauthorizedError, client(self.url, "NOBODY").rest_api.futures_account_balance_v3)
            await raises(BadRequestError, client(self.url, "KEY", "WRONG").rest_api.account_information_v3)
            await raises(BadRequestError, lambda: rest.order_book("NOPE"), "Invalid symbol")
            await raises(BadRequestError, lambda: self.limit("BUY", "0.001", Decimal("0.05")), "-4013")

    async def streams(self) -> None:
        with self.steps.step("user stream"):
            self.key = self.rest.start_user_data_stream().data().listen_key
            self.rest.keepalive_user_data_stream()
            self.sockets = await self.made.websocket_streams.create_connection()
            # A handler that fails is only logged by the client: the session must know
            for each in self.sockets.connections:
                self.sockets.on_connection("error", self.faults.append, each)
            self.user = await self.sockets.user_data(self.key)
            self.user.on("message", self.hear)
        with self.steps.step("market streams"):
            heard: dict[str, list[Any]] = {}
            sockets = self.sockets
            opened = {
                "trade": await sockets.aggregate_trade_streams(LOWER),
                "mark": await sockets.mark_price_stream(LOWER, update_speed="1s"),
                "marks": await sockets.mark_price_stream_for_all_market(update_speed="1s"),
                "kline": await sockets.kline_candlestick_streams(LOWER, "1m"),
                "ticker": await sockets.individual_symbol_ticker_streams(LOWER),
                "mini": await sockets.individual_symbol_mini_ticker_stream(LOWER),
                "best": await sockets.individual_symbol_book_ticker_streams(LOWER),
                "top": await sockets.partial_book_depth_streams(LOWER, 5, update_speed="100ms"),
            }
            for name, stream in opened.items():
                heard[name] = []
                stream.on("message", heard[name].append)
            await asyncio.sleep(1.2)
            for side in ("BUY", "SELL"):
                self.operator.trade(side, "0.3")
            await until(lambda: all(heard.values()), f"a frame of each stream; {heard}")
            for stream in opened.values():
                await stream.unsubscribe()
            same(self.faults, [])

    async def orders(self) -> None:
        rest = self.rest
        low = MIDDLE - TICK * 5
        with self.steps.step("a limit order rests, is amended and cancelled"):
            placed = self.limit("BUY", "0.010", low, new_client_order_id="resting")
            same(placed.status, "NEW")
            await self.event("ORDER_TRADE_UPDATE", c="resting", x="NEW")
            same(rest.query_current_open_order(SYMBOL, order_id=placed.order_id).data().price, str(low) + "0")
            moved = rest.modify_order(
                SYMBOL, "BUY", "0.020", str(low - TICK), order_id=placed.order_id
            ).data()
            same(moved.orig_qty, "0.020")
            await self.event("ORDER_TRADE_UPDATE", c="resting", x="AMENDMENT")
            change = rest.get_order_modify_history(SYMBOL, order_id=placed.order_id).data()[0]
            same(change.amendment.orig_qty.after, "0.020")
            same(rest.cancel_order(SYMBOL, order_id=placed.order_id).data().status, "CANCELED")
            await self.event("ORDER_TRADE_UPDATE", c="resting", x="CANCELED")
        with self.steps.step("a market order is filled and told"):
            filled = self.order(
                "BUY", "MARKET", "0.050", new_order_resp_type="RESULT", new_client_order_id="taking"
            )
            same(filled.status, "FILLED")
            await self.event("TRADE_LITE", c="taking")
            await self.event("ORDER_TRADE_UPDATE", c="taking", X="FILLED")
            await self.event("ACCOUNT_UPDATE")
            same(self.held(), Decimal("0.050"))
        with self.steps.step("a resting order is filled by others"):
            self.limit("SELL", "0.020", MIDDLE + TICK, new_client_order_id="making")
            self.operator.trade("BUY", "6")
            told = await self.event("ORDER_TRADE_UPDATE", c="making", X="FILLED")
            same(told["o"]["m"], True)
            self.operator.quote(MIDDLE)
            same(self.held(), Decimal("0.030"))
        with self.steps.step("IOC, FOK, GTX, reduce-only"):
            rest_of = self.limit("BUY", "0.010", low, time_in_force="IOC", new_order_resp_type="RESULT")
            same(rest_of.status, "EXPIRED")
            await raises(
                BadRequestError, lambda: self.limit("BUY", "0.010", low, time_in_force="FOK"), "FOK order"
            )
            through = MIDDLE + TICK * 5
            await raises(
                BadRequestError, lambda: self.limit("BUY", "0.010", through, time_in_force="GTX"), "Post Only"
            )
            same(self.limit("BUY", "0.010", low, time_in_force="GTX").status, "NEW")
            await raises(
                BadRequestError,
                lambda: self.order("BUY", "MARKET", "0.010", reduce_only="true"),
                "ReduceOnly Order is rejected",
            )
            closed = self.order("SELL", "MARKET", "0.010", reduce_only="true", new_order_resp_type="RESULT")
            same((closed.status, closed.reduce_only), ("FILLED", True))
        with self.steps.step("an order is tested, none is placed"):
            before = len(rest.current_all_open_orders(symbol=SYMBOL).data())
            rest.test_order(SYMBOL, "BUY", "LIMIT", quantity="0.010", price=str(low), time_in_force="GTC")
            same(len(rest.current_all_open_orders(symbol=SYMBOL).data()), before)
        with self.steps.step("all are cancelled, and a countdown cancels"):
            rest.cancel_all_open_orders(SYMBOL)
            same(rest.current_all_open_orders(symbol=SYMBOL).data(), [])
            self.limit("BUY", "0.010", low, new_client_order_id="abandoned")
            same(rest.auto_cancel_all_open_orders(SYMBOL, 100).data().countdown_time, "100")
            await self.event("ORDER_TRADE_UPDATE", c="abandoned", x="CANCELED")
        with self.steps.step("margin is insufficient"):
            await raises(BadRequestError, lambda: self.limit("BUY", "100", low), "Margin is insufficient")

    async def batches(self) -> None:
        rest = self.rest
        low = MIDDLE - TICK * 8
        with self.steps.step("a batch is placed, amended, cancelled"):
            element: dict[str, Any] = {
                "symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "time_in_force": "GTC", "quantity": "0.010",
            }  # fmt: skip
            wanted = [
                element | {"price": str(low), "new_client_order_id": "one"},
                element | {"price": str(low - TICK), "new_client_order_id": "two"},
                element | {"price": str(low), "quantity": "0.0001", "new_client_order_id": "bad"},
            ]
            answers = rest.place_multiple_orders(wanted).data()
            same([each.client_order_id for each in answers], ["one", "two", None])
            same(answers[2].code, -1111)
            changes = [
                {"symbol": SYMBOL, "side": "BUY", "orderId": answers[0].order_id}
                | {"quantity": "0.030", "price": str(low)},
            ]
            same(rest.modify_multiple_orders(changes).data()[0].orig_qty, "0.030")
            gone = rest.cancel_multiple_orders(SYMBOL, orig_client_order_id_list=["one", "two"]).data()
            same([each.status for each in gone], ["CANCELED", "CANCELED"])

    def algo(self, side: str, type_: str, **more: Any) -> Any:
        """A conditional order."""
        return self.rest.new_algo_order("CONDITIONAL", SYMBOL, side, type_, **more).data()

    async def conditional(self) -> None:
        rest = self.rest
        far = MIDDLE - 50
        with self.steps.step("conditional types are refused where plain orders are placed"):
            await raises(BadRequestError, lambda: self.order("SELL", "STOP_MARKET", "0.01"), "Algo Order API")
        with self.steps.step("conditional orders of every type wait, are shown and cancelled"):
            placed = [
                self.algo("SELL", "STOP", quantity="0.010", price=str(far - 1), trigger_price=str(far)),
                self.algo("SELL", "STOP_MARKET", quantity="0.010", trigger_price=str(far)),
                self.algo(
                    "SELL", "TAKE_PROFIT", quantity="0.010", price=str(MIDDLE + 50),
                    trigger_price=str(MIDDLE + 50),
                ),
                self.algo(
                    "SELL", "TAKE_PROFIT_MARKET", trigger_price=str(MIDDLE + 50), close_position="true",
                ),
                self.algo("SELL", "TRAILING_STOP_MARKET", quantity="0.010", callback_rate=1.0),
                self.algo(
                    "SELL", "STOP_MARKET", quantity="0.010", trigger_price=str(far),
                    working_type="MARK_PRICE", price_protect="TRUE", reduce_only="true",
                    client_algo_id="guarded",
                ),
            ]  # fmt: skip
            same({each.algo_status for each in placed}, {"NEW"})
            same(len(rest.current_all_algo_open_orders(symbol=SYMBOL).data()), 6)
            same(rest.query_algo_order(client_algo_id="guarded").data().price_protect, True)
            await self.event("ALGO_UPDATE", caid="guarded", X="NEW")
            same(rest.cancel_algo_order(client_algo_id="guarded").data().code, "200")
            await self.event("ALGO_UPDATE", caid="guarded", X="CANCELED")
            rest.cancel_all_algo_open_orders(SYMBOL)
            same(rest.current_all_algo_open_orders(symbol=SYMBOL).data(), [])
            same(len(rest.query_all_algo_orders(SYMBOL).data()), 6)
        with self.steps.step("what would trigger at once, and what is unknown, is refused"):
            await raises(
                BadRequestError,
                lambda: self.algo("SELL", "STOP_MARKET", quantity="0.010", trigger_price=str(MIDDLE + 50)),
                "immediately trigger",
            )
            await raises(BadRequestError, lambda: rest.cancel_algo_order(client_algo_id="never"))
        with self.steps.step("a stop triggers and its order is filled"):
            before = self.held()
            self.algo(
                "SELL",
                "STOP_MARKET",
                quantity="0.010",
                trigger_price=str(MIDDLE - 2),
                client_algo_id="stopped",
            )
            self.operator.quote(MIDDLE - 4)
            self.operator.trade("SELL", "0.1")
            told = await self.event("ALGO_UPDATE", caid="stopped", X="FINISHED")
            same(Decimal(told["o"]["aq"]), Decimal("0.010"))
            order = rest.query_algo_order(client_algo_id="stopped").data().actual_order_id
            filled = rest.query_order(SYMBOL, order_id=int(order)).data()
            same((filled.status, filled.orig_type, filled.type), ("FILLED", "STOP_MARKET", "MARKET"))
            same(self.held(), before - Decimal("0.010"))
        with self.steps.step("a trailing stop follows and triggers"):
            before = self.held()
            self.algo(
                "SELL", "TRAILING_STOP_MARKET", quantity="0.010", callback_rate=0.1, client_algo_id="trail"
            )
            for middle in (MIDDLE + 20, MIDDLE + 60, MIDDLE - 3):
                self.operator.quote(middle)
                self.operator.trade("BUY", "0.1")
            await self.event("ALGO_UPDATE", caid="trail", X="FINISHED")
            same(self.held(), before - Decimal("0.010"))
            self.operator.quote(MIDDLE)

    async def history(self) -> None:
        rest = self.rest
        with self.steps.step("orders, trades and income, as they were"):
            orders = {each.client_order_id: each for each in rest.all_orders(SYMBOL).data()}
            same(orders["making"].status, "FILLED")
            same(rest.query_order(SYMBOL, orig_client_order_id="taking").data().executed_qty, "0.050")
            trades = rest.account_trade_list(SYMBOL).data()
            moved = sum(Decimal(each.qty) * (1 if each.side == "BUY" else -1) for each in trades)
            same(moved, self.held())
            paid = rest.get_income_history(symbol=SYMBOL, income_type="COMMISSION").data()
            same(
                -sum(Decimal(each.income) for each in paid),
                sum(Decimal(each.commission) for each in trades),
            )
            rest.users_force_orders(symbol=SYMBOL).data()
        with self.steps.step("no such order"):
            await raises(
                BadRequestError,
                lambda: rest.query_order(SYMBOL, orig_client_order_id="never"),
                "does not exist",
            )
            await raises(
                BadRequestError,
                lambda: rest.cancel_order(SYMBOL, orig_client_order_id="never"),
                "Unknown order",
            )

    async def trading_api(self) -> None:
        low = MIDDLE - TICK * 9
        with self.steps.step("the trading API over a WebSocket"):
            api = await self.made.websocket_api.create_connection()
            placed = (await api.new_order(
                SYMBOL, "BUY", "LIMIT", time_in_force="GTC", quantity="0.010", price=str(low),
                new_client_order_id="socket",
            ))  # fmt: skip
            order = placed.data().result
            same(order.status, "NEW")
            assert placed.rate_limits, "no rate limits in the answer"
            await self.event("ORDER_TRADE_UPDATE", c="socket", x="NEW")
            moved = await api.modify_order(SYMBOL, "BUY", "0.020", str(low - TICK), order_id=order.order_id)
            same(moved.data().result.orig_qty, "0.020")
            same((await api.query_order(SYMBOL, order_id=order.order_id)).data().result.status, "NEW")
            gone = await api.cancel_order(SYMBOL, order_id=order.order_id)
            same(gone.data().result.status, "CANCELED")
            # This client logs such an error and hands it over as the answer
            unknown = await api.query_order(SYMBOL, order_id=1 << 40)
            same(unknown.data()["error"]["code"], -2013)
            conditional = await api.new_algo_order(
                "CONDITIONAL", SYMBOL, "SELL", "STOP_MARKET", quantity="0.010", trigger_price=str(MIDDLE - 50)
            )
            algo = conditional.data().result.algo_id
            await api.cancel_algo_order(algo_id=algo)
            assert (await api.futures_account_balance_v2()).data().result
            assert (await api.account_information_v2()).data().result
            assert (await api.account_information()).data().result
            assert (await api.position_information_v2()).data().result is not None
            same(len((await api.order_book(SYMBOL, limit=5)).data().result.to_dict()["bids"]), 5)
            assert (await api.symbol_price_ticker(symbol=SYMBOL)).data().actual_instance.result
            assert (await api.symbol_order_book_ticker(symbol=SYMBOL)).data().actual_instance.result
            same((await api.start_user_data_stream()).data().result.listen_key, self.key)
            await api.keepalive_user_data_stream()
            await api.close_connection()

    async def book(self) -> None:
        with self.steps.step("a local order book in step with the venue's"):
            diffs: list[Any] = []
            stream = await self.sockets.diff_book_depth_streams(LOWER, update_speed="100ms")
            stream.on("message", diffs.append)
            random, loop = Random(1), asyncio.get_running_loop()
            self.operator.wander(random)
            await until(lambda: diffs, "a first diff")
            snapshot = self.rest.order_book(SYMBOL, limit=1000).data()
            ends = loop.time() + self.seconds
            changes = 0
            while loop.time() < ends or changes < 30:
                self.operator.wander(random)
                changes += 1
                await asyncio.sleep(0.01)
            last = self.rest.order_book(SYMBOL, limit=1000).data()
            self.operator.wander(random)
            await until(lambda: diffs[-1].u >= last.last_update_id, "the diff behind the last snapshot")
            final = self.rest.order_book(SYMBOL, limit=1000).data()
            sides = {
                name: {Decimal(price): Decimal(lots) for price, lots in getattr(snapshot, name)}
                for name in ("bids", "asks")
            }
            at = None
            for diff in diffs:
                if diff.u < snapshot.last_update_id:
                    continue
                if at is None:
                    assert diff.U <= snapshot.last_update_id <= diff.u, "the snapshot does not join the diffs"
                else:
                    same(diff.pu, at)
                at = diff.u
                for side, levels in (("bids", diff.b), ("asks", diff.a)):
                    for price, lots in levels:
                        sides[side][Decimal(price)] = Decimal(lots)
            for name, levels in sides.items():
                kept = {price: lots for price, lots in levels.items() if lots}
                same(kept, {Decimal(p): Decimal(q) for p, q in getattr(final, name)})
            await stream.unsubscribe()
            self.operator.quote(MIDDLE)

    async def listen_key(self) -> None:
        with self.steps.step("the listen key ends"):
            self.operator.expire_listen_key("demo")
            await self.event("LISTEN_KEY_EXPIRED")
            await raises(BadRequestError, self.rest.keepalive_user_data_stream, "listenKey")
            self.rest.start_user_data_stream()
            self.rest.close_user_data_stream()
            same(self.faults, [])
            await self.sockets.close_connection()


if __name__ == "__main__":
    asyncio.run(Session(sys.argv[1], float(sys.argv[2])).run())
