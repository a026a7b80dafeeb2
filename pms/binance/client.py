"""The exchange over REST: one kept-alive session, no automatic retry, typed answers, typed errors.

Trap: aiohttp repeats an idempotent request by itself when a kept-alive connection turns out dead; a
DELETE or PUT would be sent twice. `open_session` turns that off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol, TypeVar

import aiohttp
import msgspec
from pydantic import SecretStr
from yarl import URL

from pms.binance.errors import ExchangeError, NotFound, Refused, Throttled, Unknown, Unsent, classify
from pms.binance.signing import encode_params, sign
from pms.contract.money import plain

T = TypeVar("T")
READ_WINDOW_MS = 5000


class Budget(Protocol):
    """The rate limits that all processes share."""

    async def acquire(self, *, weight: int, orders: int, lane: str) -> None:
        """Take from the budget, or raise Throttled; nothing is sent then."""

    def observe(self, headers: Any) -> None:
        """Learn from an answer's headers what the exchange has counted."""

    def blocked(self, retry_after: float) -> None:
        """The exchange turned us away: nobody sends for so many seconds."""


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """An order as it is sent."""

    symbol: str
    side: str
    type: str
    quantity: Decimal
    client_order_id: str
    price: Decimal | None = None
    time_in_force: str | None = None
    reduce_only: bool = False


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """Bytes that may be written once; the repr hides them, for they carry a signature."""

    method: str
    path: str
    query: str = field(repr=False)


class _Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of typed answers: unknown fields are ignored, strings become decimals exactly."""


class OrderAck(_Answer, frozen=True, kw_only=True):
    """What a place, amend or cancel is answered with; proves the id, not the state."""

    order_id: int
    symbol: str
    status: str
    client_order_id: str
    executed_qty: Decimal = Decimal(0)
    update_time: int = 0


class OrderAnswer(_Answer, frozen=True, kw_only=True):
    """An order as a query shows it."""

    order_id: int
    symbol: str
    status: str
    client_order_id: str
    side: str
    type: str
    price: Decimal
    orig_qty: Decimal
    executed_qty: Decimal
    time_in_force: str | None = None
    reduce_only: bool = False
    time: int = 0
    update_time: int = 0


class UserTrade(_Answer, frozen=True, kw_only=True):
    """One row of userTrades; it does not name the client order id."""

    symbol: str
    id: int
    order_id: int
    side: str
    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    realized_pnl: Decimal
    maker: bool
    time: int


class Balance(_Answer, frozen=True, kw_only=True):
    """One asset of the account."""

    asset: str
    balance: Decimal
    available_balance: Decimal


class PositionRisk(_Answer, frozen=True, kw_only=True):
    """One net position of the account."""

    symbol: str
    position_side: str
    position_amt: Decimal
    entry_price: Decimal
    mark_price: Decimal = Decimal(0)


class DepthSnapshot(_Answer, frozen=True, kw_only=True):
    """A snapshot of the book; prices and quantities as the exchange wrote them."""

    last_update_id: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class _ListenKey(_Answer, frozen=True, kw_only=True):
    listen_key: str


class _ServerTime(_Answer, frozen=True, kw_only=True):
    server_time: int


def open_session() -> aiohttp.ClientSession:
    """Open the one session of a process: kept alive, never repeating a request by itself."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=64, keepalive_timeout=30),
        timeout=aiohttp.ClientTimeout(total=3, sock_connect=1),
        auto_decompress=True,
    )
    session._retry_connection = False
    return session


