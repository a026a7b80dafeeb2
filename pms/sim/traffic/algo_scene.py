"""One algo's life as a trader wants it, the accounts in which it may be, and the market of the moment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import Any, Literal, NamedTuple

from pms.contract.names import LONG, SHORT
from pms.sim.machines.exchange import SYMBOLS, SimExchange
from pms.sim.traffic import storm, workload

LEVERAGE = 20
GUARDED = ("ivan", "judy")
"""Here nobody trades but algos that guard what was opened for them: in these accounts no exit may open."""

ALONE = ("kate", "liam")
"""Here only scalpers trade: what one of them does alone is its own doing."""

OWN = (*GUARDED, *ALONE)
"""Accounts that there are only where algos run."""

HEDGED = (workload.HEDGED, storm.TWO_SIDED, "judy", "liam")
OPENS = {SYMBOLS[0]: "BUY", SYMBOLS[1]: "SELL"}
"""In which direction positions of the guarded accounts are opened, always."""


Side = Literal["BUY", "SELL"]
Leave = Literal["cancel", "cancel_all", "run", "push"]
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Errand:
    """One algo's life: started, perhaps amended and paused on the way, and over in the end."""

    start_ms: int
    end_ms: int
    kind: str
    account: str
    symbol: str
    side: Side
    lots: int
    amend: bool
    pause: bool
    again: bool
    """More is opened than it was started for, before it and late."""
    leave: Leave
    """How it comes to its end: by command, by itself, or by prices that go through all of its own."""
    door: workload.Door
    key: str
    """What its terms are drawn by."""

    @property
    def hedged(self) -> bool:
        """Whether its account holds a long beside a short."""
        return self.account in HEDGED

    def held(self, side: Side) -> Errand:
        """The same for a position as it is found: others may have turned it."""
        return replace(self, side=side)


class Scene(NamedTuple):
    """The market as it is when a trader makes up his mind."""

    errand: Errand
    exchange: SimExchange
    rng: Random

    def quantity(self, lots: int) -> Decimal:
        """So many lots of the symbol."""
        return self.exchange.venue.exchange.markets[self.errand.symbol].symbol.quantity(lots)

    def price(self, steps: int, *, side: str | None = None) -> Decimal:
        """So many levels in favour of who has bought; of who has sold the other way round."""
        symbol, sign = self.errand.symbol, 1 if (side or self.errand.side) == "BUY" else -1
        tick = self.exchange.venue.exchange.markets[symbol].symbol.tick
        price = self.exchange.middle(symbol) + sign * steps * self.exchange.spacing(symbol)
        return (price // tick) * tick

    def percent(self, *choices: str) -> Decimal:
        """One of some percentages."""
        return Decimal(self.rng.choice(choices))

    def chance(self, share: float) -> bool:
        """Whether it happens this time."""
        return self.rng.random() < share


def leverage_of(account: str) -> int:
    """The leverage that an account trades with."""
    return storm.LEVERAGE if account in storm.EXPOSED else LEVERAGE


def position_side(errand: Errand) -> Fields:
    """Which of a hedged account's positions what is opened is for."""
    return {"positionSide": LONG if errand.side == "BUY" else SHORT} if errand.hedged else {}


def opening(scene: Scene) -> Fields:
    """An order that opens a position, at market."""
    errand = scene.errand
    return {
        "subAccountId": errand.account,
        "symbol": errand.symbol,
        "side": errand.side,
        "quantity": scene.quantity(errand.lots),
        "leverage": leverage_of(errand.account),
        **position_side(errand),
    }
