"""Messages of the private stream (Binance USDⓈ-M docs, User Data Streams). All times are ms."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec import field

from pms.binance.message import Message

ZERO = Decimal(0)


class OrderUpdate(
    Message,
    frozen=True,
    kw_only=True,
    rename={
        "symbol": "s",
        "client_order_id": "c",
        "order_id": "i",
        "side": "S",
        "order_type": "o",
        "time_in_force": "f",
        "quantity": "q",
        "price": "p",
        "average_price": "ap",
        "execution": "x",
        "status": "X",
        "last_quantity": "l",
        "filled": "z",
        "last_price": "L",
        "commission": "n",
        "commission_asset": "N",
        "trade_time": "T",
        "trade_id": "t",
        "maker": "m",
        "reduce_only": "R",
        "position_side": "ps",
        "realized_pnl": "rp",
        "expiry_reason": "er",
        "event_time": "E",
    },
):
    """ORDER_TRADE_UPDATE: a word about an order, and a trade if `trade_id` is not 0.

    Trap: `realized_pnl` excludes the commission; a positive commission is paid.
    """

    symbol: str
    client_order_id: str
    order_id: int
    side: str
    order_type: str
    time_in_force: str
    quantity: Decimal
    price: Decimal
    execution: str
    status: str
    last_quantity: Decimal
    filled: Decimal
    last_price: Decimal
    trade_time: int
    average_price: Decimal = ZERO
    commission: Decimal = ZERO
    commission_asset: str | None = None
    trade_id: int = 0
    maker: bool = False
    reduce_only: bool = False
    position_side: str = "BOTH"
    realized_pnl: Decimal = ZERO
    expiry_reason: str | None = None
    event_time: int = 0


class BalanceChange(
    Message,
    frozen=True,
    kw_only=True,
    rename={"asset": "a", "wallet": "wb", "cross_wallet": "cw", "change": "bc"},
):
    """One asset of an ACCOUNT_UPDATE; `change` is what moved it other than profit and commission."""

    asset: str
    wallet: Decimal
    cross_wallet: Decimal = ZERO
    change: Decimal = ZERO


class PositionChange(
    Message,
    frozen=True,
    kw_only=True,
    rename={"symbol": "s", "quantity": "pa", "entry_price": "ep", "side": "ps"},
):
    """One position of an ACCOUNT_UPDATE; `quantity` is signed and in the base asset."""

    symbol: str
    quantity: Decimal
    entry_price: Decimal
    side: str = "BOTH"


class AccountUpdate(
    Message,
    frozen=True,
    kw_only=True,
    rename={"reason": "m", "balances": "B", "positions": "P", "time": "T", "event_time": "E"},
):
    """ACCOUNT_UPDATE: only the assets and positions that changed."""

    reason: str
    balances: list[BalanceChange] = field(default_factory=list)
    positions: list[PositionChange] = field(default_factory=list)
    time: int = 0
    event_time: int = 0


class TradeLite(
    Message,
    frozen=True,
    kw_only=True,
    tag_field="e",
    tag="TRADE_LITE",
    rename={
        "event_time": "E",
        "time": "T",
        "symbol": "s",
        "quantity": "q",
        "price": "p",
        "maker": "m",
        "client_order_id": "c",
        "side": "S",
        "last_price": "L",
        "last_quantity": "l",
        "trade_id": "t",
        "order_id": "i",
    },
):
    """TRADE_LITE: a hint that a fill will follow in ORDER_TRADE_UPDATE; never a booking."""

    event_time: int
    time: int
    symbol: str
    quantity: Decimal
    price: Decimal
    maker: bool
    client_order_id: str
    side: str
    last_price: Decimal
    last_quantity: Decimal
    trade_id: int
    order_id: int


class AlgoUpdate(
    Message,
    frozen=True,
    kw_only=True,
    rename={
        "symbol": "s",
        "client_algo_id": "caid",
        "algo_id": "aid",
        "order_type": "o",
        "side": "S",
        "status": "X",
        "child_order_id": "ai",
        "quantity": "q",
        "reason": "rm",
        "time": "T",
        "event_time": "E",
    },
):
    """ALGO_UPDATE: a conditional order. `child_order_id` is text, and empty until it was triggered."""

    symbol: str
    client_algo_id: str
    algo_id: int
    order_type: str
    side: str
    status: str
    child_order_id: str = ""
    quantity: Decimal = ZERO
    reason: str | None = None
    time: int = 0
    event_time: int = 0


class AccountConfigUpdate(Message, frozen=True, kw_only=True):
    """ACCOUNT_CONFIG_UPDATE: either a symbol's leverage, or the multi-assets mode."""

    time: int
    event_time: int
    symbol: str | None = None
    leverage: int | None = None
    multi_assets: bool | None = None


class MarginCall(
    Message,
    frozen=True,
    kw_only=True,
    tag_field="e",
    tag="MARGIN_CALL",
    rename={"event_time": "E", "positions": "p"},
):
    """MARGIN_CALL: the positions at risk, as the exchange sent them."""

    event_time: int
    positions: list[dict[str, Any]] = field(default_factory=list)


class ListenKeyExpired(
    Message, frozen=True, kw_only=True, tag_field="e", tag="listenKeyExpired", rename={"at": "E"}
):
    """listenKeyExpired: the socket stays open and is silent from now on. The key itself is not kept."""

    at: int | str = 0
    """Some versions sent the time as text."""


class ServerShutdown(
    Message, frozen=True, kw_only=True, tag_field="e", tag="serverShutdown", rename={"event_time": "E"}
):
    """serverShutdown: the exchange is about to close this connection; market streams carry it too."""

    event_time: int = 0
