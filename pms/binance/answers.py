"""What the exchange answers, typed: decimals exact, unknown fields passed over.

Trap: place, amend and cancel are answered with an *acceptance*; it proves the id, not the state. Since
2026-06-30 it has no `avgPrice` and no `cumQuote` (PROTOCOL: queries still have them).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

import msgspec

from pms.binance.errors import ExchangeError, Unknown, classify

T = TypeVar("T")
ZERO = Decimal(0)


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of all: camelCase on the wire; numbers come as text or as JSON numbers, both exact."""


class OrderAck(Answer, frozen=True, kw_only=True):
    """What a place, amend or cancel is answered with: the order as accepted."""

    order_id: int
    symbol: str
    status: str
    client_order_id: str
    executed_qty: Decimal = ZERO
    orig_qty: Decimal = ZERO
    price: Decimal = ZERO
    update_time: int = 0


class Kline(msgspec.Struct, frozen=True, array_like=True):
    """One bar of the past; the last of an answer is unfinished until `close_time` is over."""

    open_time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    close_time: int


class OrderAnswer(Answer, frozen=True, kw_only=True):
    """An order as a query or openOrders shows it."""

    order_id: int
    symbol: str
    status: str
    client_order_id: str
    side: str
    type: str
    price: Decimal
    orig_qty: Decimal
    executed_qty: Decimal
    cum_quote: Decimal | None = None
    avg_price: Decimal | None = None
    time_in_force: str | None = None
    reduce_only: bool = False
    orig_type: str | None = None
    position_side: str = "BOTH"
    time: int = 0
    update_time: int = 0


def by_element(
    answers: Sequence[msgspec.Raw], client_order_ids: Sequence[str]
) -> list[OrderAck | ExchangeError]:
    """The answer to each order of a batch: HTTP 200 mixes orders with bodies of errors.

    Trap: an element is taken for an order's only if it names that order, or is a refusal in its place;
    whatever else is Unknown, for it may have executed.
    """
    if len(answers) != len(client_order_ids):
        unknown = f"the answer has {len(answers)} elements for {len(client_order_ids)} orders"
        return [Unknown(unknown) for _ in client_order_ids]
    return [_element(bytes(raw), coid) for raw, coid in zip(answers, client_order_ids, strict=True)]


def _element(raw: bytes, client_order_id: str) -> OrderAck | ExchangeError:
    try:
        ack = read(OrderAck, raw)
    except ValueError:
        return classify(400, {}, raw)
    if ack.client_order_id != client_order_id:
        return Unknown(f"the answer in the place of {client_order_id} is {ack.client_order_id}'s")
    return ack


class AlgoOrder(Answer, frozen=True, kw_only=True):
    """A conditional order: its ids are a space of their own; triggered, it has an ordinary one too.

    Its numbers stay texts: one that does not apply comes as "" or "0".
    """

    algo_id: int
    client_algo_id: str
    symbol: str
    side: str
    order_type: str
    algo_status: str
    quantity: str = ""
    trigger_price: str = ""
    price: str = ""
    actual_order_id: str = ""
    create_time: int = 0
    update_time: int = 0


class UserTrade(Answer, frozen=True, kw_only=True):
    """One row of userTrades: commission positive is paid; the client order id is not told."""

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


class Balance(Answer, frozen=True, kw_only=True):
    """One asset of the account."""

    asset: str
    balance: Decimal
    available_balance: Decimal
    cross_wallet_balance: Decimal = ZERO
    cross_un_pnl: Decimal = ZERO
    max_withdraw_amount: Decimal = ZERO
    update_time: int = 0


class PositionRisk(Answer, frozen=True, kw_only=True):
    """One net position; a short one has a negative amount and notional."""

    symbol: str
    position_side: str
    position_amt: Decimal
    entry_price: Decimal
    mark_price: Decimal = ZERO
    un_realized_profit: Decimal = ZERO
    liquidation_price: Decimal = ZERO
    notional: Decimal = ZERO
    initial_margin: Decimal = ZERO
    maint_margin: Decimal = ZERO
    update_time: int = 0


