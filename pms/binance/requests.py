"""What is asked of the exchange: an order to place, and a request signed and ready to be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import aiohttp
import msgspec
from yarl import URL

from pms.binance.session import QUICK
from pms.binance.windows import Lane
from pms.contract.money import plain

FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """An order as it is sent; quantity in the base asset, price None for a market order."""

    symbol: str
    side: str
    type: str
    quantity: Decimal
    client_order_id: str
    price: Decimal | None = None
    time_in_force: str | None = None
    reduce_only: bool = False
    account: str = ""
    #: the sub-account, whose share of the rate budget it takes
    lane: Lane = "open"

    def params(self) -> list[tuple[str, str]]:
        """The parameters of Binance USDⓈ-M "New Order"; nothing empty, MARKET without price or TIF."""
        params = [
            ("symbol", self.symbol),
            ("side", self.side),
            ("type", self.type),
            ("quantity", plain(self.quantity)),
        ]
        if self.price is not None:
            params.append(("price", plain(self.price)))
        if self.type != "MARKET":
            params.append(("timeInForce", self.time_in_force or "GTC"))
        if self.reduce_only:
            params.append(("reduceOnly", "true"))
        params.append(("newClientOrderId", self.client_order_id))
        return params


@dataclass(frozen=True, slots=True)
class AmendOrder:
    """An amendment as it is sent: price and TOTAL quantity.

    Trap: a total at or below what is filled cancels the order.
    """

    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    client_order_id: str

    def params(self) -> list[tuple[str, str]]:
        """The parameters of Binance USDⓈ-M "Modify Order"; both terms are mandatory."""
        return [
            ("symbol", self.symbol),
            ("side", self.side),
            ("quantity", plain(self.quantity)),
            ("price", plain(self.price)),
            ("origClientOrderId", self.client_order_id),
        ]


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready; the repr hides what is written, for it carries a signature or a key."""

    method: str
    path: str
    url: URL = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    weight: int = 1
    orders: int = 0
    lane: Lane = "query"
    account: str = ""
    timeout: aiohttp.ClientTimeout = field(default=QUICK, repr=False)


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """Placements, or an amendment, under a signature: written once, by whoever holds the send right."""

    request: Request
    timestamp_ms: int
    recv_window_ms: int


def as_list(values: Sequence[object]) -> str:
    """A list as one parameter: JSON, as Binance's batch endpoints take it."""
    return msgspec.json.encode(list(values)).decode()


def one_order(symbol: str, *, client_order_id: str | None, order_id: int | None) -> list[tuple[str, str]]:
    """The parameters that name one order, by exactly one of its ids."""
    if order_id is not None and client_order_id is None:
        return [("symbol", symbol), ("orderId", str(order_id))]
    if client_order_id is not None and order_id is None:
        return [("symbol", symbol), ("origClientOrderId", client_order_id)]
    raise ValueError("an order is named by its client_order_id or by its order_id, not by both or neither")
