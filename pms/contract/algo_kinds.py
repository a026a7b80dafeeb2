"""Every kind of algo by its commands: how it is started, how amended, and what any of them is told."""

from __future__ import annotations

from pms.contract.algo_commands import (
    AlgoControl,
    AlgoStart,
    AmendBracket,
    AmendChase,
    AmendScalper,
    AmendTrailStop,
    AmendTwap,
    Bracket,
    CancelAlgo,
    Chase,
    Scalper,
    TrailStop,
    Twap,
)
from pms.contract.basket import AmendBasket, Basket
from pms.contract.commands import Command

ALGO_STARTS: tuple[type[AlgoStart], ...] = (Chase, Twap, TrailStop, Bracket, Scalper, Basket)
ALGO_AMENDS: tuple[type[Command], ...] = (
    *(AmendChase, AmendTwap, AmendTrailStop, AmendBracket, AmendScalper, AmendBasket),
)
ALGO_COMMANDS: tuple[type[Command], ...] = (*ALGO_STARTS, *ALGO_AMENDS, AlgoControl, CancelAlgo)
