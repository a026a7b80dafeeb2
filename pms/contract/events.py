"""Events out: published on `pms:events:{type}` and repeated in the capped stream.

Every event carries its own `seq`, which only grows: a browser drops, per sub-account, what is not
newer than what it has applied. `timestamp` is in seconds, `ts` in milliseconds.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from pms.contract.account import Account, PositionView, Shape
from pms.contract.money import Number

OrderEventType = Literal[
    "order_active", "order_partially_filled", "order_filled", "order_cancelled", "order_failed"
]
PositionEventType = Literal["position_updated", "position_closed", "position_reduced"]
LiquidationAction = Literal["WARN", "CANCEL", "DELEVERAGE", "TAKEOVER", "REARM", "CLOSE", "CLOSED"]
Origin = Literal["MANUAL", "CHASE", "SCALPER", "TWAP", "TRAIL_STOP", "BRACKET", "BASKET", "LIQUIDATION"]
AlgoEventType = Literal[
    "chase_progress",
    "twap_progress",
    "trail_stop_progress",
    "bracket_progress",
    "scalper_progress",
    "basket_progress",
]
AlgoStatus = Literal["running", "paused", "ending", "finished", "cancelled", "failed"]


class OrderEvent(Shape):
    """An order changed: `order_active` also tells a partial fill, for gateways that know no other word."""

    type: OrderEventType
    seq: int
    sub_account_id: str
    client_order_id: str
    exchange_order_id: str | None
    symbol: str
    side: Literal["BUY", "SELL"]
    order_type: str
    quantity: Number
    price: Number | None
    state: str
    filled_qty: Number
    avg_fill_price: Number | None
    last_fill_qty: Number | None = None
    last_fill_price: Number | None = None
    origin: Origin = "MANUAL"
    parent_id: str | None = None
    position_side: Literal["BOTH", "LONG", "SHORT"] = "BOTH"
    reason: str | None = None
    timestamp: Decimal = Field(description="Seconds since 1970, with milliseconds.")
    account: Account


class PositionEvent(Shape):
    """A position opened, grew, shrank or closed."""

    type: PositionEventType
    seq: int
    sub_account_id: str
    position: PositionView
    realized_pnl: Number = Decimal(0)
    closed_qty: Number = Decimal(0)
    reason: str
    timestamp: Decimal
    account: Account


class RiskEvent(Shape):
    """A limit on risk was crossed, or is no more. Carries no account: it is told minutes after the fact."""

    type: Literal["risk"]
    seq: int
    sub_account_id: str | None = Field(description="null: a group or the desk.")
    kind: Literal["account", "group", "desk"]
    name: str
    measure: Literal["var", "es", "stress", "margin"]
    state: Literal["crossed", "back"]
    limit: Number
    actual: Number
    timestamp: Decimal = Field(description="Seconds since 1970, with milliseconds.")


class LiquidationEvent(Shape):
    """One step of a liquidation, and the numbers that caused it."""

    type: Literal["liquidation"] = "liquidation"
    seq: int
    sub_account_id: str
    action: LiquidationAction
    tier: int = Field(description="0 none, 1 warned, 2 orders cancelled, 3 deleveraged, 4 taken over.")
    symbol: str | None = None
    side: Literal["LONG", "SHORT"] | None = None
    quantity: Number | None = Field(
        None, description="What went to the house, or in CLOSE is closed at market; always positive."
    )
    price: Number | None = None
    realized_pnl: Number | None = None
    ratio: Number | None = Field(description="Maintenance margin over equity; null: equity covers nothing.")
    equity: Number
    maintenance_margin: Number
    timestamp: Decimal
    account: Account


class ScalperLayer(Shape):
    """One layer of a leg: an entry and an exit, over and over."""

    size: Number
    held: Number
    average_price: Number | None = Field(description="Of what it holds.")
    entry_price: Number | None = Field(description="Where its entry rests; null: it has none.")
    exit_price: Number | None = Field(description="Where its exit rests; null: it has none, or at market.")
    stopped: bool = Field(description="Its loss was too large: it is being closed at market.")


class ScalperLeg(Shape):
    """One leg of a scalper."""

    side: Literal["LONG", "SHORT"]
    enters: bool = Field(description="Whether it may enter now.")
    held: Number
    anchor: Number | None = Field(description="Its layers' distances are from here; null: from mid, anew.")
    cool_until: int | None = Field(description="No entries before, after a loss, ms.")
    realized_pnl: Number = Field(description="By its round trips' own prices, before fees.")
    round_trips: int
    won: int = Field(description="Round trips that did not lose.")
    layers: list[ScalperLayer]


class ScalperFigures(Shape):
    """What a scalper has earned, and where its layers stand."""

    realized_pnl: Number
    held: Number = Field(description="Of both legs, neither taken from the other.")
    max_exposure: Number | None
    closing: bool = Field(description="It ends, and closes what it holds.")
    legs: list[ScalperLeg]


class LegFigures(Shape):
    """One leg of a basket."""

    symbol: str
    side: Literal["BUY", "SELL"]
    algo: Literal["market", "limit", "chase", "twap"]
    state: Literal["waiting", "running", "ending", "done", "failed", "stopped"]
    reason: str | None = Field(description="Of its end.")
    next: str | None = Field(description="What it does next, for people.")
    note: str | None = Field(description="The last refusal that it still minds.")
    target: Number
    filled: Number
    average_price: Number | None
    arrival_price: Number = Field(description="Mid when the basket began.")
    slippage_bps: Number | None
    live_orders: int
    reprices: int
    fees: Number
    maker_share: Number | None
    unwound: Number = Field(description="Of what it filled, closed again.")
    unwind_price: Number | None
    started_at: int | None
    ended_at: int | None


class BasketFigures(Shape):
    """How far a basket is; its event's `target` and `filled` are worth in USDT, by its arrival prices."""

    mode: Literal["parallel", "sequence"]
    on_leg_failure: Literal["finish", "unwind", "hold"]
    unwinding: bool
    cost: Number = Field(description="What it paid more than by the arrival prices, in USDT, before fees.")
    unwind_result: Number = Field(description="Of what was closed again, in USDT, before fees.")
    legs: list[LegFigures]