class ExchangeClient:
    """The calls that a PMS needs. Every one raises ExchangeError's children, and nothing else."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: SecretStr | None,
        api_secret: SecretStr | None,
        session: aiohttp.ClientSession,
        clock_ms: Callable[[], int],
        budget: Budget,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._key = api_key or SecretStr("")
        self._secret = api_secret or SecretStr("")
        self._session = session
        self._clock_ms = clock_ms
        self._budget = budget
        self._offset_ms = 0

    def __repr__(self) -> str:
        return f"ExchangeClient({self._base})"

    # --- time ---

    def exchange_now_ms(self) -> int:
        """The exchange's clock as we know it."""
        return self._clock_ms() + self._offset_ms

    async def sync_time(self) -> None:
        """Learn the exchange's clock; the middle of the round trip counts."""
        before = self._clock_ms()
        server = await self.server_time()
        self._offset_ms = server - (before + self._clock_ms()) // 2

    async def server_time(self) -> int:
        return (await self._public("/fapi/v1/time", _ServerTime, weight=1)).server_time

    # --- orders ---

    def sign_place(self, order: PlaceOrder, *, timestamp_ms: int, recv_window_ms: int) -> SignedRequest:
        """Build and sign a placement; the result may be sent once, under the send right."""
        params = [
            ("symbol", order.symbol),
            ("side", order.side),
            ("type", order.type),
            ("quantity", plain(order.quantity)),
        ]
        if order.price is not None:
            params += [("price", plain(order.price)), ("timeInForce", order.time_in_force or "GTC")]
        if order.reduce_only:
            params.append(("reduceOnly", "true"))
        params += [("newClientOrderId", order.client_order_id), ("newOrderRespType", "ACK")]
        query = self._signed(params, timestamp_ms=timestamp_ms, recv_window_ms=recv_window_ms)
        return SignedRequest("POST", "/fapi/v1/order", query)

    async def room_for_order(self, *, reduce_only: bool) -> None:
        """Take an order's part of the budget, before the send right is taken; raises Throttled."""
        await self._budget.acquire(weight=0, orders=1, lane="reduce" if reduce_only else "open")

    async def send(self, request: SignedRequest) -> OrderAck:
        """Write a signed placement, once; its part of the budget was taken before."""
        return await self._exchange(request.method, request.path, request.query, OrderAck)

    async def cancel(
        self, *, symbol: str, client_order_id: str | None = None, order_id: int | None = None
    ) -> OrderAck:
        """Cancel one order; NotFound means filled, cancelled, or never there."""
        params = _one_order(symbol, client_order_id, order_id)
        return await self._private("DELETE", "/fapi/v1/order", OrderAck, params, lane="cancel")

    async def amend(
        self, *, symbol: str, side: str, quantity: Decimal, price: Decimal, client_order_id: str
    ) -> OrderAck:
        """Change price and TOTAL quantity; a total at or below what is filled cancels the order."""
        params = [
            ("symbol", symbol),
            ("side", side),
            ("quantity", plain(quantity)),
            ("price", plain(price)),
            ("origClientOrderId", client_order_id),
        ]
        return await self._private(
            "PUT", "/fapi/v1/order", OrderAck, params, weight=0, orders=1, lane="reduce"
        )

    async def query_order(
        self, *, symbol: str, client_order_id: str | None = None, order_id: int | None = None
    ) -> OrderAnswer:
        """Ask for one order; raises NotFound."""
        params = _one_order(symbol, client_order_id, order_id)
        return await self._private("GET", "/fapi/v1/order", OrderAnswer, params)

    async def query_algo_order(self, *, client_algo_id: str) -> dict[str, Any]:
        """Ask for one conditional order, which lives in another id space; raises NotFound."""
        return await self._private(
            "GET", "/fapi/v1/algoOrder", dict[str, Any], [("clientAlgoId", client_algo_id)]
        )

    async def open_orders(self, symbol: str | None = None) -> list[OrderAnswer]:
        """The open orders; stale by up to 30 s, so that absence proves nothing."""
        return await self._private(
            "GET",
            "/fapi/v1/openOrders",
            list[OrderAnswer],
            [("symbol", symbol)] if symbol else [],
            weight=1 if symbol else 40,
        )

    async def open_algo_orders(self) -> list[dict[str, Any]]:
        """The untriggered conditional orders."""
        return await self._private("GET", "/fapi/v1/openAlgoOrders", list[dict[str, Any]], [], weight=40)

    async def user_trades(
        self,
        *,
        symbol: str,
        from_id: int | None = None,
        order_id: int | None = None,
        limit: int = 1000,
    ) -> list[UserTrade]:
        """The account's trades in a symbol, ascending by id; by order, or from an id on."""
        params = [("symbol", symbol), ("limit", str(limit))]
        if order_id is not None:
            params.append(("orderId", str(order_id)))
        if from_id is not None:
            params.append(("fromId", str(from_id)))
        return await self._private("GET", "/fapi/v1/userTrades", list[UserTrade], params, weight=5)

    async def countdown_cancel_all(self, symbol: str, *, countdown_ms: int) -> None:
        """Let the exchange cancel all of a symbol's orders unless this is renewed; 0 stops it."""
        params = [("symbol", symbol), ("countdownTime", str(countdown_ms))]
        await self._private("POST", "/fapi/v1/countdownCancelAll", dict[str, Any], params, weight=10)

    # --- account ---

    async def account(self) -> dict[str, Any]:
        return await self._private("GET", "/fapi/v3/account", dict[str, Any], [], weight=5)

    async def balances(self) -> list[Balance]:
        return await self._private("GET", "/fapi/v3/balance", list[Balance], [], weight=5)

    async def position_risk(self, symbol: str | None = None) -> list[PositionRisk]:
        """The net positions; only symbols with a position or open orders."""
        params = [("symbol", symbol)] if symbol else []
        return await self._private("GET", "/fapi/v3/positionRisk", list[PositionRisk], params, weight=5)

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        params = [("symbol", symbol), ("leverage", str(leverage))]
        await self._private("POST", "/fapi/v1/leverage", dict[str, Any], params)

    async def set_margin_type(self, symbol: str, margin_type: str) -> None:
        """Set ISOLATED or CROSSED; "no need to change" is success, though it comes as HTTP 400."""
        params = [("symbol", symbol), ("marginType", margin_type)]
        try:
            await self._private("POST", "/fapi/v1/marginType", dict[str, Any], params)
        except Refused as error:
            if error.code != -4046:
                raise

    async def position_mode(self) -> bool:
        """Whether the account is in hedge mode."""
        answer = await self._private("GET", "/fapi/v1/positionSide/dual", dict[str, Any], [], weight=30)
        return bool(answer["dualSidePosition"])

    async def multi_assets_mode(self) -> bool:
        """Whether the account is in multi-assets mode."""
        answer = await self._private("GET", "/fapi/v1/multiAssetsMargin", dict[str, Any], [], weight=30)
        return bool(answer["multiAssetsMargin"])

    # --- market ---

    async def exchange_info(self) -> dict[str, Any]:
        return await self._public("/fapi/v1/exchangeInfo", dict[str, Any], weight=1)

    async def leverage_brackets(self) -> list[dict[str, Any]]:
        return await self._private("GET", "/fapi/v1/leverageBracket", list[dict[str, Any]], [])

    async def depth(self, symbol: str, *, limit: int = 1000) -> DepthSnapshot:
        params = [("symbol", symbol), ("limit", str(limit))]
        return await self._public("/fapi/v1/depth", DepthSnapshot, params, weight=20)

    # --- listen key ---

    async def new_listen_key(self) -> str:
        """Get the account's listen key; an active one is prolonged and returned."""
        return (await self._keyed("POST", _ListenKey)).listen_key

    async def keep_listen_key(self) -> None:
        """Prolong the listen key; Refused -1125 means that it is dead."""
        await self._keyed("PUT", dict[str, Any])

    # --- how a call is made ---

    async def _keyed(self, method: str, shape: type[T]) -> T:
        await self._budget.acquire(weight=1, orders=0, lane="reduce")
        return await self._exchange(method, "/fapi/v1/listenKey", "", shape)

    async def _public(
        self, path: str, shape: type[T], params: Sequence[tuple[str, str]] = (), *, weight: int
    ) -> T:
        await self._budget.acquire(weight=weight, orders=0, lane="open")
        return await self._exchange("GET", path, encode_params(params), shape)

    async def _private(
        self,
        method: str,
        path: str,
        shape: type[T],
        params: Sequence[tuple[str, str]],
        *,
        weight: int = 1,
        orders: int = 0,
        lane: str = "reduce",
    ) -> T:
        await self._budget.acquire(weight=weight, orders=orders, lane=lane)
        query = self._signed(params, timestamp_ms=self.exchange_now_ms(), recv_window_ms=READ_WINDOW_MS)
        return await self._exchange(method, path, query, shape)

    def _signed(self, params: Sequence[tuple[str, str]], *, timestamp_ms: int, recv_window_ms: int) -> str:
        payload = encode_params(
            [*params, ("recvWindow", str(recv_window_ms)), ("timestamp", str(timestamp_ms))]
        )
        return f"{payload}&signature={sign(self._secret.get_secret_value(), payload)}"

    async def _exchange(self, method: str, path: str, query: str, shape: type[T]) -> T:
        """Write one request, once, and read its answer."""
        url = URL(f"{self._base}{path}?{query}" if query else f"{self._base}{path}", encoded=True)
        headers = {"X-MBX-APIKEY": self._key.get_secret_value()}
        try:
            async with self._session.request(method, url, headers=headers) as response:
                body = await response.read()
                status, answered = response.status, response.headers
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unsent(_why(error)) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unknown(_why(error)) from None
        self._budget.observe(answered)
        if status != 200:
            fault = classify(status, answered, body)
            if isinstance(fault, Throttled) and fault.retry_after:
                self._budget.blocked(fault.retry_after)
            raise fault
        try:
            return msgspec.json.decode(body, type=shape)
        except msgspec.DecodeError as error:
            raise Unknown(f"the answer cannot be read: {error}", http=status) from None


def _one_order(symbol: str, client_order_id: str | None, order_id: int | None) -> list[tuple[str, str]]:
    if order_id is not None:
        return [("symbol", symbol), ("orderId", str(order_id))]
    return [("symbol", symbol), ("origClientOrderId", client_order_id or "")]


def _why(error: BaseException) -> str:
    """What went wrong, without the address, whose query carries a signature."""
    return type(error).__name__


__all__ = [
    "Balance",
    "Budget",
    "DepthSnapshot",
    "ExchangeClient",
    "ExchangeError",
    "NotFound",
    "OrderAck",
    "OrderAnswer",
    "PlaceOrder",
    "PositionRisk",
    "SignedRequest",
    "UserTrade",
    "open_session",
]
