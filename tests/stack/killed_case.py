"""An algo in the middle of its work: how it gets there, what happens while nobody lives, how it ends.

resting       its order lives at the exchange, and the market goes where it must be looked after
in flight     the exchange did what it was asked, and its answer and its events are lost
unexecuted    the same request never got there: its sender heard a connection break, and so knows nothing
overdue       a slice is due, or a stop is crossed, while nobody lives
part filled   others fill a part of its order before the death, and another meanwhile
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from killed_system import OPEN, KilledSystem, patiently
from killed_venue import ZERO, Bound, Order, Trade

RESTING, IN_FLIGHT, UNEXECUTED, OVERDUE, PART_FILLED = MIDDLES = (
    "resting",
    "in flight",
    "unexecuted",
    "overdue",
    "part filled",
)
FLYING = frozenset({IN_FLIGHT, UNEXECUTED})
LEVERAGE = 5
OVER = frozenset({"finished", "cancelled", "failed"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an algo came to: its rows in PostgreSQL, and what the venue says of its orders."""

    algo: Any
    slots: dict[int, Any]
    orders: list[Order]
    trades: list[Trade]

    def sum(self, side: str, *slots: int) -> Decimal:
        """What its own orders traded on a side, or in some slots."""
        return sum(
            (
                each.quantity
                for each in self.trades
                if each.side == side and (not slots or _slot(each) in slots)
            ),
            ZERO,
        )

    def trading(self, slot: int) -> int:
        """How many orders of a slot traded."""
        return len({each.order for each in self.trades_of(slot)})

    def trades_of(self, slot: int) -> list[Trade]:
        """What a slot's orders traded."""
        return [each for each in self.trades if _slot(each) == slot]


def _slot(trade: Trade) -> int:
    return int(trade.name.split("_", 3)[2][1:], 36)


