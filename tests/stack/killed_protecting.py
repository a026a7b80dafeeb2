"""Algos that protect a position, in the middle: trailing stop, bracket, OCO. Each closes it once."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from killed_case import (
    FLYING,
    IN_FLIGHT,
    LEVERAGE,
    OVERDUE,
    PART_FILLED,
    RESTING,
    UNEXECUTED,
    Case,
    Outcome,
    differs,
)
from killed_system import patiently

ENTRY, PROFIT, STOP = 0, 1, 2


class TrailCase(Case):
    """Nothing of it rests. Resting: it has its best price in mind. Part filled: others close half of it."""

    kind, task, key, letter, symbol = "trailing stop", "pms.trail_stop", "trailstop", "R", "BNBUSDT"

    async def begin(self) -> None:
        position = await self.buy()
        self._closes = self.quantity
        if self.middle == PART_FILLED:
            self._closes -= await self._sell_half()
        await self.start(positionId=position, callbackPct="1")

    async def _sell_half(self) -> Decimal:
        step = self.system.steps[self.symbol][1]
        half = self.quantity / 2 // step * step
        price = await self.system.beside(self.symbol, "1")
        terms = {"symbol": self.symbol, "side": "SELL", "type": "LIMIT", "price": str(price)}
        terms |= {"quantity": f"{half:f}", "reduceOnly": True, "leverage": LEVERAGE}
        answer = await self.system.trade(self.account, ttlMs=20_000, timeout_s=30, **terms)
        assert answer["state"] == "active", answer
        return half

    async def last(self) -> None:
        if self.middle == RESTING:
            await self.system.move(self.symbol, "3")
            bid = (await self.system.touch(self.symbol))[0]
            await self._follows(bid)

    async def _follows(self, bid: Decimal) -> None:
        """Wait until the best price is written down, to a tenth of the callback."""

        async def there() -> bool:
            query = "select (memory::json->>'extreme')::numeric as extreme from pms.algos where id = :id"
            rows = await self.system.rows(query, id=self.algo_id)
            return bool(rows) and rows[0].extreme >= bid * Decimal("0.998")

        if not self.forgets:
            await patiently(there, f"{self}: the best price", self._said)

    async def fly(self) -> None:
        await self.hold("POST")
        await self.system.move(self.symbol, "-3")
        await self.caught()

    async def meanwhile(self) -> None:
        moves = {RESTING: "-0.5", OVERDUE: "-3", PART_FILLED: "2", IN_FLIGHT: "0.5", UNEXECUTED: "0.5"}
        await self.system.move(self.symbol, moves[self.middle])

    async def finish(self) -> None:
        if self.middle == RESTING:
            await self.system.move(self.symbol, "-2" if self.forgets else "-0.9")
        elif self.middle == PART_FILLED:
            await self.system.move(self.symbol, "-3")
        await self.over()

    def faults(self, outcome: Outcome) -> Iterator[str]:
        yield from differs("status", outcome.algo.status, "finished")
        yield from differs("sold by the stop", outcome.sum("SELL"), self._closes)
        yield from differs("orders of the stop that traded", outcome.trading(0), 1)


class BracketCase(Case):
    """Resting: its entry, filled while nobody lives. In flight: its take-profit on the way there."""

    kind, task, key, letter, symbol = "bracket", "pms.bracket", "bracket", "O", "CTKUSDT"

    async def begin(self) -> None:
        self.quantity = await self.system.worth(self.symbol, self.notional)
        terms = {"symbol": self.symbol, "side": "BUY", "quantity": f"{self.quantity:f}", "leverage": LEVERAGE}
        if self.middle in (RESTING, *FLYING):
            terms |= {"price": str(await self.system.beside(self.symbol, "-0.3"))}
        await self._protect(**terms)

    async def _protect(self, **terms: Any) -> None:
        profit, loss = [await self.system.beside(self.symbol, each) for each in ("1", "-2")]
        await self.start(takeProfit=str(profit), stopLoss=str(loss), **terms)
        entering = "price" in terms
        await self.rests("BUY" if entering else "SELL", of=self.quantity)

    async def last(self) -> None:
        if self.middle == PART_FILLED:
            await self.system.fill_part(await self.rests("SELL"), self._part(1))

    async def fly(self) -> None:
        await self.hold("POST", slot="01")
        await self.system.move(self.symbol, "-1")
        await self.caught()

    async def meanwhile(self) -> None:
        if self.middle == RESTING:
            await self.system.move(self.symbol, "-1")
        elif self.middle == OVERDUE:
            await self.system.move(self.symbol, "-3")
        elif self.middle == PART_FILLED:
            await self.system.fill_part(await self.resting("SELL"), self._part(2))

    async def finish(self) -> None:
        if self.middle == RESTING:
            await self.rests("SELL", of=self.quantity)
            await self.system.move(self.symbol, "4")
        elif self.middle != OVERDUE:
            await self.system.move(self.symbol, "-3")
        await self.over()

    def faults(self, outcome: Outcome) -> Iterator[str]:
        yield from differs("status", outcome.algo.status, "finished")
        yield from differs("sold", outcome.sum("SELL"), self.quantity)
        by_profit, by_stop = outcome.sum("SELL", PROFIT), outcome.sum("SELL", STOP)
        if self.middle == RESTING:
            yield from differs("sold by the take-profit", by_profit, self.quantity)
            return
        yield from differs("orders of the stop that traded", outcome.trading(STOP), 1)
        part = self.middle == PART_FILLED
        if bool(by_profit) is not part or not by_stop:
            yield f"{by_profit} sold by the take-profit, {by_stop} by the stop"


class OcoCase(BracketCase):
    """Resting: its take-profit, filled while nobody lives. In flight: its cancel, for the stop has fired."""

    kind, symbol = "OCO", "SUSHIUSDT"

    async def begin(self) -> None:
        await self._protect(positionId=await self.buy())

    async def fly(self) -> None:
        await self.hold("DELETE", slot="01", order=await self.rests("SELL"))
        await self.system.move(self.symbol, "-3")
        await self.caught()

    async def meanwhile(self) -> None:
        if self.middle == RESTING:
            await self.system.move(self.symbol, "2")
            return
        await super().meanwhile()
        if self.middle == PART_FILLED:
            await self.system.move(self.symbol, "-3")

    async def finish(self) -> None:
        await self.over()


PROTECTING = (TrailCase, BracketCase, OcoCase)
