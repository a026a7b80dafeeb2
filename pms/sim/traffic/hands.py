"""What happens to the account without our asking: orders by hand, money, acts of the exchange itself.

In some seeds, drawn before anything runs. None of it is a fault: the exchange is right, and the books follow.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Literal

from pms.sim.machines.exchange import SYMBOLS, SimExchange
from pms.venue.acts import Closing
from pms.venue.checks import NewOrder
from pms.venue.errors import VenueError
from pms.venue.matching import BUY, SELL, SelfTrade, TimeInForce

SHARE = 0.3
BEGIN_MS, LENGTH_MS = 600, 3900
MOST = 7
Kind = Literal["trades", "rests", "takes_back", "cancels_ours", "deposits", "funding", "adl", "liquidation"]
_KINDS: dict[Kind, int] = {
    "trades": 6,
    "rests": 4,
    "takes_back": 2,
    "cancels_ours": 4,
    "deposits": 1,
    "funding": 2,
    "adl": 1,
    "liquidation": 1,
}
_RATES = (Decimal("0.0001"), Decimal("-0.0003"), Decimal("0.0075"))
_SUMS = (Decimal(500), Decimal("-120.5"))
PREFIX = "web_"
"""How the exchange's own pages name the orders that are placed there."""


@dataclass(frozen=True, slots=True)
class Act:
    """One of them; `draw` chooses among what there is when its time has come."""

    number: int
    at_ms: int
    kind: Kind
    symbol: str
    side: int
    lots: int
    away: int
    draw: int

    def __str__(self) -> str:
        return f"{self.kind} {self.symbol}"


def draw(seed: int) -> list[Act]:
    """The acts of a seed, by time; none in most."""
    rng = Random(f"{seed}:hands")
    if rng.random() >= SHARE:
        return []
    kinds = rng.choices(list(_KINDS), list(_KINDS.values()), k=rng.randrange(2, MOST))
    times = sorted(BEGIN_MS + rng.randrange(LENGTH_MS) for _ in kinds)
    return [
        Act(
            number=number,
            at_ms=at_ms,
            kind=kind,
            symbol=rng.choice((SYMBOLS[0], *SYMBOLS)),
            side=rng.choice((BUY, SELL)),
            lots=rng.choice((1, 5, 40, 200)) * rng.randrange(4, 9),
            away=rng.randrange(1, 6),
            draw=rng.randrange(1000),
        )
        for number, (at_ms, kind) in enumerate(zip(times, kinds, strict=True))
    ]


class Hands:
    """Does them at the exchange, each at its time; what the exchange refuses has not happened."""

    def __init__(self, exchange: SimExchange, note: Callable[[str, str], None]) -> None:
        self._exchange, self._note = exchange, note

    async def play(self, acts: Sequence[Act]) -> None:
        """All of a seed's. A funding is announced: of each symbol the first, the next is hours away."""
        loop, fundings = asyncio.get_running_loop(), self._exchange.venue.fundings
        for act in sorted(acts, key=lambda each: -each.at_ms):
            if act.kind == "funding":
                fundings.set(act.symbol, _RATES[act.draw % len(_RATES)], in_ms=act.at_ms)
        for act in acts:
            await asyncio.sleep(max(0.0, act.at_ms / 1000 - loop.time()))
            self._note("hand", str(act))
            with contextlib.suppress(VenueError):
                self._do(act)

    def _do(self, act: Act) -> None:
        venue, account = self._exchange.venue, self._exchange.account
        match act.kind:
            case "trades":
                self._place(act, price=0)
            case "rests":
                self._place(act, price=self._exchange.quoted(act.symbol, -act.side * act.away))
            case "takes_back":
                self._cancel(act, PREFIX)
            case "cancels_ours":
                self._cancel(act, "PMS_")
            case "deposits":
                venue.acts.transfer(account, "USDT", _SUMS[act.draw % len(_SUMS)])
            case "funding":
                venue.fundings.fire_due()
            case "adl":
                self._close(act, Closing.ADL, lots=act.lots)
            case "liquidation":
                self._close(act, Closing.LIQUIDATION, lots=None)

    def _place(self, act: Act, *, price: int) -> None:
        order = NewOrder(
            symbol=act.symbol,
            side=act.side,
            type="LIMIT" if price else "MARKET",
            time_in_force=TimeInForce.GTC,
            lots=act.lots,
            price=price,
            reduce_only=False,
            client_order_id=f"{PREFIX}{act.number}",
            self_trade=SelfTrade.EXPIRE_MAKER,
        )
        self._exchange.venue.exchange.place(self._exchange.account, order)

    def _cancel(self, act: Act, prefix: str) -> None:
        """One of the open orders whose names begin so, if there are any."""
        account = self._exchange.account
        found = [
            each for each in account.open[act.symbol].values() if each.client_order_id.startswith(prefix)
        ]
        if found:
            chosen = found[act.draw % len(found)].order_id
            self._exchange.venue.exchange.cancel(account, act.symbol, order_id=chosen, client_order_id=None)

    def _close(self, act: Act, why: Closing, *, lots: int | None) -> None:
        price = self._exchange.quoted(act.symbol, 0)
        self._exchange.venue.acts.close(self._exchange.account, act.symbol, why, lots=lots, price=price)
