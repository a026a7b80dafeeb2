"""Commands to the algos: how each is started, and what can be asked of one that runs.

`action` says which it is, and is `start` where it is absent. Percentages are percent: 1 is 1 %.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field

from pms.contract.commands import AccountId, Command, PositionSide, Side, Symbol, read_side, upper
from pms.contract.money import Number
from pms.contract.names import BOTH, Task

StalkMode = Literal["touch", "maintain", "trail"]
Percent = Annotated[Number, Field(ge=0, le=100)]
Callback = Annotated[Number, Field(ge=Decimal("0.01"), le=90, description="In percent of the best price.")]


class AlgoStart(Command):
    """What every algo of one sub-account is started with."""

    action: Literal["start"] = "start"
    sub_account_id: AccountId

    follows_position: ClassVar[bool] = False


class Chase(AlgoStart):
    """Keep one order near the touch until the quantity is filled, or the market has run too far."""

    name: ClassVar[str] = Task.CHASE

    symbol: Symbol
    side: Annotated[Side, BeforeValidator(read_side)]
    quantity: Number = Field(description="In the base asset.")
    leverage: int | None = Field(None, ge=1, le=150)
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
    reprice_ticks: int = Field(1, ge=1, le=10_000, description="A smaller move is not followed.")
    reprice_ms: int = Field(500, ge=100, le=60_000, description="Least time between two reprices.")

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
    leverage: int | None = Field(None, ge=1, le=150)
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


class AlgoControl(Command):
    """Cancel, pause or resume an algo: a paused one has no order at the exchange and keeps its place."""

    name: ClassVar[str] = Task.ALGO

    action: Literal["cancel", "pause", "resume"]
    algo_id: UUID


class CancelAlgo(Command):
    """Cancel an algo of any kind; its orders are cancelled first. Served while admission is closed."""

    name: ClassVar[str] = Task.CANCEL_ALGO

    algo_id: UUID


ALGO_STARTS: tuple[type[AlgoStart], ...] = (Chase, TrailStop, Bracket)
ALGO_AMENDS: tuple[type[Command], ...] = (AmendChase, AmendTrailStop, AmendBracket)
ALGO_COMMANDS: tuple[type[Command], ...] = (*ALGO_STARTS, *ALGO_AMENDS, AlgoControl, CancelAlgo)
