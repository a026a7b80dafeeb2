"""Algos that work a quantity, in the middle: chase, TWAP by time and by volume, scalper."""

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
from killed_system import now_ms, patiently
from killed_venue import ZERO, Bound

from pms.contract.money import plain


class ChaseCase(Case):
    """Overdue: mid is further than `maxDistance`, so that the rest is taken at market."""

    kind, task, key, letter, symbol = "chase", "pms.chase", "chase", "H", "BTCUSDT"
    _order: dict[str, Any]

    async def begin(self) -> None:
        self.quantity = await self.system.worth(self.symbol, self.notional)
        terms = {"symbol": self.symbol, "side": "BUY", "quantity": f"{self.quantity:f}", "leverage": LEVERAGE}
        terms |= {"stalkOffset": "0.3", "stalkMode": "trail", "repriceTicks": 500}
        if self.middle == OVERDUE:
            terms |= {"maxDistance": "1", "onMaxDistance": "cross"}
        await self.start(**terms)
        self._order = await self.rests("BUY")

    async def last(self) -> None:
        if self.middle == PART_FILLED:
            await self.system.fill_part(self._order, self._part(1))
        elif self.middle in (RESTING, OVERDUE):
            await self.system.move(self.symbol, "0.2")
            self._order = await self.rests("BUY", beside=Decimal(self._order["price"]))

    async def fly(self) -> None:
        await self.hold("PUT", order=self._order)
        await self.system.move(self.symbol, "0.3")
        await self.caught()
        self._order = await self.resting("BUY")

    async def meanwhile(self) -> None:
        if self.middle == PART_FILLED:
            await self.system.fill_part(await self.resting("BUY"), self._part(2))
        await self.system.move(self.symbol, "1.5")

    async def finish(self) -> None:
        if self.middle != OVERDUE:
            await self.rests("BUY", beside=Decimal(self._order["price"]))
        await self.over(nudge=None if self.middle == OVERDUE else "-3")

    def faults(self, outcome: Outcome) -> Iterator[str]:
        yield from differs("status", outcome.algo.status, "finished")
        yield from differs("bought", outcome.sum("BUY"), self.quantity)


class TwapCase(Case):
    """Overdue: slices at market whose moments pass; the others are of slices that rest at a limit price."""

    kind, task, key, letter, symbol = "TWAP", "pms.twap", "twap", "T", "ETHUSDT"
    duration = 16

    @property
    def _resting(self) -> bool:
        return self.middle in (RESTING, PART_FILLED)

    @property
    def lots(self) -> int:
        """Slices."""
        return 4 if self._resting else 16

    @property
    def most_catch_up(self) -> int:
        """A slice is never more than so many even ones."""
        return 4

    async def begin(self) -> None:
        self.quantity = await self.system.worth(self.symbol, self.notional)
        await self._start()
        if self._resting:
            self._order = await self.rests("BUY")
        else:
            await self.traded(ZERO)

    async def _start(self, **terms: Any) -> None:
        terms |= {"symbol": self.symbol, "side": "BUY", "totalSize": f"{self.quantity:f}"}
        terms |= {"lots": self.lots, "duration": self.duration, "mostCatchUp": self.most_catch_up}
        if self._resting:
            price = await self.system.beside(self.symbol, "-0.3")
            terms |= {"limitPrice": str(price), "timeInForce": "GTC"}
        self._began = now_ms()
        await self.start(leverage=LEVERAGE, **terms)

    async def last(self) -> None:
        if self.middle == PART_FILLED:
            await self.fill_some(self._part(1))
        elif self.middle == OVERDUE:
            await self.traded(await self.executed())

    async def fly(self) -> None:
        await self.hold("POST")
        await self.caught()

    async def meanwhile(self) -> None:
        if self.middle == PART_FILLED and (found := await self.open()):
            await self.system.fill_part(found[0], self._part(1))
        await self._passes(2)

    async def _passes(self, slices: int) -> None:
        """Let so many moments pass."""
        until_at = now_ms() + 1000 * slices * self.duration // self.lots

        async def passed() -> bool:
            return now_ms() > until_at

        await patiently(passed, "slices to be due", str)

    async def finish(self) -> None:
        await self.over(nudge="-1" if self._resting else None)

    def faults(self, outcome: Outcome) -> Iterator[str]:
        yield from differs("status", outcome.algo.status, "finished")
        bought, ended = outcome.sum("BUY"), outcome.algo.ended_at
        had_time = ended is None or ended < self.time_is_over(outcome)
        if bought > self.quantity or (bought < self.quantity and had_time):
            yield f"bought {bought} of {self.quantity}, and it had time until {self.time_is_over(outcome)}"
        step = self.system.steps[self.symbol][1]
        most = (self.quantity / self.lots + step) * self.most_catch_up
        for number, slot in outcome.slots.items():
            if slot.filled > most:
                yield f"slice {number} made up for {slot.filled}, it may for {most}"
            # What is proven unexecuted behind the last one's moment is made up for in that one.
            once = not self._resting and number < self.lots - 1
            if once and outcome.trading(number) > 1:
                own = [(each.name, each.quantity) for each in outcome.trades_of(number)]
                yield f"slice {number} traded by {outcome.trading(number)} orders: {own}"

    def time_is_over(self, outcome: Outcome) -> int:
        """Behind its end, and so much overtime as it has."""
        return int(outcome.algo.started_at + 2_000 * self.duration)


