"""Frames of the exchange's WebSocket streams, decoded into typed messages.

A frame comes bare, or as `{"stream": …, "data": …}` from a combined connection; both are taken. Unknown
fields are ignored; an unknown event type gives None and is counted in `unknown_types`: the exchange adds
both without notice.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec
from msgspec.structs import replace

from pms.binance.market_messages import (
    AggTrade,
    BookTicker,
    DepthUpdate,
    Kline,
    Level,
    MarketTrade,
    MarkPrice,
)
from pms.binance.message import Message
from pms.binance.user_messages import (
    AccountConfigUpdate,
    AccountUpdate,
    AlgoUpdate,
    BalanceChange,
    ListenKeyExpired,
    MarginCall,
    OrderUpdate,
    PositionChange,
    ServerShutdown,
    TradeLite,
)

__all__ = [
    "AccountConfigUpdate",
    "AccountUpdate",
    "AggTrade",
    "AlgoUpdate",
    "BalanceChange",
    "BookTicker",
    "DepthUpdate",
    "FrameError",
    "Kline",
    "Level",
    "ListenKeyExpired",
    "MarginCall",
    "MarkPrice",
    "MarketEvent",
    "MarketTrade",
    "OrderUpdate",
    "PositionChange",
    "ServerShutdown",
    "SubscriptionReply",
    "TradeLite",
    "UserEvent",
    "decode_market",
    "decode_user",
    "unknown_types",
]

MAX_UNKNOWN_TYPES = 100
unknown_types: Counter[str] = Counter()
"""How often each unknown event type came since the process began."""


class FrameError(ValueError):
    """A frame that is not what its type promises. Its text holds no payload, which may hold a key."""


class SubscriptionReply(Message, frozen=True, kw_only=True):
    """The answer to a control message; `error` is set when it was refused."""

    id: int | str | None
    result: Any = None
    error: Any = None


UserEvent = (
    OrderUpdate
    | AccountUpdate
    | TradeLite
    | AlgoUpdate
    | AccountConfigUpdate
    | MarginCall
    | ListenKeyExpired
    | ServerShutdown
    | SubscriptionReply
)
MarketEvent = (
    DepthUpdate | BookTicker | MarketTrade | AggTrade | MarkPrice | Kline | ServerShutdown | SubscriptionReply
)


def decode_user(raw: bytes) -> UserEvent | None:
    """Decode a frame of the private stream; None for an unknown type. Raises FrameError."""
    try:
        wire = _user_wrapped.decode(raw).data if raw.startswith(_WRAPPED) else _user.decode(raw)
    except ValueError as fault:  # bytes that are no UTF-8 are no msgspec.DecodeError
        inner = _judge(raw, fault, known=_USER_TYPES)
        return decode_user(inner) if isinstance(inner, bytes) else inner
    event = wire.message() if isinstance(wire, _Nested) else wire
    _refuse_non_finite(event)
    return event


def decode_market(raw: bytes) -> MarketEvent | None:
    """Decode a frame of a market stream; None for an unknown type. Raises FrameError."""
    try:
        return _market_wrapped.decode(raw).data if raw.startswith(_WRAPPED) else _market.decode(raw)
    except ValueError as fault:  # bytes that are no UTF-8 are no msgspec.DecodeError
        inner = _judge(raw, fault, known=_MARKET_TYPES)
        return decode_market(inner) if isinstance(inner, bytes) else inner


# --- events whose parts lie one level deeper on the wire ---


class _Nested(msgspec.Struct, gc=False, tag_field="e"):
    """The outer object of an event."""

    def message(self) -> UserEvent:
        """The event in one piece."""
        raise NotImplementedError


class _OrderFrame(_Nested, tag="ORDER_TRADE_UPDATE"):
    E: int
    o: OrderUpdate

    def message(self) -> OrderUpdate:
        reason = self.o.expiry_reason
        return replace(self.o, event_time=self.E, expiry_reason=None if reason in {"0", ""} else reason)


class _AccountFrame(_Nested, tag="ACCOUNT_UPDATE"):
    T: int
    E: int
    a: AccountUpdate

    def message(self) -> AccountUpdate:
        return replace(self.a, time=self.T, event_time=self.E)


class _AlgoFrame(_Nested, tag="ALGO_UPDATE"):
    T: int
    E: int
    o: AlgoUpdate

    def message(self) -> AlgoUpdate:
        return replace(self.o, time=self.T, event_time=self.E)


class _Leverage(msgspec.Struct, gc=False, rename={"symbol": "s", "leverage": "l"}):
    symbol: str
    leverage: int


class _Mode(msgspec.Struct, gc=False, rename={"multi_assets": "j"}):
    multi_assets: bool


class _ConfigFrame(_Nested, tag="ACCOUNT_CONFIG_UPDATE"):
    E: int
    T: int = 0
    ac: _Leverage | None = None
    ai: _Mode | None = None

    def message(self) -> AccountConfigUpdate:
        return AccountConfigUpdate(
            time=self.T or self.E,
            event_time=self.E,
            symbol=self.ac.symbol if self.ac else None,
            leverage=self.ac.leverage if self.ac else None,
            multi_assets=self.ai.multi_assets if self.ai else None,
        )


_UserWire = (
    _OrderFrame
    | _AccountFrame
    | TradeLite
    | _AlgoFrame
    | _ConfigFrame
    | MarginCall
    | ListenKeyExpired
    | ServerShutdown
)
_MarketWire = DepthUpdate | BookTicker | MarketTrade | AggTrade | MarkPrice | Kline | ServerShutdown


class _UserWrapper(msgspec.Struct, gc=False):
    data: _UserWire


class _MarketWrapper(msgspec.Struct, gc=False):
    data: _MarketWire


def _refuse_non_finite(event: Message) -> None:
    """Refuse NaN and infinity, which Decimal reads and no sum survives."""
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if isinstance(value, Decimal) and not value.is_finite():
            raise FrameError(f"{type(event).__name__}.{name} is not a finite number")
        if isinstance(value, list):
            for part in value:
                if isinstance(part, Message):
                    _refuse_non_finite(part)


# --- what the fast decoders did not take ---


class _Loose(msgspec.Struct):
    """As much of any frame as tells what it is."""

    e: Any = None
    data: msgspec.Raw = msgspec.Raw()
    id: int | str | None = None
    result: Any = msgspec.UNSET
    error: Any = None
    code: int | None = None
    msg: str = ""


def _judge(raw: bytes, fault: ValueError, *, known: frozenset[str]) -> bytes | SubscriptionReply | None:
    """Say what a frame is that did not decode: a wrapped one, a reply, an unknown type, or malformed."""
    try:
        loose = _loose.decode(raw)
    except ValueError:
        raise FrameError(f"malformed frame of {len(raw)} bytes: {fault}") from None
    if isinstance(loose.e, str):
        if loose.e in known:
            raise FrameError(f"malformed {loose.e} of {len(raw)} bytes: {fault}") from None
        if loose.e in unknown_types or len(unknown_types) < MAX_UNKNOWN_TYPES:
            unknown_types[loose.e[:64]] += 1
        return None
    if inner := bytes(loose.data):
        return inner
    if loose.error is not None or loose.result is not msgspec.UNSET:
        result = None if loose.result is msgspec.UNSET else loose.result
        return SubscriptionReply(id=loose.id, result=result, error=loose.error)
    if loose.code is not None:
        return SubscriptionReply(id=loose.id, error={"code": loose.code, "msg": loose.msg})
    raise FrameError(f"a frame of {len(raw)} bytes without an event type")


_user = msgspec.json.Decoder(_UserWire)
_user_wrapped = msgspec.json.Decoder(_UserWrapper)
_market = msgspec.json.Decoder(_MarketWire)
_market_wrapped = msgspec.json.Decoder(_MarketWrapper)
_loose = msgspec.json.Decoder(_Loose)
_WRAPPED = b'{"stream"'
_USER_TYPES = frozenset(
    (
        "ORDER_TRADE_UPDATE",
        "ACCOUNT_UPDATE",
        "TRADE_LITE",
        "ALGO_UPDATE",
        "ACCOUNT_CONFIG_UPDATE",
        "MARGIN_CALL",
        "listenKeyExpired",
        "serverShutdown",
    )
)
_MARKET_TYPES = frozenset(
    ("depthUpdate", "bookTicker", "trade", "aggTrade", "markPriceUpdate", "kline", "serverShutdown")
)
