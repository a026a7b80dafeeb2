"""The exchange over REST: every call written once, answered typed, or ended by a typed error.

    Unsent     the connection could not be made: nothing was written
    Unknown    anything that went wrong after that, even on a kept-alive connection that turned out dead
    the rest   what the exchange answered (errors.py)

Before anything is written the rate budget is asked; it may raise Throttled, with `http` None. Placing
asks in a call of its own, so that no send right is spent on an order there is no room for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import aiohttp
from msgspec import Raw
from pydantic import SecretStr
from yarl import URL

from pms.binance.answers import (
    Account,
    AlgoOrder,
    Balance,
    DepthSnapshot,
    FundingRate,
    HedgeMode,
    IncomeAnswer,
    Kline,
    LeverageSet,
    ListenKey,
    MultiAssets,
    OrderAck,
    OrderAnswer,
    PositionRisk,
    PremiumIndex,
    ServerTime,
    SymbolConfig,
    UserTrade,
    by_element,
    read,
)
from pms.binance.errors import (
    TOO_MANY_ORDERS,
    ExchangeError,
    Overloaded,
    Refused,
    Throttled,
    TimestampRefused,
    Unknown,
    Unsent,
    classify,
)
from pms.binance.limits import Budget, Grant
from pms.binance.requests import (
    FORM,
    AmendOrder,
    PlaceOrder,
    Request,
    SignedRequest,
    as_list,
    one_order,
)
from pms.binance.session import BULK, QUICK, open_session
from pms.binance.signing import Params, Signer, encode_params
from pms.binance.windows import Lane
from pms.config import ConfigError

__all__ = [
    "AmendOrder",
    "Balance",
    "DepthSnapshot",
    "ExchangeClient",
    "OrderAck",
    "OrderAnswer",
    "PlaceOrder",
    "PositionRisk",
    "SignedRequest",
    "UserTrade",
    "open_session",
]

T = TypeVar("T")
RECV_WINDOW_MS: Final = 5000
"""Binance's default; placing has its own, shorter one."""

DEPTH_WEIGHTS: Final = ((50, 2), (100, 5), (500, 10), (1000, 20))
KLINE_WEIGHTS: Final = ((99, 1), (499, 2), (1000, 5))
BATCH_WEIGHT: Final = 5
NO_NEED_TO_CHANGE: Final = -4046
TIME_SAMPLES: Final = 3