class Case:
    """One algo of one kind, in one middle, on a sub-account of its own."""

    kind: ClassVar[str]
    task: ClassVar[str]
    key: ClassVar[str]
    letter: ClassVar[str]
    symbol: ClassVar[str]
    middles: ClassVar[tuple[str, ...]] = MIDDLES
    notional: ClassVar[int] = 3_000
    slow: ClassVar[bool] = False
    #: whether it takes seconds until something of it flies

    def __init__(self, system: KilledSystem, middle: str, account: str) -> None:
        self.system, self.middle, self.account = system, middle, account
        self.algo_id = ""
        self.quantity = ZERO
        self.forgets = False
        #: Redis will lose its tail
        self._held: list[int] = []

    def __str__(self) -> str:
        return f"{self.kind} {self.middle}"

    # --- what a kind says of itself ---

    async def begin(self) -> None:
        """Start it, and bring it where the last step is to come."""
        raise NotImplementedError

    async def last(self) -> None:
        """The last step before the death, which a Redis that loses its tail forgets."""

    async def fly(self) -> None:
        """Let it ask the exchange for something, and hear nothing of it; death comes at once."""

    async def meanwhile(self) -> None:
        """What happens while nobody lives."""

    async def finish(self) -> None:
        """Behind the return: look what it does by itself, and let the market end it."""
        raise NotImplementedError

    def bound(self) -> Bound:
        """What the account may have at the exchange at most."""
        return Bound("BUY", self.quantity)

    def faults(self, outcome: Outcome) -> Iterator[str]:
        """What is not as this kind must end."""
        raise NotImplementedError

    def misshown(self, outcome: Outcome, page: dict[str, Any]) -> Iterator[str]:
        """Where a page is shown other quantities: on its own side, or on both."""
        side = outcome.algo.side
        filled = sum((each.quantity for each in outcome.trades if side in ("", each.side)), ZERO)
        yield from differs("filled, on a page", page.get("filled"), filled)

    # --- what they do in common ---

    async def open_account(self) -> None:
        """A funded sub-account of its own."""
        await self.system.account(self.account, "50000")

    async def start(self, **terms: Any) -> None:
        """Start the algo."""
        fields = {"subAccountId": self.account, **terms}
        answer = await self.system.ask(self.task, ttlMs=20_000, timeout_s=30, **fields)
        assert answer["success"], f"{self}: {answer}"
        self.algo_id = answer["details"]["algoId"]

    async def buy(self) -> str:
        """Open a position; returns its id."""
        self.quantity = await self.system.worth(self.symbol, self.notional)
        terms = {"symbol": self.symbol, "quantity": f"{self.quantity:f}", "leverage": LEVERAGE}
        answer = await self.system.trade(self.account, ttlMs=20_000, timeout_s=30, **terms)
        assert answer["state"] == "filled", f"{self}: {answer}"
        return str(answer["position"]["id"])

    async def status(self) -> str:
        """Where PostgreSQL has it."""
        rows = await self.system.rows("select status from pms.algos where id = :id", id=self.algo_id)
        return str(rows[0].status) if rows else ""

    async def orders(self, *, side: str | None = None) -> list[dict[str, Any]]:
        """Its own orders at the venue."""
        return [
            each
            for each in await self.system.venue_orders(self.symbol)
            if each["clientOrderId"].startswith(f"PMS_{self.account}_{self.letter}")
            and side in (None, each["side"])
        ]

    async def open(self, *, side: str | None = None) -> list[dict[str, Any]]:
        """Those that live there, the dearest first."""
        found = [each for each in await self.orders(side=side) if each["status"] in OPEN]
        return sorted(found, key=lambda each: -Decimal(each["price"]))

    async def resting(self, side: str) -> dict[str, Any]:
        """The dearest that rests, without waiting for one."""
        found = await self.open(side=side)
        assert found, f"{self}: nothing rests, of {await self.orders()}"
        return found[0]

    async def executed(self, *, side: str | None = None) -> Decimal:
        """What its own orders traded, by the venue."""
        return sum((Decimal(each["executedQty"]) for each in await self.orders(side=side)), ZERO)

    async def rests(self, side: str, *, beside: Decimal = ZERO, of: Decimal | None = None) -> dict[str, Any]:
        """Wait for the one order of a side at the venue, at another price than this, for what is left."""
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            found[:] = await self.open(side=side)
            if not found or Decimal(found[0]["price"]) == beside:
                return False
            left = Decimal(found[0]["origQty"]) - Decimal(found[0]["executedQty"])
            return of in (None, left)

        await patiently(there, f"{self}: a {side} at the venue", lambda: f"{found} {self._said()}")
        return found[0]

    async def fill_some(self, part: Decimal) -> None:
        """Let others fill something of what rests: once there is anything, and as long as there is."""
        before = await self.executed()

        async def filled() -> bool:
            await self.system.fill_part(await self.rests("BUY"), part)
            return await self.executed() > before

        await patiently(filled, f"{self}: a part to be filled", self._said)

    async def traded(self, more_than: Decimal, *, side: str | None = None) -> None:
        """Wait until its orders traded more than so much, by the venue."""

        async def there() -> bool:
            return await self.executed(side=side) > more_than

        await patiently(there, f"{self}: more than {more_than} traded", self._said)

    async def over(self, *, nudge: str | None = None) -> None:
        """Wait until it is over; with `nudge` its market moves as soon as it has an order there."""
        nudged = False

        async def there() -> bool:
            nonlocal nudged
            if await self.status() in OVER:
                return True
            if nudge is not None and not nudged and await self.open():
                nudged = True
                await self.system.move(self.symbol, nudge)
            return False

        await patiently(there, f"{self} to be over", self._said)

    async def hold(self, method: str, *, slot: str = "", order: dict[str, Any] | None = None) -> None:
        """Let nobody hear what comes of the next request for it; or let it come to nothing."""
        told = f"PMS_{self.account}_{self.letter}{slot}"
        subject = f"^{told}" if order is None else f"^({told}|{order['orderId']}$)"
        if self.middle == UNEXECUTED:
            self._held.append(await self.system.lose(method, subject))
        else:
            self._held.append(await self.system.hold(method, subject, told))

    async def caught(self) -> None:
        """Wait until the venue has met that request."""
        for fault in self._held:
            await self.system.held(fault)

    async def cancel(self) -> None:
        """End it by command."""
        answer = await self.system.ask("pms.cancel_algo", algoId=self.algo_id, ttlMs=20_000, timeout_s=30)
        assert answer["success"], f"{self}: {answer}"

    def _part(self, tenths: int) -> Decimal:
        step = self.system.steps[self.symbol][1]
        return self.quantity * tenths / 10 // step * step

    def _said(self) -> str:
        return self.system.log("streamer")[-2000:]


def differs(what: str, found: object, wanted: object) -> Iterator[str]:
    """A fault where two things are not equal."""
    if found != wanted:
        yield f"{what} is {found}, and should be {wanted}"
