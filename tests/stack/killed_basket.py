"""A basket in the middle: one leg is filled, one can fail, one waits; and a rule for when that one fails."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from killed_case import IN_FLIGHT, LEVERAGE, OVERDUE, PART_FILLED, RESTING, UNEXECUTED, Case, Outcome, differs
from killed_system import patiently
from killed_venue import ZERO, Bound

MARKET, CHASE, LIMIT = range(3)
"""Its legs; each has one slot, and behind it the one that would unwind it."""

RULES = {
    RESTING: "finish",
    IN_FLIGHT: "unwind",
    UNEXECUTED: "unwind",
    OVERDUE: "unwind",
    PART_FILLED: "hold",
}
REASONS = {
    "finish": "the others are filled",
    "unwind": "unwound",
    "hold": "what is filled is kept",
}


class BasketCase(Case):
    """The chase fails as soon as the market is too far; in flight is the order that then unwinds.

    Resting, overdue and part filled: that comes while nobody lives.
    """

    kind, task, key, letter, symbol = "basket", "pms.basket", "basket", "K", "AKROUSDT"

    @property
    def rule(self) -> str:
        """What is to happen when the chase fails."""
        return RULES[self.middle]

    async def begin(self) -> None:
        self.quantity = await self.system.worth(self.symbol, self.notional)
        leg = {"symbol": self.symbol, "side": "BUY", "quantity": f"{self.quantity:f}", "leverage": LEVERAGE}
        chase = {"stalkOffset": "0.3", "stalkMode": "trail", "maxDistance": "1"}
        price = await self.system.beside(self.symbol, "-1")
        legs: list[dict[str, Any]] = [
            {**leg, "algo": "market"},
            {**leg, "algo": "chase", **chase},
            {**leg, "algo": "limit", "price": str(price)},
        ]
        await self.start(legs=legs, onLegFailure=self.rule)
        await patiently(self._stands, f"{self}: its legs", self._said)

    async def _stands(self) -> bool:
        """One leg is filled, and the two others rest."""
        return await self.executed() >= self.quantity and len(await self.open()) == 2

    async def last(self) -> None:
        if self.middle == PART_FILLED:
            await self.fill_some(self._part(1))
        elif self.middle in (RESTING, OVERDUE):
            chased = Decimal((await self.resting("BUY"))["price"])
            await self.system.move(self.symbol, "0.3")
            await self.rests("BUY", beside=chased)

    async def fly(self) -> None:
        await self.hold("POST", slot=f"{_undo(MARKET):02}")
        await self.system.move(self.symbol, "2")
        await self.caught()

    async def meanwhile(self) -> None:
        if self.middle == PART_FILLED:
            await self.system.fill_part(await self.resting("BUY"), self._part(2))
        if self.middle in (RESTING, OVERDUE, PART_FILLED):
            await self.system.move(self.symbol, "2")

    async def finish(self) -> None:
        if self.rule == "finish":
            await patiently(self._goes_on, f"{self}: the chase to be gone", self._said)
            await self.system.move(self.symbol, "-6")
        await self.over()

    async def _goes_on(self) -> bool:
        """The chase has failed, and the other leg rests on."""
        return len(await self.open()) == 1

    def bound(self) -> Bound:
        return Bound("BUY", 3 * self.quantity)

    def faults(self, outcome: Outcome) -> Iterator[str]:
        yield from differs("status", outcome.algo.status, "failed")
        if REASONS[self.rule] not in (outcome.algo.reason or ""):
            yield f"its reason is {outcome.algo.reason}"
        yield from differs("bought at market", outcome.sum("BUY", _slot(MARKET)), self.quantity)
        chased, limited = outcome.sum("BUY", _slot(CHASE)), outcome.sum("BUY", _slot(LIMIT))
        if bool(chased) is not (self.middle == PART_FILLED) or chased >= self.quantity:
            yield f"the chase bought {chased}"
        yield from differs("bought by the limit", limited, self.quantity if self.rule == "finish" else ZERO)
        closed = self.quantity if self.rule == "unwind" else ZERO
        yield from differs("unwound", outcome.sum("SELL", _undo(MARKET)), closed)
        yield from differs("sold", outcome.sum("SELL"), closed)
        yield from differs("orders that unwound", outcome.trading(_undo(MARKET)), int(bool(closed)))

    def misshown(self, outcome: Outcome, page: dict[str, Any]) -> Iterator[str]:
        """Each leg by itself, and all of it in USDT by the prices at its start."""
        legs, filled = page.get("figures", {}).get("legs", []), ZERO
        yield from differs("legs, on a page", len(legs), 3)
        for number, leg in enumerate(legs):
            bought = outcome.sum("BUY", _slot(number))
            filled += bought * Decimal(leg["arrivalPrice"])
            yield from differs(f"legs[{number}], on a page", leg["filled"], bought)
            unwound = outcome.sum("SELL", _undo(number))
            yield from differs(f"legs[{number}] unwound, on a page", leg["unwound"], unwound)
        yield from differs("filled, on a page", page.get("filled"), filled)


def _slot(leg: int) -> int:
    return 2 * leg


def _undo(leg: int) -> int:
    return 2 * leg + 1
