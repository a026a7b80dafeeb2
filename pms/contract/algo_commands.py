"""Commands to the algos: how each is started, and what can be asked of one that runs.

`action` says which it is, and is `start` where it is absent. Percentages are percent: 1 is 1 %.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, Field

from pms.contract.commands import (
    AccountId,
    Command,
    Leverage,
    PositionSide,
    Side,
    Symbol,
    read_side,
    upper,
)
from pms.contract.money import Number, Whole
from pms.contract.names import BOTH, Task

MOST_LOTS = 500
"""Of a TWAP: with as many again behind its end, each slice still has a number of two characters."""

MOST_SECONDS = 7 * 86_400
StalkMode = Literal["touch", "maintain", "trail"]
Percent = Annotated[Number, Field(ge=0, le=100)]
Callback = Annotated[Number, Field(ge=Decimal("0.01"), le=90, description="In percent of the best price.")]
Distance = Annotated[Number, Field(ge=Decimal("0.001"), le=50)]
"""A percentage that may not be nothing: what stands on it would move with every tick."""

Legs = Literal["both", "long", "short", "none"]
AnchorMode = Literal["follow", "away", "fixed"]
OnEnd = Literal["flatten", "keep"]
MOST_LAYERS = 20
MOST_LIFE_S = 366 * 86_400


class AlgoStart(Command):
    """What every algo of one sub-account is started with."""

    both_sides: ClassVar[bool] = False
    #: a hedged account's long and its short are both its own: its orders say which, not its command

    action: Literal["start"] = "start"
    sub_account_id: AccountId

    follows_position: ClassVar[bool] = False


class ChaseTerms(BaseModel):
    """What a chase is to do."""

    model_config = Command.model_config

    symbol: Symbol
    side: Annotated[Side, BeforeValidator(read_side)]
    quantity: Number = Field(description="In the base asset.")
    leverage: Leverage | None = None
    stalk_offset: Percent = Field(Decimal(0), description="How far behind the touch, in percent of mid.")
    stalk_mode: StalkMode = Field(
        "touch",
        description="touch: at the best price; maintain: the offset both ways; trail: only after a market"
        " that goes away.",
    )
    max_distance: Percent | None = Field(
        None, description="How far mid may go away from where it was at the start, in percent."
    )
    on_max_distance: Literal["cancel", "cross"] = Field(
        "cancel", description="What then: end, or take the remainder at market."
    )
    post_only: bool = Field(False, description="Never take: an order that would is refused and tried again.")
    reduce_only: bool = False
    position_side: Annotated[PositionSide | None, BeforeValidator(upper)] = None
    reprice_ticks: Annotated[int, Whole(1, 10_000)] = Field(1, description="A smaller move is not followed.")
    reprice_ms: Annotated[int, Whole(100, 60_000)] = Field(
        500, description="Least time between two reprices."
    )


class Chase(ChaseTerms, AlgoStart):
    """Keep one order near the touch until the quantity is filled, or the market has run too far."""

    name: ClassVar[str] = Task.CHASE

    @property
    def place(self) -> tuple[str, str, str]:
        """The position that it is for."""
        return self.sub_account_id, self.symbol, self.position_side or BOTH


class AmendChase(Command):
    """Change a chase that runs; what is absent stays as it is."""

    name: ClassVar[str] = Task.CHASE

    action: Literal["amend"]
    algo_id: UUID
    quantity: Number | None = Field(None, description="The TOTAL, what is filled included.")
    stalk_offset: Percent | None = None
    max_distance: Percent | None = None


class TrailStop(AlgoStart):
    """Close a position at market once the price has come back from its best by `callbackPct`.

    The price is the one that the close would meet: best bid for a long, best ask for a short.
    """

    name: ClassVar[str] = Task.TRAIL_STOP
    reduce_only: ClassVar[bool] = True
    follows_position: ClassVar[bool] = True

    position_id: UUID
    callback_pct: Callback
    activation_price: Number | None = Field(
        None, description="Follow only from this price on: above the market for a long, below for a short."
    )


class AmendTrailStop(Command):
    """Change a trailing stop that has not fired; what is absent stays as it is."""

    name: ClassVar[str] = Task.TRAIL_STOP

    action: Literal["amend"]
    algo_id: UUID
    callback_pct: Callback | None = None
    activation_price: Number | None = Field(
        None, description="It waits for this price then, even if it followed already."
    )


class Bracket(AlgoStart):
    """An entry with its take-profit and its stop-loss; with `positionId` the two alone: an OCO.

    Both are for what the entry has filled, and never more together. The take-profit rests at the exchange as
    a limit order; the stop-loss is watched by the engine, by the price that its market order would meet.
    """

    name: ClassVar[str] = Task.BRACKET
    follows_position: ClassVar[bool] = True

    position_id: UUID | None = Field(
        None, description="A position to protect: then there is no entry, and only `quantity` may be named."
    )
    symbol: Symbol | None = None
    side: Annotated[Side | None, BeforeValidator(read_side)] = Field(None, description="Of the entry.")
    quantity: Number | None = Field(
        None, description="In the base asset; with `positionId`, all of the position where it is absent."
    )
    leverage: Leverage | None = None
    price: Number | None = Field(None, description="Of the entry; absent: at market.")
    time_in_force: Annotated[Literal["GTC", "IOC", "FOK"] | None, BeforeValidator(upper)] = Field(
        None, description="Of an entry with a price; GTC."
    )
    position_side: Annotated[PositionSide | None, BeforeValidator(upper)] = None
    take_profit: Number | None = Field(None, description="A price; it or `stopLoss` is mandatory.")
    stop_loss: Number | None = Field(None, description="A price.")

    @property
    def reduce_only(self) -> bool:
        """Without an entry it only reduces."""
        return self.position_id is not None

    @property
    def place(self) -> tuple[str, str, str] | None:
        """The position that an entry is for; one that is named by its id has its own."""
        if self.symbol is None:
            return None
        return self.sub_account_id, self.symbol, self.position_side or BOTH


class AmendBracket(Command):
    """Change the prices of a bracket whose stop-loss has not fired; what is absent stays as it is."""

    name: ClassVar[str] = Task.BRACKET

    action: Literal["amend"]
    algo_id: UUID
    take_profit: Number | None = None
    stop_loss: Number | None = None


class Scalper(AlgoStart):
    """Buy below and sell above mid in layers, each closed at its own profit and placed again, over and over.

    The long leg enters by buying and leaves by selling, the short leg the reverse.
    """

    name: ClassVar[str] = Task.SCALPER
    both_sides: ClassVar[bool] = True

    symbol: Symbol
    quantity: Number = Field(description="Of the first layer of each leg, in the base asset.")
    layers: Annotated[int, Whole(1, MOST_LAYERS)] = Field(description="Of each leg.")
    base_offset_pct: Distance = Field(description="The first layer's distance from the anchor.")
    spacing_pct: Distance | None = Field(
        None, description="From each layer to the next; null: as baseOffsetPct."
    )
    size_factor: Number = Field(
        Decimal(1), ge=Decimal("0.1"), le=10, description="Each layer's quantity by the one before."
    )
    take_profit_pct: Distance | None = Field(
        None, description="From the average price of what a layer holds; null: as baseOffsetPct."
    )
    stop_loss_pct: Distance | None = Field(
        None, description="So far behind its average price a layer is closed at market; null: never."
    )
    cool_down: Annotated[int, Whole(0, 86_400)] = Field(
        60, description="Seconds without entries of a leg after a loss of one of its layers."
    )
    max_exposure: Number | None = Field(
        None, description="In the base asset: what all layers hold and what their entries may still add."
    )
    low_price: Number | None = Field(None, description="No entry below.")
    high_price: Number | None = Field(None, description="No entry above.")
    anchor_mode: AnchorMode = Field(
        "away",
        description="follow: the anchor goes with mid; away: only with one that leaves the entries behind;"
        " fixed: never.",
    )
    anchor_pct: Distance | None = Field(
        None, description="A smaller move of mid does not move the anchor; null: as baseOffsetPct."
    )
    legs: Legs = Field("both", description="Which may enter; the other only closes what it holds.")
    duration: Annotated[int, Whole(1, MOST_LIFE_S)] | None = Field(
        None, description="Seconds until it ends; null: when it is cancelled."
    )
    on_end: OnEnd = Field(
        "flatten",
        description="When its time is over, or it is cancelled: close at market what its layers hold, or"
        " keep it. Cancelled twice, it keeps.",
    )
    leverage: Leverage | None = None
    reprice_ms: Annotated[int, Whole(100, 60_000)] = Field(
        500, description="Least time between two moves of an order."
    )

    @property
    def place(self) -> tuple[str, str, str]:
        """The position that both legs move, where the account has one a symbol."""
        return self.sub_account_id, self.symbol, BOTH


class AmendScalper(Command):
    """Change a scalper that runs; what is absent stays as it is. `legs` pauses one leg, or both."""

    name: ClassVar[str] = Task.SCALPER

    action: Literal["amend"]
    algo_id: UUID
    legs: Legs | None = None
    base_offset_pct: Distance | None = None
    spacing_pct: Distance | None = None
    take_profit_pct: Distance | None = None
    stop_loss_pct: Distance | None = None
    cool_down: Annotated[int, Whole(0, 86_400)] | None = None
    max_exposure: Number | None = None
    low_price: Number | None = None
    high_price: Number | None = None
    anchor_mode: AnchorMode | None = None
    anchor_pct: Distance | None = None
    on_end: OnEnd | None = None


class TwapTerms(BaseModel):
    """What a TWAP of even slices is to do."""

    model_config = Command.model_config

    symbol: Symbol
    side: Annotated[Side, BeforeValidator(read_side)]
    total_size: Number = Field(description="In the base asset.")
    lots: Annotated[int, Whole(1, MOST_LOTS)] = Field(
        description="Slices; fewer where each would be below the least."
    )
    duration: Annotated[int, Whole(1, MOST_SECONDS)] = Field(description="Seconds.")
    jitter: Percent = Field(
        Decimal(0), description="How much later than its turn a slice may come, in percent of the interval."
    )
    limit_price: Number | None = Field(
        None, description="No worse than this; without it each slice is a market order."
    )
    time_in_force: Literal["IOC", "GTC"] = Field(
        "IOC",
        description="With a limit price: IOC is sent once the touch is within it, GTC rests for its slice's"
        " time.",
    )
    passive: bool = Field(False, description="Rest at the touch first, and cross with what is left.")
    cross_at: Percent = Field(
        Decimal(80), description="Passive: when it crosses, in percent of the slice's time; 100 is never."
    )
    on_missed: Literal["catch_up", "skip"] = Field(
        "catch_up",
        description="What a slice did not fill in its time, or an outage kept from it: spread over the slices"
        " left, or dropped.",
    )
    most_catch_up: Annotated[Number, Field(ge=1, le=100)] = Field(
        Decimal(2), description="catch_up: a slice is never more than so many times an even slice."
    )
    overtime: Percent = Field(
        Decimal(100),
        description="catch_up: how long it may go on behind its end, in percent of the duration.",
    )
    reprice_ms: Annotated[int, Whole(100, 60_000)] = Field(
        500, description="Passive: least time between two reprices."
    )
    leverage: Leverage | None = None
    reduce_only: bool = False
    position_side: Annotated[PositionSide | None, BeforeValidator(upper)] = None


class Twap(TwapTerms, AlgoStart):
    """Trade a total in slices spread over a time, each at its own moment."""

    name: ClassVar[str] = Task.TWAP

    profile: Literal["time", "volume", "participation"] = Field(
        "time",
        description="time: even slices; volume: by the symbol's mean volume in each slice's part of the day;"
        " participation: a part of what trades meanwhile.",
    )
    participation: Annotated[Number, Field(gt=0, le=100)] | None = Field(
        None,
        description="participation: the most that it is of what traded since its start, in percent, itself"
        " included.",
    )
    profile_days: Annotated[int, Whole(1, 7)] = Field(3, description="volume: the mean of so many days, UTC.")

    @property
    def place(self) -> tuple[str, str, str]:
        """The position that it is for."""
        return self.sub_account_id, self.symbol, self.position_side or BOTH


class AmendTwap(Command):
    """Change a TWAP that runs; what is absent stays as it is. Its time does not change."""

    name: ClassVar[str] = Task.TWAP

    action: Literal["amend"]
    algo_id: UUID
    total_size: Number | None = Field(None, description="The TOTAL, what is filled included.")
    limit_price: Number | None = Field(None, description="Only of one that was started with a limit price.")


class AlgoControl(Command):
    """Cancel, pause or resume an algo: a paused one has no order at the exchange and keeps its place."""

    name: ClassVar[str] = Task.ALGO

    action: Literal["cancel", "pause", "resume"]
    algo_id: UUID


class CancelAlgo(Command):
    """Cancel an algo of any kind; its orders are cancelled first. Served while admission is closed."""

    name: ClassVar[str] = Task.CANCEL_ALGO

    algo_id: UUID
