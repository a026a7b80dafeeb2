"""The account snapshot that every fill and position event carries."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from pms.contract.money import Number


class Shape(BaseModel):
    """Base of every shape that goes out: camelCase names, exact numbers."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, serialize_by_alias=True
    )


class PositionView(Shape):
    """One open position of a sub-account."""

    id: str = Field(description="uuid5 of sub-account, symbol, side and opening seq.")
    symbol: str
    side: Literal["LONG", "SHORT"]
    entry_price: Number = Field(description="Average entry, rounded to eight decimals.")
    quantity: Number = Field(description="Always positive; the side tells the sign.")
    margin: Number = Field(description="Initial margin at the entry price.")
    leverage: int
    liquidation_price: Number | None = Field(
        None, description="Estimated, all other prices as they are; null: at no price, or told elsewhere."
    )
    break_even_price: Number | None = Field(
        None,
        description="Entry with the fees paid and the parts closed since; null: told by an older release.",
    )
    position_side: Literal["BOTH", "LONG", "SHORT"] = Field(
        "BOTH", description="BOTH, or in hedge mode the side."
    )


class Account(Shape):
    """A sub-account as a trader sees it; unrealised P&L is valued at mid."""

    balance: Number
    equity: Number
    margin_used: Number = Field(description="Positions' margin plus what open orders reserve.")
    available_margin: Number = Field(description="equity - marginUsed")
    positions: list[PositionView]
