"""The ways of trading one size that are laid beside each other, each as the command that a trader sends.

A way that closes has a position of the size before the moment; a round trip ends with what it began with.
Distances are chosen for recordings of a minute, in which the price moves by five basis points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from benchmarks.tape import Tape
from pms.contract.names import Task

Side = Literal["BUY", "SELL"]
NEAR_PCT = Decimal("0.005")
"""Half a basis point: how far behind the touch a patient order is kept."""

BACK_PCT = Decimal("0.01")
"""A trailing stop's callback, the least there is."""

EXIT_PCT = Decimal("0.02")
"""How far from mid at the start exits stand, either way."""

REPRICE_MS = 1_000
"""So that all that move at once stay within the hundred moves in ten seconds that algos have together."""

SLICES = 10
LAYERS = 2
"""Of each leg of the scalper: what it enters at once is the size."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known when all begin."""

    tape: Tape
    side: Side
    size: Decimal
    bid: Decimal
    ask: Decimal
    seconds: int
    #: that are left, by the clock on the wall
    position: str | None = None

    @property
    def mid(self) -> Decimal:
        """Arrival price."""
        return (self.bid + self.ask) / 2

    @property
    def touch(self) -> Decimal:
        """The best price of its own side."""
        return self.bid if self.side == "BUY" else self.ask

    def away(self, percent: Decimal) -> Decimal:
        """A price so far above mid, or below, on its tick."""
        return self.mid * (100 + percent) / 100 // self.tape.tick * self.tape.tick

    def share(self, parts: int) -> Decimal:
        """One of so many parts of the size."""
        return self.size / parts // self.tape.step * self.tape.step


@dataclass(frozen=True, slots=True)
class Way:
    """One way of trading; `terms` says what its command holds beside account and symbol."""

    name: str
    task: str
    terms: Callable[[Moment], Mapping[str, Any]]
    closes: bool = False
    round_trip: bool = False
    one_sided: bool = True
    timed: bool = False
    #: ends by itself when its time is over, with all of it done

    @property
    def plain(self) -> bool:
        """A single order, which no algo works."""
        return self.task == Task.TRADE

    @property
    def kind(self) -> str:
        """The algo's kind."""
        return self.task.removeprefix("pms.")


def _order(moment: Moment) -> dict[str, Any]:
    return {"side": moment.side, "quantity": moment.size}


def _touch(moment: Moment) -> dict[str, Any]:
    return {**_order(moment), "type": "LIMIT", "price": moment.touch}


def _chase(mode: str, offset: Decimal = Decimal(0)) -> Callable[[Moment], Mapping[str, Any]]:
    more = {"stalkMode": mode, "stalkOffset": offset, "repriceMs": REPRICE_MS}
    return lambda moment: {**_order(moment), **more}


def _twap(*, share: int = 1, **more: Any) -> Callable[[Moment], Mapping[str, Any]]:
    """Over a share of the time that is left."""
    return lambda moment: {
        "side": moment.side,
        "totalSize": moment.size,
        "lots": SLICES,
        "duration": moment.seconds // share,
        **more,
    }


def _trail_stop(moment: Moment) -> dict[str, Any]:
    return {"positionId": moment.position, "callbackPct": BACK_PCT}


def _exits(moment: Moment, *, long: bool) -> dict[str, Any]:
    profit = EXIT_PCT if long else -EXIT_PCT
    return {"takeProfit": moment.away(profit), "stopLoss": moment.away(-profit)}


def _oco(moment: Moment) -> dict[str, Any]:
    return {"positionId": moment.position, **_exits(moment, long=moment.side == "SELL")}


def _bracket(moment: Moment) -> dict[str, Any]:
    return {**_order(moment), **_exits(moment, long=moment.side == "BUY")}


def _scalper(moment: Moment) -> dict[str, Any]:
    return {
        "quantity": moment.share(2 * LAYERS),
        "layers": LAYERS,
        "baseOffsetPct": NEAR_PCT,
        "takeProfitPct": NEAR_PCT,
        "stopLossPct": EXIT_PCT,
        "coolDown": 1,
        "anchorMode": "follow",
        "repriceMs": REPRICE_MS,
        "duration": moment.seconds,
    }


WAYS = (
    Way("market order", Task.TRADE, _order),
    Way("limit at the touch", Task.TRADE, _touch),
    Way("chase touch", Task.CHASE, _chase("touch")),
    Way("chase maintain", Task.CHASE, _chase("maintain", NEAR_PCT)),
    Way("chase trail", Task.CHASE, _chase("trail", NEAR_PCT)),
    Way("twap", Task.TWAP, _twap(), timed=True),
    Way("twap passive", Task.TWAP, _twap(passive=True, repriceMs=REPRICE_MS), timed=True),
    Way("twap participation", Task.TWAP, _twap(profile="participation", participation=10)),
    Way("trailing stop", Task.TRAIL_STOP, _trail_stop, closes=True),
    Way("bracket, exits only", Task.BRACKET, _oco, closes=True),
    Way("bracket", Task.BRACKET, _bracket, round_trip=True),
    Way("scalper", Task.SCALPER, _scalper, round_trip=True, one_sided=False, timed=True),
)
"""One line an algo; the basket's legs are ways of their own."""

PLAIN = tuple(way for way in WAYS if way.plain)


def _leg(algo: str, terms: Callable[[Moment], Mapping[str, Any]]) -> Callable[[Moment], Mapping[str, Any]]:
    return lambda moment: {"algo": algo, **terms(moment)}


MARKET_LEG = Way("market leg", Task.BASKET, _leg("market", _order))
CHASE_LEG = Way("chase leg", Task.BASKET, _leg("chase", _chase("touch")))
TWAP_LEG = Way("twap leg", Task.BASKET, _leg("twap", _twap()), timed=True)
SHORT_TWAP_LEG = Way("twap leg", Task.BASKET, _leg("twap", _twap(share=3)), timed=True)
"""For a sequence: what stands before it takes its own time."""