class AlgoEvent(Shape):
    """An algo as it stands: at most once a second, and whenever its status changes."""

    type: AlgoEventType
    seq: int
    sub_account_id: str
    algo_id: str = Field(description="The requestId of the command that started it.")
    symbol: str | None = Field(description="null where it trades several.")
    side: Literal["BUY", "SELL"] | None
    status: AlgoStatus
    reason: str | None = None
    target: Number
    filled: Number
    average_price: Number | None
    arrival_price: Number | None = Field(description="Mid at the start; null where it trades several.")
    slippage_bps: Number | None = Field(description="By so much worse than the arrival price.")
    live_orders: int
    reprices: int
    fees: Number = Field(description="Paid in USDT.")
    maker_share: Number | None = Field(description="Of what is filled, 0 to 1.")
    note: str | None = Field(None, description="The last refusal that it still minds.")
    next_at: int | None = Field(None, description="When it looks again by itself, ms.")
    figures: BasketFigures | ScalperFigures | dict[str, Number] | None = Field(
        None, description="Of its kind alone, such as a trailing stop's `extreme` and `stopPrice`."
    )
    started_at: int
    ended_at: int | None = None
    timestamp: Decimal = Field(description="Seconds since 1970, with milliseconds.")
    account: Account


class Price(Shape):
    """Best bid and ask of a symbol: `pms:price:{symbol}`."""

    bid: Number
    ask: Number
    mid: Number
    ts: int = Field(description="Exchange time of the update, ms.")


class HaltView(Shape):
    """A halt that is in force."""

    sub_account_id: str | None = Field(description="null: everything.")
    mode: Literal["HALTED", "REDUCE_ONLY"]
    reason: str
    actor: str
    since: int = Field(description="Redis time, ms.")


class Health(Shape):
    """Whether the engine may be believed: `pms:health`."""

    state: Literal["starting", "recovering", "live", "degraded", "stopping"] = Field(
        description="`live` where commands are admitted; `starting` and `stopping` are reserved, and "
        "never told."
    )
    feed_age: int | None = Field(description="Milliseconds since the last market frame was processed.")
    feed_lag: int | None = Field(
        default=None,
        description="Milliseconds that the freshest market frame of the last half second was behind the "
        "exchange's clock when it was processed; null where none came.",
    )
    ages: dict[str, int | None] = Field(
        description="By stream, `user` or a symbol: milliseconds since it was heard or proven to be alive."
    )
    admission: bool
    reason: str | None = None
    drift: dict[str, Number] = Field(
        default={}, description="Ours less the exchange's, by symbol and asset, where they differ."
    )
    symbols_closed: dict[str, str] = Field(
        default={}, description="Symbols in which nothing may be opened, and why."
    )
    open_fees: int = Field(default=0, description="Fees in another asset that wait for its price.")
    dead_man: Literal["off", "idle", "armed", "withheld"] = Field(
        "idle", description="Whether the exchange cancels our resting orders if the engine dies."
    )
    halts: list[HaltView] = Field(
        default_factory=list, description="The halts in force, that of everything first; 50 at most."
    )
    ts: int


class CountView(Shape):
    """One rate limit of the exchange."""

    name: Literal["weight_1m", "orders_1m", "orders_10s"]
    used: int = Field(description="By all processes in this window, credit included.")
    limit: int | None = Field(description="The exchange's; none is no limit.")
    lanes: dict[str, int | None] = Field(description="How much more each lane may use in this window.")


class BudgetView(Shape):
    """What is left of the exchange's rate limits: `pms:budget`."""

    counts: list[CountView]
    blocked_ms: int = Field(description="For how long the exchange has turned us away.")
    known: bool = Field(description="False while the shared counts cannot be read.")