class SkippingTwapCase(TwapCase):
    """What it missed is dropped: each slice is sent as it was planned, or not at all."""

    kind, middles = "TWAP skipping", (IN_FLIGHT, UNEXECUTED, OVERDUE)

    async def _start(self, **terms: Any) -> None:
        await super()._start(onMissed="skip", **terms)

    def faults(self, outcome: Outcome) -> Iterator[str]:
        bought, even = outcome.sum("BUY"), self.quantity / self.lots
        yield from differs("status", outcome.algo.status, "finished")
        for number, slot in outcome.slots.items():
            if slot.filled and abs(slot.filled - even) >= self.system.steps[self.symbol][1]:
                yield f"slice {number} filled {slot.filled}, planned were about {even}"
        if bought < self.quantity:
            reason = f"its time is over, and {plain(self.quantity - bought)} is not filled"
            yield from differs("reason", outcome.algo.reason, reason)


class ParticipationCase(TwapCase):
    """Half of what others trade meanwhile."""

    kind, symbol = "participation", "SOLUSDT"
    slow = True
    notional = 60_000
    duration = 40

    @property
    def lots(self) -> int:
        return 8 if self._resting else 40

    @property
    def most_catch_up(self) -> int:
        return self.lots // 2

    async def begin(self) -> None:
        self.quantity = await self.system.worth(self.symbol, self.notional)
        await self._start(profile="participation", participation=50)
        await self._others(4)
        if self._resting:
            await self.rests("BUY")
        else:
            await self.traded(ZERO)

    async def _others(self, parts: int) -> None:
        """Let others trade so many tenths of its total."""
        await self.system.print(self.symbol, "BUY", self._part(parts))

    async def last(self) -> None:
        if self.middle == PART_FILLED:
            await super().last()

    async def fly(self) -> None:
        await self.hold("POST")
        await self._others(4)
        await self.caught()

    async def meanwhile(self) -> None:
        await super().meanwhile()
        await self._others(30)

    def time_is_over(self, outcome: Outcome) -> int:
        return int(outcome.algo.started_at + 1_000 * self.duration)


class ScalperCase(Case):
    """Overdue: the stop-losses of both its layers are crossed."""

    kind, task, key, letter, symbol = "scalper", "pms.scalper", "scalper", "S", "KEEPUSDT"
    layers = 2
    _bought = ZERO

    async def begin(self) -> None:
        self.quantity = await self.system.worth(self.symbol, self.notional)
        terms = {
            "symbol": self.symbol,
            "quantity": f"{self.quantity:f}",
            "layers": self.layers,
            "legs": "long",
        }
        terms |= {"baseOffsetPct": "0.3", "takeProfitPct": "0.8", "stopLossPct": "1.5"}
        await self.start(leverage=LEVERAGE, **terms)
        self._entry = await self.rests("BUY")
        if self.middle == OVERDUE:
            await self.system.move(self.symbol, "-0.45")
            await self.rests("SELL")

    async def last(self) -> None:
        if self.middle == PART_FILLED:
            await self.system.fill_part(self._entry, self._part(1))
            await self.rests("SELL")
        elif self.middle == RESTING:
            await self.system.move(self.symbol, "0.7")
            self._entry = await self.rests("BUY", beside=Decimal(self._entry["price"]))

    async def fly(self) -> None:
        await self.hold("POST", slot="01")
        await self.system.move(self.symbol, "-0.45")
        await self.caught()

    async def meanwhile(self) -> None:
        if self.middle == PART_FILLED:
            await self.system.fill_part(await self.resting("BUY"), self._part(2))
        elif self.middle == RESTING:
            await self.system.move(self.symbol, "-0.45")
        elif self.middle == OVERDUE:
            await self.system.move(self.symbol, "-3")

    async def finish(self) -> None:
        if self.middle == OVERDUE:
            await self._flat()
        else:
            await self._guarded()
        await self.cancel()
        await self.over()

    async def _guarded(self) -> None:
        """Wait until exits rest for all that is held, of one layer or of two."""

        async def there() -> bool:
            exits = await self.open(side="SELL")
            left = sum((Decimal(each["origQty"]) - Decimal(each["executedQty"]) for each in exits), ZERO)
            return left == await self.executed(side="BUY") - await self.executed(side="SELL") > 0

        await patiently(there, f"{self}: exits for all of it", self._said)

    async def _flat(self) -> None:
        async def there() -> bool:
            return await self.executed(side="SELL") == await self.executed(side="BUY") > 0

        await patiently(there, f"{self} to be flat", self._said)

    def bound(self) -> Bound:
        return Bound("BUY", self.quantity * self.layers, again=True)

    def faults(self, outcome: Outcome) -> Iterator[str]:
        yield from differs("status", outcome.algo.status, "cancelled")
        yield from differs("sold", outcome.sum("SELL"), outcome.sum("BUY"))
        if not outcome.sum("BUY"):
            yield "nothing was bought"
        if self.middle in FLYING:
            yield from differs("orders that closed layer 0", outcome.trading(1), 1)


WORKING = (ChaseCase, TwapCase, SkippingTwapCase, ParticipationCase, ScalperCase)
