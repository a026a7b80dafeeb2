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

MOST_LOTS = 500
"""Of a TWAP: with as many again behind its end, each slice still has a number of two characters."""

MOST_SECONDS = 7 * 86_400
StalkMode = Literal["touch", "maintain", "trail"]
Percent = Annotated[Number, Field(ge=0, le=100)]


class AlgoStart(Command):
    """What every algo of one sub-account is started with."""

    action: Literal["start"] = "start"
    sub_account_id: AccountId


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


class Twap(AlgoStart):
    """Trade a total in slices spread over a time, each at its own moment."""

    name: ClassVar[str] = Task.TWAP

    symbol: Symbol
    side: Annotated[Side, BeforeValidator(read_side)]
    total_size: Number = Field(description="In the base asset.")
    lots: int = Field(ge=1, le=MOST_LOTS, description="Slices; fewer where each would be below the least.")
    duration: int = Field(ge=1, le=MOST_SECONDS, description="Seconds.")
    jitter: Percent = Field(
        Decimal(0), description="How much later than its turn a slice may come, in percent of the interval."
    )
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
    profile_days: int = Field(3, ge=1, le=7, description="volume: the mean of so many days, UTC.")
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
    reprice_ms: int = Field(500, ge=100, le=60_000, description="Passive: least time between two reprices.")
    leverage: int | None = Field(None, ge=1, le=150)
    reduce_only: bool = False
    position_side: Annotated[PositionSide | None, BeforeValidator(upper)] = None

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


ALGO_STARTS: tuple[type[AlgoStart], ...] = (Chase, Twap)
ALGO_AMENDS: tuple[type[Command], ...] = (AmendChase, AmendTwap)
ALGO_COMMANDS: tuple[type[Command], ...] = (*ALGO_STARTS, *ALGO_AMENDS, AlgoControl, CancelAlgo)