class ExchangeClient:
    """The calls that a PMS needs; each raises ExchangeError's children, and nothing else."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: SecretStr | str | None,
        api_secret: SecretStr | str | None,
        session: aiohttp.ClientSession,
        clock_ms: Callable[[], int],
        budget: Budget,
    ) -> None:
        if not api_key or not api_secret:
            raise ConfigError("PMS_BINANCE_API_KEY and PMS_BINANCE_API_SECRET are not set")
        self._base = base_url.rstrip("/")
        self._headers = {"X-MBX-APIKEY": _hidden(api_key).get_secret_value()}
        self._form_headers = {**self._headers, "Content-Type": FORM}
        self._signer = Signer(_hidden(api_secret))
        self._session = session
        self._clock_ms = clock_ms
        self._budget = budget
        self._ahead_ms = 0
        self.turned_away = 0
        """How many requests found no room: whoever waits for it does not hang."""
        self._paths: dict[str, URL] = {}

    def __repr__(self) -> str:
        return f"ExchangeClient({self._base})"

    # --- time ---

    def exchange_now_ms(self) -> int:
        """The exchange's clock as we know it."""
        return self._clock_ms() + self._ahead_ms

    async def server_time(self) -> int:
        """Read the exchange's clock, ms."""
        answer = await self._public("/fapi/v1/time", ServerTime, lane="vital")
        return answer.server_time

    async def sync_time(self) -> None:
        """Learn the exchange's clock from the quickest of three answers: its middle is the moment."""
        quickest: tuple[int, int] | None = None
        for _ in range(TIME_SAMPLES):
            before = self._clock_ms()
            server = await self.server_time()
            after = self._clock_ms()
            sample = (after - before, server - (before + after) // 2)
            quickest = min(quickest, sample) if quickest else sample
        if quickest:
            self._ahead_ms = quickest[1]
            self._budget.align(self.exchange_now_ms())

    # --- orders ---

    async def room_for_order(self, *, account: str, lane: Lane) -> None:
        """Take an order's part of a sub-account's share, before the send right is taken; raises Throttled."""
        await self._budget.acquire(orders=1, lane=lane, account=account)

    def sign_place(self, order: PlaceOrder, *, timestamp_ms: int, recv_window_ms: int) -> SignedRequest:
        """Build and sign a placement. It is written by `send`, once; never sign again for another try."""
        request = self._signed(
            "POST",
            "/fapi/v1/order",
            order.params(),
            weight=0,
            orders=1,
            lane=order.lane,
            timestamp_ms=timestamp_ms,
            recv_window_ms=recv_window_ms,
        )
        return SignedRequest(request, timestamp_ms, recv_window_ms)

    def sign_amend(self, order: AmendOrder, *, timestamp_ms: int, recv_window_ms: int) -> SignedRequest:
        """Build and sign an amendment. It is written by `send`, once."""
        request = self._signed(
            "PUT",
            "/fapi/v1/order",
            order.params(),
            weight=0,
            orders=1,
            lane="open",
            timestamp_ms=timestamp_ms,
            recv_window_ms=recv_window_ms,
        )
        return SignedRequest(request, timestamp_ms, recv_window_ms)

    async def room_for_batch(self, orders: Sequence[PlaceOrder]) -> None:
        """Take a batch's part of the budget, before the send rights are taken; raises Throttled.

        Orders of several sub-accounts come out of nobody's share.
        """
        accounts = {order.account for order in orders}
        account = accounts.pop() if len(accounts) == 1 else ""
        lane = _lane_of(orders)
        await self._budget.acquire(weight=BATCH_WEIGHT, orders=len(orders), lane=lane, account=account)

    def sign_batch(
        self, orders: Sequence[PlaceOrder], *, timestamp_ms: int, recv_window_ms: int
    ) -> SignedRequest:
        """Build and sign up to five placements in one request. It is written by `send_batch`, once."""
        elements = [dict(order.params()) for order in orders]
        request = self._signed(
            "POST",
            "/fapi/v1/batchOrders",
            [("batchOrders", as_list(elements))],
            weight=BATCH_WEIGHT,
            orders=len(orders),
            lane=_lane_of(orders),
            timestamp_ms=timestamp_ms,
            recv_window_ms=recv_window_ms,
        )
        return SignedRequest(request, timestamp_ms, recv_window_ms)

    async def send_batch(
        self, signed: SignedRequest, client_order_ids: Sequence[str]
    ) -> list[OrderAck | ExchangeError]:
        """Write a signed batch, once; the answer to each order, in their order.

        Raises where there is one answer to all of them. An element that cannot be read is Unknown.
        """
        answer = await self._exchange(signed.request, list[Raw], grant=self._budget.taken_before())
        return by_element(answer, client_order_ids)

    async def send(self, signed: SignedRequest) -> OrderAck:
        """Write a signed placement, once; its part of the budget was taken by `room_for_order`.

        Throttled with `http` None: the exchange turned somebody away meanwhile, and nothing was sent.
        """
        return await self._exchange(signed.request, OrderAck, grant=self._budget.taken_before())

    async def cancel(
        self, *, symbol: str, client_order_id: str | None = None, order_id: int | None = None
    ) -> OrderAck:
        """Cancel one order; NotFound means filled, cancelled, or never there."""
        params = one_order(symbol, client_order_id=client_order_id, order_id=order_id)
        return await self._private("DELETE", "/fapi/v1/order", OrderAck, params, lane="cancel")

    async def cancel_batch(
        self, *, symbol: str, client_order_ids: Sequence[str]
    ) -> list[OrderAck | ExchangeError]:
        """Cancel up to ten orders of a symbol; the answer to each, in their order."""
        params = [
            ("symbol", symbol),
            ("origClientOrderIdList", as_list(client_order_ids)),
        ]
        answer = await self._private("DELETE", "/fapi/v1/batchOrders", list[Raw], params, lane="cancel")
        return by_element(answer, client_order_ids)

    async def cancel_all(self, symbol: str) -> None:
        """Cancel all ordinary orders of a symbol, whoever's they are; conditional ones stay."""
        await self._private("DELETE", "/fapi/v1/allOpenOrders", Any, [("symbol", symbol)], lane="cancel")

    async def countdown_cancel_all(self, symbol: str, countdown_ms: int) -> None:
        """Let the exchange cancel all of a symbol's orders unless this is renewed in time; 0 stops it."""
        params = [("symbol", symbol), ("countdownTime", str(countdown_ms))]
        await self._private("POST", "/fapi/v1/countdownCancelAll", Any, params, weight=10, lane="vital")

    async def query_order(
        self, *, symbol: str, client_order_id: str | None = None, order_id: int | None = None
    ) -> OrderAnswer:
        """Ask for one order; raises NotFound, which right after placing proves nothing yet."""
        params = one_order(symbol, client_order_id=client_order_id, order_id=order_id)
        return await self._private("GET", "/fapi/v1/order", OrderAnswer, params)

    async def open_orders(self, symbol: str | None = None, *, lane: Lane = "query") -> list[OrderAnswer]:
        """List the open orders; stale by up to 30 s, so that absence proves nothing."""
        weight = 1 if symbol else 40
        params = _of(symbol)
        return await self._private(
            "GET", "/fapi/v1/openOrders", list[OrderAnswer], params, weight=weight, lane=lane
        )

    async def orders_since(self, symbol: str, since_ms: int) -> list[OrderAnswer]:
        """List all orders of a symbol from a time on, finished ones too; at most 7 days back."""
        found: list[OrderAnswer] = []
        start = ("startTime", str(since_ms))
        while True:
            params = [("symbol", symbol), start, ("limit", "1000")]
            page = await self._private("GET", "/fapi/v1/allOrders", list[OrderAnswer], params, weight=5)
            found += page
            if len(page) < 1000:
                return found
            start = ("orderId", str(page[-1].order_id + 1))

    async def open_algo_orders(self, symbol: str | None = None) -> list[AlgoOrder]:
        """List the conditional orders that have not triggered; openOrders does not show them."""
        return await self._private(
            "GET", "/fapi/v1/openAlgoOrders", list[AlgoOrder], _of(symbol), weight=1 if symbol else 40
        )

    async def query_algo_order(self, *, client_algo_id: str) -> AlgoOrder:
        """Ask for one conditional order; raises NotFound."""
        params = [("clientAlgoId", client_algo_id)]
        return await self._private("GET", "/fapi/v1/algoOrder", AlgoOrder, params)

    async def cancel_algo_order(self, *, client_algo_id: str) -> None:
        """Cancel one conditional order; raises NotFound."""
        params = [("clientAlgoId", client_algo_id)]
        await self._private("DELETE", "/fapi/v1/algoOrder", Any, params, lane="cancel")

    async def user_trades(
        self,
        *,
        symbol: str,
        from_id: int | None = None,
        order_id: int | None = None,
        limit: int = 1000,
        lane: Lane = "query",
    ) -> list[UserTrade]:
        """List the account's trades, ascending by id: from an id on, of one order, or the newest."""
        params = [("symbol", symbol), ("limit", str(limit))]
        if order_id is not None:
            params.append(("orderId", str(order_id)))
        if from_id is not None:
            params.append(("fromId", str(from_id)))
        return await self._private("GET", "/fapi/v1/userTrades", list[UserTrade], params, weight=5, lane=lane)

    # --- account ---

    async def account(self) -> Account:
        """Read the account's totals, assets and positions."""
        return await self._private("GET", "/fapi/v3/account", Account, weight=5)

    async def balances(self) -> list[Balance]:
        """Read the account's assets."""
        return await self._private("GET", "/fapi/v3/balance", list[Balance], weight=5)

    async def position_risk(self, symbol: str | None = None) -> list[PositionRisk]:
        """Read the net positions; only symbols with a position or open orders are listed."""
        return await self._private("GET", "/fapi/v3/positionRisk", list[PositionRisk], _of(symbol), weight=5)

    async def symbol_configs(self) -> list[SymbolConfig]:
        """Read margin type and leverage of all symbols."""
        return await self._private("GET", "/fapi/v1/symbolConfig", list[SymbolConfig], weight=5)

    async def incomes(
        self, *, start: int, end: int, kind: str | None = None, page: int = 1, limit: int = 1000
    ) -> list[IncomeAnswer]:
        """List a page of the income history, ascending, both ends included; it keeps three months."""
        params = [
            ("startTime", str(start)),
            ("endTime", str(end)),
            ("page", str(page)),
            ("limit", str(limit)),
        ]
        if kind is not None:
            params.append(("incomeType", kind))
        return await self._private(
            "GET", "/fapi/v1/income", list[IncomeAnswer], params, weight=30, lane="background"
        )

    async def leverage_brackets(self, *, lane: Lane = "query") -> list[dict[str, Any]]:
        """Read the leverage brackets of all symbols, as `parse_instruments` takes them."""
        answer: Any = await self._private("GET", "/fapi/v1/leverageBracket", Any, lane=lane, timeout=BULK)
        return answer if isinstance(answer, list) else [answer]

    async def set_leverage(self, symbol: str, leverage: int) -> LeverageSet:
        """Set the account's own leverage in a symbol."""
        params = [("symbol", symbol), ("leverage", str(leverage))]
        return await self._private("POST", "/fapi/v1/leverage", LeverageSet, params, lane="reduce")

    async def set_margin_type(self, symbol: str, margin_type: str) -> None:
        """Set ISOLATED or CROSSED; "no need to change" comes as an error and is success."""
        params = [("symbol", symbol), ("marginType", margin_type)]
        try:
            await self._private("POST", "/fapi/v1/marginType", Any, params, lane="reduce")
        except Refused as error:
            if error.code != NO_NEED_TO_CHANGE:
                raise

    async def position_mode(self) -> bool:
        """Whether the account is in hedge mode."""
        answer = await self._private("GET", "/fapi/v1/positionSide/dual", HedgeMode, weight=30)
        return answer.dual_side_position

    async def multi_assets_mode(self) -> bool:
        """Whether the account is in multi-assets mode."""
        answer = await self._private("GET", "/fapi/v1/multiAssetsMargin", MultiAssets, weight=30)
        return answer.multi_assets_margin

    # --- market ---

    async def exchange_info(self, *, lane: Lane = "query") -> dict[str, Any]:
        """Read symbols and limits, as `parse_instruments` takes them; the budget learns its limits."""
        info = await self._public("/fapi/v1/exchangeInfo", dict[str, Any], lane=lane, timeout=BULK)
        limits = info.get("rateLimits")
        if isinstance(limits, list) and all(isinstance(row, dict) for row in limits):
            self._budget.learn(limits)
        return info

    async def depth(self, symbol: str, limit: int = 1000) -> DepthSnapshot:
        """Read a snapshot of the book; limit is 5, 10, 20, 50, 100, 500 or 1000."""
        weight = next((weight for most, weight in DEPTH_WEIGHTS if limit <= most), 20)
        params = [("symbol", symbol), ("limit", str(limit))]
        return await self._public("/fapi/v1/depth", DepthSnapshot, params, weight=weight, lane="query")

    async def klines(
        self, symbol: str, interval: str, *, start: int | None = None, limit: int = 500
    ) -> list[Kline]:
        """List a symbol's bars, ascending: from a time on, or the newest; the last one may be unfinished."""
        weight = next((weight for most, weight in KLINE_WEIGHTS if limit <= most), 10)
        params = [("symbol", symbol), ("interval", interval), ("limit", str(limit))]
        if start is not None:
            params.append(("startTime", str(start)))
        return await self._public("/fapi/v1/klines", list[Kline], params, weight=weight)

    async def premium_index(self, symbol: str) -> PremiumIndex:
        """Read a symbol's mark price and funding."""
        return await self._public("/fapi/v1/premiumIndex", PremiumIndex, [("symbol", symbol)])

    async def premium_indexes(self) -> list[PremiumIndex]:
        """Read mark price and funding of all symbols."""
        return await self._public("/fapi/v1/premiumIndex", list[PremiumIndex], weight=10)

    async def funding_rates(self, symbol: str, *, start: int, limit: int = 1000) -> list[FundingRate]:
        """List a symbol's fundings from a time on, ascending; 500 such calls in five minutes at most."""
        params = [("symbol", symbol), ("startTime", str(start)), ("limit", str(limit))]
        return await self._public("/fapi/v1/fundingRate", list[FundingRate], params)

    # --- listen key ---

    async def new_listen_key(self) -> str:
        """Get the account's one listen key; an active one is prolonged and returned."""
        return (await self._keyed("POST", ListenKey)).listen_key

    async def keep_listen_key(self) -> None:
        """Prolong the listen key; Refused with -1125 means that it is dead."""
        await self._keyed("PUT", Any)

    async def close_listen_key(self) -> None:
        """End the listen key, for every process that listens on it."""
        await self._keyed("DELETE", Any)

    # --- how a call is made ---

    async def _keyed(self, method: str, answer: type[T]) -> T:
        path = "/fapi/v1/listenKey"
        return await self._exchange(Request(method, path, self._url(path), lane="vital"), answer)

    async def _public(
        self,
        path: str,
        answer: type[T],
        params: Params = (),
        *,
        weight: int = 1,
        lane: Lane = "background",
        timeout: aiohttp.ClientTimeout = QUICK,
    ) -> T:
        url = self._url(path, encode_params(params))
        return await self._exchange(
            Request("GET", path, url, None, weight, lane=lane, timeout=timeout), answer
        )

    async def _private(
        self,
        method: str,
        path: str,
        answer: type[T],
        params: Params = (),
        *,
        weight: int = 1,
        orders: int = 0,
        lane: Lane = "query",
        account: str = "",
        timeout: aiohttp.ClientTimeout = QUICK,
    ) -> T:
        """Sign and send; a refused timestamp proves that nothing was executed, so it is signed anew, once.

        Trap: either clock can be set at any time. Without this a machine whose clock was stepped could
        neither cancel nor ask for anything until its process was started again.
        """

        def signed() -> Request:
            return self._signed(
                method,
                path,
                params,
                weight=weight,
                orders=orders,
                lane=lane,
                account=account,
                timeout=timeout,
            )

        try:
            return await self._exchange(signed(), answer)
        except TimestampRefused:
            await self.sync_time()
            return await self._exchange(signed(), answer)

    def _signed(
        self,
        method: str,
        path: str,
        params: Params,
        *,
        weight: int,
        orders: int,
        lane: Lane,
        account: str = "",
        timeout: aiohttp.ClientTimeout = QUICK,
        timestamp_ms: int | None = None,
        recv_window_ms: int = RECV_WINDOW_MS,
    ) -> Request:
        at = self.exchange_now_ms() if timestamp_ms is None else timestamp_ms
        payload = self._signer.signed(params, timestamp_ms=at, recv_window_ms=recv_window_ms)
        if method in {"POST", "PUT"}:
            # In the body, so that no access log and no traceback shows it.
            return Request(
                method, path, self._url(path), payload.encode(), weight, orders, lane, account, timeout
            )
        return Request(method, path, self._url(path, payload), None, weight, orders, lane, account, timeout)

    def _url(self, path: str, query: str = "") -> URL:
        """What was signed is sent as it is: yarl must not encode it anew."""
        if query:
            return URL(f"{self._base}{path}?{query}", encoded=True)
        # A URL object computes its parts once: a fifth of the time that placing an order takes.
        url = self._paths.get(path)
        if url is None:
            url = self._paths[path] = URL(f"{self._base}{path}", encoded=True)
        return url

    async def _exchange(self, request: Request, answer: type[T], *, grant: Grant | None = None) -> T:
        """Ask the budget, write the request once, and read what it means."""
        if grant is None:
            try:
                grant = await self._budget.acquire(
                    weight=request.weight, orders=request.orders, lane=request.lane, account=request.account
                )
            except Throttled:
                self.turned_away += 1
                raise
        status, headers, body = await self._write(request)
        self._budget.observe(grant, headers)
        if status != 200:
            raise self._wrong(classify(status, headers, body))
        try:
            return read(answer, body)
        except ValueError as error:
            raise Unknown(f"the answer to {request.method} {request.path} cannot be read: {error}") from None

    async def _write(self, request: Request) -> tuple[int, Any, bytes]:
        if self._session.closed:
            raise Unsent(f"{request.method} {request.path}: our session is closed")
        headers = self._headers if request.body is None else self._form_headers
        try:
            async with self._session.request(
                request.method,
                request.url,
                data=request.body,
                headers=headers,
                allow_redirects=False,
                timeout=request.timeout,
            ) as response:
                return response.status, response.headers, await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unsent(_why(request, error)) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unknown(_why(request, error)) from None

    def _wrong(self, error: ExchangeError) -> ExchangeError:
        """Pass on to all processes for how long the exchange turned us away."""
        self.turned_away += isinstance(error, Throttled)
        if isinstance(error, Throttled) and not isinstance(error, Overloaded):
            if error.banned_until_ms is not None:
                left = (error.banned_until_ms - self.exchange_now_ms()) / 1000
                error.retry_after = max(error.retry_after, left)
            self._budget.block(error.retry_after, orders_only=error.code == TOO_MANY_ORDERS)
        return error


def _hidden(secret: SecretStr | str) -> SecretStr:
    return SecretStr(secret) if isinstance(secret, str) else secret


def _of(symbol: str | None) -> list[tuple[str, str]]:
    return [("symbol", symbol)] if symbol else []


def _why(request: Request, error: BaseException) -> str:
    """What went wrong, without the address: its query may carry a signature."""
    return f"{request.method} {request.path}: {type(error).__name__}"


def _lane_of(orders: Sequence[PlaceOrder]) -> Lane:
    return "reduce" if all(order.lane == "reduce" for order in orders) else "open"
