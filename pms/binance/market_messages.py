"""Messages of the market streams (Binance USDⓈ-M docs, WebSocket Market Streams). All times are ms."""

from __future__ import annotations

from decimal import Decimal

from pms.binance.message import Message

Level = tuple[str, str]
"""Price and absolute quantity as the exchange spelled them; a quantity of zero deletes the level."""

_COMMON = {"event_time": "E", "time": "T", "symbol": "s"}


class DepthUpdate(
    Message,
    frozen=True,
    kw_only=True,
    tag_field="e",
    tag="depthUpdate",
    rename={**_COMMON, "first_id": "U", "last_id": "u", "previous_id": "pu", "bids": "b", "asks": "a"},
):
    """depthUpdate: absolute quantities of the levels that changed since `previous_id`.

    Trap: partial depth streams (`@depth5`) have the same shape and mean the whole top instead.
    """

    event_time: int
    time: int
    symbol: str
    first_id: int
    last_id: int
    previous_id: int
    bids: list[Level]
    asks: list[Level]


class BookTicker(
    Message,
    frozen=True,
    kw_only=True,
    tag_field="e",
    tag="bookTicker",
    rename={**_COMMON, "update_id": "u", "bid": "b", "bid_qty": "B", "ask": "a", "ask_qty": "A"},
):
    """bookTicker: the best prices in real time; `update_id` compares with depth's `last_id`."""

    update_id: int
    symbol: str
    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal
    time: int
    event_time: int


class MarketTrade(
    Message,
    frozen=True,
    kw_only=True,
    tag_field="e",
    tag="trade",
    rename={
        **_COMMON,
        "trade_id": "t",
        "price": "p",
        "quantity": "q",
        "kind": "X",
        "buyer_is_maker": "m",
    },
):
    """trade (undocumented). Rows of kind NA carry zeros and are to be skipped."""

    event_time: int
    time: int
    symbol: str
    trade_id: int
    price: Decimal
    quantity: Decimal
    buyer_is_maker: bool
    kind: str = "MARKET"


class AggTrade(
    Message,
    frozen=True,
    kw_only=True,
    tag_field="e",
    tag="aggTrade",
    rename={**_COMMON, "trade_id": "a", "price": "p", "quantity": "q", "buyer_is_maker": "m"},
):
    """aggTrade: trades of one price and taker side within 100 ms."""

    event_time: int
    time: int
    symbol: str
    trade_id: int
    price: Decimal
    quantity: Decimal
    buyer_is_maker: bool


class MarkPrice(
    Message,
    frozen=True,
    kw_only=True,
    tag_field="e",
    tag="markPriceUpdate",
    rename={
        "event_time": "E",
        "symbol": "s",
        "mark": "p",
        "index": "i",
        "funding_rate": "r",
        "next_funding": "T",
    },
):
    """markPriceUpdate. Trap: `funding_rate` is text, and empty for symbols without funding."""

    event_time: int
    symbol: str
    mark: Decimal
    index: Decimal
    funding_rate: str = ""
    next_funding: int = 0


class Candle(
    Message,
    frozen=True,
    kw_only=True,
    rename={
        "opened": "t",
        "closes": "T",
        "interval": "i",
        "open": "o",
        "high": "h",
        "low": "l",
        "close": "c",
        "volume": "v",
        "closed": "x",
    },
):
    """The candle of a kline; `closed` is true exactly once."""

    opened: int
    closes: int
    interval: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    closed: bool


class Kline(
    Message,
    frozen=True,
    kw_only=True,
    tag_field="e",
    tag="kline",
    rename={"event_time": "E", "symbol": "s", "candle": "k"},
):
    """kline: one candle, while it grows and once when it closes."""

    event_time: int
    symbol: str
    candle: Candle