class AccountAsset(Answer, frozen=True, kw_only=True):
    """One asset of /v3/account."""

    asset: str
    wallet_balance: Decimal
    unrealized_profit: Decimal = ZERO
    margin_balance: Decimal = ZERO
    maint_margin: Decimal = ZERO
    initial_margin: Decimal = ZERO
    available_balance: Decimal = ZERO


class AccountPosition(Answer, frozen=True, kw_only=True):
    """One position of /v3/account: without entry price and leverage."""

    symbol: str
    position_side: str
    position_amt: Decimal
    unrealized_profit: Decimal = ZERO
    notional: Decimal = ZERO
    initial_margin: Decimal = ZERO
    maint_margin: Decimal = ZERO


class Account(Answer, frozen=True, kw_only=True):
    """/v3/account; in single-asset mode the totals count USDT only."""

    total_wallet_balance: Decimal
    total_unrealized_profit: Decimal
    total_margin_balance: Decimal
    total_initial_margin: Decimal
    total_maint_margin: Decimal
    total_position_initial_margin: Decimal = ZERO
    total_open_order_initial_margin: Decimal = ZERO
    available_balance: Decimal
    max_withdraw_amount: Decimal = ZERO
    assets: list[AccountAsset]
    positions: list[AccountPosition]


class DepthSnapshot(Answer, frozen=True, kw_only=True):
    """A snapshot of the book; prices and quantities as the exchange wrote them."""

    last_update_id: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class PremiumIndex(Answer, frozen=True, kw_only=True):
    """A symbol's mark and index price, and its funding."""

    symbol: str
    mark_price: Decimal
    index_price: Decimal
    last_funding_rate: str = ""
    next_funding_time: int = 0
    time: int = 0


class FundingRate(Answer, frozen=True, kw_only=True):
    """One funding of a symbol. Trap: `mark_price` is empty in old rows."""

    symbol: str
    funding_time: int
    funding_rate: Decimal
    mark_price: str = ""


class IncomeAnswer(Answer, frozen=True, kw_only=True):
    """One row of the income history; `symbol` and `trade_id` are empty where there is none.

    Trap: `tran_id` is unique within its `income_type` only.
    """

    income_type: str
    income: Decimal
    asset: str
    time: int
    tran_id: int
    symbol: str = ""
    trade_id: str = ""


class SymbolConfig(Answer, frozen=True, kw_only=True):
    """How the account is set up in a symbol."""

    symbol: str
    margin_type: str
    leverage: int


class LeverageSet(Answer, frozen=True, kw_only=True):
    """The leverage now in force, and the largest notional it permits."""

    symbol: str
    leverage: int
    max_notional_value: str = ""


class ListenKey(Answer, frozen=True, kw_only=True):
    """The account's one listen key."""

    listen_key: str


class ServerTime(Answer, frozen=True, kw_only=True):
    """The exchange's clock, ms."""

    server_time: int


class HedgeMode(Answer, frozen=True, kw_only=True):
    """Whether long and short positions are kept apart."""

    dual_side_position: bool


class MultiAssets(Answer, frozen=True, kw_only=True):
    """Whether all assets together carry the margin."""

    multi_assets_margin: bool


def read(answer: type[T], body: bytes) -> T:
    """Read an answer of a type; raises ValueError, also on a number that is not finite."""
    value: T = _decoder(answer).decode(body)  # type: ignore[arg-type]  # a type is hashable
    _refuse_non_finite(value)
    return value


@cache
def _decoder(answer: Any) -> msgspec.json.Decoder[Any]:
    """The decoder of one type; in what is untyped, fractions never become binary floats."""
    return msgspec.json.Decoder(answer, float_hook=Decimal)


def _refuse_non_finite(value: object) -> None:
    """msgspec reads "NaN" as a Decimal; compared with one, every order would look unfilled."""
    if isinstance(value, Decimal) and not value.is_finite():
        raise ValueError(f"{value} is not a number")
    if isinstance(value, list):
        for row in value:
            _refuse_non_finite(row)
    elif isinstance(value, Answer):
        for name in value.__struct_fields__:
            _refuse_non_finite(getattr(value, name))
