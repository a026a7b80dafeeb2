"""A basket: many legs as one command, started together or not at all, and what happens when one fails.

Each leg names the `algo` that works it, and has that algo's own parameters.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal
from uuid import UUID, uuid5

from pydantic import BaseModel, BeforeValidator, Field

from pms.contract.algo_commands import MOST_SECONDS, AlgoStart, Chase, ChaseTerms, Twap, TwapTerms
from pms.contract.commands import Command, Leverage, PositionSide, Side, Symbol, read_side, upper
from pms.contract.money import Number, Whole
from pms.contract.names import BOTH, Task

MOST_LEGS = 20
BasketMode = Literal["parallel", "sequence"]
OnLegFailure = Literal["finish", "unwind", "hold"]


class LegTerms(BaseModel):
    """What one order is to be."""

    model_config = Command.model_config

    symbol: Symbol
    side: Annotated[Side, BeforeValidator(read_side)]
    quantity: Number = Field(description="In the base asset.")
    leverage: Leverage | None = None
    reduce_only: bool = False
    position_side: Annotated[PositionSide | None, BeforeValidator(upper)] = None


class MarketLeg(LegTerms):
    """A leg at market."""

    algo: Literal["market"]


class LimitLeg(LegTerms):
    """A leg that is one limit order. IOC and FOK have one try, and then have failed."""

    algo: Literal["limit"]
    price: Number
    time_in_force: Annotated[Literal["GTC", "IOC", "FOK"], BeforeValidator(upper)] = "GTC"


class ChaseLeg(ChaseTerms):
    """A leg that is chased."""

    algo: Literal["chase"]


class TwapLeg(TwapTerms):
    """A leg in even slices."""

    algo: Literal["twap"]


Leg = Annotated[MarketLeg | LimitLeg | ChaseLeg | TwapLeg, Field(discriminator="algo")]
LEGS: dict[str, type[BaseModel]] = {
    "market": MarketLeg,
    "limit": LimitLeg,
    "chase": ChaseLeg,
    "twap": TwapLeg,
}
"""Every leg by its `algo`."""


class OneOrder(LegTerms, AlgoStart):
    """A leg that is one order, as its machine is started with it. No command of its own."""

    price: Number | None = None
    time_in_force: Literal["GTC", "IOC", "FOK"] | None = None

    @property
    def place(self) -> tuple[str, str, str]:
        """The position that it is for."""
        return self.sub_account_id, self.symbol, self.position_side or BOTH


class Basket(AlgoStart):
    """Work several legs as one: all of them are admitted together, or none is started."""

    name: ClassVar[str] = Task.BASKET
    both_sides: ClassVar[bool] = True

    legs: tuple[Leg, ...] = Field(min_length=1, max_length=MOST_LEGS)
    mode: BasketMode = Field(
        "parallel", description="sequence: a leg begins when the one before it is filled or has failed."
    )
    on_leg_failure: OnLegFailure = Field(
        "hold",
        description="finish: the others go on; unwind: all stop, and what was filled is closed again by"
        " reduce-only market orders; hold: all stop, and what is filled is kept.",
    )
    duration: Annotated[int, Whole(1, MOST_SECONDS)] | None = Field(
        None, description="Seconds; a leg that is not filled by then has failed."
    )

    @property
    def reduce_only(self) -> bool:
        """Whether every leg only reduces."""
        return all(leg.reduce_only for leg in self.legs)

    @property
    def symbols(self) -> list[str]:
        """The symbols of its legs, by leg."""
        return [leg.symbol for leg in self.legs]

    def start_of(self, number: int) -> OneOrder | Chase | Twap:
        """The start command that one of its legs stands for; by an id of its own, the same each time."""
        leg = self.legs[number]
        model: type[OneOrder | Chase | Twap] = OneOrder
        if isinstance(leg, ChaseLeg | TwapLeg):
            model = Chase if isinstance(leg, ChaseLeg) else Twap
        fields = {name: value for name, value in leg if name != "algo"}
        return model.model_construct(
            request_id=uuid5(self.request_id, str(number)), sub_account_id=self.sub_account_id, **fields
        )


class AmendBasket(Command):
    """Change a basket that runs and does not unwind; what is absent stays as it is."""

    name: ClassVar[str] = Task.BASKET

    action: Literal["amend"]
    algo_id: UUID
    on_leg_failure: OnLegFailure | None = None
    duration: Annotated[int, Whole(1, MOST_SECONDS)] | None = Field(
        None, description="Seconds from its start."
    )
