"""How the house closes what it took over: at once, passively first, or spread over time. A limit's value.

at_once                      market orders, each as large as may be
passive,SECONDS,PERCENT      rests at the touch of its own side for so long, then the rest at market; at
                             once where the mark price has run away by so much since it began
timed,SECONDS,SLICES         that many market orders of equal size, spread over so long
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from pydantic import TypeAdapter, ValidationError

from pms.contract.money import Number, plain

MOST_SECONDS: Final = 86_400
MOST_PERCENT: Final = 50
MOST_SLICES: Final = 1_000

_number: TypeAdapter[Decimal] = TypeAdapter(Number)


@dataclass(frozen=True, slots=True)
class AtOnce:
    """Market orders until nothing is left."""

    def __str__(self) -> str:
        return "at_once"


@dataclass(frozen=True, slots=True)
class Passive:
    """Post-only at the touch, for a while."""

    seconds: Decimal
    adverse: Decimal
    #: percent

    def __str__(self) -> str:
        return f"passive,{plain(self.seconds)},{plain(self.adverse)}"


@dataclass(frozen=True, slots=True)
class Timed:
    """Slices of equal size."""

    seconds: Decimal
    slices: int

    def __str__(self) -> str:
        return f"timed,{plain(self.seconds)},{self.slices}"


UnwindPolicy = AtOnce | Passive | Timed


def read_policy(text: str) -> UnwindPolicy:
    """A policy as it is set; raises ValueError saying what would be one."""
    match [part.strip() for part in text.split(",")]:
        case ["at_once"]:
            return AtOnce()
        case ["passive", seconds, percent]:
            return Passive(
                _up_to("the seconds of passive", seconds, MOST_SECONDS),
                _up_to("the percent of passive", percent, MOST_PERCENT),
            )
        case ["timed", seconds, slices]:
            count = _up_to("the slices of timed", slices, MOST_SLICES)
            if count != int(count) or count < 2:
                raise ValueError(f"the slices of timed: a whole number from 2 to {MOST_SLICES}")
            return Timed(_up_to("the seconds of timed", seconds, MOST_SECONDS), int(count))
        case _:
            raise ValueError("at_once, or passive,SECONDS,PERCENT, or timed,SECONDS,SLICES")


def _up_to(what: str, text: str, most: int) -> Decimal:
    wrong = ValueError(f"{what}: a number above 0, up to {most}")
    try:
        value = _number.validate_python(text)
    except ValidationError:
        raise wrong from None
    if not 0 < value <= most:
        raise wrong
    return value
